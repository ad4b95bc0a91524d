//! Topics, and where the logs of their partitions are.

mod apply;
mod codec;
mod command;
mod config;
mod decide;
mod entry;
mod name;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, SlotId, WallMs};

use super::Topology;
use super::kinds::{Kind, Part};
use super::owner::{Concerned, LogOwner, LogUse};
use crate::codec::{DecodeError, Reader, Writer};
use crate::shelves::Shelves;
pub use command::{TopicChanges, TopicCommand};
pub use config::{
    ConfigEntry, TOPIC_SETTINGS, TimestampType, TopicConfig, TopicKey, TopicSetting, TopicSettings,
};
pub use entry::{TopicAltered, TopicEntry};
pub use name::{InvalidTopicName, MAX_NAME_LEN, TopicName};
pub use refusal::TopicRefusal;

/// Names one topic for ever; a topic that is created again under the same name gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Names it for ever.
    pub id: TopicId,
    /// Names it for people.
    pub name: TopicName,
    /// What was set for it.
    pub config: TopicConfig,
    /// When it was created.
    pub created: WallMs,
    /// Its logs, as runs of consecutive ids: one for each time that it got partitions. By
    /// partition, the first is 0.
    pub runs: Vec<LogRun>,
    /// For each partition the slot that it belongs to.
    pub slots: Vec<SlotId>,
}

/// Partitions with consecutive log ids, up to the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRun {
    /// The first partition.
    pub partition: u32,
    /// Its log.
    pub log: LogId,
}

impl Topic {
    /// How many partitions it has.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("partitions per topic are bounded")
    }

    /// Log and slot of a partition, if there is one of that number.
    #[must_use]
    pub fn partition(&self, index: u32) -> Option<(LogId, SlotId)> {
        let slot = self.slots.get(index as usize)?;
        let after = self.runs.partition_point(|run| run.partition <= index);
        let run = self.runs[after - 1];
        Some((run.log.plus(u64::from(index - run.partition)), *slot))
    }

    /// Log and slot of every partition, in order.
    pub fn logs(&self) -> impl Iterator<Item = (LogId, SlotId)> + '_ {
        let ends = self.runs.iter().skip(1).map(|run| run.partition);
        let runs = self.runs.iter().zip(ends.chain([self.partitions()]));
        let logs = runs.flat_map(|(run, end)| {
            let count = u64::from(end - run.partition);
            (0..count).map(|index| run.log.plus(index))
        });
        logs.zip(self.slots.iter().copied())
    }
}

/// All topics.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    by_id: Shelves<TopicId, Arc<Topic>>,
    by_name: BTreeMap<TopicName, TopicId>,
    /// The topics whose names could collide with another's, by what those have in common.
    by_folded: BTreeSet<(String, TopicId)>,
    /// By the first log of each run.
    by_log: BTreeMap<LogId, (TopicId, u32)>,
    /// What the next one is called for ever.
    next: TopicId,
    /// Of all of them together.
    partitions: u32,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            by_id: Shelves::default(),
            by_name: BTreeMap::new(),
            by_folded: BTreeSet::new(),
            by_log: BTreeMap::new(),
            next: TopicId(1),
            partitions: 0,
        }
    }
}

impl Kind for Topics {
    type Command = TopicCommand;
    type Entry = TopicEntry;
    type Refusal = TopicRefusal;
    type Object = Arc<Topic>;
    const ENTRIES: &'static [u16] = codec::ENTRIES;
    const PART: Part = codec::PART;

    fn decide(
        topology: &Topology,
        command: &TopicCommand,
        now: WallMs,
    ) -> Result<TopicEntry, TopicRefusal> {
        decide::decide(topology, command, now)
    }

    fn fits(topology: &Topology, entry: &TopicEntry) -> bool {
        apply::fits(topology, entry)
    }

    fn apply(topology: &mut Topology, entry: &TopicEntry) {
        apply::apply(topology, entry);
    }

    fn encode(entry: &TopicEntry) -> Bytes {
        codec::encode(entry)
    }

    fn decode(kind: u16, version: u16, reader: &mut Reader<'_>) -> Result<TopicEntry, DecodeError> {
        codec::decode(kind, version, reader)
    }

    fn is_blank(&self) -> bool {
        self.next == TopicId(1)
    }

