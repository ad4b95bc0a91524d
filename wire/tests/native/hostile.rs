//! Bytes that no honest peer sends: an error, never a panic.

use leveret_wire::native::*;
use proptest::prelude::*;

use super::samples::{request_frame, requests, response_frame, responses};

const LIMITS: FrameLimits = FrameLimits::for_requests(1 << 20);

/// Decodes `header` as every kind and touches all that comes out.
fn decode_as_everything(header: &[u8]) {
    for kind in Kind::ALL {
        if let Ok(request) = Request::decode(kind.as_u16(), header) {
            assert_collected_is_bounded(format!("{request:?}").len(), header.len());
        }
        if let Ok(response) = Response::decode(kind.as_u16(), header) {
            assert_collected_is_bounded(format!("{response:?}").len(), header.len());
        }
    }
}

/// Text is a crude measure of what was collected, but overlap that multiplies shows in it.
fn assert_collected_is_bounded(text_len: usize, header_len: usize) {
    assert!(
        text_len <= 4096 + header_len * 64,
        "{text_len} characters out of {header_len} bytes"
    );
}

#[test]
fn an_offset_beyond_i64_is_refused() {
    let partitions = [FetchPartition {
        offset: Offset(1 << 63),
        partition: PartitionId(0),
        max_bytes: 1,
    }];
    let frame = request_frame(
        &Request::Fetch(Fetch {
            topic_id: TopicId(1),
            max_bytes: 1,
            min_bytes: 1,
            max_wait_ms: 1,
            partitions: Items::from(&partitions[..]),
        }),
        0,
    );
    let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
    assert_eq!(
        Request::decode(header.kind, &frame[header.header_range()]),
        Err(DecodeError::Field {
            kind: Kind::Fetch,
            field: "offset"
        })
    );
}

/// What a subscription of so many partitions from `offset`, with that credit, decodes to.
fn subscribed(partitions: usize, offset: u64, credit: u64) -> Result<usize, DecodeError> {
    let partition = SubscribePartition {
        topic_id: TopicId(1),
        partition: PartitionId(0),
        offset: Offset(offset),
        max_bytes: 1,
    };
    let partitions = vec![partition; partitions];
    let subscribe = Subscribe {
        credit,
        partitions: Items::from(&partitions[..]),
    };
    let frame = request_frame(&Request::Subscribe(subscribe), 0);
    let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
    match Request::decode(header.kind, &frame[header.header_range()])? {
        Request::Subscribe(subscribe) => Ok(subscribe.partitions.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscription_is_within_its_bounds_or_refused() {
    let refused = |field| {
        let kind = Kind::Subscribe;
        Err(DecodeError::Field { kind, field })
    };
    let most = MAX_SUBSCRIPTION_PARTITIONS;
    assert_eq!(subscribed(most, 0, MAX_CREDIT), Ok(most));
    assert_eq!(subscribed(1, 0, 0), Ok(1));
    assert_eq!(subscribed(0, 0, 0), refused("partitions"));
    assert_eq!(subscribed(most + 1, 0, 0), refused("partitions"));
    assert_eq!(subscribed(1, 1 << 63, 0), refused("offset"));
    assert_eq!(subscribed(1, 0, MAX_CREDIT + 1), refused("credit"));
    let frame = request_frame(&Request::Credit(MAX_CREDIT + 1), 0);
    let header = FrameHeader::parse(&frame, &LIMITS).unwrap().unwrap();
    assert_eq!(
        Request::decode(header.kind, &frame[header.header_range()]),
        Err(DecodeError::Field {
            kind: Kind::Credit,
            field: "bytes"
        })
    );
}

#[test]
fn an_unknown_kind_and_an_empty_header_are_refused() {
    assert_eq!(Request::decode(0x7777, &[]), Err(DecodeError::Kind(0x7777)));
    assert!(matches!(
        Request::decode(Kind::Ping.as_u16(), &[]),
        Err(DecodeError::Malformed {
            kind: Kind::Ping,
            ..
        })
    ));
}

#[test]
fn strings_that_overlap_do_not_multiply() {
    // A vector of 4,000 references to one string of 4,000 bytes: 16 MB out of 20 KB.
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let name = fbb.create_string(&"x".repeat(4000));
    let names = fbb.create_vector(&vec![name; 4000]);
    let start = fbb.start_table();
    fbb.push_slot_always(4, names);
    let root = fbb.end_table(start);
    fbb.finish_minimal(root);
    assert!(matches!(
        Request::decode(Kind::DescribeTopics.as_u16(), fbb.finished_data()),
        Err(DecodeError::Malformed { .. })
    ));
}

#[test]
fn a_figure_that_is_not_of_every_partition_is_refused() {
    let with = |counts: &'static [u64]| {
        let mut all = responses();
        let topic = all.iter_mut().find_map(|response| match response {
            Response::DescribeTopics(topics) => topics.first_mut(),
            _ => None,
        });
        topic.expect("a sample").figures[0].counts = counts.into();
        let described = |response: &&Response<'_>| response.kind() == Kind::DescribeTopicsOk;
        let frame = response_frame(all.iter().find(described).expect("a sample"), 0);
        let header = &frame[FrameHeader::LEN..];
        Response::decode(Kind::DescribeTopicsOk.as_u16(), header).map(|_| ())
    };
    assert_eq!(with(&[1]), Ok(()));
    let kind = Kind::DescribeTopicsOk;
    let field = "counts";
    for counts in [&[][..], &[1, 2]] {
        assert_eq!(with(counts), Err(DecodeError::Field { kind, field }));
    }
}

fn sample_frames() -> Vec<Vec<u8>> {
    requests()
        .iter()
        .map(|request| request_frame(request, 0))
        .chain(
            responses()
                .iter()
                .map(|response| response_frame(response, 0)),
        )
        .collect()
}

#[test]
fn every_cut_of_every_header_is_refused_or_harmless() {
    for frame in sample_frames() {
        let header = &frame[FrameHeader::LEN..];
        for cut in 0..header.len() {
            decode_as_everything(&header[..cut]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_no_frame_or_a_frame_within_limits(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        if let Ok(Some(header)) = FrameHeader::parse(&bytes, &LIMITS) {
            prop_assert!(header.frame_len() <= LIMITS.max_frame_len as usize);
            prop_assert!(header.header_range().len() <= LIMITS.max_header_len as usize);
        }
    }

    #[test]
    fn any_bytes_are_no_header(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn changed_headers_do_no_harm(
        pick: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let frames = sample_frames();
        let mut header = pick.get(&frames)[FrameHeader::LEN..].to_vec();
        for (position, value) in changes {
            let position = position.index(header.len());
            header[position] = value;
        }
        decode_as_everything(&header);
    }
}
