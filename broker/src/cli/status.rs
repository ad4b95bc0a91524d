//! `leveret status`: how a running broker is.

use leveret_client::tokio::{BrokerStatus, CoreStatus};
use serde::Serialize;

use super::args::QueryArgs;
use super::failure::Failure;
use super::output::{Table, counted, print, print_json, size, span};
use super::remote::connect;
use super::topic::{Described, PARTITION_HEADINGS};

/// Most partitions that the table shows one by one; JSON has all.
const SHOWN_PARTITIONS: usize = 100;

#[derive(Debug, Serialize)]
struct Status {
    version: String,
    uptime_ms: u64,
    data_dir: String,
    /// The strongest level that the file system can truly give.
    true_level: &'static str,
    cores: Vec<Core>,
    topics: Vec<Described>,
    stopped_logs: Vec<Stopped>,
}

/// One core; counts since the start, rates as means over the last few seconds.
#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
struct Stopped {
    topic: String,
    partition: u32,
    core: u16,
    reason: String,
}

pub(super) async fn run(query: QueryArgs) -> Result<(), Failure> {
    let admin = connect(&query.server).await?.admin();
    let status = admin.status().await?;
    let topics = admin.describe_topics(&[]).await?;
    let status = Status::new(status, topics.into_iter().map(Described::from).collect());
    if query.json {
        print_json(&status)
    } else {
        print(&status.text())
    }
}

impl Status {
    fn new(broker: BrokerStatus, topics: Vec<Described>) -> Self {
        let stopped = broker.stopped_logs.into_iter().map(|log| Stopped {
            topic: log.topic,
            partition: log.partition.0,
            core: log.core,
            reason: log.reason,
        });
        Self {
            version: broker.version,
            uptime_ms: broker.uptime_ms,
            data_dir: broker.data_dir,
            true_level: broker.true_level.name(),
            cores: broker.cores.iter().map(Core::from).collect(),
            topics,
            stopped_logs: stopped.collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "leveret {}, up {}, data in {}, acknowledges up to `{}`\n\n",
            self.version,
            span(self.uptime_ms),
            self.data_dir,
            self.true_level
        );
        text.push_str(&self.cores_table());
        text.push('\n');
        if self.topics.is_empty() {
            text.push_str("no topics yet; `leveret topic create NAME` makes one\n");
        } else {
            text.push_str(&self.topics_table());
        }
        for log in &self.stopped_logs {
            text.push_str(&format!(
                "\nSTOPPED: partition {} of {} (core {}): {}\n",
                log.partition, log.topic, log.core, log.reason
            ));
        }
        text
    }

    fn cores_table(&self) -> String {
        let mut table = Table::new(&[
            "CORE",
            "CPU",
            "CONNECTIONS",
            "PARTITIONS",
            "MEMORY",
            "JOURNAL",
            "RECORDS IN/S",
            "IN/S",
            "OUT/S",
        ]);
        for core in &self.cores {
            table.row(vec![
                core.core.to_string(),
                core.cpu.to_string(),
                core.connections.to_string(),
                core.partitions.to_string(),
                share(core.memory_used, core.memory_budget),
                share(core.journal_used, core.journal_size),
                format!("{:.0}", core.records_in_per_second),
                size(core.bytes_in_per_second as u64),
                size(core.bytes_out_per_second as u64),
            ]);
        }
        table.text()
    }

    fn topics_table(&self) -> String {
        let mut topics = Table::new(&["TOPIC", "PARTITIONS", "LEVEL", "RECORDS", "SIZE"]);
        let mut headings = vec!["TOPIC"];
        headings.extend(PARTITION_HEADINGS);
        let mut partitions = Table::new(&headings);
        for topic in &self.topics {
            topics.row(vec![
                topic.name.clone(),
                topic.partitions.len().to_string(),
                topic.level.to_owned(),
                topic.records.to_string(),
                size(topic.size_bytes),
            ]);
        }
        let all = self
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |p| (&topic.name, p)));
        for (name, partition) in all.clone().take(SHOWN_PARTITIONS) {
            let mut cells = vec![name.clone()];
            cells.extend(partition.cells());
            partitions.row(cells);
        }
        let hidden = all.count().saturating_sub(SHOWN_PARTITIONS);
        let mut text = format!("{}\n{}", topics.text(), partitions.text());
        if hidden > 0 {
            let more = counted(hidden as u64, "more partition");
            text.push_str(&format!("and {more}; --json shows all\n"));
        }
        text
    }
}

fn share(used: u64, of: u64) -> String {
    format!("{} of {}", size(used), size(of))
}

impl From<&CoreStatus> for Core {
    fn from(core: &CoreStatus) -> Self {
        Self {
            core: core.core,
            cpu: core.cpu,
            connections: core.connections,
            partitions: core.partitions,
            memory_used: core.memory_used,
            memory_budget: core.memory_budget,
            journal_used: core.journal_used,
            journal_size: core.journal_size,
            batches_in: core.batches_in,
            records_in: core.records_in,
            bytes_in: core.bytes_in,
            bytes_out: core.bytes_out,
            records_in_per_second: core.records_in_per_second,
            bytes_in_per_second: core.bytes_in_per_second,
            bytes_out_per_second: core.bytes_out_per_second,
        }
    }
}
