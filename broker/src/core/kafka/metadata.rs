//! Metadata: brokers, topics and partitions; asking for a topic may make it.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_engine::EngineError;
use leveret_engine::shard::Reply;
use leveret_engine::topology::{Command, Topic, TopicName, TopologyRefusal};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    ErrorCode, MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    Text, TopicRef, Uuid,
};

use super::Asker;
use super::changes::change_of;
use super::errors;
use super::gathered::Gathered;
use super::topics::{Asked, cluster_text, reference_of, resolve, uuid_of};
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::once::{Mention, Mentions};

/// The broker that takes administrative requests; any would do.
const CONTROLLER: i32 = 1;

/// A request for metadata.
pub(super) struct Describing {
    /// `None`: all topics.
    wanted: Option<Vec<Wanted>>,
    /// Which of them each part creates.
    created: Vec<usize>,
}

struct Wanted {
    asked: Asked,
    /// Why it is not there, if it is not.
    missing: ErrorCode,
}

impl Describing {
    pub(super) fn lines(&self) -> usize {
        self.wanted.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        let Err(error) = change_of(reply) else { return };
        let code = match &error {
            // Another client was faster, and this core is about to hear of it.
            EngineError::Topology(TopologyRefusal::TopicExists { .. }) => {
                ErrorCode::LeaderNotAvailable
            }
            error => errors::code(error),
        };
        if let Some(wanted) = &mut self.wanted {
            wanted[self.created[part]].missing = code;
        }
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_metadata(&mut self, asker: Asker, request: &MetadataRequest<'_>, now: Now) {
        let mut describing = Describing {
            wanted: None,
            created: Vec::new(),
        };
        let mut names = Vec::new();
        if let Some(topics) = request.topics {
            let create = request.allow_auto_topic_creation && self.settings.kafka.auto_create;
            let limit = self.settings.kafka.auto_create_limit as usize;
            let room = limit.saturating_sub(self.topology.topics().len());
            let mut wanted = Vec::with_capacity(topics.len());
            let mut mentions = Mentions::of(topics.iter().map(|topic| (topic.name, topic.id)));
            for topic in topics {
                // Once for each topic, however often it is named: an answer is no longer than
                // all that there is.
                if mentions.next(&(topic.name, topic.id)) == Mention::Again {
                    continue;
                }
                let reference = reference_of(topic.id, topic.name);
                let (asked, found) = resolve(&self.topology, reference);
                let missing = match (&asked, TopicName::new(topic.name.unwrap_or_default())) {
                    (Asked::Id(_), _) => ErrorCode::UnknownTopicId,
                    (_, Err(_)) => ErrorCode::InvalidTopicException,
                    (_, Ok(name)) => {
                        let may = create && found.is_none() && names.len() < room;
                        if may {
                            describing.created.push(wanted.len());
                            names.push(name);
                        }
                        ErrorCode::UnknownTopicOrPartition
                    }
                };
                wanted.push(Wanted { asked, missing });
            }
            describing.wanted = Some(wanted);
        }
        if names.is_empty() {
            self.kafka_described(asker, &describing);
            return self.give_back_permit(asker.conn, asker.permit, now);
        }
        let gather = self.kafka_gather(asker, None, Gathered::Metadata(describing));
        for name in names {
            let command = Command::CreateTopic {
                name,
                partitions: self.settings.kafka.partitions,
                config: Vec::new(),
            };
            self.ask_part(gather, CoreId(0), Call::Change(command), now);
        }
        self.all_asked(gather, now);
    }

    pub(super) fn kafka_described(&mut self, asker: Asker, describing: &Describing) {
        let settings = self.settings.kafka.clone();
        let nodes: Vec<i32> = settings.nodes().collect();
        let topics: Vec<(Text<'_>, Result<Arc<Topic>, ErrorCode>, Uuid)> = match &describing.wanted
        {
            None => {
                let all = self.topology.topics();
                let line = |topic: &Arc<Topic>| {
                    let name = Cow::Owned(topic.name.as_str().to_owned());
                    (name, Ok(Arc::clone(topic)), Uuid::ZERO)
                };
                all.map(line).collect()
            }
            Some(wanted) => wanted.iter().map(|wanted| self.line(wanted)).collect(),
        };
        let node_slice = |core| {
            let node = settings.node_of(core);
            let index = usize::try_from(node - 1).expect("numbered from 1");
            (node, &nodes[index..=index])
        };
        let lines = topics.into_iter().map(|(name, topic, id)| match topic {
            Ok(topic) => MetadataTopic {
                error: ErrorCode::None,
                name: Some(Cow::Owned(topic.name.as_str().to_owned())),
                id: uuid_of(&self.topology, topic.id),
                is_internal: false,
                partitions: partitions(&topic, node_slice),
            },
            Err(error) => MetadataTopic {
                error,
                name: (id == Uuid::ZERO).then_some(name),
                id,
                is_internal: false,
                partitions: Vec::new(),
            },
        });
        let brokers = settings.nodes().zip(settings.brokers.iter());
        let response = MetadataResponse {
            throttle_time_ms: 0,
            brokers: brokers
                .map(|(node_id, broker)| MetadataBroker {
                    node_id,
                    host: Cow::Borrowed(broker.host.as_str()),
                    port: broker.port.into(),
                    rack: None,
                })
                .collect(),
            cluster_id: self.topology.cluster().map(cluster_text).map(Cow::Owned),
            controller_id: CONTROLLER,
            topics: lines.collect(),
            error: ErrorCode::None,
        };
        self.kafka_respond(asker, &response);
    }

    /// The topic as it is now: it may have been created, or deleted, since it was asked for.
    fn line<'a>(&self, wanted: &'a Wanted) -> (Text<'a>, Result<Arc<Topic>, ErrorCode>, Uuid) {
        let reference = wanted.asked.reference();
        let (_, topic) = resolve(&self.topology, reference);
        let (name, id) = match reference {
            TopicRef::Name(name) => (Cow::Borrowed(name), Uuid::ZERO),
            TopicRef::Id(id) => (Cow::Borrowed(""), id),
        };
        (name, topic.ok_or(wanted.missing), id)
    }
}

/// The lines of a topic's partitions. There is one replica of each, on the core that owns it.
fn partitions<'n>(
    topic: &Topic,
    node: impl Fn(CoreId) -> (i32, &'n [i32]),
) -> Vec<MetadataPartition<'n>> {
    let line = |(index, (_, core))| {
        let (leader_id, replicas) = node(core);
        MetadataPartition {
            error: ErrorCode::None,
            index,
            leader_id,
            // Clients check positions by epochs only if they know one; no leader ever changes.
            leader_epoch: -1,
            replicas,
            in_sync_replicas: replicas,
            offline_replicas: &[],
        }
    };
    (0..).zip(topic.logs()).map(line).collect()
}
