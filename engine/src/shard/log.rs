//! What a shard keeps per partition: the machine, who waits for its frontiers, and counters.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::{Frontiers, Store};
use leveret_storage::types::{Level, LogId, Offset, Ordinal, Term};

use super::fetch::FetchKey;
use super::reply::RequestId;
use super::watching::Watchers;
use crate::partition::Partition;
use crate::topology::TopicSettings;

/// One partition of this core.
pub(super) struct LogState {
    pub(super) machine: Partition,
    pub(super) term: Term,
    /// Its level is the strongest promise of the log, and the one that makes its records visible.
    pub(super) settings: TopicSettings,
    /// What readers may have seen under a weaker promise that the log made before.
    pub(super) visible: Offset,
    /// Produces that wait for durability, in the order of their appends.
    pub(super) waiting: VecDeque<WaitingProduce>,
    /// Fetches that wait for records, each with the number of its part that reads this log.
    pub(super) readers: BTreeSet<(FetchKey, u32)>,
    pub(super) watchers: Watchers,
    pub(super) stopped: Option<Arc<str>>,
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

/// A produce whose reply leaves when the log is durable up to `until`.
pub(super) struct WaitingProduce {
    pub(super) request: RequestId,
    pub(super) level: Level,
    pub(super) base_offset: Offset,
    pub(super) until: Offset,
    /// The broker's time, if the batch was stamped with it.
    pub(super) append_time: Option<i64>,
    pub(super) duplicate: bool,
}

impl LogState {
    pub(super) fn new(machine: Partition, term: Term) -> Self {
        Self {
            machine,
            term,
            settings: TopicSettings::default(),
            visible: Offset::default(),
            waiting: VecDeque::new(),
            readers: BTreeSet::new(),
            watchers: Watchers::default(),
            stopped: None,
            counters: LogCounters::default(),
        }
    }

    /// Largest batch that it takes, bytes.
    pub(super) fn max_batch_bytes(&self) -> usize {
        self.settings.max_message_bytes as usize
    }

    /// The first waiting produce, if `frontiers` have passed it. Replies leave in the order of
    /// appends, also where levels are mixed.
    pub(super) fn pop_durable(&mut self, frontiers: &Frontiers) -> Option<WaitingProduce> {
        let first = self.waiting.front()?;
        (first.until <= at_level(frontiers, first.level).1).then(|| self.waiting.pop_front())?
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
