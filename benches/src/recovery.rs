//! `recovery`: from one generation to the next, as at every start, on a device in memory: reading
//! the journal, planning, and writing what remains.

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use crate::core::{StoreCore, recovered};
use crate::device::Device;
use crate::input::Random;

/// Logs, entries of each, bytes of an entry. The first three are idle logs with three records
/// each, whose remainders stay in the journal; the remainders of the last go to segments.
const LEFT: [(u64, u64, usize); 4] = [
    (1, 3, 200),
    (1000, 3, 200),
    (10_000, 3, 200),
    (8, 8, 60_000),
];

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recovery");
    for (logs, entries, len) in LEFT {
        let device = left_behind(logs, entries, len);
        group.sample_size(10);
        group.throughput(Throughput::Elements(logs));
        let name = BenchmarkId::new(format!("{entries}x{len}B"), format!("logs={logs}"));
        group.bench_function(name, |b| {
            b.iter_batched(
                || device.clone(),
                |mut device| {
                    let core = recovered(&mut device);
                    // The topology's log has had no entry, so it is not among them.
                    assert_eq!(core.logs.len() as u64, logs);
                    (core, device)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The device after a kill: everything durable, nothing closed.
fn left_behind(logs: u64, entries: u64, len: usize) -> Device {
    let mut core = StoreCore::new(logs);
    let bytes = Bytes::from(Random::new(2).bytes(len));
    for _ in 0..entries {
        for log in 1..=logs {
            core.append(log, bytes.clone());
            if log % 1000 == 0 {
                core.turn();
            }
        }
        core.turn();
    }
    assert!((1..=logs).all(|log| core.is_durable(log)));
    core.device
}
