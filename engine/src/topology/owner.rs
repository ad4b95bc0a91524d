//! What a log is the log of: the one place that is asked for it.

use std::sync::Arc;

use leveret_storage::types::LogId;

use super::{TOPOLOGY_LOG, Topic, Topology};

/// What a log is the log of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOwner<'a> {
    /// The topology's own.
    Topology,
    /// A topic's partition.
    Partition {
        /// The topic.
        topic: &'a Arc<Topic>,
        /// The partition's number.
        index: u32,
    },
}

impl Topology {
    /// What the log belongs to; `None` if that is deleted or never was.
    #[must_use]
    pub fn owner_of(&self, log: LogId) -> Option<LogOwner<'_>> {
        if log == TOPOLOGY_LOG {
            return Some(LogOwner::Topology);
        }
        let (topic, index) = self.partition_of(log)?;
        Some(LogOwner::Partition { topic, index })
    }

    /// The topic and partition number that a log belongs to.
    #[must_use]
    pub fn partition_of(&self, log: LogId) -> Option<(&Arc<Topic>, u32)> {
        let (first, (id, partition)) = self.by_log.range(..=log).next_back()?;
        let topic = &self.topics[id];
        let index = u32::try_from(log.0 - first.0)
            .ok()?
            .checked_add(*partition)?;
        // Beyond its run, the partition of that number has another log, or there is none.
        let (found, _) = topic.partition(index)?;
        (found == log).then_some((topic, index))
    }
}
