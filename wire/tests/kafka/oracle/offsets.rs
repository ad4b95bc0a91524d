//! How far a group has come.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use leveret_wire::kafka::{self, ApiKey, Request, TopicGroup, TopicRef};

use super::groups::{frame_of, group};
use super::{maybe_text, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct OffsetCommit;
pub(crate) struct OffsetFetch;
pub(crate) struct OffsetDelete;

fn named(topic: TopicRef<'_>) -> TopicName {
    match topic {
        TopicRef::Name(name) => TopicName(str_bytes(name)),
        TopicRef::Id(id) => panic!("{id} in a version that names topics"),
    }
}

fn of_name(name: &TopicName, partitions: usize) -> TopicGroup<'_> {
    let topic = TopicRef::Name(name.as_str());
    TopicGroup { topic, partitions }
}

impl Api for OffsetCommit {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;

    fn request(s: &mut Source<'_>, version: i16) -> OffsetCommitRequest {
        let flexible = version >= 8;
        let mut request = OffsetCommitRequest::default()
            .with_group_id(group(s))
            .with_generation_id_or_member_epoch(s.i32())
            .with_member_id(s.text());
        if version >= 7 {
            request.group_instance_id = s.maybe(Source::text);
        }
        if version <= 4 {
            request.retention_time_ms = s.i64();
        }
        request.topics = s.list(|s| {
            let mut topic = OffsetCommitRequestTopic::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                let mut line = OffsetCommitRequestPartition::default()
                    .with_partition_index(s.i32())
                    .with_committed_offset(s.i64())
                    .with_committed_metadata(s.maybe(Source::text));
                if version >= 6 {
                    line.committed_leader_epoch = s.i32();
                }
                line.with_unknown_tagged_fields(s.tags(flexible))
            });
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> OffsetCommitRequest {
        let Request::OffsetCommit(ours) = ours else {
            panic!("{ours:?}")
        };
        let line = |line: kafka::OffsetCommitPartition<'_>| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(line.index)
                .with_committed_offset(line.offset)
                .with_committed_leader_epoch(line.leader_epoch)
                .with_committed_metadata(line.metadata.map(str_bytes))
        };
        let topic = |topic: kafka::OffsetCommitTopic<'_>| {
            OffsetCommitRequestTopic::default()
                .with_name(named(topic.topic))
                .with_partitions(topic.partitions.iter().map(line).collect())
        };
        OffsetCommitRequest::default()
            .with_group_id(GroupId(str_bytes(ours.group)))
            .with_generation_id_or_member_epoch(ours.generation)
            .with_member_id(str_bytes(ours.member))
            .with_group_instance_id(ours.instance.map(str_bytes))
            .with_retention_time_ms(ours.retention_time_ms)
            .with_topics(ours.topics.iter().map(topic).collect())
    }

    fn response(s: &mut Source<'_>, version: i16) -> OffsetCommitResponse {
        let mut response = OffsetCommitResponse::default();
        if version >= 3 {
            response.throttle_time_ms = s.i32();
        }
        response.topics = s.list(|s| {
            let mut topic = OffsetCommitResponseTopic::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(s.i32())
                    .with_error_code(s.error())
            });
            topic
        });
        response
    }

    fn write(theirs: &OffsetCommitResponse, version: i16) -> Vec<u8> {
        fn topic(topic: &OffsetCommitResponseTopic) -> TopicGroup<'_> {
            let OffsetCommitResponseTopic {
                name, partitions, ..
            } = topic;
            of_name(name, partitions.len())
        }
        let line = |line: &OffsetCommitResponsePartition| kafka::CommittedPartition {
            index: line.partition_index,
            error: error_code(line.error_code),
        };
        let topics: Vec<_> = theirs.topics.iter().map(topic).collect();
        let lines = theirs.topics.iter().flat_map(|topic| &topic.partitions);
        let ours = kafka::OffsetCommitResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            topics: &topics,
            partitions: &lines.map(line).collect::<Vec<_>>(),
        };
        frame_of(version, &ours)
    }
}

impl Api for OffsetFetch {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;

