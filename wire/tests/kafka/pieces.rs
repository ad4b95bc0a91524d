//! A response that is put together in pieces is the one that is encoded at once.

use std::borrow::Cow;

use bytes::BytesMut;
use leveret_wire::kafka::{
    AlterConfigsResponse, AlteredResource, ApiKey, Checking, ConfigEntry, ConfigSource, ConfigType,
    CreatePartitionsResponse, CreatePartitionsResult, CreateTopicsResponse, CreatedTopic,
    CreatedTopicConfig, DeleteTopicsResponse, DeletedTopic, DescribeConfigsResponse,
    DescribedResource, Elements, ErrorCode, IncrementalAlterConfigsResponse, ListOffsetsResponse,
    ListedPartition, ListedTopic, MetadataBroker, MetadataRequestTopic, MetadataResponse,
    MetadataTopic, Request, RequestHeader, ResourceType, Uuid, encode_around, encode_response,
};

#[test]
fn settings_in_pieces_are_those_encoded_at_once() {
    let entry = ConfigEntry {
        name: Cow::Borrowed("retention.ms"),
        value: Some(Cow::Borrowed("1")),
        read_only: false,
        source: ConfigSource::Default,
        is_sensitive: false,
        synonyms: Vec::new(),
        config_type: ConfigType::Long,
        documentation: Some(Cow::Borrowed("how long")),
    };
    let result = |count| DescribedResource {
        error: ErrorCode::None,
        error_message: None,
        resource_type: ResourceType::TOPIC,
        name: Cow::Borrowed("topic"),
        configs: vec![entry.clone(); count],
    };
    for (count, version) in [0, 1, 200].iter().zip([1, 3, 4]) {
        let response = DescribeConfigsResponse {
            throttle_time_ms: 0,
            results: (0..*count).map(result).collect(),
        };
        let mut whole = BytesMut::new();
        encode_response(&mut whole, version, 7, &response);
        let mut middle = BytesMut::new();
        for one in &response.results {
            one.encode(&mut middle, version);
        }
        // Something is in the buffer already, as an arena has it.
        let mut around = BytesMut::from(&b"before"[..]);
        let len = middle.len();
        let api = ApiKey::DescribeConfigs;
        let behind = encode_around(&mut around, api, version, 7, *count, len);
        let tail = around.split_off(around.len() - behind);
        let pieces = [&around[6..], &middle, &tail].concat();
        assert_eq!(pieces, whole, "version {version}");
        assert!(ApiKey::DescribeConfigs.versions().contains(version));
    }
}

/// Checks that a head and lines that are encoded by themselves are the response that is encoded at once.
fn same(whole: &BytesMut, middle: &BytesMut, mut around: BytesMut, behind: usize) {
    let tail = around.split_off(around.len() - behind);
    assert_eq!([&around[..], middle, &tail].concat(), whole[..]);
}

#[test]
fn topics_in_pieces_are_those_encoded_at_once() {
    let range = |api: ApiKey| (0..20).filter(move |version| api.versions().contains(*version));
    for count in [0, 1, 300] {
        for version in range(ApiKey::Metadata) {
            let topic = |number: usize| MetadataTopic {
                error: ErrorCode::UnknownTopicOrPartition,
                name: Some(Cow::Owned(format!("topic-{number}"))),
                id: Uuid::ZERO,
                is_internal: false,
                partitions: Vec::new(),
            };
            let response = MetadataResponse {
                throttle_time_ms: 0,
                brokers: vec![MetadataBroker {
                    node_id: 1,
                    host: Cow::Borrowed("h"),
                    port: 9,
                    rack: None,
                }],
                cluster_id: Some(Cow::Borrowed("c")),
                controller_id: 1,
                topics: (0..count).map(topic).collect(),
                error: ErrorCode::None,
            };
            let (mut whole, mut middle, mut around) = Default::default();
            encode_response(&mut whole, version, 7, &response);
            let lines = response.topics.iter();
            lines.for_each(|line| line.encode(&mut middle, version));
            let len = middle.len();
            let behind = response.encode_around(&mut around, version, 7, count, len);
            same(&whole, &middle, around, behind);
        }
        for version in range(ApiKey::DeleteTopics) {
            let topic = |number: usize| DeletedTopic {
                name: Some(Cow::Owned(format!("topic-{number}"))),
                id: Uuid(number as u128),
                error: ErrorCode::None,
                error_message: Some(Cow::Borrowed("m")),
            };
            let response = DeleteTopicsResponse {
                throttle_time_ms: 0,
                topics: (0..count).map(topic).collect(),
            };
            let (mut whole, mut middle, mut around) = Default::default();
            encode_response(&mut whole, version, 7, &response);
            let lines = response.topics.iter();
            lines.for_each(|line| line.encode(&mut middle, version));
            let (out, len) = (&mut around, middle.len());
            let behind = encode_around(out, ApiKey::DeleteTopics, version, 7, count, len);
            same(&whole, &middle, around, behind);
        }
    }
}

