//! Which core a partition is on: the topology says its slot, and where slots live, which core that is.

use leveret_engine::topology::{Topic, Topology};
use leveret_storage::types::{CoreId, LogId};

/// What a topology says of cores.
pub(super) trait Places {
    /// Log and core of a topic's partition, if there is one of that number.
    fn place(&self, topic: &Topic, index: u32) -> Option<(LogId, CoreId)>;

    /// Log and core of each of a topic's partitions, in order.
    fn places<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = (LogId, CoreId)> + 'a;
}

impl Places for Topology {
    fn place(&self, topic: &Topic, index: u32) -> Option<(LogId, CoreId)> {
        let (log, slot) = topic.partition(index)?;
        Some((log, self.homes().core(slot)))
    }

    fn places<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = (LogId, CoreId)> + 'a {
        topic
            .logs()
            .map(|(log, slot)| (log, self.homes().core(slot)))
    }
}
