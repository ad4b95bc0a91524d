//! What logs of level `memory` forget: what their bounds demand, and nothing else.

use leveret_storage::store::ENTRY_OVERHEAD;
use leveret_storage::types::{LogId, Offset, Ordinal};

use super::{Oracle, Truth};
use crate::violation::{Kind, Violation};

/// How much such logs of one core keep, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Each of them.
    pub own: u64,
    /// All of them.
    pub together: u64,
}

impl Oracle {
    /// An entry was appended to `latest`. All logs of level `memory` of its core are given with where they
    /// begin now.
    ///
    /// # Errors
    /// When they keep more than they may, or one forgot what it could have kept.
    pub fn forgot(
        &mut self,
        latest: LogId,
        begin: &[(LogId, (Ordinal, Offset))],
        bounds: Bounds,
    ) -> Result<(), Violation> {
        let (mut kept, mut stays, mut made_room) = (0, 0, None);
        for (log, start) in begin {
            let truth = self.log_mut(*log);
            // The last entry of a log is kept when it comes, whatever the bounds.
            let last = (truth.entries().len() as u64).saturating_sub(1);
            let own = bounds.own.max(truth.size(last..));
            if *log == latest {
                stays = truth.size(last..);
            }
            let gone = truth.forget(*start)?;
            let held = truth.size(start.0.0..);
            if held > own {
                return Err(too_much(&format!("{log:?}"), held, own));
            }
            // Oldest first, and not one more than its own bound demands.
            let mut before = held + truth.size(gone.clone());
            let of_itself = gone.clone().take_while(|at| {
                let over = before > own;
                before -= truth.size(*at..at + 1);
                over
            });
            let of_itself = of_itself.count() as u64;
            let for_others = gone.start + of_itself..gone.end;
            let largest = for_others.map(|at| truth.size(at..at + 1)).max();
            made_room = made_room.max(largest.map(|size| (size, *log)));
            kept += held;
        }
        let together = bounds.together.max(stays);
        if kept > together {
            return Err(too_much("all logs of level memory", kept, together));
        }
        match made_room {
            Some((size, log)) if kept + size <= bounds.together => {
                let what = format!(
                    "{log:?} forgot {size} bytes, {kept} are kept of {}",
                    bounds.together
                );
                Err(Violation::new(Kind::Lost, what))
            }
            _ => Ok(()),
        }
    }
}

fn too_much(who: &str, keep: u64, most: u64) -> Violation {
    let what = format!("{who}: {keep} bytes are kept, {most} at most may be");
    Violation::new(Kind::Memory, what)
}

impl Truth {
    /// What entries take in memory.
    fn size(&self, ordinals: impl std::ops::RangeBounds<u64>) -> u64 {
        let at = |bound: std::ops::Bound<&u64>| bound.map(|at| *at as usize);
        let range = (at(ordinals.start_bound()), at(ordinals.end_bound()));
        let sizes = self.entries()[range].iter();
        sizes
            .map(|entry| entry.bytes.len() as u64 + ENTRY_OVERHEAD as u64)
            .sum()
    }
}
