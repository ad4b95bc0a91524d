//! Metadata: brokers, topics and partitions; asking for a topic may make it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use leveret_engine::EngineError;
use leveret_engine::shard::Reply;
use leveret_engine::topology::{
    Command, Topic, TopicCommand, TopicName, TopicRefusal, TopologyRefusal,
};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    CheckedFrame, ErrorCode, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataRequestTopic, MetadataResponse, MetadataTopic, Place, TopicRef, Uuid,
};

use super::changes::change_of;
use super::errors;
use super::gathered::Gathered;
use super::names::{self, Name, Names};
use super::pieces::Pieces;
use super::settings::KafkaSettings;
use super::topics::{cluster_text, find, reference_of, uuid_of};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::places::Places;

/// What it costs to look up a topic, beside the bytes of its line, in the units of slices.
const TOPIC: usize = 256;

/// What a request asks for, without its frame.
#[derive(Clone, Copy)]
pub(super) struct MetadataAsked {
    /// Where the topics stand; `None`: all that there are.
    topics: Option<Place>,
    may_create: bool,
}

impl MetadataAsked {
    pub(super) fn of(request: &MetadataRequest<'_>) -> Self {
        Self {
            topics: request.topics.map(|topics| topics.iter().place()),
            may_create: request.allow_auto_topic_creation,
        }
    }
}

/// A request for metadata.
pub(super) struct Describing {
    version: i16,
    /// Topics that it may create.
    room: usize,
    stage: Stage,
    wanted: Wanted,
    /// Which topic each part creates.
    created: Vec<TopicName>,
    /// Why those are not there that could not be created.
    refused: BTreeMap<TopicName, ErrorCode>,
    lines: Pieces,
}

enum Wanted {
    /// All that there are, of which those up to this one are told.
    All(Option<TopicName>),
    Named(Names),
}

enum Stage {
    /// These are missing and are to be created, no more than there is room for.
    Missing(BTreeSet<TopicName>),
    /// They are being created.
    Creating,
    Describing,
}

impl Describing {
    /// Whether topics may be created for it.
    pub(super) fn creates(&self) -> bool {
        self.room > 0
    }

    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        let Err(error) = change_of(reply) else { return };
        let code = match &error {
            // Another client was faster, and this core is about to hear of it.
            EngineError::Topology(TopologyRefusal::Topic(TopicRefusal::Exists { .. })) => {
                ErrorCode::LeaderNotAvailable
            }
            error => errors::code(error),
        };
        self.refused.insert(self.created[part].clone(), code);
    }

    /// Looks up the next topic: whether it is missing, or what its line is. What that cost; `None` if
    /// there is none.
    pub(super) fn look_up(&mut self, known: &Known<'_>) -> Option<usize> {
        match (&mut self.stage, &mut self.wanted) {
            (Stage::Missing(missing), Wanted::Named(names)) => {
                if missing.len() == self.room {
                    return None;
                }
                missing.extend(missing_name(names.next()?, known));
                Some(TOPIC)
            }
            (_, Wanted::All(told)) => {
                let topic = known.topology.topics_after(told.as_ref()).next()?.clone();
                *told = Some(topic.name.clone());
                Some(TOPIC + self.describe(&topic, known))
            }
            (_, Wanted::Named(names)) => {
                // Once for each topic, however often it is named: an answer is no longer than
                // all that there is.
                let (name, new) = names.next_met()?;
                if !new {
                    return Some(TOPIC);
                }
                let reference = reference_of(name.1, name.0);
                if let Some(topic) = find(known.topology, reference).cloned() {
                    return Some(TOPIC + self.describe(&topic, known));
                }
                let (error, name, id) = match reference {
                    TopicRef::Id(id) => (ErrorCode::UnknownTopicId, None, id),
                    TopicRef::Name(name) => {
                        let error = match self.refused.get(name) {
                            Some(error) => *error,
                            None if TopicName::new(name).is_ok() => {
                                ErrorCode::UnknownTopicOrPartition
                            }
                            None => ErrorCode::InvalidTopicException,
                        };
                        (error, Some(name), Uuid::ZERO)
                    }
                };
                let line = MetadataTopic {
                    error,
                    name: name.map(Cow::Borrowed),
                    id,
                    is_internal: false,
                    partitions: Vec::new(),
                };
                let version = self.version;
                Some(TOPIC + self.lines.line(|out| line.encode(out, version)))
            }
        }
    }

    /// Adds the line of a topic. Its bytes.
    fn describe(&mut self, topic: &Topic, known: &Known<'_>) -> usize {
        let line = MetadataTopic {
            error: ErrorCode::None,
            name: Some(Cow::Borrowed(topic.name.as_str())),
            id: uuid_of(known.topology, topic.id),
            is_internal: false,
            partitions: partitions(topic, known),
        };
        let version = self.version;
        self.lines.line(|out| line.encode(out, version))
    }

    /// All was looked up: the topics to be created.
    pub(super) fn calls(&mut self, settings: &KafkaSettings) -> Vec<Call> {
        let Stage::Missing(missing) = &mut self.stage else {
            return Vec::new();
        };
        self.created = std::mem::take(missing).into_iter().collect();
        self.stage = Stage::Creating;
        let create = |name: &TopicName| {
            Call::Change(Command::Topic(TopicCommand::Create {
                name: name.clone(),
                partitions: settings.partitions,
                config: Vec::new(),
            }))
        };
        self.created.iter().map(create).collect()
    }

    /// What was missing is there, if it could be created: whether the lines are to be looked up now.
    pub(super) fn begins_answer(&mut self) -> bool {
        if !matches!(self.stage, Stage::Creating) {
            return false;
        }
        self.stage = Stage::Describing;
        if let Wanted::Named(names) = &mut self.wanted {
            names.begin_again();
        }
        true
    }
}

