//! `recovery`: from one generation to the next, as at every start, on a device in memory: reading
//! the journal, planning, and writing what remains.

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};

use crate::core::{StoreCore, recovered, recovery_config, summarized};
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
    straddling(&mut group);
    group.finish();
}

/// Half a ring of small batches of many logs in turn, so that each commit names all of them: per
/// byte of what is live, and with at most 1.2 bytes read for each of them.
fn straddling(group: &mut BenchmarkGroup<'_, WallTime>) {
    const LOGS: u64 = 200;
    const ENTRIES: u64 = 80;
    const LEN: usize = 1800;
    let device = left_behind(LOGS, ENTRIES, LEN);
    let live = LOGS * ENTRIES * LEN as u64;
    let summary = summarized(&mut device.clone());
    let finding = recovery_config().geometry.file_bytes + (20 << 20);
    assert!(
        summary.bytes_read <= 12 * summary.live_bytes / 10 + finding,
        "read {} bytes for {} that are live",
        summary.bytes_read,
        summary.live_bytes
    );
    group.throughput(Throughput::Bytes(live));
    let name = BenchmarkId::new(
        format!("{ENTRIES}x{LEN}B-straddling"),
        format!("logs={LOGS}"),
    );
    group.bench_function(name, |b| {
        b.iter_batched(
            || device.clone(),
            |mut device| (recovered(&mut device), device),
            BatchSize::PerIteration,
        );
    });
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
