//! The whole topology as bytes, which stand for all entries below an ordinal.
//!
//! Sealed (see `codec`) with kind 3, version 1; the body, little-endian:
//!
//! ```text
//! next topic id u64 | next log u64 | next producer id u64
//! topics u32, by id, each as in a `topic created` entry
//! ```

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, Ordinal};
use thiserror::Error;

use super::entry::{TOPIC_LEN, get_topic, put_topic, topic_len};
use super::{TOPOLOGY_LOG, TopicId, Topology, TopologyEntry, TopologyLimits};
use crate::codec::{DecodeError, Reader, Writer};

/// Kind number of a sealed topology snapshot.
const KIND: u16 = 3;
const VERSION: u16 = 1;

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
    /// An entry can be read, but not be carried out after those before it.
    #[error("topology entry {ordinal} contradicts those before it")]
    Contradiction {
        /// The entry.
        ordinal: Ordinal,
    },
}

impl Topology {
    /// Rebuilds the topology: the snapshot, then every entry from the snapshot's ordinal on.
    ///
    /// # Errors
    /// [`TopologyError`] if snapshot and entries are not what a topology wrote.
    pub fn recover<'a>(
        snapshot: Option<&[u8]>,
        replay: impl Iterator<Item = (Ordinal, &'a [u8])>,
        limits: TopologyLimits,
    ) -> Result<Self, TopologyError> {
        let mut topology = match snapshot {
            Some(bytes) => decode(bytes, limits).map_err(TopologyError::Snapshot)?,
            None => Self::new(limits),
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
        let capacity = 28 + topics.map(|topic| topic_len(topic)).sum::<usize>();
        let mut writer = Writer::new(KIND, VERSION, capacity);
        writer.u64(self.next_topic.0);
        writer.u64(self.next_log.0);
        writer.u64(self.next_producer);
        writer.count(self.topics.len());
        for topic in self.topics.values() {
            put_topic(&mut writer, topic);
        }
        writer.seal()
    }

    /// Whether [`Topology::apply`] would take the entry.
    fn fits(&self, entry: &TopologyEntry) -> bool {
        match entry {
            TopologyEntry::TopicCreated(topic) => {
                topic.id >= self.next_topic
                    && topic.first_log >= self.next_log
                    && !self.by_name.contains_key(&topic.name)
            }
            TopologyEntry::TopicDeleted(id) => self.topics.contains_key(id),
            TopologyEntry::ProducerIdsReserved { first, count } => {
                *first >= self.next_producer && first.checked_add(u64::from(*count)).is_some()
            }
        }
    }
}

fn decode(bytes: &[u8], limits: TopologyLimits) -> Result<Topology, DecodeError> {
    let (_, mut reader) = Reader::open_as(bytes, KIND, VERSION)?;
    let mut topology = Topology::new(limits);
    let next_topic = TopicId(reader.u64("next topic id")?);
    let next_log = LogId(reader.u64("next log")?);
    let next_producer = reader.u64("next producer id")?;
    for _ in 0..reader.count(TOPIC_LEN, "topics")? {
        let created = TopologyEntry::TopicCreated(Arc::new(get_topic(&mut reader)?));
        if !topology.fits(&created) {
            return Err(DecodeError::Invalid("order of topics"));
        }
        topology.apply(&created);
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
