//! Which topics exist, and where their partitions live: a machine over log 0.
//!
//! Core 0 alone runs [`Topology::decide`]; every core holds a full copy and runs
//! [`Topology::apply`] over the same entries, each in O(log topics) plus the partitions that it
//! concerns. It refuses to know protocols, connections and files: an entry says what changed, and
//! that a client hears of it only after every core has installed it is the broker's business.

mod cluster;
mod config;
mod entry;
mod name;
mod owner;
mod producer_ids;
mod recovered;
mod slots;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::homes::Homes;
use leveret_storage::types::{EntryMeta, LogId, SlotId, WallMs};
use thiserror::Error;

use crate::machine::{Machine, Remains};
use cluster::Cluster;
pub use cluster::ClusterId;
use config::StoredValue;
pub use config::{
    ConfigEntry, ConfigSource, DefaultValue, InvalidConfig, TOPIC_SETTINGS, TimestampType,
    TopicConfig, TopicKey, TopicSetting, TopicSettings, ValueForm,
};
pub use entry::{TopicAltered, TopologyEntry};
pub use name::{InvalidTopicName, MAX_NAME_LEN, TopicName};
pub use owner::LogOwner;
pub use producer_ids::ProducerIds;
use slots::Loads;
pub use snapshot::TopologyError;

/// The topology's own log.
pub const TOPOLOGY_LOG: LogId = LogId(0);
/// The slot that it belongs to, which lives on core 0 always.
pub const TOPOLOGY_SLOT: SlotId = SlotId(0);

/// Names one topic for ever; a topic that is created again under the same name gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What bounds the topology's memory, and what topics get that do not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologySettings {
    /// Partitions that one topic may have.
    pub partitions_per_topic: u32,
    /// Partitions of all topics together.
    pub partitions: u32,
    /// The broker's defaults.
    pub defaults: TopicSettings,
}

impl Default for TopologySettings {
    /// 10,000 per topic, 200,000 in all.
    fn default() -> Self {
        Self {
            partitions_per_topic: 10_000,
            partitions: 200_000,
            defaults: TopicSettings::default(),
        }
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

/// What to change of a topic; all of it happens, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicChanges {
    /// Settings to set, by name, and their values. See [`TOPIC_SETTINGS`].
    pub set: Vec<(String, String)>,
    /// Settings to give back to the broker's default.
    pub unset: Vec<String>,
    /// How many partitions it is to have, more than it has.
    pub partitions: Option<u32>,
}

/// What a client or the broker wants of the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a topic.
    CreateTopic {
        /// Its name.
        name: TopicName,
        /// How many partitions, at least 1.
        partitions: u32,
        /// Settings by name, and their values. See [`TOPIC_SETTINGS`].
        config: Vec<(String, String)>,
    },
    /// Configure a topic anew, or give it more partitions.
    AlterTopic {
        /// The topic.
        id: TopicId,
        /// What changes.
        changes: TopicChanges,
    },
    /// Remove a topic with all its records.
    DeleteTopic {
        /// The topic.
        id: TopicId,
    },
    /// Make the name that this run proposed for its data directory last.
    NameCluster,
    /// Take a block of producer ids that nobody gets again, also after a crash.
    ReserveProducerIds {
        /// How many, at least 1.
        count: u32,
    },
}

