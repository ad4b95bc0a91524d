//! What is written is what is read.

use std::collections::BTreeSet;

use bytes::BytesMut;
use leveret_wire::native::*;
use proptest::prelude::*;

use super::samples::{request_frame, requests, response_frame, responses};

const LIMITS: FrameLimits = FrameLimits::for_responses(1 << 20);

#[test]
fn the_samples_cover_every_kind() {
    let kinds: BTreeSet<u16> = requests()
        .iter()
        .map(|request| request.kind().as_u16())
        .chain(responses().iter().map(|response| response.kind().as_u16()))
        .collect();
    let all: BTreeSet<u16> = Kind::ALL.iter().map(|kind| kind.as_u16()).collect();
    assert_eq!(kinds, all);
}

#[test]
fn every_request_comes_back() {
    for request in requests() {
        let payload_len = if request.kind().has_payload() { 99 } else { 0 };
        let frame = request_frame(&request, payload_len);
        let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
        assert_eq!(header.correlation, CorrelationId(7));
        assert_eq!(header.payload_len(), payload_len);
        assert_eq!(header.payload_range().start, frame.len());
        let decoded = Request::decode(header.kind, &frame[header.header_range()]).unwrap();
        assert_eq!(decoded, request);
        assert!(matches!(
            Response::decode(header.kind, &frame[header.header_range()]),
            Err(DecodeError::Kind(_))
        ));
    }
}

#[test]
fn every_response_comes_back() {
    for response in responses() {
        let payload_len = if response.kind().has_payload() { 77 } else { 0 };
        let frame = response_frame(&response, payload_len);
        let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
        assert_eq!(header.payload_len(), payload_len);
        let decoded = Response::decode(header.kind, &frame[header.header_range()]).unwrap();
        assert_eq!(decoded, response);
        assert!(matches!(
            Request::decode(header.kind, &frame[header.header_range()]),
            Err(DecodeError::Kind(_))
        ));
    }
}

#[test]
fn one_encoder_writes_frames_back_to_back() {
    let mut encoder = Encoder::new();
    let mut out = BytesMut::new();
    let all = requests();
    for (number, request) in all.iter().enumerate() {
        encoder.request(&mut out, CorrelationId(number as u64), request, 0);
    }
    let mut rest = &out[..];
    for (number, request) in all.iter().enumerate() {
        let header = FrameHeader::parse(rest, &LIMITS).unwrap().unwrap();
        assert_eq!(header.correlation, CorrelationId(number as u64));
        let decoded = Request::decode(header.kind, &rest[header.header_range()]).unwrap();
        assert_eq!(&decoded, request);
        rest = &rest[header.frame_len()..];
    }
    assert!(rest.is_empty());
}

#[test]
fn the_longest_request_lists_fit_the_declared_header() {
    let partitions: Vec<FetchPartition> = (0..4000)
        .map(|partition| FetchPartition {
            offset: Offset(1),
            partition: PartitionId(partition),
            max_bytes: 1,
        })
        .collect();
    let fetch = Request::Fetch(Fetch {
        topic_id: TopicId(1),
        max_bytes: 1,
        min_bytes: 1,
        max_wait_ms: 1,
        partitions: Items::from(&partitions[..]),
    });
    let name = "n".repeat(249);
    let describe = Request::DescribeTopics(vec![&name; 250]);
    let limits = FrameLimits::for_requests(0);
    for request in [fetch, describe] {
        let frame = request_frame(&request, 0);
        let header = FrameHeader::parse(&frame, &limits).unwrap().unwrap();
        let decoded = Request::decode(header.kind, &frame[header.header_range()]).unwrap();
        assert_eq!(decoded, request);
    }
}

#[test]
#[should_panic(expected = "payload")]
fn a_payload_where_none_belongs_is_our_own_mistake() {
    request_frame(&Request::Ping, 1);
}

fn levels() -> impl Strategy<Value = Option<Level>> {
    prop_oneof![
        Just(None),
        Just(Some(Level::Synced)),
        Just(Some(Level::Written)),
        Just(Some(Level::Memory)),
    ]
}

proptest! {
    #[test]
    fn any_produce_comes_back(
        topic: u64,
        partition: u32,
        level in levels(),
        timeout_ms: u32,
        payload_len in 0usize..1 << 20,
    ) {
        let request = Request::Produce(Produce {
            topic_id: TopicId(topic),
            partition: PartitionId(partition),
            level,
            timeout_ms,
        });
        let frame = request_frame(&request, payload_len);
        let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
        prop_assert_eq!(header.payload_len(), payload_len);
        let decoded = Request::decode(header.kind, &frame[header.header_range()]).unwrap();
        prop_assert_eq!(decoded, request);
    }

    #[test]
    fn any_fetch_comes_back(
        entries in prop::collection::vec((0..=i64::MAX as u64, any::<u32>(), any::<u32>()), 0..50),
        max_bytes: u32,
        max_wait_ms: u32,
    ) {
        let partitions: Vec<FetchPartition> = entries
            .into_iter()
            .map(|(offset, partition, max_bytes)| FetchPartition {
                offset: Offset(offset),
                partition: PartitionId(partition),
                max_bytes,
            })
            .collect();
        let request = Request::Fetch(Fetch {
            topic_id: TopicId(1),
            max_bytes,
            min_bytes: 1,
            max_wait_ms,
            partitions: Items::from(&partitions[..]),
        });
        let frame = request_frame(&request, 0);
        let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
        let decoded = Request::decode(header.kind, &frame[header.header_range()]).unwrap();
        prop_assert_eq!(decoded, request);
    }

    #[test]
    fn any_names_come_back(names in prop::collection::vec(".{0,40}", 0..20)) {
        let request = Request::DescribeTopics(names.iter().map(String::as_str).collect());
        let frame = request_frame(&request, 0);
        let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
        let decoded = Request::decode(header.kind, &frame[header.header_range()]).unwrap();
        prop_assert_eq!(decoded, request);
    }
}
