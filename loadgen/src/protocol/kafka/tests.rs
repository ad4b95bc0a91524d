//! Our layouts against those of `kafka-protocol`, which is generated from Apache Kafka's schemas.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, DeleteTopicsRequest, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use leveret_client::{Offset, PartitionId};
use leveret_record::{BatchBuilder, Compression};

use super::super::{FetchLimits, Topic, Wanted};
use super::encode::{self, Api};
use super::{decode, errors, whole};

const CORRELATION: i32 = 0x0102_0304;
const TOPIC: &str = "löadgen-7";

fn topic_name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// Sees that what we encode is one frame, and is what the oracle encodes of `request`.
fn same(api: Api, request: &impl Encodable, ours: &BytesMut) {
    let header = RequestHeader::default()
        .with_request_api_key(api.key)
        .with_request_api_version(api.version)
        .with_correlation_id(CORRELATION)
        .with_client_id(Some(StrBytes::from_static_str("leveret-loadgen")));
    let mut theirs = BytesMut::new();
    header.encode(&mut theirs, 1).expect("encodable");
    request.encode(&mut theirs, api.version).expect("encodable");
    let mut frame = &ours[..];
    assert_eq!(frame.get_i32() as usize, theirs.len(), "{}", api.name);
    assert_eq!(frame, &theirs[..], "{}", api.name);
}

fn encoded(api: Api, response: &impl Encodable) -> Bytes {
    let mut out = BytesMut::new();
    response.encode(&mut out, api.version).expect("encodable");
    out.freeze()
}

/// Sees that no beginning of an answer, and nothing behind one, passes for the answer.
fn only_whole<T>(body: &Bytes, decode: impl Fn(&Bytes) -> Result<T, crate::failure::Failure>) {
    for cut in 0..body.len() {
        assert!(decode(&body.slice(..cut)).is_err(), "{cut} bytes");
    }
    let mut longer = body.to_vec();
    longer.push(0);
    assert!(decode(&longer.into()).is_err());
    // Counts that promise 2 GiB of elements must fail, not allocate.
    let absurd = Bytes::from_static(&[0x7f; 64]);
    assert!(decode(&absurd).is_err());
}

#[test]
fn a_produce_request_is_the_oracles_and_the_batch_follows_it() {
    let batch = Bytes::from(vec![0xab; 3000]);
    let mut ours = BytesMut::new();
    encode::produce(&mut ours, CORRELATION, TOPIC, 5, batch.len());
    ours.extend_from_slice(&batch);
    let partition = PartitionProduceData::default()
        .with_index(5)
        .with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(topic_name())
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(60_000)
        .with_topic_data(vec![topic]);
    same(encode::PRODUCE, &request, &ours);
}

#[test]
fn a_fetch_request_is_the_oracles() {
    let wanted = [(0, 7), (3, u64::from(u32::MAX) + 9)].map(|(partition, from)| Wanted {
        partition: PartitionId(partition),
        from: Offset(from),
    });
    let limits = FetchLimits {
        bytes: 4 << 20,
        wait_ms: 500,
    };
    let mut ours = BytesMut::new();
    encode::fetch(&mut ours, CORRELATION, TOPIC, &wanted, limits);
    let partitions = wanted.map(|wanted| {
        FetchPartition::default()
            .with_partition(wanted.partition.0 as i32)
            .with_fetch_offset(wanted.from.0 as i64)
            .with_partition_max_bytes(4 << 20)
    });
    let topic = FetchTopic::default()
        .with_topic(topic_name())
        .with_partitions(partitions.to_vec());
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(4 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    same(encode::FETCH, &request, &ours);
}

#[test]
fn the_requests_around_the_load_are_the_oracles() {
    let mut ours = BytesMut::new();
    encode::list_offsets(&mut ours, CORRELATION, TOPIC, 4);
    let partition = ListOffsetsPartition::default()
        .with_partition_index(4)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name())
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    same(encode::LIST_OFFSETS, &request, &ours);

    let mut ours = BytesMut::new();
    encode::metadata(&mut ours, CORRELATION, TOPIC);
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name()));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    same(encode::METADATA, &request, &ours);

    let mut ours = BytesMut::new();
    encode::api_versions(&mut ours, CORRELATION);
    same(encode::API_VERSIONS, &ApiVersionsRequest::default(), &ours);

    let mut ours = BytesMut::new();
    let topic = Topic {
        name: TOPIC.to_owned(),
        partitions: 12,
        may_exist: false,
        level: None,
        config: vec![("flush.messages".to_owned(), "1".to_owned())],
    };
    encode::create_topic(&mut ours, CORRELATION, &topic);
    let config = CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str("flush.messages"))
        .with_value(Some(StrBytes::from_static_str("1")));
    let topic = CreatableTopic::default()
        .with_name(topic_name())
        .with_num_partitions(12)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(60_000);
    same(encode::CREATE_TOPICS, &request, &ours);

    let mut ours = BytesMut::new();
    encode::delete_topic(&mut ours, CORRELATION, TOPIC);
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name()])
        .with_timeout_ms(60_000);
    same(encode::DELETE_TOPICS, &request, &ours);
}