/// Why the topology does not change. All are the asker's to solve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopologyRefusal {
    /// There is a topic of that name.
    #[error("topic `{name}` exists already")]
    TopicExists {
        /// The name.
        name: TopicName,
        /// The topic that has it.
        id: TopicId,
    },
    /// There is a topic whose name differs only in `.` against `_`.
    #[error("topic `{name}` collides with topic `{other}`: names must differ in more than . and _")]
    NameCollides {
        /// The name.
        name: TopicName,
        /// That of the topic that exists.
        other: TopicName,
    },
    /// The name is one of Kafka's own topics.
    #[error("topic `{name}` is one that Kafka keeps for itself; choose another name")]
    NameReserved {
        /// The name.
        name: TopicName,
    },
    /// There is no such topic.
    #[error("there is no topic {id}")]
    UnknownTopic {
        /// What was asked for.
        id: TopicId,
    },
    /// No partitions, or more than a topic may have.
    #[error("a topic has 1 to {most} partitions, not {asked}")]
    PartitionCount {
        /// What was asked for.
        asked: u32,
        /// The limit.
        most: u32,
    },
    /// Partitions can only be added.
    #[error("the topic has {present} partitions already; it can get more, not {asked}")]
    NotMorePartitions {
        /// Partitions that it has.
        present: u32,
        /// What was asked for.
        asked: u32,
    },
    /// A setting is unknown, or cannot have that value.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The broker has as many partitions as it may have.
    #[error("the broker holds {present} of at most {most} partitions; delete topics first")]
    TooManyPartitions {
        /// Partitions that exist.
        present: u32,
        /// The limit.
        most: u32,
    },
    /// The data directory has a name already, or none was proposed.
    #[error("there is no proposed name to give the data directory")]
    NoProposedName,
    /// A block of producer ids is empty, or ids have run out (after 2^63).
    #[error("no block of {count} producer ids can be reserved")]
    ProducerIds {
        /// What was asked for.
        count: u32,
    },
}

/// All topics, and the counters that make new names.
#[derive(Clone, Debug)]
pub struct Topology {
    topics: BTreeMap<TopicId, Arc<Topic>>,
    by_name: BTreeMap<TopicName, TopicId>,
    /// The topics whose names could collide with another's, by what those have in common.
    by_folded: BTreeSet<(String, TopicId)>,
    /// By the first log of each run.
    by_log: BTreeMap<LogId, (TopicId, u32)>,
    cluster: Cluster,
    next_topic: TopicId,
    next_log: LogId,
    next_producer: u64,
    partitions: u32,
    /// Logs of each slot, for new ones.
    loads: Loads,
    /// Where each slot lives in this run, for new logs.
    homes: Homes,
    settings: TopologySettings,
}

impl Topology {
    /// A topology without topics, where slots live so.
    #[must_use]
    pub fn new(settings: TopologySettings, homes: Homes) -> Self {
        Self {
            topics: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_folded: BTreeSet::new(),
            by_log: BTreeMap::new(),
            cluster: Cluster::Unnamed,
            next_topic: TopicId(1),
            next_log: TOPOLOGY_LOG.plus(1),
            next_producer: 0,
            partitions: 0,
            loads: Loads::none(),
            homes,
            settings,
        }
    }

