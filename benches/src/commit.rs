//! `commit`: entries into the store and through the journal, to durable; with all that the store
//! does behind it (segments, extents, reclaim), whose writes the device takes and forgets.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::core::StoreCore;
use crate::input::Random;

/// One turn's input: entries, bytes of each, and the logs that they spread over.
const TURNS: [(u64, usize, u64); 5] = [
    (1, 1 << 10, 1),
    (64, 1 << 10, 1),
    (64, 1 << 10, 64),
    (1000, 200, 1000),
    (8, 100_000, 1),
];

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for (entries, len, logs) in TURNS {
        let mut core = StoreCore::new(logs);
        core.device.forget();
        let bytes = Bytes::from(Random::new(1).bytes(len));
        group.throughput(Throughput::Elements(entries));
        let name = BenchmarkId::new(format!("{entries}x{len}B"), format!("logs={logs}"));
        group.bench_function(name, |b| {
            b.iter(|| {
                for n in 0..entries {
                    core.append(1 + n % logs, bytes.clone());
                }
                core.turn();
            });
            assert!((1..=logs).all(|log| core.is_durable(log)));
        });
    }
    group.finish();
}
