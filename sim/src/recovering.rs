//! Turns recovery over the simulated disk, to its end or to a crash amid it.

use leveret_storage::io::{FileName, Op};
use leveret_storage::recovery::{Recovered, RecoveryConfig, RecoveryError, recover};
use leveret_storage::types::Mono;

use crate::disk::{Client, Disk, SimPool};
use crate::trace::{Trace, describe};
use crate::violation::{Kind, Violation};

/// When a recovery is not let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// When so many operations have completed.
    After(u64),
    /// With the write of the superblock in flight: the moment that decides which generation is
    /// the truth.
    AtSwitch,
}

/// What recovery runs on.
pub(crate) struct Ground<'a> {
    pub(crate) disk: &'a mut Disk,
    pub(crate) trace: &'a mut Trace,
    pub(crate) now: &'a mut Mono,
    pub(crate) config: RecoveryConfig,
    /// Whether the device may fail on purpose.
    pub(crate) device_fails: bool,
}

impl Ground<'_> {
    /// Recovers; `None` when `interrupt` comes first, or the device failed on purpose.
    ///
    /// # Errors
    /// When recovery refuses, or waits for nothing.
    pub(crate) fn recover(
        self,
        interrupt: Option<Interrupt>,
    ) -> Result<Option<Recovered>, Violation> {
        let Self {
            disk,
            trace,
            now,
            config,
            device_fails,
        } = self;
        trace.say(format_args!(
            "{:>12} ---- recovery for {} cores ----",
            now.0, config.cores
        ));
        let mut recovery = recover(config, SimPool::default());
        let mut completed = 0;
        loop {
            while let Some((id, op)) = recovery.poll_op() {
                trace.say(format_args!(
                    "{:>12} recovery {id:?} {}",
                    now.0,
                    describe(&op)
                ));
                let superblock = FileName::Superblock;
                let switches = matches!(op, Op::Write { file, .. } if file == superblock);
                disk.submit(*now, Client(u16::MAX), id, op);
                if switches && interrupt == Some(Interrupt::AtSwitch) {
                    return Ok(None);
                }
            }
            if let Some(result) = recovery.poll_result() {
                // What an error left in flight ends unheard.
                while let Some(at) = disk.next_completion() {
                    *now = at.max(*now);
                    disk.complete();
                }
                return match result {
                    Ok(recovered) => match lost(&recovered) {
                        Some(reason) => Err(Violation::new(Kind::Refused, reason)),
                        None => Ok(Some(recovered)),
                    },
                    Err(error @ (RecoveryError::Io(_) | RecoveryError::NoSpace { .. }))
                        if device_fails =>
                    {
                        trace.say(format_args!("recovery failed: {error}"));
                        Ok(None)
                    }
                    Err(error) => Err(Violation::new(Kind::Refused, error.to_string())),
                };
            }
            if matches!(interrupt, Some(Interrupt::After(most)) if completed >= most) {
                return Ok(None);
            }
            let Some(at) = disk.next_completion() else {
                return Err(Violation::new(Kind::Stuck, "recovery waits for nothing"));
            };
            *now = at.max(*now);
            let done = disk.complete().expect("due");
            completed += 1;
            trace.note([now.0, done.id.0, u64::from(u16::MAX)]);
            recovery.handle_completion(done.id, done.result);
        }
    }
}

/// A log of which a file is gone: nobody takes files away here.
fn lost(recovered: &Recovered) -> Option<String> {
    let logs = recovered.cores.iter().flat_map(|core| &core.logs);
    let mut lost = logs.filter_map(|log| Some(log.lost.as_ref()?.reason.clone()));
    lost.next()
}