    fn request(s: &mut Source<'_>, version: i16) -> OffsetFetchRequest {
        let flexible = version >= 6;
        let mut request = OffsetFetchRequest::default();
        if version >= 8 {
            request.groups = s.list(|s| {
                let mut asked = OffsetFetchRequestGroup::default().with_group_id(group(s));
                if version >= 9 {
                    asked.member_id = s.maybe(Source::text);
                    asked.member_epoch = s.i32();
                }
                asked.topics = s.maybe(|s| {
                    s.list(|s| {
                        OffsetFetchRequestTopics::default()
                            .with_name(s.topic())
                            .with_partition_indexes(s.i32s())
                            .with_unknown_tagged_fields(s.tags(flexible))
                    })
                });
                asked.with_unknown_tagged_fields(s.tags(flexible))
            });
        } else {
            request.group_id = group(s);
            let topics = |s: &mut Source<'_>| {
                s.list(|s| {
                    OffsetFetchRequestTopic::default()
                        .with_name(s.topic())
                        .with_partition_indexes(s.i32s())
                        .with_unknown_tagged_fields(s.tags(flexible))
                })
            };
            request.topics = match version {
                2.. => s.maybe(topics),
                _ => Some(topics(s)),
            };
        }
        if version >= 7 {
            request.require_stable = s.bool();
        }
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> OffsetFetchRequest {
        let Request::OffsetFetch(ours) = ours else {
            panic!("{ours:?}")
        };
        let topic = |topic: kafka::OffsetFetchTopic<'_>| {
            let partitions: Vec<i32> = topic.partitions.iter().collect();
            (named(topic.topic), partitions)
        };
        let one = |(name, partitions)| {
            OffsetFetchRequestTopic::default()
                .with_name(name)
                .with_partition_indexes(partitions)
        };
        let of_several = |(name, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(name)
                .with_partition_indexes(partitions)
        };
        let mut theirs = OffsetFetchRequest::default().with_require_stable(ours.require_stable);
        match ours.groups {
            kafka::OffsetFetchGroups::One(asked) => {
                assert_eq!((asked.member, asked.member_epoch), (None, -1));
                theirs.group_id = GroupId(str_bytes(asked.group));
                let topics = asked.topics;
                theirs.topics = topics.map(|all| all.iter().map(topic).map(one).collect());
            }
            kafka::OffsetFetchGroups::Several(groups) => {
                let group = |asked: kafka::OffsetFetchGroup<'_>| {
                    let topics = asked.topics;
                    OffsetFetchRequestGroup::default()
                        .with_group_id(GroupId(str_bytes(asked.group)))
                        .with_member_id(asked.member.map(str_bytes))
                        .with_member_epoch(asked.member_epoch)
                        .with_topics(
                            topics.map(|all| all.iter().map(topic).map(of_several).collect()),
                        )
                };
                theirs.groups = groups.iter().map(group).collect();
            }
        }
        theirs
    }

    fn response(s: &mut Source<'_>, version: i16) -> OffsetFetchResponse {
        let mut response = OffsetFetchResponse::default();
        if version >= 3 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 8 {
            response.groups = s.list(|s| {
                let mut told = OffsetFetchResponseGroup::default()
                    .with_group_id(group(s))
                    .with_error_code(s.error());
                told.topics = s.list(|s| {
                    let mut topic = OffsetFetchResponseTopics::default().with_name(s.topic());
                    topic.partitions = s.list(|s| {
                        OffsetFetchResponsePartitions::default()
                            .with_partition_index(s.i32())
                            .with_committed_offset(s.i64())
                            .with_committed_leader_epoch(s.i32())
                            .with_metadata(s.maybe(Source::text))
                            .with_error_code(s.error())
                    });
                    topic
                });
                told
            });
            return response;
        }
        if version >= 2 {
            response.error_code = s.error();
        }
        response.topics = s.list(|s| {
            let mut topic = OffsetFetchResponseTopic::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                let mut line = OffsetFetchResponsePartition::default()
                    .with_partition_index(s.i32())
                    .with_committed_offset(s.i64())
                    .with_metadata(s.maybe(Source::text))
                    .with_error_code(s.error());
                if version >= 5 {
                    line.committed_leader_epoch = s.i32();
                }
                line
            });
            topic
        });
        response
    }

    fn write(theirs: &OffsetFetchResponse, version: i16) -> Vec<u8> {
        fn group(told: &OffsetFetchResponseGroup) -> kafka::FetchedGroup<'_> {
            let OffsetFetchResponseGroup {
                group_id,
                topics,
                error_code: code,
                ..
            } = told;
            fn line(line: &OffsetFetchResponsePartitions) -> kafka::FetchedOffset<'_> {
                let OffsetFetchResponsePartitions { metadata, .. } = line;
                kafka::FetchedOffset {
                    index: line.partition_index,
                    offset: line.committed_offset,
                    leader_epoch: line.committed_leader_epoch,
                    metadata: maybe_text(metadata),
                    error: error_code(line.error_code),
                }
            }
            kafka::FetchedGroup {
                group: text(group_id),
                topics: topics
                    .iter()
                    .map(|topic| of_name(&topic.name, topic.partitions.len()))
                    .collect(),
                partitions: topics
                    .iter()
                    .flat_map(|topic| topic.partitions.iter().map(line))
                    .collect(),
                error: error_code(*code),
            }
        }
        let one = || {
            fn line(line: &OffsetFetchResponsePartition) -> kafka::FetchedOffset<'_> {
                let OffsetFetchResponsePartition { metadata, .. } = line;
                kafka::FetchedOffset {
                    index: line.partition_index,
                    offset: line.committed_offset,
                    leader_epoch: line.committed_leader_epoch,
                    metadata: maybe_text(metadata),
                    error: error_code(line.error_code),
                }
            }
            let topics = theirs.topics.iter();
            kafka::FetchedGroup {
                group: "".into(),
                topics: topics
                    .clone()
                    .map(|topic| of_name(&topic.name, topic.partitions.len()))
                    .collect(),
                partitions: topics
                    .flat_map(|topic| topic.partitions.iter().map(line))
                    .collect(),
                error: error_code(theirs.error_code),
            }
        };
        let ours = kafka::OffsetFetchResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            groups: match version {
                8.. => theirs.groups.iter().map(group).collect(),
                _ => vec![one()],
            },
        };
        frame_of(version, &ours)
    }
}

