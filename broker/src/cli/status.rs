//! `leveret status`: the state of a running broker.

use leveret_broker::core::figures::{self, Column, Figure, Form};
use leveret_broker::shown::{
    Chosen, Core, DamagedLog, Disk, DiskState, Figures, MOST_PARTITIONS, Number, Status,
    StoppedLog, Topic,
};
use leveret_client::tokio::{Admin, BrokerStatus, CoreStatus};
use leveret_client::{FigureValue, ShortDisk, Shortage, TopicDescription};

use super::args::StatusArgs;
use super::failure::Failure;
use super::output::{Table, counted, print, print_json, size, span};
use super::remote::connect;
use super::topic::{PARTITION_HEADINGS, cells, described};

/// Most partitions that the table shows one by one; JSON has all.
const SHOWN_PARTITIONS: usize = 100;
/// Most logs that are stopped, and that are damaged, of which the text tells.
const SHOWN_LOGS: usize = 20;
/// Topics that one request names; the longest names of so many fit it.
const NAMES: usize = 100;

pub(super) async fn run(args: StatusArgs) -> Result<(), Failure> {
    let StatusArgs { query, topics } = args;
    let admin = connect(&query.server).await?.admin();
    let status = admin.status().await?;
    let topics = match topics {
        None => Topics::all(admin.describe_topics(&[]).await?),
        Some(chosen) => asked(&admin, &chosen).await?,
    };
    let status = shown(status, topics);
    if query.json {
        print_json(&status)
    } else {
        print(&text(&status))
    }
}

/// Topics that are shown.
struct Topics {
    shown: Vec<Topic>,
    /// Whether more were chosen; `None` if nobody chose.
    truncated: Option<bool>,
}

impl Topics {
    fn all(topics: Vec<TopicDescription>) -> Self {
        Self {
            shown: topics.into_iter().map(described).collect(),
            truncated: None,
        }
    }
}

/// As many topics of a choice as one report names, with what their partitions count.
async fn asked(admin: &Admin, chosen: &Chosen) -> Result<Topics, Failure> {
    let all = admin.list_topics().await?;
    let meant = all.iter().filter(|topic| chosen.has(&topic.name));
    let mut room = MOST_PARTITIONS;
    let mut names = Vec::new();
    let mut truncated = false;
    for topic in meant {
        truncated |= topic.partitions as usize > room;
        if room == 0 {
            break;
        }
        names.push(&*topic.name);
        room = room.saturating_sub(topic.partitions as usize);
    }
    let mut shown = Vec::new();
    let mut room = MOST_PARTITIONS;
    for names in names.chunks(NAMES) {
        for topic in admin.describe_topics(names).await? {
            let mut topic = described(topic);
            topic.config.clear();
            topic.partitions.truncate(room);
            room -= topic.partitions.len();
            shown.push(topic.counted());
        }
    }
    Ok(Topics {
        shown,
        truncated: Some(truncated),
    })
}

/// The broker's answers in the shape that is shown.
fn shown(broker: BrokerStatus, topics: Topics) -> Status {
    let stopped = broker
        .stopped_logs
        .into_iter()
        .map(|log| StoppedLog::new(&log.topic, log.partition.0, log.core, log.reason));
    let damaged = broker.damaged_logs.into_iter().map(|log| DamagedLog {
        topic: log.topic,
        partition: log.partition.0,
        core: log.core,
        offset: log.offset.0,
        reads: log.reads,
        reason: log.reason,
        meaning: DamagedLog::MEANING,
    });
    Status {
        version: broker.version,
        uptime_ms: broker.uptime_ms,
        data_dir: broker.data_dir,
        true_level: broker.true_level.name().to_owned(),
        cores: broker
            .cores
            .iter()
            .map(|of| core(of, &broker.short_disks))
            .collect(),
        topics: topics.shown,
        truncated: topics.truncated,
        stopped_logs: stopped.collect(),
        damaged_logs: damaged.collect(),
    }
}

/// One core, with what ails its disk.
fn core(core: &CoreStatus, short: &[ShortDisk]) -> Core {
    let short = short.iter().find(|disk| disk.core == core.core);
    let disk = match short.map(|disk| (disk.shortage, disk.reason.clone())) {
        None => Disk::WITH_ROOM,
        Some((Shortage::AtFloor, reason)) => Disk::at_floor(reason),
        Some((Shortage::Full, reason)) => Disk::full(reason),
    };
    let figures = core.figures.iter().map(|(key, value)| {
        let number = match value {
            FigureValue::Count(count) => Number::Count(*count),
            FigureValue::Rate(rate) => Number::Rate(*rate),
        };
        (key.clone(), number)
    });
    Core {
        core: core.core,
        cpu: core.cpu,
        figures: Figures(figures.collect()),
        disk,
    }
}