    fn objects(&self) -> impl Iterator<Item = Arc<Topic>> + use<> {
        self.by_id.keep()
    }

    fn put(writer: &mut Writer, topic: &Arc<Topic>) {
        codec::put_topic(writer, topic);
    }

    fn get(topology: &mut Topology, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        // In the order of ids; logs need not be, since a topic may have grown.
        let topic = codec::get_topic(reader)?;
        let shares = |(log, _)| topology.owner_of(log).is_some();
        if topic.logs().any(shares) || !topology.objects.topics.has_room_for(&topic) {
            return Err(DecodeError::Invalid("order of topics"));
        }
        apply::insert(topology, Arc::new(topic));
        Ok(())
    }

    fn put_rest(&self, writer: &mut Writer) {
        writer.u64(self.next.0);
    }

    fn get_rest(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let next = TopicId(reader.u64("next topic id")?);
        if next < self.next {
            return Err(DecodeError::Invalid("next topic id"));
        }
        self.next = next;
        Ok(())
    }

    fn concerned(topology: &Topology, entry: &TopicEntry) -> Concerned {
        let of = |id| {
            let topic = topology.topic(id);
            topic.expect("what changes is there")
        };
        let used = |config: &TopicConfig| LogUse::Partition(config.clone());
        match entry {
            TopicEntry::Created(topic) => {
                Concerned::used(used(&topic.config), std::iter::empty(), topic.logs())
            }
            TopicEntry::Altered(altered) => {
                let before = of(altered.id).logs();
                Concerned::used(used(&altered.config), before, altered.added())
            }
            TopicEntry::Deleted(id) => Concerned::gone(of(*id).logs()),
        }
    }

    fn owner_of(topology: &Topology, log: LogId) -> Option<LogOwner<'_>> {
        let (topic, index) = topology.partition_of(log)?;
        Some(LogOwner::Partition { topic, index })
    }

    fn each_log(&self, each: &mut dyn FnMut(LogId, SlotId, &LogUse)) {
        for topic in self.by_id.values() {
            let used = LogUse::Partition(topic.config.clone());
            topic.logs().for_each(|(log, slot)| each(log, slot, &used));
        }
    }
}

impl Topology {
    /// The topic with that id.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.objects.topics.by_id.get(&id)
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        let topics = &self.objects.topics;
        topics.by_name.get(name).map(|id| &topics.by_id[id])
    }

    /// What is in force for a topic: its own choices over the broker's defaults.
    #[must_use]
    pub fn settings_of(&self, topic: &Topic) -> TopicSettings {
        topic.config.over(&self.settings.defaults)
    }

    /// Every setting of a topic with its value and where that comes from, by name.
    #[must_use]
    pub fn config_of(&self, topic: &Topic) -> Vec<ConfigEntry> {
        topic.config.entries(&self.settings.defaults)
    }

    /// All topics by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        let topics = &self.objects.topics;
        topics.by_name.values().map(|id| &topics.by_id[id])
    }

    /// The topics by name whose names come after this one.
    pub fn topics_after(&self, name: Option<&TopicName>) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics_from(name.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_str())))
    }

    /// The topics by name whose names come from there on.
    pub fn topics_from(&self, from: Bound<&str>) -> impl Iterator<Item = &Arc<Topic>> {
        let named = self
            .objects
            .topics
            .by_name
            .range::<str, _>((from, Bound::Unbounded));
        named.map(|(_, id)| &self.objects.topics.by_id[id])
    }

    /// Partitions that one topic may have.
    #[must_use]
    pub fn most_partitions(&self) -> u32 {
        self.settings.partitions_per_topic
    }

    /// Partitions of all topics together.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.objects.topics.partitions
    }

    /// The topic and partition number that a log belongs to.
    #[must_use]
    pub fn partition_of(&self, log: LogId) -> Option<(&Arc<Topic>, u32)> {
        let topics = &self.objects.topics;
        let (first, (id, partition)) = topics.by_log.range(..=log).next_back()?;
        let topic = &topics.by_id[id];
        let index = u32::try_from(log.0 - first.0)
            .ok()?
            .checked_add(*partition)?;
        // Beyond its run, the partition of that number has another log, or there is none.
        let (found, _) = topic.partition(index)?;
        (found == log).then_some((topic, index))
    }
}
