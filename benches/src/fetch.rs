//! `fetch`: the warm tail through a shard: what is in memory, given out as the producer sent it.

use bytes::BytesMut;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use leveret_engine::shard::{FetchPartition, FetchSpec, FetchWork, Reply};
use leveret_record::Compression;
use leveret_storage::types::{LogId, Offset};

use crate::append::take_replies;
use crate::core::ShardCore;
use crate::input;

/// What one fetch gives: batches, records of each, bytes of each value, from each of so many
/// partitions.
const FETCHES: [(usize, usize, usize, u32); 4] = [
    (1, 1, 1 << 10, 1),
    (1000, 1, 1 << 10, 1),
    (10, 1000, 100, 1),
    (1, 1, 1 << 10, 100),
];

pub(crate) fn benches(criterion: &mut Criterion) {
    for fetch in FETCHES {
        from_memory(criterion, fetch);
    }
    woken(criterion);
}

fn from_memory(
    criterion: &mut Criterion,
    (batches, records, len, partitions): (usize, usize, usize, u32),
) {
    let mut group = criterion.benchmark_group("fetch");
    let batch = input::batch(records, len, Compression::None);
    let mut core = ShardCore::new(partitions);
    for log in 1..=u64::from(partitions) {
        for _ in 0..batches {
            core.produce(log, BytesMut::from(&batch[..]));
            core.turn();
            take_replies(&mut core, 1);
        }
    }
    let spec = spec(partitions, 0, 0);
    let bytes = batch.len() * batches * partitions as usize;
    group.throughput(Throughput::Bytes(bytes as u64));
    let name = BenchmarkId::new(
        format!("{batches}x{records}x{len}B"),
        format!("partitions={partitions}"),
    );
    group.bench_function(name, |b| {
        b.iter_batched(
            || spec.clone(),
            |spec| {
                let request = core.request();
                core.shard.fetch(request, spec, core.now);
                let fetched = reply(&mut core);
                assert_eq!(fetched, bytes, "all of it, from memory");
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A consumer waits at the end, a producer appends, both are answered.
fn woken(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fetch");
    let batch = input::batch(1, 1 << 10, Compression::None);
    let mut core = ShardCore::new(1);
    let mut end = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("woken-by-1x1x1024B", |b| {
        b.iter_batched(
            || BytesMut::from(&batch[..]),
            |batch| {
                let request = core.request();
                let spec = spec(1, end, 1);
                core.shard.fetch(request, spec, core.now);
                core.produce(1, batch);
                core.turn();
                end += 1;
                take_replies(&mut core, 1);
                assert_eq!(reply(&mut core), 1024 + OVERHEAD);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Batch header and the record's own fields around a value of 1 KiB: lengths of two bytes each,
/// attributes, two deltas, no key, no headers.
const OVERHEAD: usize = 61 + 2 + 1 + 1 + 1 + 1 + 2 + 1;

fn spec(partitions: u32, offset: u64, min_bytes: usize) -> FetchSpec {
    let part = |log| FetchPartition {
        log: LogId(log),
        offset: Offset(offset),
        max_bytes: 4 << 20,
    };
    FetchSpec {
        partitions: (1..=u64::from(partitions)).map(part).collect(),
        max_bytes: 4 << 20,
        min_bytes,
        max_wait: 500_000_000,
        work: FetchWork::Read,
    }
}

/// Bytes of batches in the fetch's reply.
fn reply(core: &mut ShardCore) -> usize {
    let (_, reply) = core.shard.poll_reply().expect("an answer");
    let Reply::Fetched(parts) = reply else {
        panic!("{reply:?}");
    };
    let parts = parts
        .iter()
        .map(|part| part.result.as_ref().expect("readable").len());
    parts.sum()
}
