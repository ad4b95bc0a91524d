//! `/metrics`: what the cores count, as Prometheus's text format. Which figures those are is declared in
//! `core/figures`.
//!
//! Every label has a bounded set of values: cores, and pools of memory. Topics are a label only of the metrics
//! of topics that a scrape chooses, which are bounded in number; clients are none.

use std::fmt;

use leveret_storage::histogram::Histogram;
use leveret_storage::types::Level;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::CoreDesk;
use super::ask::{self, Unanswered};
use super::process::Process;
use super::topics::{ToldTopic, Topics};
use crate::core::figures::{self, Kind, Metric, Reading, Wanted};
use crate::core::observe::{BrokerInsight, Chosen};
use crate::core::status::CoreReport;

/// All metrics as text, with those of the topics that are chosen.
pub(super) async fn text(desk: &CoreDesk, chosen: Option<&Chosen>) -> Result<String, Unanswered> {
    let snapshot = Snapshot {
        broker: ask::broker(desk).await?,
        cores: ask::reports(desk).await?,
        process: Process::look(),
        topics: match chosen {
            None => None,
            Some(chosen) => Some(Topics::chosen(desk, chosen).await?),
        },
    };
    Ok(snapshot.text())
}

/// What one scrape shows.
struct Snapshot {
    broker: BrokerInsight,
    cores: Vec<CoreReport>,
    process: Process,
    topics: Option<Topics>,
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
        for same in by_name(&self.cores) {
            let Some((metric, _)) = same.first() else {
                continue;
            };
            let mut family = describe(encoder, metric)?;
            for (metric, place) in same {
                for report in &self.cores {
                    let mut labels = vec![("core", report.core.0.to_string())];
                    labels.extend(metric.pool.map(|pool| ("pool", pool.to_owned())));
                    let (_, reading) = &report.figures[place];
                    encode(metric.kind, reading, &mut family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn encode_topics(topics: &Topics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "leveret_topics_truncated",
            "1 if the chosen topics have more partitions than one scrape tells",
        );
        gauge(encoder, name, help, f64::from(u8::from(topics.truncated)))?;
        let told = |topic: &ToldTopic| {
            let told = topic.partitions.iter();
            told.map(|report| figures::of_partition(report, Wanted::All))
                .collect::<Vec<_>>()
        };
        let told: Vec<_> = topics.told.iter().map(told).collect();
        for (place, figure) in figures::of_partitions().enumerate() {
            let Some(metric) = &figure.metric else {
                continue;
            };
            let mut family = describe(encoder, metric)?;
            for (topic, partitions) in topics.told.iter().zip(&told) {
                for (partition, figures) in partitions.iter().enumerate() {
                    let labels = [
                        ("topic", topic.known.topic.name.to_string()),
                        ("partition", partition.to_string()),
                    ];
                    let (_, reading) = &figures[place];
                    encode(metric.kind, reading, &mut family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Name, help and type of a metric, for its values to follow.
fn describe<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    metric: &Metric,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let kind = match metric.kind {
        Kind::Counter | Kind::Seconds => MetricType::Counter,
        Kind::Gauge | Kind::Longest => MetricType::Gauge,
        Kind::Times(..) | Kind::Numbers(_) => MetricType::Histogram,
    };
    encoder.encode_descriptor(metric.name, metric.help, None, kind)
}

/// The metrics that cores have, those of one name together, each with its place among the figures: that is
/// the same in every core's.
fn by_name(cores: &[CoreReport]) -> Vec<Vec<(&'static Metric, usize)>> {
    let figures = cores.first().map_or(&[][..], |core| &core.figures);
    let mut all: Vec<Vec<(&'static Metric, usize)>> = Vec::new();
    for (place, (figure, _)) in figures.iter().enumerate() {
        let Some(metric) = &figure.metric else {
            continue;
        };
        match all.last_mut() {
            Some(same) if same[0].0.name == metric.name => same.push((metric, place)),
            _ => all.push(vec![(metric, place)]),
        }
    }
    all
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
        match &self.topics {
            None => Ok(()),
            Some(topics) => Self::encode_topics(topics, &mut encoder),
        }
    }
}

fn encode(kind: Kind, reading: &Reading, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    match (kind, reading) {
        (Kind::Counter, Reading::Count(count)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (Kind::Seconds, Reading::Count(nanos)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(&(*nanos as f64 / 1e9), None)
        }
        (Kind::Gauge, Reading::Count(value)) => metric.encode_gauge(value),
        (Kind::Gauge, Reading::Rate(rate)) => metric.encode_gauge(rate),
        (Kind::Longest, Reading::Count(nanos)) => metric.encode_gauge(&(*nanos as f64 / 1e9)),
        (Kind::Times(low, high), Reading::Spread(times)) => {
            histogram(metric, times, (1 << low)..=(1 << high), 1e9)
        }
        (Kind::Numbers(high), Reading::Spread(numbers)) => {
            histogram(metric, numbers, 0..=(1 << high), 1.0)
        }
        (kind, reading) => unreachable!("a {kind:?} is not read as {reading:?}"),
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
