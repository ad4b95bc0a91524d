//! What can be asked of topics.

use super::{TopicId, TopicName};

/// What to change of a topic; all of it happens, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicChanges {
    /// Settings to set, by name, and their values. See [`TOPIC_SETTINGS`](super::TOPIC_SETTINGS).
    pub set: Vec<(String, String)>,
    /// Settings to give back to the broker's default.
    pub unset: Vec<String>,
    /// How many partitions it is to have, more than it has.
    pub partitions: Option<u32>,
}

/// What is wanted of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicCommand {
    /// Make one.
    Create {
        /// Its name.
        name: TopicName,
        /// How many partitions, at least 1.
        partitions: u32,
        /// Settings by name, and their values. See [`TOPIC_SETTINGS`](super::TOPIC_SETTINGS).
        config: Vec<(String, String)>,
    },
    /// Configure one anew, or give it more partitions.
    Alter {
        /// The topic.
        id: TopicId,
        /// What changes.
        changes: TopicChanges,
    },
    /// Remove one with all its records.
    Delete {
        /// The topic.
        id: TopicId,
    },
}
