//! Logs that are not as they should be: those that stopped, and those of which stored bytes could not
//! be read. The log tells the operator as it happens; status and metrics say how it is now.

use std::collections::BTreeMap;
use std::ops::Bound;

use leveret_engine::topology::LogOwner;
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Offset};

use super::Core;

/// The name under which the broker's own log of topics is shown; no topic can have it.
pub const TOPOLOGY: &str = "(topology)";

/// The name under which its logs of consumer groups are shown, likewise.
pub(super) const GROUPS: &str = "(groups)";

/// What is known of them, of this run.
#[derive(Debug, Default)]
pub(super) struct Ailing {
    /// Why they take no more records.
    stopped: BTreeMap<LogId, String>,
    damaged: BTreeMap<LogId, Met>,
    /// Reads that met damage.
    reads: u64,
}

/// Damage as readers of one log met it.
#[derive(Debug)]
struct Met {
    reads: u64,
    /// Of the one that was met last.
    offset: Offset,
    reason: String,
    /// All that was met lies below: the high watermark of then.
    below: Offset,
}

/// A log that takes no more records.
#[derive(Clone, Debug)]
pub struct StoppedLog {
    /// Its id, to ask for the next ones.
    pub log: LogId,
    /// Its topic, or what stands for the broker's own, and its partition.
    pub place: (String, u32),
    /// What failed.
    pub reason: String,
}

/// A log of which stored bytes could not be read, or are not those that were written.
#[derive(Clone, Debug)]
pub struct DamagedLog {
    /// Its id, to ask for the next ones.
    pub log: LogId,
    /// Its topic and partition.
    pub place: (String, u32),
    /// Where the read began that met them last.
    pub offset: Offset,
    /// Reads that met them since the start.
    pub reads: u64,
    /// The file, the place in it, and what does not fit.
    pub reason: String,
}

impl Ailing {
    /// Logs that stopped.
    pub(super) fn stopped(&self) -> usize {
        self.stopped.len()
    }

    /// Logs that readers met damage in.
    pub(super) fn damaged(&self) -> usize {
        self.damaged.len()
    }

    /// Reads that met damage.
    pub(super) fn damaged_reads(&self) -> u64 {
        self.reads
    }

    /// A log takes no more records.
    pub(super) fn stop(&mut self, log: LogId, reason: &str) {
        self.stopped.insert(log, reason.to_owned());
    }

    /// The log is deleted, and what ailed it with it.
    pub(super) fn forget(&mut self, log: LogId) {
        self.stopped.remove(&log);
        self.damaged.remove(&log);
    }

    /// Whether something of the log that begins at `start` is known to be damaged: retention may have
    /// removed all that readers met.
    pub(super) fn is_damaged(&self, log: LogId, start: Offset) -> bool {
        let met = self.damaged.get(&log);
        met.is_some_and(|met| start < met.below)
    }

    /// One more read that met damage, in a log with that high watermark. Whether it is to be told: the
    /// first of a place, then ever more seldom, for a reader that cannot go on asks again and again.
    fn meet(&mut self, log: LogId, offset: Offset, below: Offset, reason: &str) -> bool {
        self.reads += 1;
        let met = self.damaged.entry(log).or_insert(Met {
            reads: 0,
            offset,
            reason: String::new(),
            below,
        });
        met.reads += 1;
        (met.offset, met.below) = (offset, below);
        let other_place = met.reason != reason;
        if other_place {
            reason.clone_into(&mut met.reason);
        }
        other_place || met.reads.is_power_of_two()
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn note_stopped(&mut self, log: LogId, reason: &str) {
        let place = self.place_of(log);
        tracing::error!(core = self.id.0, "{place} takes no more records: {reason}");
        if self.name_of(log).is_some() {
            self.ailing.stop(log, reason);
        }
    }

    pub(super) fn note_damage(&mut self, log: LogId, offset: Offset, reason: &str) {
        let Some(status) = self.shard.log_status(log) else {
            return; // It was deleted meanwhile.
        };
        let end = status.high_watermark;
        if !self.ailing.meet(log, offset, end, reason) {
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

    /// So many of the logs that stopped, after this one.
    pub(super) fn stopped_after(&self, after: Option<LogId>, most: usize) -> Vec<StoppedLog> {
        let logs = self.ailing.stopped.range(beyond(after));
        let named = |(log, reason): (&LogId, &String)| {
            Some(StoppedLog {
                log: *log,
                place: self.name_of(*log)?,
                reason: reason.clone(),
            })
        };
        logs.filter_map(named).take(most).collect()
    }

    /// So many of the logs that are damaged, after this one.
    pub(super) fn damaged_after(&self, after: Option<LogId>, most: usize) -> Vec<DamagedLog> {
        let logs = self.ailing.damaged.range(beyond(after));
        let named = |(log, met): (&LogId, &Met)| {
            let start = self.shard.log_status(*log)?.start_offset;
            self.ailing.is_damaged(*log, start).then_some(())?;
            Some(DamagedLog {
                log: *log,
                place: self.name_of(*log)?,
                offset: met.offset,
                reads: met.reads,
                reason: met.reason.clone(),
            })
        };
        logs.filter_map(named).take(most).collect()
    }

    /// A log's topic and partition. What the broker keeps of its topics has a name that no topic can
    /// have; `None` for a log that nobody knows any more.
    fn name_of(&self, log: LogId) -> Option<(String, u32)> {
        Some(match self.topology.owner_of(log)? {
            LogOwner::Topology => (TOPOLOGY.to_owned(), 0),
            LogOwner::Partition { topic, index } => (topic.name.to_string(), index),
            LogOwner::Coordinator { number, .. } => {
                (GROUPS.to_owned(), u32::try_from(number).unwrap_or(u32::MAX))
            }
        })
    }
}

fn beyond(after: Option<LogId>) -> (Bound<LogId>, Bound<LogId>) {
    (
        after.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId(7);

    #[test]
    fn each_place_is_told_and_the_same_one_ever_more_seldom() {
        let mut ailing = Ailing::default();
        let told = |ailing: &mut Ailing, reason| ailing.meet(LOG, Offset(3), Offset(10), reason);
        assert!(told(&mut ailing, "here"));
        let again = (0..1000).filter(|_| told(&mut ailing, "here")).count();
        assert!((5..12).contains(&again), "{again}");
        assert!(told(&mut ailing, "there"));
        assert_eq!((ailing.damaged_reads(), ailing.damaged()), (1002, 1));
    }

    #[test]
    fn a_log_is_damaged_until_all_that_was_met_is_gone() {
        let mut ailing = Ailing::default();
        assert!(!ailing.is_damaged(LOG, Offset(0)));
        ailing.meet(LOG, Offset(3), Offset(10), "here");
        assert!(ailing.is_damaged(LOG, Offset(0)) && ailing.is_damaged(LOG, Offset(9)));
        assert!(!ailing.is_damaged(LOG, Offset(10)), "retention took it all");
        assert!(!ailing.is_damaged(LogId(8), Offset(0)));
        ailing.stop(LOG, "a sync failed");
        ailing.forget(LOG);
        assert!(!ailing.is_damaged(LOG, Offset(0)));
        assert_eq!((ailing.stopped(), ailing.damaged()), (0, 0));
    }
}
