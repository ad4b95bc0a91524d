//! `/metrics`: what the cores count, as Prometheus's text format.
//!
//! Every label has a bounded set of values: cores, and pools of memory. Topics and clients are
//! none; `/api/v1/status` names them.

use std::fmt;

use leveret_storage::histogram::Histogram;
use leveret_storage::types::Level;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::CoreDesk;
use super::ask::{self, CoreNumbers, Unanswered};
use super::process::Process;
use crate::core::observe::BrokerInsight;

/// A figure of one core.
enum Figure<'a> {
    Counter(u64),
    /// Nanoseconds, shown as seconds.
    Time(u64),
    /// Nanoseconds, shown as seconds; the most so far.
    Longest(u64),
    Gauge(u64),
    /// Nanoseconds, shown as seconds between two powers of two.
    Times(&'a Histogram, u32, u32),
    /// Plain numbers up to a power of two.
    Numbers(&'a Histogram, u32),
}

use Figure::{Counter, Gauge, Longest, Numbers, Time, Times};

/// A metric that every core has.
struct PerCore {
    name: &'static str,
    help: &'static str,
    figure: fn(&CoreNumbers) -> Figure<'_>,
}

/// Shorthand for the declarations.
macro_rules! per_core {
    ($($name:literal: $help:literal, |$n:ident| $figure:expr;)*) => {
        static PER_CORE: &[PerCore] = &[$(
            PerCore { name: $name, help: $help, figure: |$n| $figure },
        )*];
    };
}

per_core! {
    "leveret_produced_records": "Records appended",
    |n| Counter(n.core.stats.counters.records_in);
    "leveret_produced_batches": "Record batches appended",
    |n| Counter(n.core.stats.counters.batches_in);
    "leveret_produced_bytes": "Bytes of record batches appended, as on the wire",
    |n| Counter(n.core.stats.counters.bytes_in);
    "leveret_produce_failed": "Batches refused, or given up by time-out, to clients of this core",
    |n| Counter(n.core.latencies.produce_failed);
    "leveret_produce_duplicates": "Batches that were repetitions of appended ones",
    |n| Counter(n.core.stats.duplicates);
    "leveret_produce_waiting": "Batches that wait for space in the journal",
    |n| Gauge(n.core.stats.parked as u64);
    "leveret_produce_duration_seconds": "From a batch's arrival to its acknowledgement",
    |n| Times(&n.core.latencies.produce, 14, 35);

    "leveret_fetched_records": "Offsets given to readers",
    |n| Counter(n.core.stats.counters.records_out);
    "leveret_fetched_bytes": "Bytes of record batches given to readers",
    |n| Counter(n.core.stats.counters.bytes_out);
    "leveret_fetch_waiting":
    "Fetches, and partitions of subscriptions, that wait for records or for a read of the disk",
    |n| Gauge(n.core.stats.fetches as u64);
    "leveret_fetch_duration_seconds":
    "From a fetch's arrival to its answer, or from a subscription's turn to its push, the wait for records included",
    |n| Times(&n.core.latencies.fetch, 14, 35);
    "leveret_fetch_lag_records":
    "Records between a partition's high watermark and the offset that a fetch, or a push, reads from",
    |n| Numbers(&n.core.fetch_lag, 30);

    "leveret_commit_duration_seconds": "From a journal commit's issue to the device's answer",
    |n| Times(&n.core.commit_times, 14, 35);
    "leveret_journal_commits": "Commits of the journal",
    |n| Counter(n.core.stats.store.commits);
    "leveret_journal_written_bytes": "Bytes of journal commits",
    |n| Counter(n.core.stats.store.journal_bytes);
    "leveret_journal_used_bytes": "Bytes of the journal that are still needed",
    |n| Gauge(n.core.stats.store.ring_used);
    "leveret_journal_size_bytes": "Bytes that the journal has room for",
    |n| Gauge(n.core.stats.store.ring_total);
    "leveret_journal_full": "Appends that found the journal full and had to wait",
    |n| Counter(n.core.stats.store.full);
    "leveret_journal_laps": "Times that the journal began again at its first file",
    |n| Counter(n.core.stats.store.laps);
    "leveret_reclaim_write_behinds": "Partitions' segments written to give journal space back",
    |n| Counter(n.core.stats.store.write_behinds);
    "leveret_reclaim_copies": "Runs of old records copied forward in the journal",
    |n| Counter(n.core.stats.store.copy_forwards);
    "leveret_reclaim_padded_segments": "Segments closed padded to give journal space back",
    |n| Counter(n.core.stats.store.padded_closes);
    "leveret_segment_written_bytes": "Bytes written to segments",
    |n| Counter(n.core.stats.store.segment_bytes);
    "leveret_disk_full": "1 while producing is refused for want of disk space",
    |n| Gauge(u64::from(n.core.stats.store.disk.is_short()));
    "leveret_disk_refusals": "Disk operations refused for want of space, to be tried again",
    |n| Counter(n.core.stats.store.space_refusals);
    "leveret_disk_operations": "Disk operations under way",
    |n| Gauge(n.driver.disk_operations as u64);

    "leveret_core_turns": "Turns of the core's loop",
    |n| Counter(n.driver.turns.lengths.count());
    "leveret_core_busy_seconds": "Time that the core's loop was not asleep",
    |n| Time(n.driver.turns.busy());
    "leveret_core_turn_duration_seconds": "Length of the turns of the core's loop",
    |n| Times(&n.driver.turns.lengths, 10, 30);
    "leveret_core_longest_turn_cpu_seconds":
    "The most CPU time that one turn of the core's loop took since the start",
    |n| Longest(n.driver.turns.longest_cpu);
    "leveret_core_watchdog_wakeups": "Times that the core stood still and was woken from outside",
    |n| Counter(n.driver.stalls);

    "leveret_connections": "Open connections",
    |n| Gauge(u64::from(n.core.report.connections));
    "leveret_connections_greeting": "Open connections that have not said hello",
    |n| Gauge(n.core.greeting as u64);
    "leveret_connections_accepted": "Connections accepted",
    |n| Counter(n.core.accepted);
    "leveret_connections_handed_over":
    "Connections that another core accepted and handed over to this one, which they named",
    |n| Counter(n.driver.handed_over);
    "leveret_connections_refused": "Connections refused because too many were open",
    |n| Counter(n.driver.refused);
    "leveret_connections_silent_closed":
    "Connections closed because too many had not said hello",
    |n| Counter(n.core.hello_evictions);
    "leveret_connections_slow_closed":
    "Connections closed because a body came too slowly while others waited for memory",
    |n| Counter(n.core.slow_bodies);
    "leveret_connections_unread_closed":
    "Connections closed because they took no answers while the core had too many",
    |n| Counter(n.core.unread_closed);
    "leveret_connections_idle_closed":
    "Connections closed because they were idle for `connections.idle.timeout`",
    |n| Counter(n.core.idle_closed);
    "leveret_fetch_thrown_away_bytes":
    "Bytes of batches that were read for fetches and are in no answer: the client went, or the fetch failed",
    |n| Counter(n.core.thrown_away);
    "leveret_partitions": "Partitions that live on the core",
    |n| Gauge(n.core.stats.logs as u64);
    "leveret_stopped_logs": "Partitions that take no more records after a failed write",
    |n| Gauge(n.core.stopped_logs as u64);
    "leveret_damaged_logs":
    "Partitions of which stored bytes could not be read, or were not those that were written, since the start",
    |n| Gauge(n.core.damaged_logs as u64);
    "leveret_damaged_reads": "Reads that met such bytes",
    |n| Counter(n.core.damaged_reads);
}

/// A pool of memory: its name, what is used of it, and its bound.
type Pool = (
    &'static str,
    fn(&CoreNumbers) -> u64,
    fn(&CoreNumbers) -> u64,
);

const POOLS: [Pool; 3] = [
    (
        "requests",
        |n| n.core.requests_used as u64,
        |n| n.core.requests_budget as u64,
    ),
    (
        "cache",
        |n| n.core.stats.store.tail_bytes,
        |n| n.core.cache_budget as u64,
    ),
    (
        "responses",
        |n| n.core.answers_used as u64,
        |n| n.core.answers_budget as u64,
    ),
];

/// All metrics as text.
pub(super) async fn text(desk: &CoreDesk) -> Result<String, Unanswered> {
    let snapshot = Snapshot {
        broker: ask::broker(desk).await?,
        cores: ask::numbers(desk).await?,
        process: Process::look(),
    };
    Ok(snapshot.text())
}

/// What one scrape shows.
struct Snapshot {
    broker: BrokerInsight,
    cores: Vec<CoreNumbers>,
    process: Process,
}

impl Snapshot {
    fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).expect("writing to a String");
        text
    }

    fn encode_broker(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let broker = &self.broker;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        encoder
            .encode_descriptor("leveret_build", "The broker", None, MetricType::Info)?
            .encode_info(&version)?;
        let durable = u64::from(broker.true_level == Level::Synced);
        let gauges = [
            (
                "leveret_uptime_seconds",
                "Since the start",
                broker.uptime_ms as f64 / 1e3,
            ),
            ("leveret_topics", "Topics that exist", broker.topics as f64),
            (
                "leveret_durable",
                "1 if the file system can keep what acknowledgements promise",
                durable as f64,
            ),
        ];
        for (name, help, value) in gauges {
            gauge(encoder, name, help, value)?;
        }
        let process = &self.process;
        if let Some(cpu) = process.cpu {
            let (name, help) = ("process_cpu_seconds", "User and system time");
            let kind = MetricType::Counter;
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&cpu.as_secs_f64(), None)?;
        }
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                process.resident_bytes,
            ),
            ("process_open_fds", "Open descriptors", process.open_files),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                gauge(encoder, name, help, value as f64)?;
            }
        }
        Ok(())
    }

    fn encode_cores(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(first) = self.cores.first() else {
            return Ok(());
        };
        for metric in PER_CORE {
            let kind = (metric.figure)(first).kind();
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for numbers in &self.cores {
                let labels = [("core", numbers.core.report.core.0)];
                let figure = (metric.figure)(numbers);
                figure.encode(&mut family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_pools(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (used, budget) = ("leveret_memory_used_bytes", "leveret_memory_budget_bytes");
        let help = "Memory taken from a pool";
        let mut family = encoder.encode_descriptor(used, help, None, MetricType::Gauge)?;
        for (pool, used, _) in POOLS {
            for numbers in &self.cores {
                let labels = pool_labels(numbers, pool);
                family
                    .encode_family(&labels)?
                    .encode_gauge(&used(numbers))?;
            }
        }
        let help = "What a pool of memory may come to";
        let mut family = encoder.encode_descriptor(budget, help, None, MetricType::Gauge)?;
        for (pool, _, budget) in POOLS {
            for numbers in &self.cores {
                let labels = pool_labels(numbers, pool);
                family
                    .encode_family(&labels)?
                    .encode_gauge(&budget(numbers))?;
            }
        }
        Ok(())
    }
}

fn pool_labels(numbers: &CoreNumbers, pool: &'static str) -> [(&'static str, String); 2] {
    let core = numbers.core.report.core.0.to_string();
    [("core", core), ("pool", pool.to_owned())]
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    metric.encode_gauge(&value)
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot of {} cores", self.cores.len())
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_broker(&mut encoder)?;
        self.encode_cores(&mut encoder)?;
        self.encode_pools(&mut encoder)
    }
}

impl Figure<'_> {
    fn kind(&self) -> MetricType {
        match self {
            Counter(_) | Time(_) => MetricType::Counter,
            Gauge(_) | Longest(_) => MetricType::Gauge,
            Times(..) | Numbers(..) => MetricType::Histogram,
        }
    }

    fn encode(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match *self {
            Counter(count) => metric.encode_counter::<NoLabelSet, _, f64>(&count, None),
            Time(nanos) => metric.encode_counter::<NoLabelSet, _, f64>(&(nanos as f64 / 1e9), None),
            Gauge(value) => metric.encode_gauge(&value),
            Longest(nanos) => metric.encode_gauge(&(nanos as f64 / 1e9)),
            Times(times, low, high) => histogram(metric, times, (1 << low)..=(1 << high), 1e9),
            Numbers(numbers, high) => histogram(metric, numbers, 0..=(1 << high), 1.0),
        }
    }
}

/// The buckets whose bounds are in the range, in units of `unit`; what is below counts in the
/// first of them.
fn histogram(
    metric: &mut MetricEncoder<'_>,
    histogram: &Histogram,
    shown: std::ops::RangeInclusive<u64>,
    unit: f64,
) -> fmt::Result {
    let mut buckets = Vec::new();
    let mut below = 0;
    for (bound, count) in histogram.buckets() {
        match bound {
            Some(bound) if shown.contains(&bound) => {
                buckets.push((bound as f64 / unit, count + std::mem::take(&mut below)));
            }
            Some(bound) if bound < *shown.start() => below += count,
            _ => {}
        }
    }
    let sum = histogram.sum() as f64 / unit;
    metric.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
}
