//! A response that is put together in pieces is the one that is encoded at once.

use std::borrow::Cow;

use bytes::BytesMut;
use leveret_wire::kafka::{
    ApiKey, ConfigEntry, ConfigSource, ConfigType, DeleteTopicsResponse, DeletedTopic,
    DescribeConfigsResponse, DescribedResource, Elements, ErrorCode, MetadataBroker,
    MetadataRequestTopic, MetadataResponse, MetadataTopic, Request, RequestHeader, ResourceType,
    Uuid, encode_response,
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
        let behind = DescribeConfigsResponse::encode_around(&mut around, version, 7, *count, len);
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
            let behind = DeleteTopicsResponse::encode_around(out, version, 7, count, len);
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
    let mut place = request.topics.expect("three topics").iter().place();
    let (array, mut places) = (place, Vec::new());
    for (left, name) in [(3, "a"), (2, "bc"), (1, "def")] {
        assert_eq!(place.left(), left);
        places.push(place.position());
        let mut elements = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place);
        assert_eq!(elements.next().and_then(|topic| topic.name), Some(name));
        place = elements.place();
    }
    let mut none = Elements::<MetadataRequestTopic<'_>>::resume(&frame, place);
    assert!(none.next().is_none());
    let second = Elements::<MetadataRequestTopic<'_>>::resume(&frame, array.at(places[1]));
    let names: Vec<_> = second.filter_map(|topic| topic.name).collect();
    assert_eq!(names, ["bc"]);
}