#[test]
fn a_produce_request_can_be_read_by_the_oracle_too() {
    let mut ours = BytesMut::new();
    encode::produce(&mut ours, CORRELATION, TOPIC, 5, 3);
    ours.extend_from_slice(b"xyz");
    let mut frame = ours.freeze();
    frame.advance(4);
    let header = RequestHeader::decode(&mut frame, 1).expect("decodable");
    assert_eq!(header.correlation_id, CORRELATION);
    let request = ProduceRequest::decode(&mut frame, 7).expect("decodable");
    assert!(frame.is_empty());
    let data = &request.topic_data[0].partition_data[0];
    assert_eq!(data.records.as_deref(), Some(&b"xyz"[..]));
}

#[test]
fn an_acknowledgement_is_read_and_a_refusal_is_one() {
    let answer = |code| {
        let partition = PartitionProduceResponse::default()
            .with_index(5)
            .with_error_code(code)
            .with_base_offset(99);
        let topic = TopicProduceResponse::default()
            .with_name(topic_name())
            .with_partition_responses(vec![partition]);
        let response = ProduceResponse::default().with_responses(vec![topic]);
        encoded(encode::PRODUCE, &response)
    };
    decode::produced(encode::PRODUCE, &answer(0)).expect("acknowledged");
    let refused = decode::produced(encode::PRODUCE, &answer(10)).expect_err("refused");
    assert!(refused.to_string().contains("MESSAGE_TOO_LARGE"));
    let unknown = decode::produced(encode::PRODUCE, &answer(-1)).expect_err("refused");
    assert!(unknown.to_string().contains("error -1"));
    only_whole(&answer(0), |body| decode::produced(encode::PRODUCE, body));
    let nothing = encoded(encode::PRODUCE, &ProduceResponse::default());
    assert!(decode::produced(encode::PRODUCE, &nothing).is_err());
}

#[test]
fn fetched_batches_are_slices_of_the_answer() {
    let answer = |code| {
        let aborted = AbortedTransaction::default().with_first_offset(3);
        let first = PartitionData::default()
            .with_partition_index(2)
            .with_high_watermark(8)
            .with_aborted_transactions(Some(vec![aborted]))
            .with_records(Some(Bytes::from_static(b"batches")));
        let second = PartitionData::default()
            .with_partition_index(3)
            .with_error_code(code)
            .with_aborted_transactions(None)
            .with_records(None);
        let topic = FetchableTopicResponse::default()
            .with_topic(topic_name())
            .with_partitions(vec![first, second]);
        encoded(
            encode::FETCH,
            &FetchResponse::default().with_responses(vec![topic]),
        )
    };
    let body = answer(0);
    let brought = decode::fetched(encode::FETCH, &body).expect("read");
    assert_eq!(
        brought,
        [(2, Bytes::from_static(b"batches")), (3, Bytes::new())]
    );
    let within = body.as_ptr_range();
    assert!(within.contains(&brought[0].1.as_ptr()), "not copied");
    let refused = decode::fetched(encode::FETCH, &answer(1)).expect_err("refused");
    assert!(refused.to_string().contains("OFFSET_OUT_OF_RANGE"));
    only_whole(&body, |body| decode::fetched(encode::FETCH, body));
}