fn text(status: &Status) -> String {
    let mut text = format!(
        "leveret {}, up {}, data in {}, acknowledges up to `{}`\n\n",
        status.version,
        span(status.uptime_ms),
        status.data_dir,
        status.true_level
    );
    text.push_str(&cores_table(&status.cores));
    text.push('\n');
    text.push_str(&match (status.topics.is_empty(), status.truncated) {
        (true, None) => "no topics yet; `leveret topic create NAME` makes one\n".to_owned(),
        (true, Some(_)) => "no topic has such a name; `leveret topic list` names all\n".to_owned(),
        (false, _) => topics_table(&status.topics),
    });
    if status.truncated == Some(true) {
        text.push_str(&format!(
            "these topics have more than the {MOST_PARTITIONS} partitions that are shown at a time; choose fewer topics\n"
        ));
    }
    text.push_str(&troubles(status));
    text
}

/// What an operator has to look after, each with what it means; nothing if all is well.
fn troubles(status: &Status) -> String {
    let mut text = String::new();
    for core in &status.cores {
        let what = match core.disk.state {
            DiskState::HasRoom => continue,
            DiskState::AtFloor => "DISK AT ITS FLOOR",
            DiskState::Full => "DISK FULL",
        };
        text.push_str(&format!(
            "\n{what}: core {}: {}\n  {}\n",
            core.core,
            core.disk.reason.as_deref().unwrap_or_default(),
            core.disk.meaning.unwrap_or_default()
        ));
    }
    for log in status.stopped_logs.iter().take(SHOWN_LOGS) {
        text.push_str(&format!(
            "\nSTOPPED: partition {} of {} (core {}): {}\n  {}\n",
            log.partition, log.topic, log.core, log.reason, log.meaning
        ));
    }
    for log in status.damaged_logs.iter().take(SHOWN_LOGS) {
        text.push_str(&format!(
            "\nDAMAGED: partition {} of {} (core {}) cannot be read at offset {}: {}\n  {}\n",
            log.partition, log.topic, log.core, log.offset, log.reason, log.meaning
        ));
    }
    let logs = [status.stopped_logs.len(), status.damaged_logs.len()];
    let hidden: usize = logs.iter().map(|n| n.saturating_sub(SHOWN_LOGS)).sum();
    if hidden > 0 {
        let more = counted(hidden as u64, "more log");
        text.push_str(&format!("\nand {more} in trouble; --json names them\n"));
    }
    text
}

/// The columns of figures, as they are declared.
fn columns(figures: impl Iterator<Item = &'static Figure>) -> Vec<(&'static str, &'static Column)> {
    let columns = figures.filter_map(|figure| Some((figure.key?, figure.column.as_ref()?)));
    columns.collect()
}

/// Their cells; one without a figure is empty.
fn filled(
    columns: &[(&'static str, &'static Column)],
    figures: &Figures,
) -> impl Iterator<Item = String> {
    let cells = columns.iter();
    cells.map(|(key, column)| cell(figures, key, column.form).unwrap_or_default())
}

fn cores_table(cores: &[Core]) -> String {
    let columns = columns(figures::declared());
    let mut headings = vec!["CORE", "CPU"];
    headings.extend(columns.iter().map(|(_, column)| column.heading));
    headings.push("DISK");
    let mut table = Table::new(&headings);
    for core in cores {
        let mut row = vec![core.core.to_string(), core.cpu.to_string()];
        row.extend(filled(&columns, &core.figures));
        row.push(disk(core.disk.state).to_owned());
        table.row(row);
    }
    table.text()
}

fn cell(figures: &Figures, key: &str, form: Form) -> Option<String> {
    let whole = figures.get(key)?.whole();
    Some(match form {
        Form::Number => whole.to_string(),
        Form::Size => size(whole),
        Form::SizeOf(all) => format!("{} of {}", size(whole), size(figures.get(all)?.whole())),
        Form::Turn => turn(whole),
    })
}

