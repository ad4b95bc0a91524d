//! Knows what was appended, what was acknowledged at which level, and therefore what may and must
//! be there, now and after each kind of crash.
//!
//! Its cost is linear in what was appended and read. It knows nothing of journals or segments:
//! it sees only what a user of storage sees.

mod entry;
mod machine;
mod truth;
mod volatile;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use leveret_storage::store::LogSettings;
use leveret_storage::types::{LogId, LogKind, WallMs};

use crate::disk::Crash;
use crate::violation::{Kind, Violation};
pub use entry::{IDENTITY, Identity, build, identify};
pub use machine::MachineState;
pub use truth::{Appended, Found, Truth};
pub use volatile::Bounds;

/// Everything that is known of all logs of a run.
#[derive(Debug, Default)]
pub struct Oracle {
    logs: BTreeMap<LogId, Truth>,
    unique: u64,
}

impl Oracle {
    /// A new log begins, empty.
    pub fn create(&mut self, log: LogId, kind: LogKind, settings: &LogSettings) {
        self.logs.insert(log, Truth::new(log, kind, settings));
    }

    /// A number that no entry of the run has borne.
    pub fn unique(&mut self) -> u64 {
        self.unique += 1;
        self.unique
    }

    /// What is known of a log that exists or is being deleted.
    ///
    /// # Panics
    /// When the run never created it.
    #[must_use]
    pub fn log(&self, log: LogId) -> &Truth {
        &self.logs[&log]
    }

    /// The same, to add to.
    ///
    /// # Panics
    /// When the run never created it.
    pub fn log_mut(&mut self, log: LogId) -> &mut Truth {
        self.logs.get_mut(&log).expect("created by the run")
    }

    /// All logs ever created, in order.
    pub fn logs(&self) -> impl Iterator<Item = &Truth> {
        self.logs.values()
    }

    /// What recovery found after a crash of the given kind is compared with what it had to find,
    /// and becomes what is known from now on.
    ///
    /// # Errors
    /// The first promise that it breaks.
    pub fn recover(
        &mut self,
        crash: Crash,
        found: &[Found],
        wall: WallMs,
    ) -> Result<(), Violation> {
        let mut missing: BTreeMap<LogId, &mut Truth> = self
            .logs
            .iter_mut()
            .map(|(log, truth)| (*log, truth))
            .collect();
        for recovered in found {
            let Some(truth) = missing.remove(&recovered.log) else {
                let what = format!("{:?} was recovered twice or never existed", recovered.log);
                return Err(Violation::new(Kind::Resurrected, what));
            };
            truth.recover(crash, recovered, wall)?;
        }
        for truth in missing.into_values() {
            truth.vanish(crash)?;
        }
        Ok(())
    }
}