#[test]
fn elements_go_on_where_they_stood() {
    // Metadata of version 9, which has compact forms and tags: the names a, bc and def.
    let body = [&[4][..], b"\x02a\0\x03bc\0\x04def\0", &[0, 0, 0, 0]].concat();
    let head = [&[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0][..], &body].concat();
    let frame = [&(head.len() as i32).to_be_bytes()[..], &head].concat();
    let (header, mut reader) = RequestHeader::parse(&frame).expect("a header");
    let Ok(Request::Metadata(request)) = Request::decode(header.api, &mut reader) else {
        panic!("a request for metadata");
    };
    let checking = Checking::default();
    let mut place = request.topics.expect("three topics").iter().place();
    let (array, mut places) = (place, Vec::new());
    for (left, name) in [(3, "a"), (2, "bc"), (1, "def")] {
        assert_eq!(place.left(), left);
        places.push(place.position());
        let mut elements = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place, &checking);
        assert_eq!(elements.next().and_then(|topic| topic.name), Some(name));
        place = elements.place();
    }
    let mut none = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place, &checking);
    assert!(none.next().is_none());
    let second =
        Elements::<MetadataRequestTopic<'_>>::resume(&frame, array.at(places[1]), &checking);
    let names: Vec<_> = second.filter_map(|topic| topic.name).collect();
    assert_eq!(names, ["bc"]);
}

/// What is encoded around so many bytes, of one array.
fn around_of(api: ApiKey, version: i16, count: usize, middle: &BytesMut) -> (BytesMut, usize) {
    let mut around = BytesMut::new();
    let behind = encode_around(&mut around, api, version, 7, count, middle.len());
    (around, behind)
}

#[test]
fn changes_in_pieces_are_those_encoded_at_once() {
    let range = |api: ApiKey| (0..20).filter(move |version| api.versions().contains(*version));
    let text = |number: usize| Cow::Owned(format!("topic-{number}"));
    for count in [0, 1, 300] {
        for version in range(ApiKey::CreateTopics) {
            let config = CreatedTopicConfig {
                name: Cow::Borrowed("retention.ms"),
                value: Some(Cow::Borrowed("1")),
                read_only: false,
                source: ConfigSource::Topic,
                is_sensitive: false,
            };
            let topic = |number: usize| CreatedTopic {
                name: text(number),
                id: Uuid(7),
                error: ErrorCode::None,
                error_message: None,
                num_partitions: 3,
                replication_factor: 1,
                configs: Some(vec![config.clone(); number % 3]),
            };
            let response = CreateTopicsResponse {
                throttle_time_ms: 0,
                topics: (0..count).map(topic).collect(),
            };
            let (mut whole, mut middle) = Default::default();
            encode_response(&mut whole, version, 7, &response);
            let lines = response.topics.iter();
            lines.for_each(|line| line.encode(&mut middle, version));
            let (around, behind) = around_of(ApiKey::CreateTopics, version, count, &middle);
            same(&whole, &middle, around, behind);
        }
        for version in range(ApiKey::CreatePartitions) {
            let result = |number: usize| CreatePartitionsResult {
                name: text(number),
                error: ErrorCode::InvalidPartitions,
                error_message: Some(Cow::Borrowed("m")),
            };
            let response = CreatePartitionsResponse {
                throttle_time_ms: 0,
                results: (0..count).map(result).collect(),
            };
            let (mut whole, mut middle) = Default::default();
            encode_response(&mut whole, version, 7, &response);
            let lines = response.results.iter();
            lines.for_each(|line| line.encode(&mut middle, version));
            let (around, behind) = around_of(ApiKey::CreatePartitions, version, count, &middle);
            same(&whole, &middle, around, behind);
        }
        for api in [ApiKey::AlterConfigs, ApiKey::IncrementalAlterConfigs] {
            for version in range(api) {
                let resource = |number: usize| AlteredResource {
                    error: ErrorCode::None,
                    error_message: None,
                    resource_type: ResourceType::TOPIC,
                    name: text(number),
                };
                let resources: Vec<_> = (0..count).map(resource).collect();
                let (mut whole, mut middle) = Default::default();
                for line in &resources {
                    line.encode(&mut middle, api, version);
                }
                let throttle_time_ms = 0;
                match api {
                    ApiKey::AlterConfigs => {
                        let response = AlterConfigsResponse {
                            throttle_time_ms,
                            resources,
                        };
                        encode_response(&mut whole, version, 7, &response);
                    }
                    _ => {
                        let response = IncrementalAlterConfigsResponse {
                            throttle_time_ms,
                            resources,
                        };
                        encode_response(&mut whole, version, 7, &response);
                    }
                }
                let (around, behind) = around_of(api, version, count, &middle);
                same(&whole, &middle, around, behind);
            }
        }
        for version in range(ApiKey::ListOffsets) {
            let partition = |index| ListedPartition {
                index,
                error: ErrorCode::None,
                timestamp: 5,
                offset: 6,
                leader_epoch: -1,
            };
            let topic = |number: usize| ListedTopic {
                name: text(number),
                partitions: (0..number as i32 % 4).map(partition).collect(),
            };
            let response = ListOffsetsResponse {
                throttle_time_ms: 0,
                topics: (0..count).map(topic).collect(),
            };
            let (mut whole, mut middle) = Default::default();
            encode_response(&mut whole, version, 7, &response);
            for topic in &response.topics {
                let partitions = topic.partitions.len();
                ListedTopic::encode_head(&mut middle, version, &topic.name, partitions);
                let lines = topic.partitions.iter();
                lines.for_each(|line| line.encode(&mut middle, version));
                ListedTopic::encode_end(&mut middle, version);
            }
            let mut around = BytesMut::new();
            let (out, len) = (&mut around, middle.len());
            let behind = ListOffsetsResponse::encode_around(out, version, 7, count, len);
            same(&whole, &middle, around, behind);
        }
    }
}
