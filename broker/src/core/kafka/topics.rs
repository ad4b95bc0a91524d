//! Topics as Kafka's requests name them: by name, or by an id of 128 bits.

use std::sync::Arc;

use leveret_engine::topology::{Topic, TopicId, Topology};
use leveret_storage::types::{CoreId, LogId};
use leveret_wire::kafka::{ErrorCode, TopicRef, Uuid};

/// The upper half of every topic's id. The lower half is the engine's, which is never used twice.
const PREFIX: u64 = u64::from_be_bytes(*b"leveret\0");

/// A topic's id as clients see it.
pub(super) fn uuid_of(id: TopicId) -> Uuid {
    Uuid(u128::from(PREFIX) << 64 | u128::from(id.0))
}

/// The topic of an id, if there is one.
pub(super) fn topic_by_id(topology: &Topology, id: Uuid) -> Option<&Arc<Topic>> {
    let (prefix, id) = ((id.0 >> 64) as u64, id.0 as u64);
    (prefix == PREFIX).then_some(())?;
    topology.topic(TopicId(id))
}

/// A topic of a request, as it is named again in the answer.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// It exists, and was asked for by name.
    Named(Arc<Topic>),
    /// No topic has that name.
    Unknown(Box<str>),
    /// By id, whether it exists or not.
    Id(Uuid),
}

impl Asked {
    /// How the answer names it.
    pub(super) fn reference(&self) -> TopicRef<'_> {
        match self {
            Self::Named(topic) => TopicRef::Name(topic.name.as_str()),
            Self::Unknown(name) => TopicRef::Name(name),
            Self::Id(id) => TopicRef::Id(*id),
        }
    }
}

/// Finds the topic of a request.
pub(super) fn resolve(topology: &Topology, asked: TopicRef<'_>) -> (Asked, Option<Arc<Topic>>) {
    match asked {
        TopicRef::Id(id) => (Asked::Id(id), topic_by_id(topology, id).cloned()),
        TopicRef::Name(name) => match topology.topic_named(name) {
            Some(topic) => (Asked::Named(Arc::clone(topic)), Some(Arc::clone(topic))),
            None => (Asked::Unknown(name.into()), None),
        },
    }
}

/// Log and core of a partition of what [`resolve`] found, or why there is none.
pub(super) fn place(
    asked: &Asked,
    topic: Option<&Topic>,
    index: i32,
) -> Result<(LogId, CoreId), ErrorCode> {
    let Some(topic) = topic else {
        return Err(match asked {
            Asked::Id(_) => ErrorCode::UnknownTopicId,
            Asked::Named(_) | Asked::Unknown(_) => ErrorCode::UnknownTopicOrPartition,
        });
    };
    let partition = u32::try_from(index).ok();
    partition
        .and_then(|index| topic.partition(index))
        .ok_or(ErrorCode::UnknownTopicOrPartition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_engine::topology::TopologySettings;

    #[test]
    fn ids_of_others_are_nobodys() {
        let topology = Topology::new(TopologySettings::default());
        for id in [Uuid::ZERO, Uuid(1), uuid_of(TopicId(1))] {
            let (asked, topic) = resolve(&topology, TopicRef::Id(id));
            assert_eq!(
                place(&asked, topic.as_deref(), 0),
                Err(ErrorCode::UnknownTopicId)
            );
        }
        let (asked, topic) = resolve(&topology, TopicRef::Name("x"));
        assert_eq!(
            place(&asked, topic.as_deref(), 0),
            Err(ErrorCode::UnknownTopicOrPartition)
        );
    }
}
