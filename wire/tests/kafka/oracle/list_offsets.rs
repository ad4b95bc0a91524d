use bytes::BytesMut;
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use leveret_wire::kafka::{self, ApiKey, Line, Request};

use super::fetch::isolation;
use super::{around, str_bytes};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct ListOffsets;

impl Api for ListOffsets {
    const KEY: ApiKey = ApiKey::ListOffsets;
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> ListOffsetsRequest {
        let flexible = version >= 6;
        let mut request = ListOffsetsRequest::default().with_replica_id(BrokerId(s.i32()));
        if version >= 2 {
            request.isolation_level = s.within(0, 1);
        }
        if version >= 10 {
            request.timeout_ms = s.i32();
        }
        request.topics = s.list(|s| {
            let mut topic = ListOffsetsTopic::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                let mut line = ListOffsetsPartition::default()
                    .with_partition_index(s.i32())
                    .with_timestamp(s.i64());
                if version >= 4 {
                    line.current_leader_epoch = s.i32();
                }
                line.with_unknown_tagged_fields(s.tags(flexible))
            });
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> ListOffsetsRequest {
        let Request::ListOffsets(ours) = ours else {
            panic!("{ours:?}")
        };
        let line = |line: kafka::ListOffsetsPartition| {
            ListOffsetsPartition::default()
                .with_partition_index(line.index)
                .with_current_leader_epoch(line.current_leader_epoch)
                .with_timestamp(line.timestamp)
        };
        let topic = |topic: kafka::ListOffsetsTopic<'_>| {
            ListOffsetsTopic::default()
                .with_name(TopicName(str_bytes(topic.name)))
                .with_partitions(topic.partitions.iter().map(line).collect())
        };
        ListOffsetsRequest::default()
            .with_replica_id(BrokerId(ours.replica_id))
            .with_isolation_level(isolation(ours.isolation))
            .with_topics(ours.topics.iter().map(topic).collect())
            .with_timeout_ms(ours.timeout_ms)
    }

    fn response(s: &mut Source<'_>, version: i16) -> ListOffsetsResponse {
        let mut response = ListOffsetsResponse::default();
        response.topics = s.list(|s| {
            let mut topic = ListOffsetsTopicResponse::default().with_name(s.topic());
            topic.partitions = s.list(|s| {
                let mut line = ListOffsetsPartitionResponse::default()
                    .with_partition_index(s.i32())
                    .with_error_code(s.error())
                    .with_timestamp(s.i64())
                    .with_offset(s.i64());
                if version >= 4 {
                    line.leader_epoch = s.i32();
                }
                line
            });
            topic
        });
        response
    }

    fn write(theirs: &ListOffsetsResponse, version: i16) -> Vec<u8> {
        let line = |line: &ListOffsetsPartitionResponse| kafka::ListedPartition {
            index: line.partition_index,
            error: error_code(line.error_code),
            timestamp: line.timestamp,
            offset: line.offset,
            leader_epoch: line.leader_epoch,
        };
        let mut lines = BytesMut::new();
        for topic in &theirs.topics {
            let head = kafka::ListedTopic {
                name: topic.name.as_str(),
                partitions: topic.partitions.len(),
            };
            head.encode(&mut lines, Self::KEY, version);
            for partition in topic.partitions.iter().map(line) {
                partition.encode(&mut lines, Self::KEY, version);
            }
            kafka::ListedTopic::encode_end(&mut lines, version);
        }
        let count = theirs.topics.len();
        around(&lines, |out, len| {
            kafka::ListedTopic::encode_around(out, version, CORRELATION, count, len)
        })
    }
}
