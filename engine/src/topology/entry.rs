//! What can happen to the topology, and how it stands in log 0.
//!
//! Each entry is sealed (see `codec`) with version 1 and its own kind; bodies, little-endian:
//!
//! ```text
//! kind 16  topic created
//!   topic id u64 | created i64 ms | first log u64
//!   level u8 (0 memory, 1 written, 2 synced)
//!   retention bytes: flag u8, u64 | retention ms: flag u8, u64   flag 0: unlimited, value 0
//!   name: length u16, bytes
//!   partitions u32, then the core of each: u16
//! kind 17  topic deleted
//!   topic id u64
//! kind 18  producer ids reserved
//!   first u64 | count u32
//! ```

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{CoreId, Level, LogId, WallMs};

use super::{Topic, TopicId, TopicName, TopicSettings};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const CREATED: u16 = 16;
const DELETED: u16 = 17;
const PRODUCER_IDS: u16 = 18;
const VERSION: u16 = 1;
/// Bytes of a topic besides its name and cores.
pub(super) const TOPIC_LEN: usize = 49;
const CORE_LEN: usize = 2;

/// One change of the topology: an entry of log 0, and the delta that every core installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyEntry {
    /// A topic exists from here on.
    TopicCreated(Arc<Topic>),
    /// A topic and its logs are no more.
    TopicDeleted(TopicId),
    /// These producer ids belong to whoever asked for them.
    ProducerIdsReserved {
        /// The first id.
        first: u64,
        /// How many.
        count: u32,
    },
}

impl TopologyEntry {
    /// The bytes that stand in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::TopicCreated(topic) => {
                let mut writer = Writer::new(CREATED, VERSION, topic_len(topic));
                put_topic(&mut writer, topic);
                writer.seal()
            }
            Self::TopicDeleted(id) => {
                let mut writer = Writer::new(DELETED, VERSION, 8);
                writer.u64(id.0);
                writer.seal()
            }
            Self::ProducerIdsReserved { first, count } => {
                let mut writer = Writer::new(PRODUCER_IDS, VERSION, 12);
                writer.u64(*first);
                writer.u32(*count);
                writer.seal()
            }
        }
    }

    /// Reads an entry of the log.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`TopologyEntry::encode`] of this version or an older
    /// one does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, version, mut reader) = Reader::open(bytes)?;
        if !matches!(kind, CREATED | DELETED | PRODUCER_IDS) {
            return Err(DecodeError::UnknownKind(kind));
        }
        check_version(version, VERSION)?;
        let entry = match kind {
            CREATED => Self::TopicCreated(Arc::new(get_topic(&mut reader)?)),
            DELETED => Self::TopicDeleted(TopicId(reader.u64("topic id")?)),
            _ => Self::ProducerIdsReserved {
                first: reader.u64("first producer id")?,
                count: reader.u32("producer ids")?,
            },
        };
        reader.end()?;
        Ok(entry)
    }
}

/// Bytes that a topic takes, about.
pub(super) fn topic_len(topic: &Topic) -> usize {
    TOPIC_LEN + topic.name.as_str().len() + topic.cores.len() * CORE_LEN
}

pub(super) fn put_topic(writer: &mut Writer, topic: &Topic) {
    writer.u64(topic.id.0);
    writer.i64(topic.created.0);
    writer.u64(topic.first_log.0);
    writer.u8(match topic.settings.level {
        Level::Memory => 0,
        Level::Written => 1,
        Level::Synced => 2,
    });
    writer.option_u64(topic.settings.retention_bytes);
    writer.option_u64(topic.settings.retention_ms);
    writer.str(topic.name.as_str());
    writer.count(topic.cores.len());
    for core in &topic.cores {
        writer.u16(core.0);
    }
}

pub(super) fn get_topic(reader: &mut Reader<'_>) -> Result<Topic, DecodeError> {
    let id = TopicId(reader.u64("topic id")?);
    let created = WallMs(reader.i64("creation time")?);
    let first_log = LogId(reader.u64("first log")?);
    let level = match reader.u8("level")? {
        0 => Level::Memory,
        1 => Level::Written,
        2 => Level::Synced,
        _ => return Err(DecodeError::Invalid("level")),
    };
    let retention_bytes = reader.option_u64("retention bytes")?;
    let retention_ms = reader.option_u64("retention ms")?;
    let name = TopicName::new(reader.str("topic name")?)
        .map_err(|_| DecodeError::Invalid("topic name"))?;
    let partitions = reader.count(CORE_LEN, "partitions")?;
    if partitions == 0 {
        return Err(DecodeError::Invalid("partitions"));
    }
    let cores: Result<Vec<_>, _> = (0..partitions)
        .map(|_| reader.u16("core").map(CoreId))
        .collect();
    let in_range = first_log.0.checked_add(partitions as u64).is_some();
    if first_log.0 == 0 || !in_range || id.0 == u64::MAX {
        return Err(DecodeError::Invalid("topic id or first log"));
    }
    Ok(Topic {
        id,
        name,
        settings: TopicSettings {
            level,
            retention_bytes,
            retention_ms,
        },
        created,
        first_log,
        cores: cores?,
    })
}
