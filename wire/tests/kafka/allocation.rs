//! Decoding allocates nothing, whatever comes; answering a produce or a fetch allocates nothing
//! once its buffers have grown. An allocator counts what is live, and its peak is compared.

use std::fmt::{self, Write};

use bytes::BytesMut;
use leveret_testkit::allocator::{self, Counting};
use leveret_wire::kafka::{
    ApiKey, ErrorCode, FetchResponse, FetchedPartition, ProduceResponse, ProducedPartition,
    Request, RequestHeader, TopicGroup, TopicRef, Uuid, encode_response,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::hostile::every_version;
use super::oracle::{for_every_api, frames};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that were live at once during `run`, above those before it.
fn peak_of(run: impl FnOnce()) -> usize {
    allocator::peak_of(run).1
}

/// Takes text and keeps nothing but its length.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Decodes a frame and walks over every element of what comes out. Returns whether anything did.
fn read(frame: &[u8]) -> bool {
    let Ok((header, mut reader)) = RequestHeader::parse(frame) else {
        return false;
    };
    let Ok(request) = Request::decode(header.api, &mut reader) else {
        return false;
    };
    let mut text = Length(0);
    write!(text, "{request:?}").expect("a writer that takes everything");
    text.0 > 0
}

#[test]
fn the_counter_counts() {
    assert!(peak_of(|| drop(std::hint::black_box(vec![1u8; 100_000]))) >= 100_000);
    assert_eq!(peak_of(|| ()), 0);
}

#[test]
fn whole_requests_are_read_without_allocating() {
    for frame in for_every_api!(frames, &[3; 2000], true).concat() {
        let mut decoded = false;
        assert_eq!(peak_of(|| decoded = read(&frame)), 0);
        assert!(decoded);
    }
}

#[test]
fn hot_responses_are_written_without_allocating() {
    let by = |version: i16| match version {
        13.. => TopicRef::Id(Uuid(7)),
        _ => TopicRef::Name("events"),
    };
    let produced = [ProducedPartition::failed(0, ErrorCode::None)];
    let fetched = [FetchedPartition {
        records_len: 1 << 20,
        ..FetchedPartition::failed(0, ErrorCode::None)
    }];
    let (mut out, mut cuts) = (BytesMut::with_capacity(1024), Vec::with_capacity(1));
    for version in 4..=13 {
        let by_name = [TopicGroup {
            topic: TopicRef::Name("events"),
            partitions: 1,
        }];
        let topics = [TopicGroup {
            topic: by(version),
            partitions: 1,
        }];
        let produce = ProduceResponse {
            topics: &by_name,
            partitions: &produced,
            throttle_time_ms: 0,
        };
        let fetch = FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            session_id: 0,
            topics: &topics,
            partitions: &fetched,
        };
        out.clear();
        cuts.clear();
        let peak = peak_of(|| {
            let written = version.min(ApiKey::Produce.versions().max);
            encode_response(&mut out, written, 1, &produce);
            fetch.encode(&mut out, &mut cuts, version, 2);
        });
        assert_eq!(peak, 0, "v{version}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_body_makes_the_reader_allocate(
        body in prop_oneof![vec(any::<u8>(), 0..120), vec(0..6u8, 0..120)],
    ) {
        for frame in every_version(&body) {
            prop_assert_eq!(peak_of(|| { read(&frame); }), 0);
        }
    }

    #[test]
    fn no_damage_makes_the_reader_allocate(
        bytes in vec(any::<u8>(), 0..400),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        for mut frame in for_every_api!(frames, &bytes, true).concat() {
            for (at, byte) in &damage {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            prop_assert_eq!(peak_of(|| { read(&frame); }), 0);
        }
    }
}
