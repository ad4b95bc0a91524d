//! ListTopics and DescribeTopics: the topics are looked up one by one, what their partitions' cores know
//! of them is asked for, and a line is made of each, all in as many turns as that takes.

use std::collections::{BTreeMap, VecDeque};

use leveret_engine::settings::{ConfigSource, DefaultValue};
use leveret_engine::topology::{ConfigEntry, Topic, TopicName, TopicSettings, Topology};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::native::{
    self as wire, PartitionDescription, PartitionFigure, PartitionId, TopicDescription, TopicId,
    TopicLines, TopicSummary,
};

use super::{Asker, level_out};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::figures;
use crate::core::hop::DescribeLogs;
use crate::core::ops::{AllowedTopic, Known};
use crate::core::places::Places;
use crate::core::status::PartitionReport;

/// Partitions that a core is asked to describe at a time.
const DESCRIBED: usize = 512;
/// What it costs to look up a topic or to make its line, beside the line's bytes, in the units of slices.
const TOPIC: usize = 256;
/// What it costs to note one of its partitions.
const PARTITION: usize = 64;

/// A request for topics.
pub(super) struct Listing {
    asker: Asker,
    what: What,
    stage: Stage,
    /// Those that are found, or are still to be told.
    topics: VecDeque<AllowedTopic>,
    /// About what their lines take, bytes.
    bytes: usize,
    /// The logs that each core is still to be asked for.
    logs: Vec<Vec<LogId>>,
    calls: Vec<(CoreId, DescribeLogs)>,
    reports: BTreeMap<LogId, PartitionReport>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// All topics, a short line each.
    Summaries,
    /// All topics. With their settings a list of them would not fit a frame.
    Everything,
    /// Those that are named, with their settings and what their partitions count.
    Named,
}

enum Stage {
    /// The topics behind this one are still to be found.
    Finding(Option<TopicName>),
    /// Cores are asked for those whose partitions are wanted.
    Asking,
    /// They are being told.
    Telling(TopicLines),
}

impl Listing {
    fn new(asker: Asker, what: What, cores: u16) -> Self {
        Self {
            asker,
            what,
            stage: Stage::Finding(None),
            topics: VecDeque::new(),
            bytes: 0,
            logs: vec![Vec::new(); usize::from(cores)],
            calls: Vec::new(),
            reports: BTreeMap::new(),
        }
    }

    /// A list of all topics.
    pub(super) fn of_all(asker: Asker, cores: u16) -> Self {
        Self::new(asker, What::Summaries, cores)
    }

    /// A description of all topics.
    pub(super) fn describing_all(asker: Asker, cores: u16) -> Self {
        Self::new(asker, What::Everything, cores)
    }

    /// A description of these topics, which are fewer than fit a request.
    pub(super) fn describing(
        asker: Asker,
        topics: Vec<AllowedTopic>,
        cores: u16,
        topology: &Topology,
    ) -> Self {
        let mut listing = Self::new(asker, What::Named, cores);
        for topic in topics {
            listing.find(topic, topology);
        }
        listing.stage = Stage::Asking;
        listing
    }

    /// A topic is to be told. What finding it cost.
    fn find(&mut self, topic: AllowedTopic, topology: &Topology) -> usize {
        let (name, partitions) = (topic.name.as_str().len(), topic.slots.len());
        let cost = match self.what {
            What::Summaries => {
                self.bytes += TopicLines::of_summary(name);
                TOPIC
            }
            What::Everything | What::Named => {
                self.bytes += TopicLines::of_description(name, partitions);
                if self.what == What::Named {
                    let keys = figures::of_partitions().filter_map(|figure| figure.key);
                    let bytes = keys.map(|key| TopicLines::of_figure(key.len(), partitions));
                    self.bytes += bytes.sum::<usize>();
                }
                for (log, core) in topology.places(&topic) {
                    let logs = &mut self.logs[usize::from(core.0)];
                    logs.push(log);
                    if logs.len() == DESCRIBED {
                        let logs = std::mem::take(logs);
                        self.calls.push((core, DescribeLogs(logs)));
                    }
                }
                TOPIC + partitions * PARTITION
            }
        };
        self.topics.push_back(topic);
        cost
    }
}