fn topics_table(shown: &[Topic]) -> String {
    let mut topics = Table::new(&["TOPIC", "PARTITIONS", "LEVEL", "RECORDS", "SIZE"]);
    for topic in shown {
        topics.row(vec![
            topic.name.clone(),
            topic.partitions.len().to_string(),
            topic.level.clone(),
            topic.records.to_string(),
            size(topic.size_bytes),
        ]);
    }
    let all = shown
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |p| (&topic.name, p)));
    // Partitions have figures where their topics were chosen.
    let counts = all
        .clone()
        .any(|(_, partition)| !partition.figures.0.is_empty());
    let columns = columns(figures::of_partitions().filter(|_| counts));
    let mut headings = vec!["TOPIC"];
    headings.extend(PARTITION_HEADINGS);
    headings.extend(columns.iter().map(|(_, column)| column.heading));
    let mut partitions = Table::new(&headings);
    for (name, partition) in all.clone().take(SHOWN_PARTITIONS) {
        let mut row = vec![name.clone()];
        row.extend(cells(partition));
        row.extend(filled(&columns, &partition.figures));
        partitions.row(row);
    }
    let hidden = all.count().saturating_sub(SHOWN_PARTITIONS);
    let mut text = format!("{}\n{}", topics.text(), partitions.text());
    if hidden > 0 {
        let more = counted(hidden as u64, "more partition");
        text.push_str(&format!("and {more}; --json shows all\n"));
    }
    text
}

fn turn(longest_us: u64) -> String {
    match longest_us {
        0 => "below 1 ms".to_owned(),
        us => format!("{:.1} ms", us as f64 / 1e3),
    }
}

fn disk(state: DiskState) -> &'static str {
    match state {
        DiskState::HasRoom => "has room",
        DiskState::AtFloor => "AT FLOOR",
        DiskState::Full => "FULL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> BrokerStatus {
        BrokerStatus {
            version: "9".to_owned(),
            uptime_ms: 61_000,
            data_dir: "/data".to_owned(),
            true_level: leveret_client::Level::Synced,
            topics: 1,
            partitions: 1,
            cores: [0, 1]
                .map(|core| CoreStatus {
                    core,
                    cpu: 0,
                    figures: [
                        (
                            "longest_turn_us",
                            FigureValue::Count(2500 * u64::from(core)),
                        ),
                        ("memory_used", FigureValue::Count(1 << 20)),
                        ("memory_budget", FigureValue::Count(2 << 20)),
                        ("records_in_per_second", FigureValue::Rate(41.6)),
                        ("hares", FigureValue::Count(3)),
                    ]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into(),
                })
                .into(),
            stopped_logs: Vec::new(),
            short_disks: Vec::new(),
            damaged_logs: Vec::new(),
        }
    }

    #[test]
    fn trouble_is_told_with_what_it_means_and_else_nothing_is() {
        let well = text(&shown(status(), Topics::all(Vec::new())));
        for word in ["DISK FULL", "FLOOR", "STOPPED", "DAMAGED"] {
            assert!(!well.contains(word), "{well}");
        }
        assert!(
            well.contains("below 1 ms") && well.contains("2.5 ms"),
            "{well}"
        );
        assert!(
            well.contains("1.0 MiB of 2.0 MiB") && well.contains(" 42 "),
            "{well}"
        );
        let json = serde_json::to_value(shown(status(), Topics::all(Vec::new()))).expect("JSON");
        assert_eq!(
            json["cores"][1]["hares"], 3,
            "what it does not know is shown all the same"
        );
        let mut broker = status();
        broker.short_disks = vec![ShortDisk {
            core: 1,
            shortage: Shortage::Full,
            reason: "no space left".to_owned(),
        }];
        broker.stopped_logs = vec![leveret_client::StoppedLog {
            topic: "(topology)".to_owned(),
            partition: leveret_client::PartitionId(0),
            core: 0,
            reason: "a sync failed".to_owned(),
        }];
        broker.damaged_logs = vec![leveret_client::DamagedLog {
            topic: "orders".to_owned(),
            partition: leveret_client::PartitionId(3),
            core: 1,
            offset: leveret_client::Offset(17),
            reads: 2,
            reason: "0001.log is damaged at byte 9".to_owned(),
        }];
        let more = broker.damaged_logs[0].clone();
        broker.damaged_logs.resize(SHOWN_LOGS + 3, more);
        let shown = shown(broker, Topics::all(Vec::new()));
        assert_eq!(shown.cores[0].disk, Disk::WITH_ROOM);
        let told = text(&shown);
        for words in [
            "DISK FULL: core 1: no space left\n  producing is refused",
            "STOPPED: partition 0 of (topology) (core 0): a sync failed\n  until a restart no topic",
            "and 3 more logs in trouble; --json",
            "DAMAGED: partition 3 of orders (core 1) cannot be read at offset 17: 0001.log is",
            "\n  readers are refused these records",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
    }
}
