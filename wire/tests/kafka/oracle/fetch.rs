use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState,
};
use kafka_protocol::messages::fetch_response::{
    FetchResponse, FetchableTopicResponse, PartitionData,
};
use leveret_wire::kafka::{self, ApiKey, Isolation, Request, TopicGroup, interleave};
use uuid::Uuid;

use super::produce::{topic_fields, topic_ref};
use super::str_bytes;
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct Fetch;

pub(super) fn isolation(ours: Isolation) -> i8 {
    match ours {
        Isolation::ReadUncommitted => 0,
        Isolation::ReadCommitted => 1,
    }
}

fn partition(s: &mut Source<'_>, version: i16) -> FetchPartition {
    let mut line = FetchPartition::default()
        .with_partition(s.i32())
        .with_fetch_offset(s.i64())
        .with_partition_max_bytes(s.i32())
        .with_unknown_tagged_fields(s.tags(version >= 12));
    if version >= 5 {
        line.log_start_offset = s.i64();
    }
    if version >= 9 {
        line.current_leader_epoch = s.i32();
    }
    if version >= 12 {
        line.last_fetched_epoch = s.i32();
    }
    if version >= 17 {
        line.replica_directory_id = s.noise(Uuid::from_u128(1), Uuid::nil());
    }
    if version >= 18 {
        line.high_watermark = s.noise(5, i64::MAX);
    }
    line
}

impl Api for Fetch {
    const KEY: ApiKey = ApiKey::Fetch;
    type Request = FetchRequest;
    type Response = FetchResponse;

    fn request(s: &mut Source<'_>, version: i16) -> FetchRequest {
        let flexible = version >= 12;
        let mut request = FetchRequest::default()
            .with_max_wait_ms(s.i32())
            .with_min_bytes(s.i32())
            .with_max_bytes(s.i32())
            .with_isolation_level(s.within(0, 1));
        match version {
            15.. => {
                request.replica_state = ReplicaState::default()
                    .with_replica_id(BrokerId(s.i32()))
                    .with_replica_epoch(s.noise(9, -1));
            }
            _ => request.replica_id = BrokerId(s.i32()),
        }
        if version >= 12 {
            request.cluster_id = s.maybe(Source::text);
        }
        if version >= 11 {
            request.rack_id = s.text();
        }
        if version >= 7 {
            request.session_id = s.i32();
            request.session_epoch = s.i32();
            request.forgotten_topics_data = s.list(|s| {
                let mut topic = ForgottenTopic::default().with_partitions(s.i32s());
                match version {
                    13.. => topic.topic_id = s.uuid(),
                    _ => topic.topic = s.topic(),
                }
                topic.with_unknown_tagged_fields(s.tags(flexible))
            });
        }
        request.topics = s.list(|s| {
            let mut topic = FetchTopic::default();
            match version {
                13.. => topic.topic_id = s.uuid(),
                _ => topic.topic = s.topic(),
            }
            topic.partitions = s.list(|s| partition(s, version));
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], version: i16) -> FetchRequest {
        let Request::Fetch(ours) = ours else {
            panic!("{ours:?}")
        };
        let line = |line: kafka::FetchPartition| {
            FetchPartition::default()
                .with_partition(line.index)
                .with_current_leader_epoch(line.current_leader_epoch)
                .with_fetch_offset(line.fetch_offset)
                .with_last_fetched_epoch(line.last_fetched_epoch)
                .with_log_start_offset(line.log_start_offset)
                .with_partition_max_bytes(line.max_bytes)
        };
        let topic = |topic: kafka::FetchTopic<'_>| {
            let (name, id) = topic_fields(topic.topic);
            FetchTopic::default()
                .with_topic(name)
                .with_topic_id(id)
                .with_partitions(topic.partitions.iter().map(line).collect())
        };
        let forgotten = |topic: kafka::ForgottenTopic<'_>| {
            let (name, id) = topic_fields(topic.topic);
            ForgottenTopic::default()
                .with_topic(name)
                .with_topic_id(id)
                .with_partitions(topic.partitions.iter().collect())
        };
        assert_eq!(ours.forgotten.is_some(), version >= 7);
        let request = FetchRequest::default()
            .with_cluster_id(ours.cluster_id.map(str_bytes))
            .with_max_wait_ms(ours.max_wait_ms)
            .with_min_bytes(ours.min_bytes)
            .with_max_bytes(ours.max_bytes)
            .with_isolation_level(isolation(ours.isolation))
            .with_session_id(ours.session_id)
            .with_session_epoch(ours.session_epoch)
            .with_topics(ours.topics.iter().map(topic).collect())
            .with_forgotten_topics_data(
                ours.forgotten
                    .into_iter()
                    .flatten()
                    .map(forgotten)
                    .collect(),
            )
            .with_rack_id(str_bytes(ours.rack_id));
        let replica_id = BrokerId(ours.replica_id);
        match version {
            15.. => request.with_replica_state(ReplicaState::default().with_replica_id(replica_id)),
            _ => request.with_replica_id(replica_id),
        }
    }

    fn response(s: &mut Source<'_>, version: i16) -> FetchResponse {
        let mut response = FetchResponse::default().with_throttle_time_ms(s.i32());
        if version >= 7 {
            response.error_code = s.error();
            response.session_id = s.i32();
        }
        response.responses = s.list(|s| {
            let mut topic = FetchableTopicResponse::default();
            match version {
                13.. => topic.topic_id = s.uuid(),
                _ => topic.topic = s.topic(),
            }
            topic.partitions = s.list(|s| {
                let mut line = PartitionData::default()
                    .with_partition_index(s.i32())
                    .with_error_code(s.error())
                    .with_high_watermark(s.i64())
                    .with_last_stable_offset(s.i64())
                    .with_aborted_transactions(None)
                    .with_records(Some(s.blob()));
                if version >= 5 {
                    line.log_start_offset = s.i64();
                }
                line
            });
            topic
        });
        response
    }

    fn write(theirs: &FetchResponse, version: i16) -> Vec<u8> {
        let topics: Vec<_> = theirs
            .responses
            .iter()
            .map(|topic| TopicGroup {
                topic: topic_ref(&topic.topic, topic.topic_id, version >= 13),
                partitions: topic.partitions.len(),
            })
            .collect();
        let lines = theirs.responses.iter().flat_map(|topic| &topic.partitions);
        let records = |line: &PartitionData| line.records.clone().unwrap();
        let partitions: Vec<_> = lines
            .clone()
            .map(|line| kafka::FetchedPartition {
                index: line.partition_index,
                error: error_code(line.error_code),
                high_watermark: line.high_watermark,
                last_stable_offset: line.last_stable_offset,
                log_start_offset: line.log_start_offset,
                records_len: records(line).len(),
            })
            .collect();
        let ours = kafka::FetchResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
            session_id: theirs.session_id,
            topics: &topics,
            partitions: &partitions,
        };
        let (mut head, mut cuts) = (BytesMut::new(), Vec::new());
        let len = ours.encode(&mut head, &mut cuts, version, CORRELATION);
        // Each partition's records come in two batches, or in none.
        let batches = lines.map(|line| {
            let mut first = records(line);
            let second = first.split_off(first.len() / 2);
            [first, second].into_iter().filter(|b| !b.is_empty())
        });
        let mut pieces: Vec<Bytes> = Vec::new();
        interleave(head.freeze(), &cuts, batches, |piece| pieces.push(piece));
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        let frame = pieces.concat();
        assert_eq!(frame.len(), len);
        frame
    }
}
