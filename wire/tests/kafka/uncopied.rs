//! Payloads are neither copied on their way in nor on their way out.

use bytes::{Bytes, BytesMut};
use leveret_wire::kafka::{
    ErrorCode, FetchResponse, FetchedPartition, Request, RequestHeader, TopicGroup, TopicRef,
    interleave,
};

use super::harness::request_frame;
use super::oracle::Produce;

const TOPICS: [TopicGroup<'static>; 2] = [
    TopicGroup {
        topic: TopicRef::Name("a"),
        partitions: 2,
    },
    TopicGroup {
        topic: TopicRef::Name("b"),
        partitions: 1,
    },
];

fn fetched(index: i32, records_len: usize) -> FetchedPartition {
    FetchedPartition {
        records_len,
        ..FetchedPartition::failed(index, ErrorCode::None)
    }
}

fn response(partitions: &[FetchedPartition]) -> FetchResponse<'_> {
    FetchResponse {
        throttle_time_ms: 0,
        error: ErrorCode::None,
        session_id: 0,
        topics: &TOPICS,
        partitions,
    }
}

#[test]
fn batches_are_sent_as_they_lie() {
    let batches = [
        vec![Bytes::from(vec![1; 10]), Bytes::from(vec![2; 5])],
        vec![],
        vec![Bytes::from(vec![3; 7])],
    ];
    let partitions = [fetched(0, 15), fetched(1, 0), fetched(0, 7)];
    for version in [4, 12] {
        // An earlier response waits in the same buffer.
        let mut out = BytesMut::from(&b"earlier"[..]);
        let mut cuts = Vec::new();
        let len = response(&partitions).encode(&mut out, &mut cuts, version, 1);
        assert_eq!(cuts.len(), 3);
        let head = out.freeze();
        let mut pieces = Vec::new();
        interleave(head.clone(), &cuts, batches.clone(), |piece| {
            pieces.push(piece)
        });

        // Version 12 has tagged fields behind the last batch, version 4 has nothing there.
        let behind = usize::from(version == 12);
        assert_eq!(pieces.len(), 5 + behind);
        for (piece, batch) in [
            (1, &batches[0][0]),
            (2, &batches[0][1]),
            (4, &batches[2][0]),
        ] {
            assert_eq!(pieces[piece].as_ptr(), batch.as_ptr());
        }
        assert_eq!(pieces[0].as_ptr(), head.as_ptr());
        assert_eq!(pieces[3].as_ptr(), head[cuts[0]..].as_ptr());
        let all = pieces.concat();
        assert!(all.starts_with(b"earlier"));
        assert_eq!(all.len(), 7 + len);
        assert_eq!(all[7..11], (len as i32 - 4).to_be_bytes());
    }
}

#[test]
fn records_of_a_request_are_a_range_of_its_frame() {
    let frame = request_frame::<Produce>(&[1; 200], 9, false);
    let (header, mut reader) = RequestHeader::parse(&frame).unwrap();
    let Request::Produce(request) = Request::decode(header.api, &mut reader).unwrap() else {
        panic!("{header:?}")
    };
    let partitions = request.topics.iter().flat_map(|topic| topic.partitions);
    let ranges: Vec<_> = partitions.filter_map(|p| p.records).collect();
    assert!(!ranges.is_empty());
    let mut end = 0;
    for range in ranges {
        assert!(end <= range.start && range.end <= frame.len());
        end = range.end;
    }
}

#[test]
#[should_panic(expected = "partitions of all topics")]
fn topics_that_do_not_add_up_are_our_own_mistake() {
    response(&[fetched(0, 0)]).encode(&mut BytesMut::new(), &mut Vec::new(), 4, 1);
}

#[test]
#[should_panic(expected = "names topics unlike")]
fn a_name_where_an_id_belongs_is_our_own_mistake() {
    let partitions = [fetched(0, 0), fetched(1, 0), fetched(0, 0)];
    response(&partitions).encode(&mut BytesMut::new(), &mut Vec::new(), 13, 1);
}
