//! Make, change and delete topics.

use leveret_engine::topology::{TopicChanges, TopicCommand, TopicName};

use super::{Allowed, AllowedTopic, Known, Operation, Refused, Resource, Unfound};
use crate::core::hop::ChangeTopics;

impl Known<'_> {
    /// What makes a topic.
    ///
    /// # Errors
    /// That who asks may not.
    pub(in crate::core) fn create(
        &self,
        name: TopicName,
        partitions: u32,
        config: Vec<(String, String)>,
    ) -> Result<ChangeTopics, Refused> {
        self.authorize(Operation::Create, Resource::Topic(name.as_str()))?;
        Ok(ChangeTopics(Allowed(TopicCommand::Create {
            name,
            partitions,
            config,
        })))
    }

    /// What changes the topic of that name. For settings and for partitions there are rights of their own.
    ///
    /// # Errors
    /// Why it cannot be changed.
    pub(in crate::core) fn alter(
        &self,
        name: &str,
        changes: TopicChanges,
    ) -> Result<ChangeTopics, Unfound> {
        let settings = !changes.set.is_empty() || !changes.unset.is_empty();
        if settings {
            self.authorize(Operation::AlterConfigs, Resource::Topic(name))?;
        }
        let operation = match settings && changes.partitions.is_none() {
            true => Operation::AlterConfigs,
            false => Operation::Alter,
        };
        let id = self.topic_named(name, operation)?.id;
        Ok(ChangeTopics(Allowed(TopicCommand::Alter { id, changes })))
    }
}

impl AllowedTopic {
    /// What deletes the topic, which was looked up for that.
    pub(in crate::core) fn delete(&self) -> ChangeTopics {
        ChangeTopics(Allowed(TopicCommand::Delete { id: self.id }))
    }
}
