//! Topics and partitions, for who may do something with them.

use std::sync::Arc;

use leveret_engine::topology::{Topic, TopicId, TopicName};
use leveret_storage::types::{CoreId, LogId};
use thiserror::Error;

use super::{Allowed, Known, Operation, Refused, Resource};
use crate::core::places::Places;

/// Why a topic or a partition is not had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::core) enum Unfound {
    /// Who asks may not do that.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("there is no such topic")]
    NoTopic,
    #[error("the topic has no such partition")]
    NoPartition,
}

/// A topic with which may be done what it was looked up for.
pub(in crate::core) type AllowedTopic = Allowed<Arc<Topic>>;

/// A partition with which may be done what its topic was looked up for.
pub(in crate::core) type AllowedPartition = Allowed<Place>;

/// Where a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Place {
    log: LogId,
    owner: CoreId,
}

impl Place {
    /// Which log it is.
    pub(in crate::core) fn log(self) -> LogId {
        self.log
    }

    /// Who carries out what concerns it.
    pub(in crate::core) fn owner(self) -> CoreId {
        self.owner
    }
}

impl Known<'_> {
    /// The topic of that name, to do that with it. Whether there is one is not told to who may not.
    ///
    /// # Errors
    /// Why it is not had.
    pub(in crate::core) fn topic_named(
        &self,
        name: &str,
        operation: Operation,
    ) -> Result<AllowedTopic, Unfound> {
        self.authorize(operation, Resource::Topic(name))?;
        let topic = self.topology.topic_named(name);
        topic.cloned().map(Allowed).ok_or(Unfound::NoTopic)
    }

    /// The topic of that id, to do that with it.
    ///
    /// # Errors
    /// Why it is not had.
    pub(in crate::core) fn topic(
        &self,
        id: TopicId,
        operation: Operation,
    ) -> Result<AllowedTopic, Unfound> {
        self.allowed(id, operation).cloned().map(Allowed)
    }

    /// A partition of the topic of that id, to do that with it.
    ///
    /// # Errors
    /// Why it is not had.
    pub(in crate::core) fn partition(
        &self,
        id: TopicId,
        index: u32,
        operation: Operation,
    ) -> Result<AllowedPartition, Unfound> {
        // No clone of the topic on the way of every produce.
        let topic = self.allowed(id, operation)?;
        self.place_in(topic, index).ok_or(Unfound::NoPartition)
    }

    /// A partition of that topic.
    pub(in crate::core) fn place(
        &self,
        topic: &AllowedTopic,
        index: u32,
    ) -> Option<AllowedPartition> {
        self.place_in(&topic.0, index)
    }

    /// The topic behind that one in the order of names, of which who asks may hear or not; that one is the last
    /// then.
    pub(in crate::core) fn next_topic(
        &self,
        last: &mut Option<TopicName>,
    ) -> Option<Result<AllowedTopic, Refused>> {
        let topic = self.topology.topics_after(last.as_ref()).next()?;
        *last = Some(topic.name.clone());
        let allowed = self.authorize(Operation::Describe, Resource::Topic(topic.name.as_str()));
        Some(allowed.map(|()| Allowed(Arc::clone(topic))))
    }

    fn allowed(&self, id: TopicId, operation: Operation) -> Result<&Arc<Topic>, Unfound> {
        let topic = self.topology.topic(id).ok_or(Unfound::NoTopic)?;
        self.authorize(operation, Resource::Topic(topic.name.as_str()))?;
        Ok(topic)
    }

    fn place_in(&self, topic: &Topic, index: u32) -> Option<AllowedPartition> {
        let (log, owner) = self.topology.place(topic, index)?;
        Some(Allowed(Place { log, owner }))
    }
}
