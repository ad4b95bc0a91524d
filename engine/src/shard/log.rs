//! What a shard keeps per partition: the machine, who waits for its frontiers, and counters.

use std::collections::BTreeSet;

use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::{Frontiers, Store};
use leveret_storage::types::{Level, LogId, Offset, Ordinal, Term};

use super::Replies;
use super::fetch::FetchKey;
use super::hosted::Hosted;
use super::reply::{Produced, Reply};
use super::watching::Watchers;
use crate::partition::Partition;
use crate::topology::TopicSettings;

/// One partition of this core.
pub(super) struct LogState {
    /// Of what waits for durability, where it is.
    pub(super) hosted: Hosted<Partition, Placed>,
    /// Its level is the strongest promise of the log, and the one that makes its records visible.
    pub(super) settings: TopicSettings,
    /// What readers may have seen under a weaker promise that the log made before.
    pub(super) visible: Offset,
    /// Fetches that wait for records, each with the number of its part that reads this log.
    pub(super) readers: BTreeSet<(FetchKey, u32)>,
    pub(super) watchers: Watchers,
    pub(super) counters: LogCounters,
}

/// Traffic of one partition, or of all of a core, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Batches appended.
    pub batches_in: u64,
    /// Records appended.
    pub records_in: u64,
    /// Bytes of the batches appended.
    pub bytes_in: u64,
    /// Bytes of the batches fetched.
    pub bytes_out: u64,
    /// Offsets from the first asked for to the end of the batches fetched.
    pub records_out: u64,
}

/// Where a batch is.
pub(super) struct Placed {
    pub(super) base_offset: Offset,
    /// The broker's time, if the batch was stamped with it.
    pub(super) append_time: Option<i64>,
    pub(super) duplicate: bool,
}

impl LogState {
    pub(super) fn new(machine: Partition, term: Term) -> Self {
        Self {
            hosted: Hosted::new(machine, term),
            settings: TopicSettings::default(),
            visible: Offset::default(),
            readers: BTreeSet::new(),
            watchers: Watchers::default(),
            counters: LogCounters::default(),
        }
    }

    /// Largest batch that it takes, bytes.
    pub(super) fn max_batch_bytes(&self) -> usize {
        self.settings.max_message_bytes as usize
    }

    /// Answers every produce that the frontiers have passed, in the order of appends.
    pub(super) fn release(&mut self, frontiers: &Frontiers, replies: &mut Replies) {
        while let Some((request, placed)) = self.hosted.release(frontiers) {
            let produced = Produced {
                base_offset: placed.base_offset,
                start_offset: frontiers.start.1,
                append_time: placed.append_time,
                duplicate: placed.duplicate,
            };
            replies.push_back((request, Reply::Produced(produced)));
        }
    }

    /// A reader stands at the high watermark: what lies beyond it becomes visible soon.
    pub(super) fn hasten<P: BufPool>(&self, store: &mut Store<P>, log: LogId) {
        if self.settings.level == Level::Synced && !store.breaks(Mutation::DeafToReaders) {
            store.hasten(log);
        }
    }

    /// Whether somebody waits for the log to grow.
    pub(super) fn is_awaited(&self) -> bool {
        !self.readers.is_empty() || self.watchers.any()
    }

    /// The offset below which everything may be read: what has become as durable as the log
    /// promises, or was promised before.
    pub(super) fn high_watermark(&self, frontiers: &Frontiers) -> Offset {
        at_level(frontiers, self.settings.level).1.max(self.visible)
    }
}

/// Where a log stands that is installed, and so is in the store.
pub(super) fn frontiers_of<P: BufPool>(store: &Store<P>, log: LogId) -> Frontiers {
    let frontiers = store.frontiers(log);
    frontiers.expect("an installed log is in the store")
}

/// How far a log has come in the sense of `level`.
pub(super) fn at_level(frontiers: &Frontiers, level: Level) -> (Ordinal, Offset) {
    match level {
        Level::Memory => frontiers.ordered,
        Level::Written => frontiers.written,
        Level::Synced => frontiers.durable,
    }
}
