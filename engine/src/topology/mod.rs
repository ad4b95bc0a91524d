//! Which topics exist, and where their partitions live: a machine over log 0.
//!
//! Core 0 alone runs [`Topology::decide`]; every core holds a full copy and runs
//! [`Topology::apply`] over the same entries, each in O(log topics) plus the partitions that it
//! concerns. It refuses to know protocols, connections and files: an entry says what changed, and
//! that a client hears of it only after every core has installed it is the broker's business.

mod entry;
mod name;
mod placement;
mod producer_ids;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use leveret_storage::types::{CoreId, Level, LogId, WallMs};
use thiserror::Error;

pub use entry::TopologyEntry;
pub use name::{InvalidTopicName, MAX_NAME_LEN, TopicName};
pub use placement::PlacementError;
pub use producer_ids::ProducerIds;
pub use snapshot::TopologyError;

/// The topology's own log.
pub const TOPOLOGY_LOG: LogId = LogId(0);

/// Names one topic for ever; a topic that is created again under the same name gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What bounds the topology's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyLimits {
    /// Partitions that one topic may have.
    pub partitions_per_topic: u32,
    /// Partitions of all topics together.
    pub partitions: u32,
}

impl Default for TopologyLimits {
    /// 10,000 per topic, 200,000 in all.
    fn default() -> Self {
        Self {
            partitions_per_topic: 10_000,
            partitions: 200_000,
        }
    }
}

/// How a topic's records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// The strongest promise that an acknowledgement can make; a request may ask for less.
    pub level: Level,
    /// Bytes per partition above which the oldest segments go; `None` keeps all.
    pub retention_bytes: Option<u64>,
    /// Milliseconds after which records may go; `None` keeps all.
    pub retention_ms: Option<u64>,
}

/// A topic as it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Names it for ever.
    pub id: TopicId,
    /// Names it for people.
    pub name: TopicName,
    /// How its records are kept.
    pub settings: TopicSettings,
    /// When it was created.
    pub created: WallMs,
    /// Log of partition 0; partition `i` has the `i`-th log after it.
    pub first_log: LogId,
    /// For each partition the core that it was placed on, or after [`Topology::settle`] lives
    /// on.
    pub cores: Vec<CoreId>,
}

impl Topic {
    /// How many partitions it has.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.cores.len()).expect("partitions per topic are bounded")
    }

    /// Log and core of a partition, if there is one of that number.
    #[must_use]
    pub fn partition(&self, index: u32) -> Option<(LogId, CoreId)> {
        let core = self.cores.get(index as usize)?;
        Some((self.first_log.plus(u64::from(index)), *core))
    }

    /// Log and core of every partition, in order.
    pub fn logs(&self) -> impl Iterator<Item = (LogId, CoreId)> + '_ {
        let logs = (0..).map(|index| self.first_log.plus(index));
        logs.zip(self.cores.iter().copied())
    }
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
        /// How its records are kept.
        settings: TopicSettings,
    },
    /// Remove a topic with all its records.
    DeleteTopic {
        /// The topic.
        id: TopicId,
    },
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
    /// The broker has as many partitions as it may have.
    #[error("the broker holds {present} of at most {most} partitions; delete topics first")]
    TooManyPartitions {
        /// Partitions that exist.
        present: u32,
        /// The limit.
        most: u32,
    },
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
    by_log: BTreeMap<LogId, TopicId>,
    next_topic: TopicId,
    next_log: LogId,
    next_producer: u64,
    partitions: u32,
    /// Partitions per core, for placement.
    loads: Vec<u32>,
    limits: TopologyLimits,
}

impl Topology {
    /// A topology without topics.
    #[must_use]
    pub fn new(limits: TopologyLimits) -> Self {
        Self {
            topics: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_log: BTreeMap::new(),
            next_topic: TopicId(1),
            next_log: TOPOLOGY_LOG.plus(1),
            next_producer: 0,
            partitions: 0,
            loads: Vec::new(),
            limits,
        }
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

    /// The topic and partition number that a log belongs to.
    #[must_use]
    pub fn owner_of(&self, log: LogId) -> Option<(&Arc<Topic>, u32)> {
        let (first, id) = self.by_log.range(..=log).next_back()?;
        let topic = &self.topics[id];
        let index = u32::try_from(log.0 - first.0).ok()?;
        (index < topic.partitions()).then_some((topic, index))
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

    /// Partitions of all topics together.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Turns a command into the entry that carries it out on `cores` cores, without effect yet.
    ///
    /// # Errors
    /// [`TopologyRefusal`]: the command cannot be carried out as things stand.
    ///
    /// # Panics
    /// If `cores` is 0.
    pub fn decide(
        &self,
        command: &Command,
        cores: u16,
        now: WallMs,
    ) -> Result<TopologyEntry, TopologyRefusal> {
        match command {
            Command::CreateTopic {
                name,
                partitions,
                settings,
            } => {
                self.may_create(name, *partitions)?;
                Ok(TopologyEntry::TopicCreated(Arc::new(Topic {
                    id: self.next_topic,
                    name: name.clone(),
                    settings: *settings,
                    created: now,
                    first_log: self.next_log,
                    cores: placement::spread(&self.loads, cores, *partitions),
                })))
            }
            Command::DeleteTopic { id } => match self.topics.contains_key(id) {
                true => Ok(TopologyEntry::TopicDeleted(*id)),
                false => Err(TopologyRefusal::UnknownTopic { id: *id }),
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
                assert!(topic.first_log >= self.next_log, "log ids grow");
                self.next_topic = TopicId(topic.id.0 + 1);
                self.next_log = topic.first_log.plus(topic.cores.len() as u64);
                self.insert(Arc::clone(topic));
            }
            TopologyEntry::TopicDeleted(id) => self.remove(*id),
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
        let most = self.limits.partitions_per_topic;
        if partitions == 0 || partitions > most {
            let asked = partitions;
            return Err(TopologyRefusal::PartitionCount { asked, most });
        }
        let most = self.limits.partitions;
        if partitions > most.saturating_sub(self.partitions) {
            let present = self.partitions;
            return Err(TopologyRefusal::TooManyPartitions { present, most });
        }
        Ok(())
    }

    fn insert(&mut self, topic: Arc<Topic>) {
        let named = self.by_name.insert(topic.name.clone(), topic.id);
        assert!(named.is_none(), "topic names are unique");
        self.by_log.insert(topic.first_log, topic.id);
        self.partitions += topic.partitions();
        placement::load(&mut self.loads, &topic.cores);
        self.topics.insert(topic.id, topic);
    }

    fn remove(&mut self, id: TopicId) {
        let topic = self
            .topics
            .remove(&id)
            .expect("only a topic that exists is deleted");
        self.by_name.remove(&topic.name);
        self.by_log.remove(&topic.first_log);
        self.partitions -= topic.partitions();
        placement::unload(&mut self.loads, &topic.cores);
    }
}
