use bytes::BytesMut;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use leveret_wire::kafka::{self, ApiKey, Line, Request};
use uuid::Uuid;

use super::{around, maybe_text, str_bytes, text};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct Metadata;

impl Api for Metadata {
    const KEY: ApiKey = ApiKey::Metadata;
    type Request = MetadataRequest;
    type Response = MetadataResponse;

    fn request(s: &mut Source<'_>, version: i16) -> MetadataRequest {
        let flexible = version >= 9;
        let mut request = MetadataRequest::default();
        let topics = s.list(|s| {
            let mut topic = MetadataRequestTopic::default();
            match version {
                10.. => {
                    topic.name = s.maybe(Source::topic);
                    topic.topic_id = s.uuid();
                }
                _ => topic.name = Some(s.topic()),
            }
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        let all = s.bool() && version >= 1;
        request.topics = (!all).then_some(topics);
        if version >= 4 {
            request.allow_auto_topic_creation = s.bool();
        }
        if version >= 8 {
            request.include_topic_authorized_operations = s.noise(true, false);
        }
        if (8..=10).contains(&version) {
            request.include_cluster_authorized_operations = s.noise(true, false);
        }
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], version: i16) -> MetadataRequest {
        let Request::Metadata(ours) = ours else {
            panic!("{ours:?}")
        };
        let topic = |topic: kafka::MetadataRequestTopic<'_>| {
            MetadataRequestTopic::default()
                .with_topic_id(Uuid::from_u128(topic.id.0))
                .with_name(topic.name.map(str_bytes).map(TopicName))
        };
        let topics = ours.topics.map(|topics| topics.iter().map(topic).collect());
        MetadataRequest::default()
            // In version 0 an empty list says what null says later.
            .with_topics(topics.or((version == 0).then(Vec::new)))
            .with_allow_auto_topic_creation(ours.allow_auto_topic_creation)
    }

    fn response(s: &mut Source<'_>, version: i16) -> MetadataResponse {
        let mut response = MetadataResponse::default();
        response.brokers = s.list(|s| {
            let mut broker = MetadataResponseBroker::default()
                .with_node_id(BrokerId(s.i32()))
                .with_host(s.text())
                .with_port(s.i32());
            if version >= 1 {
                broker.rack = s.maybe(Source::text);
            }
            broker
        });
        if version >= 1 {
            response.controller_id = BrokerId(s.i32());
        }
        if version >= 2 {
            response.cluster_id = s.maybe(Source::text);
        }
        if version >= 3 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 13 {
            response.error_code = s.error();
        }
        response.topics = s.list(|s| topic(s, version));
        response
    }

    fn write(theirs: &MetadataResponse, version: i16) -> Vec<u8> {
        let numbers = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        let lists: Vec<Vec<_>> = theirs
            .topics
            .iter()
            .map(|topic| {
                let lists = |p: &MetadataResponsePartition| {
                    [&p.replica_nodes, &p.isr_nodes, &p.offline_replicas].map(|l| numbers(l))
                };
                topic.partitions.iter().map(lists).collect()
            })
            .collect();
        let topics =
            theirs.topics.iter().zip(&lists).map(|(topic, lists)| {
                let partitions = topic.partitions.iter().zip(lists).map(|(line, lists)| {
                    kafka::MetadataPartition {
                        error: error_code(line.error_code),
                        index: line.partition_index,
                        leader_id: line.leader_id.0,
                        leader_epoch: line.leader_epoch,
                        replicas: &lists[0],
                        in_sync_replicas: &lists[1],
                        offline_replicas: &lists[2],
                    }
                });
                kafka::MetadataTopic {
                    error: error_code(topic.error_code),
                    name: topic.name.as_ref().map(|name| text(name)),
                    id: kafka::Uuid(topic.topic_id.as_u128()),
                    is_internal: topic.is_internal,
                    partitions: partitions.collect(),
                }
            });
        let brokers = theirs.brokers.iter().map(|broker| kafka::MetadataBroker {
            node_id: broker.node_id.0,
            host: text(&broker.host),
            port: broker.port,
            rack: maybe_text(&broker.rack),
        });
        let ours = kafka::MetadataResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            brokers: brokers.collect(),
            cluster_id: maybe_text(&theirs.cluster_id),
            controller_id: theirs.controller_id.0,
            error: error_code(theirs.error_code),
        };
        let mut lines = BytesMut::new();
        topics.for_each(|topic| topic.encode(&mut lines, Self::KEY, version));
        let count = theirs.topics.len();
        around(&lines, |out, len| {
            ours.encode_around(out, version, CORRELATION, count, len)
        })
    }
}

fn topic(s: &mut Source<'_>, version: i16) -> MetadataResponseTopic {
    let mut topic = MetadataResponseTopic::default().with_error_code(s.error());
    topic.name = match version {
        12.. => s.maybe(Source::topic),
        _ => Some(s.topic()),
    };
    if version >= 10 {
        topic.topic_id = s.uuid();
    }
    if version >= 1 {
        topic.is_internal = s.bool();
    }
    topic.partitions = s.list(|s| {
        let mut line = MetadataResponsePartition::default()
            .with_error_code(s.error())
            .with_partition_index(s.i32())
            .with_leader_id(BrokerId(s.i32()))
            .with_replica_nodes(s.brokers())
            .with_isr_nodes(s.brokers());
        if version >= 5 {
            line.offline_replicas = s.brokers();
        }
        if version >= 7 {
            line.leader_epoch = s.i32();
        }
        line
    });
    topic
}
