//! Topics as Kafka's requests name them: by name, or by an id of 128 bits.

use std::sync::Arc;

use leveret_engine::topology::{ClusterId, Topic, TopicId, Topology};
use leveret_wire::kafka::{ErrorCode, TopicRef, Uuid};

use super::errors;
use crate::core::ops::{AllowedPartition, AllowedTopic, Known, Operation, Unfound};

/// The upper half of topic ids where the cluster has no name.
const NAMELESS: u64 = u64::from_be_bytes(*b"leveret\0");

/// A topic's id as clients see it. The upper half is that of the cluster's own, so that no other
/// data directory has the same ids; the lower half is the engine's, which is never used twice.
pub(super) fn uuid_of(topology: &Topology, id: TopicId) -> Uuid {
    Uuid(u128::from(upper_half(topology)) << 64 | u128::from(id.0))
}

/// What the engine calls the topic of an id, if it is one of this data directory.
fn own_id(topology: &Topology, id: Uuid) -> Option<TopicId> {
    let (upper, id) = ((id.0 >> 64) as u64, id.0 as u64);
    (upper == upper_half(topology)).then_some(TopicId(id))
}

fn upper_half(topology: &Topology) -> u64 {
    let cluster = topology.cluster();
    cluster.map_or(NAMELESS, |cluster| (cluster.0 >> 64) as u64)
}

/// The cluster's id as Kafka writes such ids: 22 characters of base64, the alphabet that URLs
/// take, without padding.
pub(super) fn cluster_text(id: ClusterId) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 128 bits are 21 digits of 6 bits and two bits more, which head the last digit.
    let digit = |bits: u128| char::from(DIGITS[(bits & 63) as usize]);
    let whole = (0..21).map(|at| digit(id.0 >> (122 - 6 * at)));
    whole.chain([digit(id.0 << 4)]).collect()
}

/// How a request names a topic that may give its id, its name, or, as Kafka's own clients do, an
/// id and an empty name.
pub(super) fn reference_of(id: Uuid, name: Option<&str>) -> TopicRef<'_> {
    match name {
        Some(name) if id == Uuid::ZERO => TopicRef::Name(name),
        _ => TopicRef::Id(id),
    }
}

/// A topic of a request, as it is named again in the answer.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// It exists, and was asked for by name.
    Named(Arc<Topic>),
    /// No topic has that name, or none that may be had.
    Unknown(Box<str>),
    /// By id, whether it exists or not.
    Id(Uuid),
}

impl Asked {
    /// Whether it is the same topic, named the same way.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.reference() == other.reference()
    }

    /// How the answer names it.
    pub(super) fn reference(&self) -> TopicRef<'_> {
        match self {
            Self::Named(topic) => TopicRef::Name(topic.name.as_str()),
            Self::Unknown(name) => TopicRef::Name(name),
            Self::Id(id) => TopicRef::Id(*id),
        }
    }
}

/// The topic of a request, to do that with it, or why it is not had.
pub(super) fn find(
    known: &Known<'_>,
    asked: TopicRef<'_>,
    operation: Operation,
) -> Result<AllowedTopic, ErrorCode> {
    let found = match asked {
        TopicRef::Id(id) => {
            let id = own_id(known.topology, id).ok_or(Unfound::NoTopic);
            id.and_then(|id| known.topic(id, operation))
        }
        TopicRef::Name(name) => known.topic_named(name, operation),
    };
    found.map_err(|why| match (&why, asked) {
        (Unfound::NoTopic, TopicRef::Id(_)) => ErrorCode::UnknownTopicId,
        (why, _) => errors::unfound(why).0,
    })
}

/// Finds the topic of a request, to do that with it.
pub(super) fn resolve(
    known: &Known<'_>,
    asked: TopicRef<'_>,
    operation: Operation,
) -> (Asked, Result<AllowedTopic, ErrorCode>) {
    let topic = find(known, asked, operation);
    let asked = match (asked, &topic) {
        (TopicRef::Id(id), _) => Asked::Id(id),
        (TopicRef::Name(_), Ok(topic)) => Asked::Named(Arc::clone(topic)),
        (TopicRef::Name(name), Err(_)) => Asked::Unknown(name.into()),
    };
    (asked, topic)
}