impl Api for OffsetDelete {
    const KEY: ApiKey = ApiKey::OffsetDelete;
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;

    fn request(s: &mut Source<'_>, _: i16) -> OffsetDeleteRequest {
        let mut request = OffsetDeleteRequest::default().with_group_id(group(s));
        request.topics = s.list(|s| {
            let mut topic = OffsetDeleteRequestTopic::default().with_name(s.topic());
            topic.partitions =
                s.list(|s| OffsetDeleteRequestPartition::default().with_partition_index(s.i32()));
            topic
        });
        request
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> OffsetDeleteRequest {
        let Request::OffsetDelete(ours) = ours else {
            panic!("{ours:?}")
        };
        let line = |index| OffsetDeleteRequestPartition::default().with_partition_index(index);
        let topic = |topic: kafka::OffsetDeleteTopic<'_>| {
            OffsetDeleteRequestTopic::default()
                .with_name(TopicName(str_bytes(topic.name)))
                .with_partitions(topic.partitions.iter().map(line).collect())
        };
        OffsetDeleteRequest::default()
            .with_group_id(GroupId(str_bytes(ours.group)))
            .with_topics(ours.topics.iter().map(topic).collect())
    }

    fn response(s: &mut Source<'_>, _: i16) -> OffsetDeleteResponse {
        let mut response = OffsetDeleteResponse::default()
            .with_error_code(s.error())
            .with_throttle_time_ms(s.i32());
        response.topics = s.list(|s| {
            let mut topic = OffsetDeleteResponseTopic::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(s.i32())
                    .with_error_code(s.error())
            });
            topic
        });
        response
    }

    fn write(theirs: &OffsetDeleteResponse, version: i16) -> Vec<u8> {
        let line = |line: &OffsetDeleteResponsePartition| kafka::CommittedPartition {
            index: line.partition_index,
            error: error_code(line.error_code),
        };
        let topics = theirs.topics.iter();
        let lines = theirs.topics.iter().flat_map(|topic| &topic.partitions);
        let ours = kafka::OffsetDeleteResponse {
            error: error_code(theirs.error_code),
            throttle_time_ms: theirs.throttle_time_ms,
            topics: &topics
                .map(|topic| of_name(&topic.name, topic.partitions.len()))
                .collect::<Vec<_>>(),
            partitions: &lines.map(line).collect::<Vec<_>>(),
        };
        frame_of(version, &ours)
    }
}
