//! The whole topology as bytes, which stand for all entries below an ordinal.
//!
//! Sealed (see `codec`) with kind 3, version 4; the body, little-endian:
//!
//! ```text
//! next topic id u64 | next log u64 | next producer id u64
//! named u8: 1 if the cluster has a name, then its id as in a `cluster named` entry, else 0
//! topics u32, by id, each as in a `topic created` entry, with any number of runs
//! ```
//!
//! Older versions, which were never released, are not read.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::homes::Homes;
use leveret_storage::types::{LogId, Offset, Ordinal};
use thiserror::Error;

use super::entry::{TOPIC_LEN, get_cluster, get_topic, put_cluster, put_topic, topic_len};
use super::{Cluster, TOPOLOGY_LOG, Topic, TopicId, Topology, TopologyEntry, TopologySettings};
use crate::codec::{DecodeError, Reader, Writer};

/// Kind number of a sealed topology snapshot.
const KIND: u16 = 3;
const VERSION: u16 = 4;

/// Why the topology cannot be rebuilt from what was recovered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// The snapshot cannot be read.
    #[error("topology snapshot: {0}")]
    Snapshot(DecodeError),
    /// An entry cannot be read.
    #[error("topology entry {ordinal}: {error}")]
    Entry {
        /// The entry.
        ordinal: Ordinal,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The topology's log counts offsets, which it has none of.
    #[error("the topology's log is at offset {next}; it has none")]
    Offsets {
        /// Where it says to be.
        next: Offset,
    },
    /// A log with an id that nothing has had yet: the topology has lost entries.
    #[error("log {log} has records, but the topology has given out log ids only below {next}")]
    FromTheFuture {
        /// The log.
        log: LogId,
        /// The id that the next log would get.
        next: LogId,
    },
    /// A log is not in the slot that the topology gave it.
    #[error("log {log} belongs to slot {found}, but the topology says {told}")]
    Slot {
        /// The log.
        log: LogId,
        /// The slot that its records name.
        found: u8,
        /// The slot that the topology gave it.
        told: u8,
    },
    /// An entry can be read, but not be carried out after those before it.
    #[error("topology entry {ordinal} contradicts those before it")]
    Contradiction {
        /// The entry.
        ordinal: Ordinal,
    },
}

impl Topology {
    /// Rebuilds the topology: the snapshot, then every entry from the snapshot's ordinal on; slots live
    /// as `homes` says.
    ///
    /// # Errors
    /// [`TopologyError`] if snapshot and entries are not what a topology wrote.
    pub fn recover<'a>(
        snapshot: Option<&[u8]>,
        replay: impl Iterator<Item = (Ordinal, &'a [u8])>,
        settings: TopologySettings,
        homes: Homes,
    ) -> Result<Self, TopologyError> {
        let mut topology = match snapshot {
            Some(bytes) => decode(bytes, settings, homes).map_err(TopologyError::Snapshot)?,
            None => Self::new(settings, homes),
        };
        for (ordinal, bytes) in replay {
            let entry = TopologyEntry::decode(bytes)
                .map_err(|error| TopologyError::Entry { ordinal, error })?;
            if !topology.fits(&entry) {
                return Err(TopologyError::Contradiction { ordinal });
            }
            topology.apply(&entry);
        }
        Ok(topology)
    }

    /// All of it as bytes, for [`Topology::recover`].
    #[must_use]
    pub fn snapshot(&self) -> Bytes {
        let topics = self.topics.values();
        let capacity = 45 + topics.map(|topic| topic_len(topic)).sum::<usize>();
        let mut writer = Writer::new(KIND, VERSION, capacity);
        writer.u64(self.next_topic.0);
        writer.u64(self.next_log.0);
        writer.u64(self.next_producer);
        match self.cluster {
            Cluster::Named(id) => {
                writer.u8(1);
                put_cluster(&mut writer, id);
            }
            Cluster::Unnamed | Cluster::Proposed(_) => writer.u8(0),
        }
        writer.count(self.topics.len());
        for topic in self.topics.values() {
            put_topic(&mut writer, topic);
        }
        writer.seal()
    }

    /// Whether id and name are free.
    fn has_room_for(&self, topic: &Topic) -> bool {
        topic.id >= self.next_topic && !self.by_name.contains_key(&topic.name)
    }

    /// Whether [`Topology::apply`] would take the entry.
    fn fits(&self, entry: &TopologyEntry) -> bool {
        match entry {
            TopologyEntry::TopicCreated(topic) => {
                let first = topic.runs.first();
                first.is_some_and(|run| run.log >= self.next_log) && self.has_room_for(topic)
            }
            TopologyEntry::TopicAltered(altered) => {
                let topic = self.topics.get(&altered.id);
                let follows = topic.is_some_and(|t| t.partitions() == altered.partition);
                follows && (altered.slots.is_empty() || altered.log >= self.next_log)
            }
            TopologyEntry::TopicDeleted(id) => self.topics.contains_key(id),
            TopologyEntry::ClusterNamed(_) => !matches!(self.cluster, Cluster::Named(_)),
            TopologyEntry::ProducerIdsReserved { first, count } => {
                *first >= self.next_producer && first.checked_add(u64::from(*count)).is_some()
            }
        }
    }
}

fn decode(bytes: &[u8], settings: TopologySettings, homes: Homes) -> Result<Topology, DecodeError> {
    let (_, mut reader) = Reader::open_as(bytes, KIND, VERSION..=VERSION)?;
    let mut topology = Topology::new(settings, homes);
    let next_topic = TopicId(reader.u64("next topic id")?);
    let next_log = LogId(reader.u64("next log")?);
    let next_producer = reader.u64("next producer id")?;
    topology.cluster = match reader.u8("whether the cluster is named")? {
        0 => Cluster::Unnamed,
        1 => Cluster::Named(get_cluster(&mut reader)?),
        _ => return Err(DecodeError::Invalid("whether the cluster is named")),
    };
    for _ in 0..reader.count(TOPIC_LEN, "topics")? {
        // In the order of ids; logs need not be, since a topic may have grown.
        let topic = get_topic(&mut reader)?;
        let shares = topic
            .logs()
            .any(|(log, _)| topology.partition_of(log).is_some());
        if shares || !topology.has_room_for(&topic) {
            return Err(DecodeError::Invalid("order of topics"));
        }
        topology.insert(Arc::new(topic));
    }
    reader.end()?;
    if next_topic < topology.next_topic || next_log < topology.next_log {
        return Err(DecodeError::Invalid("next topic id or next log"));
    }
    assert!(next_log > TOPOLOGY_LOG, "the counter starts above it");
    topology.next_topic = next_topic;
    topology.next_log = next_log;
    topology.next_producer = next_producer;
    Ok(topology)
}
