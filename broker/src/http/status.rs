//! `/api/v1/status`: what `leveret status --json` prints, from the cores themselves
//! (`compat/http/run` holds the two against each other).

use std::collections::BTreeMap;

use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, LogId};

use super::CoreDesk;
use super::ask::{self, Unanswered};
use crate::config::SettingValue;
use crate::core::figures::Reading;
use crate::core::observe::KnownTopic;
use crate::core::status::{CoreReport, DamagedLog, PartitionReport};
use crate::shown::{self, Core, Disk, Figures, Number, Partition, PartitionState, Status, Topic};

/// The whole of it, one line.
pub(super) async fn json(desk: &CoreDesk) -> Result<String, Unanswered> {
    let broker = ask::broker(desk).await?;
    let cores = ask::reports(desk).await?;
    let topics = ask::topics(desk).await?;
    let mut by_core: BTreeMap<CoreId, Vec<LogId>> = BTreeMap::new();
    for (log, core) in topics.iter().flat_map(|known| &known.places) {
        by_core.entry(*core).or_default().push(*log);
    }
    let mut reports = BTreeMap::new();
    for (core, logs) in &by_core {
        let described = ask::logs(desk, *core, logs).await?;
        reports.extend(described.into_iter().map(|report| (report.log, report)));
    }
    let (mut stopped_logs, mut damaged_logs) = (Vec::new(), Vec::new());
    for core in cores.iter().map(|report| report.core) {
        let named = ask::stopped(desk, core).await?;
        stopped_logs.extend(named.into_iter().map(|log| {
            let (topic, partition) = log.place;
            shown::StoppedLog::new(&topic, partition, core.0, log.reason)
        }));
        let named = ask::damaged(desk, core).await?;
        damaged_logs.extend(named.into_iter().map(|log| damaged(core, log)));
    }
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: broker.uptime_ms,
        data_dir: broker.data_dir.to_string(),
        true_level: broker.true_level.written(),
        cores: cores.iter().map(core).collect(),
        topics: topics
            .iter()
            .map(|known| described(known, &reports))
            .collect(),
        stopped_logs,
        damaged_logs,
    };
    let mut text = serde_json::to_string(&status).expect("our own values have only string keys");
    text.push('\n');
    Ok(text)
}

fn damaged(core: CoreId, log: DamagedLog) -> shown::DamagedLog {
    let (topic, partition) = log.place;
    shown::DamagedLog {
        topic,
        partition,
        core: core.0,
        offset: log.offset.0,
        reads: log.reads,
        reason: log.reason,
        meaning: shown::DamagedLog::MEANING,
    }
}

fn disk(report: &CoreReport) -> Disk {
    let reason = report.disk_shortage.clone().unwrap_or_default();
    match report.disk {
        DiskSpace::HasRoom => Disk::WITH_ROOM,
        DiskSpace::AtFloor => Disk::at_floor(reason),
        DiskSpace::Full => Disk::full(reason),
    }
}

fn core(report: &CoreReport) -> Core {
    let figures = report.keyed().filter_map(|(key, reading)| {
        let number = match reading {
            Reading::Count(count) => Number::Count(*count),
            Reading::Rate(rate) => Number::Rate(*rate),
            Reading::Spread(_) => return None,
        };
        Some((key.to_owned(), number))
    });
    Core {
        core: report.core.0,
        cpu: report.cpu,
        figures: Figures(figures.collect()),
        disk: disk(report),
    }
}

fn described(known: &KnownTopic, reports: &BTreeMap<LogId, PartitionReport>) -> Topic {
    let KnownTopic {
        topic,
        settings,
        places,
    } = known;
    let partition = |(partition, (log, core)): (u32, &(LogId, CoreId))| {
        let report = reports.get(log);
        let stopped = report.is_some_and(|report| report.stopped.is_some());
        let damaged = report.is_some_and(|report| report.damaged);
        Partition {
            partition,
            core: core.0,
            start_offset: report.map_or(0, |report| report.start_offset.0),
            high_watermark: report.map_or(0, |report| report.high_watermark.0),
            size_bytes: report.map_or(0, |report| report.bytes),
            stopped,
            state: PartitionState::of(stopped, damaged),
        }
    };
    Topic {
        name: topic.name.to_string(),
        topic_id: topic.id.0,
        level: settings.level.written(),
        retention_bytes: settings.retention_bytes,
        retention_ms: settings.retention_ms,
        records: 0,
        size_bytes: 0,
        partitions: (0..).zip(places).map(partition).collect(),
        config: Vec::new(),
    }
    .counted()
}
