//! `append`: produce through a shard: validation with its checksum, the partition's decision,
//! base offset, the journal, and the reply.

use bytes::BytesMut;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use leveret_engine::shard::Reply;
use leveret_record::Compression;

use crate::core::ShardCore;
use crate::input;

/// One turn's input: batches, records of each, bytes of each value, partitions.
const TURNS: [(usize, usize, usize, u32); 5] = [
    (1, 1, 1 << 10, 1),
    (64, 1, 1 << 10, 1),
    (64, 1, 1 << 10, 64),
    (1, 1000, 100, 1),
    (16, 1000, 100, 16),
];

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for (batches, records, len, partitions) in TURNS {
        let mut core = ShardCore::new(partitions);
        let batch = input::batch(records, len, Compression::None);
        group.throughput(Throughput::Elements((batches * records) as u64));
        let name = BenchmarkId::new(
            format!("{batches}x{records}x{len}B"),
            format!("partitions={partitions}"),
        );
        // The batches come into being outside the measurement, as a socket would have left them.
        let received = || vec![BytesMut::from(&batch[..]); batches];
        group.bench_function(name, |b| {
            b.iter_batched(
                received,
                |batches| {
                    let sent = batches.len();
                    for (n, batch) in (0..).zip(batches) {
                        core.produce(1 + n % u64::from(partitions), batch);
                    }
                    core.turn();
                    take_replies(&mut core, sent);
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Takes the replies of one turn, which all say that the batch is durable.
pub(crate) fn take_replies(core: &mut ShardCore, sent: usize) {
    for _ in 0..sent {
        let (_, reply) = core.shard.poll_reply().expect("durable within the turn");
        assert!(matches!(reply, Reply::Produced(_)), "{reply:?}");
    }
}