#[test]
fn the_answers_around_the_load_are_read() {
    let partition = ListOffsetsPartitionResponse::default()
        .with_timestamp(-1)
        .with_offset(1 << 40);
    let topic = ListOffsetsTopicResponse::default()
        .with_name(topic_name())
        .with_partitions(vec![partition]);
    let body = encoded(
        encode::LIST_OFFSETS,
        &ListOffsetsResponse::default().with_topics(vec![topic]),
    );
    let listed = |body: &Bytes| decode::listed(encode::LIST_OFFSETS, body);
    assert_eq!(listed(&body).expect("read"), Ok(1 << 40));
    only_whole(&body, listed);

    let topic = CreatableTopicResult::default()
        .with_name(topic_name())
        .with_error_code(40)
        .with_error_message(Some(StrBytes::from_static_str("no such setting")));
    let body = encoded(
        encode::CREATE_TOPICS,
        &CreateTopicsResponse::default().with_topics(vec![topic]),
    );
    let created = |body: &Bytes| decode::topic_changed(encode::CREATE_TOPICS, body, true);
    assert_eq!(
        created(&body).expect("read"),
        (40, "no such setting".to_owned())
    );
    only_whole(&body, created);

    let topic = DeletableTopicResult::default()
        .with_name(Some(topic_name()))
        .with_error_code(3);
    let body = encoded(
        encode::DELETE_TOPICS,
        &DeleteTopicsResponse::default().with_responses(vec![topic]),
    );
    let deleted = |body: &Bytes| decode::topic_changed(encode::DELETE_TOPICS, body, false);
    assert_eq!(deleted(&body).expect("read"), (3, String::new()));
    only_whole(&body, deleted);

    let served = ApiVersion::default().with_api_key(1).with_max_version(18);
    let response = ApiVersionsResponse::default().with_api_keys(vec![served]);
    let body = encoded(encode::API_VERSIONS, &response);
    let versions = |body: &Bytes| decode::versions(encode::API_VERSIONS, body);
    let all = versions(&body).expect("read");
    assert_eq!((all[0].key, all[0].min, all[0].max), (1, 0, 18));
    only_whole(&body, versions);
}

#[test]
fn a_topic_is_ready_when_all_its_partitions_have_leaders() {
    let answer = |topic_code, partition_code| {
        let partition = |index, code| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code)
                .with_leader_id(BrokerId(1))
                .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
                .with_isr_nodes(vec![BrokerId(1)])
        };
        let topic = MetadataResponseTopic::default()
            .with_error_code(topic_code)
            .with_name(Some(topic_name()))
            .with_partitions(vec![partition(0, 0), partition(1, partition_code)]);
        let broker = MetadataResponseBroker::default()
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_rack(None);
        let response = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_topics(vec![topic]);
        encoded(encode::METADATA, &response)
    };
    let partitions = |body: &Bytes| decode::partitions(encode::METADATA, body);
    assert_eq!(partitions(&answer(0, 0)).expect("read"), Some(2));
    assert_eq!(partitions(&answer(0, 5)).expect("not yet"), None);
    assert_eq!(partitions(&answer(3, 0)).expect("not yet"), None);
    assert!(partitions(&answer(29, 0)).is_err(), "that does not pass");
    only_whole(&answer(0, 0), partitions);
}

#[test]
fn a_code_says_what_to_do() {
    errors::check("Produce", 0).expect("no error");
    let told = errors::check_with("CreateTopics", 40, "no such setting").expect_err("refused");
    assert_eq!(
        told.to_string(),
        "CreateTopics failed: INVALID_CONFIG (no such setting); correct --topic-config, or leave \
         --durability to the broker"
    );
}

#[test]
fn a_batch_that_was_cut_off_is_left_for_the_next_fetch_and_damage_is_not() {
    let mut builder = BatchBuilder::new(Compression::None);
    let mut all = BytesMut::new();
    let mut ends = vec![0];
    for value in [&b"one"[..], b"another"] {
        builder.push(0, None, Some(value), &[]).expect("fits");
        all.extend_from_slice(&builder.finish());
        ends.push(all.len());
    }
    let all = all.freeze();
    for cut in 0..=all.len() {
        let end = ends.iter().rfind(|end| **end <= cut).expect("0 is one");
        assert_eq!(whole(all.slice(..cut)).len(), *end, "{cut} bytes");
    }
    let mut damaged = all.to_vec();
    damaged[ends[1] + 8] = 0xff; // A negative length.
    assert_eq!(whole(damaged.into()).len(), all.len());
}