    /// What the data directory is called; `None` if nobody proposed a name yet.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster.id()
    }

    /// Calls the data directory so, if it has no name yet: on every core alike before any
    /// serves, and [`Command::NameCluster`] makes it last.
    pub fn propose_cluster(&mut self, id: ClusterId) {
        if self.cluster == Cluster::Unnamed {
            self.cluster = Cluster::Proposed(id);
        }
    }

    /// Whether [`Command::NameCluster`] is still to be carried out.
    #[must_use]
    pub fn has_proposed_cluster(&self) -> bool {
        matches!(self.cluster, Cluster::Proposed(_))
    }

    /// The topic with that id.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name).map(|id| &self.topics[id])
    }

    /// Where slots live in this run.
    #[must_use]
    pub fn homes(&self) -> &Homes {
        &self.homes
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
        self.by_name.values().map(|id| &self.topics[id])
    }

    /// The topics by name whose names come after this one.
    pub fn topics_after(&self, name: Option<&TopicName>) -> impl Iterator<Item = &Arc<Topic>> {
        let from = name.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_str()));
        let named = self.by_name.range::<str, _>((from, Bound::Unbounded));
        named.map(|(_, id)| &self.topics[id])
    }

    /// Partitions that one topic may have.
    #[must_use]
    pub fn most_partitions(&self) -> u32 {
        self.settings.partitions_per_topic
    }

    /// Partitions of all topics together.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Turns a command into the entry that carries it out, without effect yet.
    ///
    /// # Errors
    /// [`TopologyRefusal`]: the command cannot be carried out as things stand.
    pub fn decide(&self, command: &Command, now: WallMs) -> Result<TopologyEntry, TopologyRefusal> {
        match command {
            Command::CreateTopic {
                name,
                partitions,
                config,
            } => {
                self.may_create(name, *partitions)?;
                let defaults = &self.settings.defaults;
                Ok(TopologyEntry::TopicCreated(Arc::new(Topic {
                    id: self.next_topic,
                    name: name.clone(),
                    config: TopicConfig::default().changed(config, &[], defaults)?,
                    created: now,
                    runs: vec![LogRun {
                        partition: 0,
                        log: self.next_log,
                    }],
                    slots: self.loads.spread(&self.homes, *partitions),
                })))
            }
            Command::AlterTopic { id, changes } => {
                let topic = self.topics.get(id);
                let topic = topic.ok_or(TopologyRefusal::UnknownTopic { id: *id })?;
                let added = self.may_add(topic, changes.partitions)?;
                Ok(TopologyEntry::TopicAltered(Arc::new(TopicAltered {
                    id: *id,
                    config: self.reconfigured(topic, changes)?,
                    partition: topic.partitions(),
                    log: self.next_log,
                    slots: self.loads.spread(&self.homes, added),
                })))
            }
            Command::DeleteTopic { id } => match self.topics.contains_key(id) {
                true => Ok(TopologyEntry::TopicDeleted(*id)),
                false => Err(TopologyRefusal::UnknownTopic { id: *id }),
            },
            Command::NameCluster => match self.cluster {
                Cluster::Proposed(id) => Ok(TopologyEntry::ClusterNamed(id)),
                Cluster::Unnamed | Cluster::Named(_) => Err(TopologyRefusal::NoProposedName),
            },
            Command::ReserveProducerIds { count } => {
                let end = self.next_producer.checked_add(u64::from(*count));
                match end.map(i64::try_from) {
                    Some(Ok(_)) if *count > 0 => Ok(TopologyEntry::ProducerIdsReserved {
                        first: self.next_producer,
                        count: *count,
                    }),
                    _ => Err(TopologyRefusal::ProducerIds { count: *count }),
                }
            }
        }
    }

    /// Carries out an entry of the topology's log. The only thing that changes the topology.
    ///
    /// # Panics
    /// If the entry does not fit: this copy and the log have diverged.
    pub fn apply(&mut self, entry: &TopologyEntry) {
        match entry {
            TopologyEntry::TopicCreated(topic) => {
                assert!(topic.id >= self.next_topic, "topic ids grow");
                assert!(topic.runs[0].log >= self.next_log, "log ids grow");
                self.insert(Arc::clone(topic));
            }
            TopologyEntry::TopicAltered(altered) => {
                let grows = altered.slots.is_empty() || altered.log >= self.next_log;
                assert!(grows, "log ids grow");
                let before = self.remove(altered.id);
                self.insert(Arc::new(altered.of(&before)));
            }
            TopologyEntry::TopicDeleted(id) => {
                self.remove(*id);
            }
            TopologyEntry::ClusterNamed(id) => {
                let other = matches!(self.cluster, Cluster::Named(_));
                assert!(!other, "a data directory is named once");
                self.cluster = Cluster::Named(*id);
            }
            TopologyEntry::ProducerIdsReserved { first, count } => {
                assert!(*first >= self.next_producer, "producer ids grow");
                self.next_producer = first + u64::from(*count);
            }
        }
    }

    fn may_create(&self, name: &TopicName, partitions: u32) -> Result<(), TopologyRefusal> {
        if let Some(&id) = self.by_name.get(name) {
            let name = name.clone();
            return Err(TopologyRefusal::TopicExists { name, id });
        }
        if name.is_reserved() {
            let name = name.clone();
            return Err(TopologyRefusal::NameReserved { name });
        }
        if let Some(other) = self.colliding(name) {
            return Err(TopologyRefusal::NameCollides {
                name: name.clone(),
                other: other.name.clone(),
            });
        }
        self.may_hold(partitions, partitions)
    }

    /// A topic whose name differs from this one only in `.` against `_`.
    fn colliding(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        let folded = name.folded()?;
        let from = (folded.clone(), TopicId(0));
        let (found, id) = self.by_folded.range(from..).next()?;
        (*found == folded).then(|| &self.topics[id])
    }

    /// How many partitions a topic gets that is to have `wanted`.
    fn may_add(&self, topic: &Topic, wanted: Option<u32>) -> Result<u32, TopologyRefusal> {
        let present = topic.partitions();
        let Some(asked) = wanted else {
            return Ok(0);
        };
        if asked <= present {
            return Err(TopologyRefusal::NotMorePartitions { present, asked });
        }
        let added = asked - present;
        self.may_hold(asked, added).map(|()| added)
    }

    /// Whether a topic may have `asked` partitions, `added` of them new.
    fn may_hold(&self, asked: u32, added: u32) -> Result<(), TopologyRefusal> {
        let most = self.settings.partitions_per_topic;
        if asked == 0 || asked > most {
            return Err(TopologyRefusal::PartitionCount { asked, most });
        }
        let most = self.settings.partitions;
        if added > most.saturating_sub(self.partitions) {
            let present = self.partitions;
            return Err(TopologyRefusal::TooManyPartitions { present, most });
        }
        Ok(())
    }

    fn reconfigured(
        &self,
        topic: &Topic,
        changes: &TopicChanges,
    ) -> Result<TopicConfig, InvalidConfig> {
        let defaults = &self.settings.defaults;
        let config = topic
            .config
            .changed(&changes.set, &changes.unset, defaults)?;
        let before = topic.config.over(defaults).level;
        config::check_durability(before, config.over(defaults).level)?;
        Ok(config)
    }

    fn insert(&mut self, topic: Arc<Topic>) {
        let named = self.by_name.insert(topic.name.clone(), topic.id);
        assert!(named.is_none(), "topic names are unique");
        let folded = topic.name.folded();
        self.by_folded
            .extend(folded.map(|folded| (folded, topic.id)));
        for run in &topic.runs {
            self.by_log.insert(run.log, (topic.id, run.partition));
        }
        let (newest, _) = topic.logs().last().expect("a topic has a partition");
        self.next_log = self.next_log.max(newest.plus(1));
        self.next_topic = self.next_topic.max(TopicId(topic.id.0 + 1));
        self.partitions += topic.partitions();
        self.loads.add(&topic.slots);
        self.topics.insert(topic.id, topic);
    }

    fn remove(&mut self, id: TopicId) -> Arc<Topic> {
        let topic = self
            .topics
            .remove(&id)
            .expect("only a topic that exists is deleted or altered");
        self.by_name.remove(&topic.name);
        if let Some(folded) = topic.name.folded() {
            self.by_folded.remove(&(folded, id));
        }
        for run in &topic.runs {
            self.by_log.remove(&run.log);
        }
        self.partitions -= topic.partitions();
        self.loads.remove(&topic.slots);
        topic
    }
}

impl Machine for Topology {
    type Setup = (TopologySettings, Homes);
    type Fault = TopologyError;
    type Command = Command;
    type Decision = TopologyEntry;
    type Refusal = TopologyRefusal;
    type Entry = TopologyEntry;

    fn recover(
        (settings, homes): (TopologySettings, Homes),
        remains: &Remains<'_>,
    ) -> Result<Self, TopologyError> {
        let entries = remains.entries.iter();
        let entries = entries.map(|(meta, bytes)| (meta.ordinal, &bytes[..]));
        Self::recover(remains.snapshot, entries, settings, homes)
    }

    fn decide(&self, command: &Command, now: WallMs) -> Result<TopologyEntry, TopologyRefusal> {
        self.decide(command, now)
    }

    fn apply(&mut self, _meta: &EntryMeta, entry: &TopologyEntry) {
        self.apply(entry);
    }

    fn snapshot(&self) -> impl Iterator<Item = Bytes> {
        std::iter::once(self.snapshot())
    }
}
