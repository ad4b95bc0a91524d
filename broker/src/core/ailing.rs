//! Stored bytes that could not be read: the log tells the operator where they are and what that
//! means, and the metrics how often readers met them.

use std::collections::BTreeMap;

use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Offset};

use super::Core;

/// What readers met since the start.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Reads that failed, by log.
    logs: BTreeMap<LogId, Met>,
    reads: u64,
}

#[derive(Debug)]
struct Met {
    reads: u64,
    /// Of the one that was told last.
    reason: String,
}

impl Damage {
    /// Reads that failed.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Partitions that some of them were of.
    pub(super) fn logs(&self) -> usize {
        self.logs.len()
    }

    /// One more. Whether it is to be told: the first of a place, then ever more seldom, for a reader
    /// that cannot go on asks again and again.
    fn note(&mut self, log: LogId, reason: &str) -> bool {
        self.reads += 1;
        let met = self.logs.entry(log).or_insert(Met {
            reads: 0,
            reason: String::new(),
        });
        met.reads += 1;
        let other_place = met.reason != reason;
        if other_place {
            reason.clone_into(&mut met.reason);
        }
        other_place || met.reads.is_power_of_two()
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn note_damage(&mut self, log: LogId, offset: Offset, reason: &str) {
        if !self.damage.note(log, reason) {
            return;
        }
        let place = self.place_of(log);
        tracing::error!(
            core = self.id.0,
            offset = offset.0,
            "DAMAGED: {place} cannot be read at offset {offset}: {reason}. Readers are refused these \
             records, all others are served and producing goes on; stop the broker and run \
             `leveret verify` to see all that is damaged"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_told_and_the_same_one_ever_more_seldom() {
        let mut damage = Damage::default();
        let told = |damage: &mut Damage, reason| damage.note(LogId(7), reason);
        assert!(told(&mut damage, "here"));
        let again = (0..1000).filter(|_| told(&mut damage, "here")).count();
        assert!((5..12).contains(&again), "{again}");
        assert!(told(&mut damage, "there"));
        assert_eq!((damage.reads(), damage.logs()), (1002, 1));
    }
}