/// The name, if no topic has it and one could.
fn missing_name((name, id): Name<'_>, known: &Known<'_>) -> Option<TopicName> {
    let name = name.filter(|_| id == Uuid::ZERO)?;
    match known.topology.topic_named(name) {
        Some(_) => None,
        None => TopicName::new(name).ok(),
    }
}

fn read<'a>(frame: &'a CheckedFrame, place: Place) -> Option<(Name<'a>, Place)> {
    names::read(frame, place, |topic: MetadataRequestTopic<'a>| {
        (topic.name, topic.id)
    })
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_metadata(
        &mut self,
        asker: Asker,
        asked: MetadataAsked,
        frame: CheckedFrame,
        now: Now,
    ) {
        let settings = &self.settings.kafka;
        let create = asked.may_create && settings.auto_create && asked.topics.is_some();
        let limit = settings.auto_create_limit as usize;
        let room = match create {
            true => limit.saturating_sub(self.topology.topics().len()),
            false => 0,
        };
        let describing = Describing {
            version: asker.version,
            room,
            stage: match room {
                0 => Stage::Describing,
                _ => Stage::Missing(BTreeSet::new()),
            },
            wanted: match asked.topics {
                Some(topics) => Wanted::Named(Names::new(frame, topics, read, now.mono)),
                None => Wanted::All(None),
            },
            created: Vec::new(),
            refused: BTreeMap::new(),
            lines: Pieces::default(),
        };
        let gather = self.kafka_gather(asker, None, Gathered::Metadata(Box::new(describing)));
        self.gather_in_slices(gather, now);
    }

    pub(super) fn kafka_described(&mut self, asker: Asker, describing: Describing) {
        let settings = self.settings.kafka.clone();
        let response = MetadataResponse {
            throttle_time_ms: 0,
            brokers: (settings.brokers.iter())
                .map(|broker| MetadataBroker {
                    node_id: broker.node,
                    host: Cow::Borrowed(broker.host.as_str()),
                    port: broker.port.into(),
                    rack: None,
                })
                .collect(),
            cluster_id: self.topology.cluster().map(cluster_text).map(Cow::Owned),
            controller_id: settings.nodes().next().unwrap_or(-1),
            topics: Vec::new(),
            error: ErrorCode::None,
        };
        let Asker {
            version,
            correlation,
            ..
        } = asker;
        self.kafka_respond_pieces(asker, describing.lines, |out, count, len| {
            response.encode_around(out, version, correlation, count, len)
        });
    }
}

/// The lines of a topic's partitions. There is one replica of each, on the core that owns it.
fn partitions<'a>(topic: &Topic, known: &Known<'a>) -> Vec<MetadataPartition<'a>> {
    let line = |(index, (_, core))| {
        let leader = &known.kafka.broker_of(core).node;
        let replicas = std::slice::from_ref(leader);
        MetadataPartition {
            error: ErrorCode::None,
            index,
            leader_id: *leader,
            // Clients check positions by epochs only if they know one; no leader ever changes.
            leader_epoch: -1,
            replicas,
            in_sync_replicas: replicas,
            offline_replicas: &[],
        }
    };
    (0..).zip(known.topology.places(topic)).map(line).collect()
}
