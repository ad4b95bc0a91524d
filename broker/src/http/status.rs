//! `/api/v1/status`: the JSON that `leveret status --json` prints, name by name
//! (`compat/http/run` holds them against each other).

use std::collections::BTreeMap;

use leveret_storage::types::{CoreId, Level, LogId};
use serde::Serialize;

use super::CoreDesk;
use super::ask::{self, Unanswered};
use crate::config::SettingValue;
use crate::core::observe::KnownTopic;
use crate::core::status::{CoreReport, PartitionReport};

#[derive(Serialize)]
struct Status {
    version: &'static str,
    uptime_ms: u64,
    data_dir: String,
    true_level: String,
    cores: Vec<Core>,
    topics: Vec<Described>,
    stopped_logs: Vec<Stopped>,
}

#[derive(Serialize)]
struct Core {
    core: u16,
    cpu: u32,
    connections: u32,
    partitions: u32,
    memory_used: u64,
    memory_budget: u64,
    journal_used: u64,
    journal_size: u64,
    batches_in: u64,
    records_in: u64,
    bytes_in: u64,
    bytes_out: u64,
    records_in_per_second: f64,
    bytes_in_per_second: f64,
    bytes_out_per_second: f64,
}

#[derive(Serialize)]
struct Described {
    name: String,
    topic_id: u64,
    level: String,
    retention_bytes: Option<u64>,
    retention_ms: Option<u64>,
    records: u64,
    size_bytes: u64,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: u32,
    core: u16,
    start_offset: u64,
    high_watermark: u64,
    size_bytes: u64,
    stopped: bool,
}

#[derive(Serialize)]
struct Stopped {
    topic: String,
    partition: u32,
    core: u16,
    reason: String,
}

/// The whole of it, one line.
pub(super) async fn json(desk: &CoreDesk) -> Result<String, Unanswered> {
    let broker = ask::broker(desk).await?;
    let numbers = ask::numbers(desk).await?;
    let topics = ask::topics(desk).await?;
    let mut by_core: BTreeMap<CoreId, Vec<LogId>> = BTreeMap::new();
    for (log, core) in topics.iter().flat_map(|known| known.topic.logs()) {
        by_core.entry(core).or_default().push(log);
    }
    let mut reports = BTreeMap::new();
    for (core, logs) in &by_core {
        let described = ask::logs(desk, *core, logs).await?;
        reports.extend(described.into_iter().map(|report| (report.log, report)));
    }
    let mut stopped_logs = Vec::new();
    for numbers in numbers
        .iter()
        .filter(|numbers| numbers.core.stopped_logs > 0)
    {
        let core = numbers.core.report.core;
        let named = ask::stopped(desk, core).await?;
        stopped_logs.extend(named.into_iter().filter_map(|log| {
            let (topic, partition) = log.place?;
            Some(Stopped {
                topic: topic.to_string(),
                partition,
                core: core.0,
                reason: log.reason,
            })
        }));
    }
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: broker.uptime_ms,
        data_dir: broker.data_dir.to_string(),
        true_level: level(broker.true_level),
        cores: numbers.iter().map(|n| core(&n.core.report)).collect(),
        topics: topics
            .iter()
            .map(|known| described(known, &reports))
            .collect(),
        stopped_logs,
    };
    let mut text = serde_json::to_string(&status).expect("our own values have only string keys");
    text.push('\n');
    Ok(text)
}

fn level(level: Level) -> String {
    level.written()
}

fn core(report: &CoreReport) -> Core {
    Core {
        core: report.core.0,
        cpu: report.cpu,
        connections: report.connections,
        partitions: report.partitions,
        memory_used: report.memory_used,
        memory_budget: report.memory_budget,
        journal_used: report.journal_used,
        journal_size: report.journal_size,
        batches_in: report.totals.batches_in,
        records_in: report.totals.records_in,
        bytes_in: report.totals.bytes_in,
        bytes_out: report.totals.bytes_out,
        records_in_per_second: report.rates.records_in,
        bytes_in_per_second: report.rates.bytes_in,
        bytes_out_per_second: report.rates.bytes_out,
    }
}

fn described(known: &KnownTopic, reports: &BTreeMap<LogId, PartitionReport>) -> Described {
    let KnownTopic { topic, settings } = known;
    let partition = |(partition, (log, core)): (u32, (LogId, CoreId))| {
        let report = reports.get(&log);
        Partition {
            partition,
            core: core.0,
            start_offset: report.map_or(0, |report| report.start_offset.0),
            high_watermark: report.map_or(0, |report| report.high_watermark.0),
            size_bytes: report.map_or(0, |report| report.bytes),
            stopped: report.is_some_and(|report| report.stopped.is_some()),
        }
    };
    let partitions: Vec<_> = (0..).zip(topic.logs()).map(partition).collect();
    let records = |p: &Partition| p.high_watermark.saturating_sub(p.start_offset);
    Described {
        name: topic.name.to_string(),
        topic_id: topic.id.0,
        level: level(settings.level),
        retention_bytes: settings.retention_bytes,
        retention_ms: settings.retention_ms,
        records: partitions.iter().map(records).sum(),
        size_bytes: partitions.iter().map(|p| p.size_bytes).sum(),
        partitions,
    }
}
