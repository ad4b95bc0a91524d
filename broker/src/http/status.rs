//! `/api/v1/status`: what `leveret status --json` prints, from the cores themselves
//! (`compat/http/run` holds the two against each other).

use leveret_storage::store::DiskSpace;
use leveret_storage::types::CoreId;

use super::CoreDesk;
use super::ask::{self, Unanswered};
use super::topics::{ToldTopic, Topics};
use crate::config::SettingValue;
use crate::core::figures::{self, Reading, Told, Wanted};
use crate::core::observe::{Chosen, KnownTopic};
use crate::core::status::{CoreReport, DamagedLog, PartitionReport};
use crate::shown::{self, Core, Disk, Figures, Number, Partition, PartitionState, Status, Topic};

/// The whole of it, one line; of topics, if some are chosen, only those, and what their partitions count.
pub(super) async fn json(desk: &CoreDesk, chosen: Option<&Chosen>) -> Result<String, Unanswered> {
    let broker = ask::broker(desk).await?;
    let cores = ask::reports(desk).await?;
    let topics = match chosen {
        None => Topics::all(desk).await?,
        Some(chosen) => Topics::chosen(desk, chosen).await?,
    };
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
            .told
            .iter()
            .map(|topic| described(topic, chosen.is_some()))
            .collect(),
        truncated: chosen.map(|_| topics.truncated),
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
    Core {
        core: report.core.0,
        cpu: report.cpu,
        figures: keyed(&report.figures),
        disk: disk(report),
    }
}

fn keyed(told: &[Told]) -> Figures {
    let figures = figures::keyed(told).filter_map(|(key, reading)| {
        let number = match reading {
            Reading::Count(count) => Number::Count(*count),
            Reading::Rate(rate) => Number::Rate(*rate),
            Reading::Spread(_) => return None,
        };
        Some((key.to_owned(), number))
    });
    Figures(figures.collect())
}

/// A topic, with what its partitions count if that is asked for.
fn described(told: &ToldTopic, counts: bool) -> Topic {
    let KnownTopic {
        topic,
        settings,
        places,
    } = &told.known;
    let partition = |(partition, (report, core)): (u32, (&PartitionReport, CoreId))| {
        let figures = counts.then(|| keyed(&figures::of_partition(report, Wanted::Keyed)));
        let stopped = report.stopped.is_some();
        Partition {
            partition,
            core: core.0,
            start_offset: report.start_offset.0,
            high_watermark: report.high_watermark.0,
            size_bytes: report.bytes,
            figures: figures.unwrap_or_default(),
            stopped,
            state: PartitionState::of(stopped, report.damaged),
        }
    };
    let cores = places.iter().map(|(_, core)| *core);
    let partitions = (0..).zip(told.partitions.iter().zip(cores));
    Topic {
        name: topic.name.to_string(),
        topic_id: topic.id.0,
        level: settings.level.written(),
        retention_bytes: settings.retention_bytes,
        retention_ms: settings.retention_ms,
        records: 0,
        size_bytes: 0,
        partitions: partitions.map(partition).collect(),
        config: Vec::new(),
    }
    .counted()
}
