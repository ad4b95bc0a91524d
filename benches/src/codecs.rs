//! `codecs`: the heads of frames on the hot path, in both protocols. Payloads are never touched
//! there, so they are left out.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion};
use leveret_wire::native::{
    CorrelationId, Encoder, Fetch, FetchOk, FetchPartition, FetchedPartition, FrameHeader,
    FrameLimits, Offset, PartitionId, Produce, ProduceOk, Request, Response, TopicId,
};

mod kafka;

/// Partitions of a fetch.
const PARTITIONS: [u32; 2] = [1, 100];

pub(crate) fn benches(criterion: &mut Criterion) {
    native(criterion);
    kafka::benches(criterion);
}

fn native(criterion: &mut Criterion) {
    let produce = Request::Produce(Produce {
        topic_id: TopicId(7),
        partition: PartitionId(3),
        level: None,
        timeout_ms: 30_000,
    });
    request(criterion, "produce", 1, &produce, 100_000);
    let produced = Response::Produce(ProduceOk {
        base_offset: Offset(1 << 33),
        log_start_offset: Offset(5),
        duplicate: false,
        append_time: None,
    });
    response(criterion, "produce", 1, &produced, 0);
    for count in PARTITIONS {
        let wanted: Vec<_> = (0..count).map(wanted).collect();
        let fetch = Request::Fetch(Fetch {
            topic_id: TopicId(7),
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait_ms: 500,
            partitions: wanted.as_slice().into(),
        });
        request(criterion, "fetch", count, &fetch, 0);
        let got: Vec<_> = (0..count).map(got).collect();
        let fetched = Response::Fetch(FetchOk {
            partitions: got.as_slice().into(),
        });
        response(criterion, "fetch", count, &fetched, 1000 * count as usize);
    }
}

fn wanted(partition: u32) -> FetchPartition {
    FetchPartition {
        offset: Offset(1 << 33),
        partition: PartitionId(partition),
        max_bytes: 1 << 20,
    }
}

fn got(partition: u32) -> FetchedPartition {
    FetchedPartition {
        partition: PartitionId(partition),
        error: None,
        high_watermark: Offset(1 << 33),
        log_start_offset: Offset(5),
        payload_len: 1000,
    }
}

fn request(criterion: &mut Criterion, api: &str, count: u32, sent: &Request<'_>, payload: usize) {
    let mut group = criterion.benchmark_group("codecs/native");
    let mut encoder = Encoder::new();
    let mut out = BytesMut::with_capacity(16 << 10);
    let name = |what| BenchmarkId::new(format!("{api}-request-{what}"), count);
    group.bench_function(name("encode"), |b| {
        b.iter(|| {
            out.clear();
            encoder.request(&mut out, CorrelationId(9), black_box(sent), payload)
        });
    });
    // A filter may have passed the encoding over.
    out.clear();
    encoder.request(&mut out, CorrelationId(9), sent, payload);
    let limits = FrameLimits::for_requests(1 << 20);
    group.bench_function(name("decode"), |b| {
        b.iter(|| {
            let frame = black_box(&out);
            let header = FrameHeader::parse(frame, &limits).expect("a frame");
            let header = header.expect("a whole header");
            let request = Request::decode(header.kind, &frame[header.header_range()]);
            match request.expect("a request") {
                Request::Produce(produce) => u64::from(produce.partition.0),
                Request::Fetch(fetch) => fetch.partitions.iter().map(|part| part.offset.0).sum(),
                other => panic!("{other:?}"),
            }
        });
    });
    group.finish();
}

fn response(criterion: &mut Criterion, api: &str, count: u32, sent: &Response<'_>, payload: usize) {
    let mut group = criterion.benchmark_group("codecs/native");
    let mut encoder = Encoder::new();
    let mut out = BytesMut::with_capacity(16 << 10);
    let name = |what| BenchmarkId::new(format!("{api}-response-{what}"), count);
    group.bench_function(name("encode"), |b| {
        b.iter(|| {
            out.clear();
            encoder.response(&mut out, CorrelationId(9), black_box(sent), payload)
        });
    });
    out.clear();
    encoder.response(&mut out, CorrelationId(9), sent, payload);
    let limits = FrameLimits::for_responses(1 << 20);
    group.bench_function(name("decode"), |b| {
        b.iter(|| {
            let frame = black_box(&out);
            let header = FrameHeader::parse(frame, &limits).expect("a frame");
            let header = header.expect("a whole header");
            let response = Response::decode(header.kind, &frame[header.header_range()]);
            match response.expect("a response") {
                Response::Produce(produced) => produced.base_offset.0,
                Response::Fetch(fetched) => fetched
                    .partitions
                    .iter()
                    .map(|part| u64::from(part.payload_len))
                    .sum(),
                other => panic!("{other:?}"),
            }
        });
    });
    group.finish();
}
