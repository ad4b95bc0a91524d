//! Kafka's Produce and Fetch, in the newest versions that name topics by name: what librdkafka
//! and the Java clients of some years send.

use std::hint::black_box;

use bytes::{BufMut, BytesMut};
use criterion::{BenchmarkId, Criterion};
use leveret_wire::kafka::{
    ErrorCode, FetchResponse, FetchedPartition, ProduceResponse, ProducedPartition, Request,
    RequestHeader, TopicGroup, TopicRef, encode_response,
};

/// Key and version.
const PRODUCE: (i16, i16) = (0, 11);
const FETCH: (i16, i16) = (1, 12);
const TOPIC: &str = "orders";
const RECORDS: usize = 1000;

pub(super) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs/kafka");
    for count in super::PARTITIONS {
        let frame = produce_frame(count);
        check(&frame);
        group.bench_function(BenchmarkId::new("produce-request-decode", count), |b| {
            b.iter(|| decode(black_box(&frame)));
        });
        let frame = fetch_frame(count);
        check(&frame);
        group.bench_function(BenchmarkId::new("fetch-request-decode", count), |b| {
            b.iter(|| decode(black_box(&frame)));
        });
        let topics = [TopicGroup {
            topic: TopicRef::Name(TOPIC),
            partitions: count as usize,
        }];
        let produced: Vec<_> = (0..count as i32).map(produced).collect();
        let mut out = BytesMut::with_capacity(16 << 10);
        group.bench_function(BenchmarkId::new("produce-response-encode", count), |b| {
            b.iter(|| {
                out.clear();
                let response = ProduceResponse {
                    topics: black_box(&topics),
                    partitions: &produced,
                    throttle_time_ms: 0,
                };
                encode_response(&mut out, PRODUCE.1, 9, &response)
            });
        });
        let fetched: Vec<_> = (0..count as i32).map(fetched).collect();
        let mut cuts = Vec::new();
        group.bench_function(BenchmarkId::new("fetch-response-encode", count), |b| {
            b.iter(|| {
                out.clear();
                cuts.clear();
                let response = FetchResponse {
                    throttle_time_ms: 0,
                    error: ErrorCode::None,
                    session_id: 0,
                    topics: black_box(&topics),
                    partitions: &fetched,
                };
                response.encode(&mut out, &mut cuts, FETCH.1, 9)
            });
        });
    }
    group.finish();
}

/// As a handler does: the header, the request, and every partition of it.
fn decode(frame: &[u8]) -> i64 {
    let (header, mut reader) = RequestHeader::parse(frame).expect("a header");
    match Request::decode(header.api, &mut reader).expect("a request") {
        Request::Produce(produce) => {
            let partitions = produce.topics.iter().flat_map(|topic| topic.partitions);
            let lens = partitions.map(|part| part.records.map_or(0, |range| range.len() as i64));
            lens.sum()
        }
        Request::Fetch(fetch) => {
            let partitions = fetch.topics.iter().flat_map(|topic| topic.partitions);
            partitions.map(|part| part.fetch_offset).sum()
        }
        other => panic!("{other:?}"),
    }
}

/// A frame written here has not a byte too many.
fn check(frame: &[u8]) {
    let (header, mut reader) = RequestHeader::parse(frame).expect("a header");
    Request::decode(header.api, &mut reader).expect("a request");
    assert_eq!(reader.remaining(), 0, "{header:?}");
    assert_ne!(decode(frame), 0, "{header:?}");
}

fn produced(index: i32) -> ProducedPartition<'static> {
    ProducedPartition {
        base_offset: 1 << 33,
        log_start_offset: 5,
        ..ProducedPartition::failed(index, ErrorCode::None)
    }
}

fn fetched(index: i32) -> FetchedPartition {
    FetchedPartition {
        index,
        error: ErrorCode::None,
        high_watermark: 1 << 33,
        last_stable_offset: 1 << 33,
        log_start_offset: 5,
        records_len: RECORDS,
    }
}

fn produce_frame(partitions: u32) -> Vec<u8> {
    frame(PRODUCE, |out| {
        unsigned(out, 0); // no transaction
        out.put_i16(-1);
        out.put_i32(30_000);
        topic(out, partitions, |out| {
            unsigned(out, RECORDS as u32 + 1);
            out.put_bytes(0xA5, RECORDS);
        });
    })
}

fn fetch_frame(partitions: u32) -> Vec<u8> {
    frame(FETCH, |out| {
        out.put_i32(-1); // a consumer
        out.put_i32(500);
        out.put_i32(1);
        out.put_i32(50 << 20);
        out.put_i8(0);
        out.put_i32(0); // session and its epoch
        out.put_i32(-1);
        topic(out, partitions, |out| {
            out.put_i32(-1);
            out.put_i64(1 << 33);
            out.put_i32(-1);
            out.put_i64(-1);
            out.put_i32(1 << 20);
        });
        unsigned(out, 1); // nothing forgotten, no rack
        unsigned(out, 1);
    })
}

/// A flexible request: header version 2, correlation id 9, a client id, no tagged fields.
fn frame((key, version): (i16, i16), body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i32(0);
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(9);
    out.put_i16(7);
    out.put_slice(b"rdkafka");
    unsigned(&mut out, 0);
    body(&mut out);
    unsigned(&mut out, 0);
    let len = out.len() as i32 - 4;
    out[..4].copy_from_slice(&len.to_be_bytes());
    out
}

/// An array of one topic with so many partitions.
fn topic(out: &mut Vec<u8>, partitions: u32, mut partition: impl FnMut(&mut Vec<u8>)) {
    unsigned(out, 2);
    unsigned(out, TOPIC.len() as u32 + 1);
    out.put_slice(TOPIC.as_bytes());
    unsigned(out, partitions + 1);
    for index in 0..partitions {
        out.put_i32(index as i32);
        partition(out);
        unsigned(out, 0);
    }
    unsigned(out, 0);
}

/// Kafka's unsigned varint.
fn unsigned(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
