//! What can happen to topics.

use std::sync::Arc;

use leveret_storage::types::{LogId, SlotId};

use super::{LogRun, Topic, TopicConfig, TopicId};

/// One change of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicEntry {
    /// A topic exists from here on.
    Created(Arc<Topic>),
    /// A topic is configured otherwise, or has more partitions.
    Altered(Arc<TopicAltered>),
    /// A topic and its logs are no more.
    Deleted(TopicId),
}

/// What became of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAltered {
    /// The topic.
    pub id: TopicId,
    /// All that is set for it from here on.
    pub config: TopicConfig,
    /// Partitions that it had before: the number of the first new one.
    pub partition: u32,
    /// Log of the first new partition.
    pub log: LogId,
    /// The slot of each new partition; may be empty.
    pub slots: Vec<SlotId>,
}

impl TopicAltered {
    /// How many partitions the topic has from here on.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        let added = u32::try_from(self.slots.len()).expect("partitions per topic are bounded");
        self.partition + added
    }

    /// Log and slot of the new partitions, in order.
    pub fn added(&self) -> impl Iterator<Item = (LogId, SlotId)> + '_ {
        let logs = (0..).map(|index| self.log.plus(index));
        logs.zip(self.slots.iter().copied())
    }

    /// The topic, altered.
    pub(super) fn of(&self, topic: &Topic) -> Topic {
        assert_eq!(topic.partitions(), self.partition, "entries in order");
        let mut topic = topic.clone();
        topic.config = self.config.clone();
        if !self.slots.is_empty() {
            topic.runs.push(LogRun {
                partition: self.partition,
                log: self.log,
            });
            topic.slots.extend_from_slice(&self.slots);
        }
        topic
    }
}