impl<P: BufPool> Job<P, DescribeLogs> for Listing {
    /// Finds the next topic, or makes its line.
    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
        let topology = known.topology;
        match &mut self.stage {
            Stage::Asking => None,
            Stage::Finding(after) => match known.next_topic(after)? {
                Ok(topic) => Some(self.find(topic, topology)),
                Err(_) => Some(TOPIC),
            },
            Stage::Telling(lines) => {
                let topic = self.topics.pop_front()?;
                let bytes = match self.what {
                    What::Summaries => lines.summary(&TopicSummary {
                        name: topic.name.as_str(),
                        topic_id: TopicId(topic.id.0),
                        partitions: topic.partitions(),
                    }),
                    What::Everything => {
                        let described = Described::of(&topic, &mut self.reports, topology);
                        described.line(lines, &[], &[])
                    }
                    What::Named => {
                        let described = Described::of(&topic, &mut self.reports, topology);
                        let config = shown(topology.config_of(&topic));
                        let figures = figures::by_key(&described.reports);
                        described.line(lines, &config, &figures)
                    }
                };
                Some(TOPIC + bytes)
            }
        }
    }

    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, DescribeLogs)> {
        if matches!(self.stage, Stage::Telling(_)) {
            return Vec::new();
        }
        self.stage = Stage::Asking;
        let rest = (0..).map(CoreId).zip(std::mem::take(&mut self.logs));
        let rest = rest.filter(|(_, logs)| !logs.is_empty());
        self.calls
            .extend(rest.map(|(core, logs)| (core, DescribeLogs(logs))));
        std::mem::take(&mut self.calls)
    }

    /// A core has told where some of its logs stand.
    fn take(&mut self, _part: usize, described: Vec<PartitionReport>) {
        let reports = described.into_iter().map(|report| (report.log, report));
        self.reports.extend(reports);
    }

    fn begins_answer(&mut self) -> bool {
        if matches!(self.stage, Stage::Telling(_)) {
            return false;
        }
        let count = self.topics.len();
        self.stage = Stage::Telling(match self.what {
            What::Summaries => TopicLines::summaries(count, self.bytes),
            What::Everything | What::Named => TopicLines::descriptions(count, self.bytes),
        });
        true
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        match self.stage {
            Stage::Telling(lines) if self.topics.is_empty() => {
                core.respond_lines(self.asker, lines);
            }
            _ => unreachable!("a list is answered once it is complete"),
        }
    }
}

/// A topic with what the cores have told of its partitions, by number.
struct Described<'a> {
    topic: &'a Topic,
    settings: TopicSettings,
    cores: Vec<CoreId>,
    reports: Vec<PartitionReport>,
}

impl<'a> Described<'a> {
    fn of(
        topic: &'a Topic,
        told: &mut BTreeMap<LogId, PartitionReport>,
        topology: &Topology,
    ) -> Self {
        let mut described = Self {
            topic,
            settings: topology.settings_of(topic),
            cores: Vec::with_capacity(topic.slots.len()),
            reports: Vec::with_capacity(topic.slots.len()),
        };
        for (log, core) in topology.places(topic) {
            let report = told.remove(&log);
            described.cores.push(core);
            described
                .reports
                .push(report.unwrap_or_else(|| PartitionReport::absent(log)));
        }
        described
    }

    /// Makes its line. The bytes of that.
    fn line(
        &self,
        lines: &mut TopicLines,
        config: &[ConfigEntry],
        figures: &[(&str, Vec<u64>)],
    ) -> usize {
        let partition =
            |(index, (core, report)): (u32, (&CoreId, &PartitionReport))| PartitionDescription {
                partition: PartitionId(index),
                core: core.0,
                start_offset: wire::Offset(report.start_offset.0),
                high_watermark: wire::Offset(report.high_watermark.0),
                size_bytes: report.bytes,
                stopped: report.stopped.is_some(),
                damaged: report.damaged,
            };
        let partitions = self.cores.iter().zip(&self.reports);
        let partitions: Vec<_> = (0..).zip(partitions).map(partition).collect();
        let figures = figures.iter().map(|(key, counts)| PartitionFigure {
            key,
            counts: counts.as_slice().into(),
        });
        lines.description(&TopicDescription {
            name: self.topic.name.as_str(),
            topic_id: TopicId(self.topic.id.0),
            level: level_out(self.settings.level),
            retention_bytes: self.settings.retention_bytes,
            retention_ms: self.settings.retention_ms,
            partitions: partitions.as_slice().into(),
            config: config.iter().map(config_out).collect(),
            figures: figures.collect(),
        })
    }
}

/// What has an effect, and what somebody has set.
fn shown(mut config: Vec<ConfigEntry>) -> Vec<ConfigEntry> {
    config.retain(|entry| entry.setting.has_effect() || entry.source == ConfigSource::Own);
    config
}

fn config_out(entry: &ConfigEntry) -> wire::ConfigEntry<'_> {
    let setting = entry.setting;
    wire::ConfigEntry {
        key: setting.name,
        value: &entry.value,
        source: match entry.source {
            ConfigSource::Own => wire::ConfigSource::Topic,
            ConfigSource::Broker(_) => wire::ConfigSource::Broker,
            ConfigSource::BuiltIn => wire::ConfigSource::BuiltIn,
        },
        default_value: &entry.default,
        default_from: match setting.default {
            DefaultValue::Broker(name) => Some(name),
            DefaultValue::Fixed(_) => None,
        },
    }
}
