//! Metadata: brokers, topics and partitions; asking for a topic may make it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use leveret_engine::EngineError;
use leveret_engine::topology::{Topic, TopicEntry, TopicName, TopicRefusal, TopologyRefusal};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    CheckedFrame, ErrorCode, Line, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataRequestTopic, MetadataResponse, MetadataTopic, Place, TopicRef, Uuid,
};

use super::api::{Api, Incoming, Read};
use super::names::{self, Name, Names};
use super::pieces::Pieces;
use super::topics::{cluster_text, find, reference_of, uuid_of};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::ChangeTopics;
use crate::core::net::Pause;
use crate::core::ops::{Operation, Unfound};
use crate::core::places::Places;

/// What it costs to look up a topic, beside the bytes of its line, in the units of slices.
const TOPIC: usize = 256;

pub(super) struct Metadata;

/// What a request asks for, without its frame.
pub(super) struct MetadataOutline {
    /// Where the topics stand; `None`: all that there are.
    topics: Option<Place>,
    may_create: bool,
}

impl Api for Metadata {
    type Request<'a> = MetadataRequest<'a>;
    type Outline = MetadataOutline;

    fn outline(asked: &Read<'_, Self>, _known: &Known<'_>) -> MetadataOutline {
        MetadataOutline {
            topics: asked.request.topics.map(|topics| topics.iter().place()),
            may_create: asked.request.allow_auto_topic_creation,
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, asked) = (request.asker, request.outline);
        let settings = &core.settings.kafka;
        let create = asked.may_create && settings.auto_create && asked.topics.is_some();
        let limit = settings.auto_create_limit as usize;
        let room = match create {
            true => limit.saturating_sub(core.topology.topics().len()),
            false => 0,
        };
        let describing = Describing {
            asker,
            room,
            stage: match room {
                0 => Stage::Describing,
                _ => Stage::Missing(BTreeSet::new()),
            },
            wanted: match asked.topics {
                Some(topics) => {
                    Wanted::Named(Names::new(request.frame.checked(), topics, read, now.mono))
                }
                None => Wanted::All(None),
            },
            created: Vec::new(),
            refused: BTreeMap::new(),
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), (), Box::new(describing), now);
    }
}

/// A request for metadata.
struct Describing {
    asker: Asker,
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

impl<P: BufPool> Job<P, ChangeTopics> for Describing {
    fn blocks(&self) -> Option<Pause> {
        // It creates what is missing.
        (self.room > 0).then_some(Pause::Topology)
    }

    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
        match (&mut self.stage, &mut self.wanted) {
            (Stage::Missing(missing), Wanted::Named(names)) => {
                if missing.len() == self.room {
                    return None;
                }
                missing.extend(missing_name(names.next()?, known));
                Some(TOPIC)
            }
            (_, Wanted::All(told)) => match known.next_topic(told)? {
                Ok(topic) => Some(TOPIC + self.describe(&topic, known)),
                Err(_) => Some(TOPIC),
            },
            (_, Wanted::Named(names)) => {
                // Once for each topic, however often it is named: an answer is no longer than
                // all that there is.
                let (name, new) = names.next_met()?;
                if !new {
                    return Some(TOPIC);
                }
                let reference = reference_of(name.1, name.0);
                let error = match find(known, reference, Operation::Describe) {
                    Ok(topic) => return Some(TOPIC + self.describe(&topic, known)),
                    Err(error) => error,
                };
                let (error, name, id) = match reference {
                    TopicRef::Id(id) => (error, None, id),
                    TopicRef::Name(name) => {
                        let unknown = error == ErrorCode::UnknownTopicOrPartition;
                        let error = match self.refused.get(name) {
                            Some(error) => *error,
                            None if unknown && TopicName::new(name).is_err() => {
                                ErrorCode::InvalidTopicException
                            }
                            None => error,
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
                let version = self.asker.version;
                Some(
                    TOPIC
                        + self
                            .lines
                            .line(|out| line.encode(out, Metadata::KEY, version)),
                )
            }
        }
    }

    fn calls(&mut self, known: &Known<'_>) -> Vec<(CoreId, ChangeTopics)> {
        let Stage::Missing(missing) = &mut self.stage else {
            return Vec::new();
        };
        let missing = std::mem::take(missing);
        self.stage = Stage::Creating;
        let mut calls = Vec::with_capacity(missing.len());
        for name in missing {
            match known.create(name.clone(), known.kafka.partitions, Vec::new()) {
                Ok(change) => {
                    calls.push((CoreId(0), change));
                    self.created.push(name);
                }
                Err(refused) => {
                    let (error, _) = errors::not_allowed(&refused);
                    self.refused.insert(name, error);
                }
            }
        }
        calls
    }

    fn take(&mut self, part: usize, reply: Result<TopicEntry, EngineError>) {
        let Err(error) = reply else { return };
        let code = match &error {
            // Another client was faster, and this core is about to hear of it.
            EngineError::Topology(TopologyRefusal::Topic(TopicRefusal::Exists { .. })) => {
                ErrorCode::LeaderNotAvailable
            }
            error => errors::code(error),
        };
        self.refused.insert(self.created[part].clone(), code);
    }

    fn begins_answer(&mut self) -> bool {
        if !matches!(self.stage, Stage::Creating) {
            return false;
        }
        self.stage = Stage::Describing;
        if let Wanted::Named(names) = &mut self.wanted {
            names.begin_again();
        }
        true
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let asker = self.asker;
        let settings = core.settings.kafka.clone();
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
            cluster_id: core.topology.cluster().map(cluster_text).map(Cow::Owned),
            controller_id: settings.nodes().next().unwrap_or(-1),
            error: ErrorCode::None,
        };
        let Asker {
            version,
            correlation,
            ..
        } = asker;
        core.kafka_respond_pieces(asker, self.lines, |out, count, len| {
            response.encode_around(out, version, correlation, count, len)
        });
    }
}

impl Describing {
    /// Adds the line of a topic. Its bytes.
    fn describe(&mut self, topic: &Topic, known: &Known<'_>) -> usize {
        let line = MetadataTopic {
            error: ErrorCode::None,
            name: Some(Cow::Borrowed(topic.name.as_str())),
            id: uuid_of(known.topology, topic.id),
            is_internal: false,
            partitions: partitions(topic, known),
        };
        let version = self.asker.version;
        self.lines
            .line(|out| line.encode(out, Metadata::KEY, version))
    }
}

/// The name, if no topic has it and one could.
fn missing_name((name, id): Name<'_>, known: &Known<'_>) -> Option<TopicName> {
    let name = name.filter(|_| id == Uuid::ZERO)?;
    match known.topic_named(name, Operation::Describe) {
        Err(Unfound::NoTopic) => TopicName::new(name).ok(),
        Ok(_) | Err(_) => None,
    }
}

fn read<'a>(frame: &'a CheckedFrame, place: Place) -> Option<(Name<'a>, Place)> {
    names::read(frame, place, |topic: MetadataRequestTopic<'a>| {
        (topic.name, topic.id)
    })
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
