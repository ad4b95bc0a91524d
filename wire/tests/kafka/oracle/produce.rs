use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{TopicName, TransactionalId};
use leveret_wire::kafka::{self, ApiKey, Request, TopicGroup, TopicRef, encode_response};
use uuid::Uuid;

use super::{maybe_text, str_bytes};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct Produce;

/// Ours as the oracle's pair of name and id.
pub(super) fn topic_fields(topic: TopicRef<'_>) -> (TopicName, Uuid) {
    match topic {
        TopicRef::Name(name) => (TopicName(str_bytes(name)), Uuid::nil()),
        TopicRef::Id(id) => (TopicName::default(), Uuid::from_u128(id.0)),
    }
}

pub(super) fn topic_ref(name: &TopicName, id: Uuid, by_id: bool) -> TopicRef<'_> {
    match by_id {
        true => TopicRef::Id(kafka::Uuid(id.as_u128())),
        false => TopicRef::Name(name.as_str()),
    }
}

impl Api for Produce {
    const KEY: ApiKey = ApiKey::Produce;
    type Request = ProduceRequest;
    type Response = ProduceResponse;

    fn request(s: &mut Source<'_>, version: i16) -> ProduceRequest {
        let flexible = version >= 9;
        let mut request = ProduceRequest::default()
            .with_transactional_id(s.maybe(Source::text).map(TransactionalId))
            .with_acks(s.i16())
            .with_timeout_ms(s.i32());
        request.topic_data = s.list(|s| {
            let mut topic = TopicProduceData::default().with_name(s.topic());
            topic.partition_data = s.list(|s| {
                PartitionProduceData::default()
                    .with_index(s.i32())
                    .with_records(s.maybe(Source::blob))
                    .with_unknown_tagged_fields(s.tags(flexible))
            });
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, frame: &[u8], _: i16) -> ProduceRequest {
        let Request::Produce(ours) = ours else {
            panic!("{ours:?}")
        };
        let partition = |partition: kafka::ProducePartition| {
            let records = partition.records;
            let bytes = records.map(|range| Bytes::copy_from_slice(&frame[range]));
            PartitionProduceData::default()
                .with_index(partition.index)
                .with_records(bytes)
        };
        let topic = |topic: kafka::ProduceTopic<'_>| {
            let (name, id) = topic_fields(topic.topic);
            TopicProduceData::default()
                .with_name(name)
                .with_topic_id(id)
                .with_partition_data(topic.partitions.iter().map(partition).collect())
        };
        ProduceRequest::default()
            .with_transactional_id(ours.transactional_id.map(str_bytes).map(TransactionalId))
            .with_acks(ours.acks)
            .with_timeout_ms(ours.timeout_ms)
            .with_topic_data(ours.topics.iter().map(topic).collect())
    }

    fn response(s: &mut Source<'_>, version: i16) -> ProduceResponse {
        let mut response = ProduceResponse::default().with_throttle_time_ms(s.i32());
        response.responses = s.list(|s| {
            let mut topic = TopicProduceResponse::default().with_name(s.topic());
            topic.partition_responses = s.list(|s| {
                let mut line = PartitionProduceResponse::default()
                    .with_index(s.i32())
                    .with_error_code(s.error())
                    .with_base_offset(s.i64())
                    .with_log_append_time_ms(s.i64());
                if version >= 5 {
                    line.log_start_offset = s.i64();
                }
                if version >= 8 {
                    line.record_errors = s.list(|s| {
                        BatchIndexAndErrorMessage::default()
                            .with_batch_index(s.i32())
                            .with_batch_index_error_message(s.maybe(Source::text))
                    });
                    line.error_message = s.maybe(Source::text);
                }
                line
            });
            topic
        });
        response
    }

    fn write(theirs: &ProduceResponse, version: i16) -> Vec<u8> {
        let topics: Vec<_> = theirs
            .responses
            .iter()
            .map(|topic| TopicGroup {
                topic: topic_ref(&topic.name, topic.topic_id, false),
                partitions: topic.partition_responses.len(),
            })
            .collect();
        let lines = theirs.responses.iter().flat_map(|t| &t.partition_responses);
        let blames: Vec<Vec<_>> = lines
            .clone()
            .map(|line| {
                let blame = |error: &'_ BatchIndexAndErrorMessage| kafka::RecordError {
                    batch_index: error.batch_index,
                    message: error
                        .batch_index_error_message
                        .as_ref()
                        .map(|text| text.to_string().into()),
                };
                line.record_errors.iter().map(blame).collect()
            })
            .collect();
        let partitions: Vec<_> = lines
            .zip(&blames)
            .map(|(line, record_errors)| kafka::ProducedPartition {
                index: line.index,
                error: error_code(line.error_code),
                base_offset: line.base_offset,
                log_append_time_ms: line.log_append_time_ms,
                log_start_offset: line.log_start_offset,
                record_errors,
                error_message: maybe_text(&line.error_message),
            })
            .collect();
        let ours = kafka::ProduceResponse {
            topics: &topics,
            partitions: &partitions,
            throttle_time_ms: theirs.throttle_time_ms,
        };
        let mut out = BytesMut::new();
        encode_response(&mut out, version, CORRELATION, &ours);
        out.to_vec()
    }
}
