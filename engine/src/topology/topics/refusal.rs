//! Why topics do not change.

use thiserror::Error;

use super::{TopicId, TopicName};
use crate::settings::InvalidConfig;

/// Why a topic is not made, changed or removed. All are the asker's to solve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicRefusal {
    /// There is a topic of that name.
    #[error("topic `{name}` exists already")]
    Exists {
        /// The name.
        name: TopicName,
        /// The topic that has it.
        id: TopicId,
    },
    /// There is a topic whose name differs only in `.` against `_`.
    #[error("topic `{name}` collides with topic `{other}`: names must differ in more than . and _")]
    NameCollides {
        /// The name.
        name: TopicName,
        /// That of the topic that exists.
        other: TopicName,
    },
    /// The name is one of Kafka's own topics.
    #[error("the topic name `{name}` is reserved for Kafka's own use; choose another name")]
    NameReserved {
        /// The name.
        name: TopicName,
    },
    /// There is no such topic.
    #[error("there is no topic {id}")]
    Unknown {
        /// What was asked for.
        id: TopicId,
    },
    /// No partitions, or more than a topic may have.
    #[error("a topic has 1 to {most} partitions, not {asked}")]
    PartitionCount {
        /// What was asked for.
        asked: u32,
        /// The limit.
        most: u32,
    },
    /// Partitions can only be added.
    #[error("the topic has {present} partitions; ask for more than that, not for {asked}")]
    NotMorePartitions {
        /// Partitions that it has.
        present: u32,
        /// What was asked for.
        asked: u32,
    },
    /// A setting is unknown, or cannot have that value.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The broker has as many partitions as it may have.
    #[error("the broker holds {present} of at most {most} partitions; delete topics first")]
    TooManyPartitions {
        /// Partitions that exist.
        present: u32,
        /// The limit.
        most: u32,
    },
}