/// A partition of what [`resolve`] found, or why there is none.
pub(super) fn place(
    known: &Known<'_>,
    topic: &Result<AllowedTopic, ErrorCode>,
    index: i32,
) -> Result<AllowedPartition, ErrorCode> {
    let topic = topic.as_ref().map_err(|error| *error)?;
    let partition = u32::try_from(index).ok();
    let place = partition.and_then(|index| known.place(topic, index));
    place.ok_or(ErrorCode::UnknownTopicOrPartition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kafka::KafkaSettings;
    use crate::core::ops::{Principal, Rules};
    use leveret_engine::topology::{Command, TopicCommand, TopologySettings};
    use leveret_storage::homes::Homes;
    use leveret_storage::types::WallMs;

    fn place_of(topology: &Topology, asked: TopicRef<'_>) -> Result<AllowedPartition, ErrorCode> {
        let kafka = KafkaSettings {
            brokers: Arc::from([]),
            auto_create: false,
            auto_create_limit: 0,
            partitions: 1,
            request_bytes: 1,
            config: Arc::from([]),
        };
        let known = Known {
            principal: &Principal::Anonymous,
            rules: &Rules::default(),
            topology,
            kafka: &kafka,
            wall: WallMs(0),
        };
        let (_, topic) = resolve(&known, asked, Operation::Read);
        place(&known, &topic, 0)
    }

    #[test]
    fn ids_are_those_of_one_data_directory() {
        let mut topologies = [1, 2].map(|half: u128| {
            let mut topology = Topology::new(TopologySettings::default(), Homes::interleaved(1));
            topology.propose_cluster(ClusterId(half << 64 | 7));
            topology
        });
        for topology in &mut topologies {
            let create = Command::Topic(TopicCommand::Create {
                name: "t".parse().unwrap(),
                partitions: 1,
                config: Vec::new(),
            });
            let entry = topology.decide(&create, WallMs(0)).unwrap();
            topology.apply(&entry);
        }
        let [one, other] = &topologies;
        let id = uuid_of(one, TopicId(1));
        assert_eq!(own_id(one, id), Some(TopicId(1)));
        assert_eq!(own_id(other, id), None);
    }

    #[test]
    fn a_cluster_is_written_as_kafka_writes_ids() {
        let text = |id| cluster_text(ClusterId(id));
        assert_eq!(text(0), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(text(u128::MAX), "_____________________w");
        assert_eq!(
            text(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            "AQIDBAUGBwgJCgsMDQ4PEA"
        );
    }

    #[test]
    fn an_id_counts_before_an_empty_name() {
        assert!(matches!(
            reference_of(Uuid(1), Some("")),
            TopicRef::Id(Uuid(1))
        ));
        assert!(matches!(reference_of(Uuid(1), None), TopicRef::Id(Uuid(1))));
        assert!(matches!(
            reference_of(Uuid::ZERO, Some("t")),
            TopicRef::Name("t")
        ));
        assert!(matches!(
            reference_of(Uuid::ZERO, None),
            TopicRef::Id(Uuid::ZERO)
        ));
    }

    #[test]
    fn ids_of_others_are_nobodys() {
        let topology = Topology::new(TopologySettings::default(), Homes::interleaved(1));
        for id in [Uuid::ZERO, Uuid(1), uuid_of(&topology, TopicId(1))] {
            let found = place_of(&topology, TopicRef::Id(id));
            assert_eq!(found, Err(ErrorCode::UnknownTopicId));
        }
        let found = place_of(&topology, TopicRef::Name("x"));
        assert_eq!(found, Err(ErrorCode::UnknownTopicOrPartition));
    }
}
