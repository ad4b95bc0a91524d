//! How topics stand in log 0 and in the topology's snapshot.
//!
//! Each entry is sealed (see `codec`) with its own kind and version; bodies, little-endian:
//!
//! ```text
//! kind 16  topic created, version 3
//!   topic id u64 | created i64 ms
//!   name: length u16, bytes
//!   config
//!   runs u32, for each: first partition u32, its log u64   here one run, from partition 0
//!   partitions u32, then the slot of each: u8
//! kind 17  topic deleted, version 1
//!   topic id u64
//! kind 19  topic altered, version 2
//!   topic id u64
//!   config: all that is set from here on
//!   partitions before u32 | log of the first new partition u64
//!   new partitions u32, then the slot of each: u8
//! kind 5   the part of a snapshot, version 1
//!   each topic, by id, as in kind 16, with any number of runs
//!   beside them: next topic id u64
//!
//! config: settings u32, by number, for each: number u16, then its value
//!   i64; of 17 and 19 (lists of replicas) length u16, bytes
//! ```
//!
//! Older versions of kinds 16 and 19, which were never released, are not read.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, SlotId, WallMs};

use super::{LogRun, Topic, TopicAltered, TopicConfig, TopicEntry, TopicId, TopicName};
use crate::codec::{DecodeError, Reader, Writer, check_version};
use crate::topology::kinds::Part;

const CREATED: u16 = 16;
const DELETED: u16 = 17;
const ALTERED: u16 = 19;
const CREATED_VERSION: u16 = 3;
const ALTERED_VERSION: u16 = 2;
const DELETED_VERSION: u16 = 1;
/// Numbers of the entries.
pub(super) const ENTRIES: &[u16] = &[CREATED, DELETED, ALTERED];
pub(super) const PART: Part = Part {
    kind: 5,
    version: 1,
    least: TOPIC_LEN,
};
/// Bytes of a topic besides its name, settings, runs and slots.
const TOPIC_LEN: usize = 30;
const RUN_LEN: usize = 12;
const SLOT_LEN: usize = 1;
/// Bytes of an alteration besides its settings and slots.
const ALTERED_LEN: usize = 28;

pub(super) fn encode(entry: &TopicEntry) -> Bytes {
    match entry {
        TopicEntry::Created(topic) => {
            let mut writer = Writer::new(CREATED, CREATED_VERSION, topic_len(topic));
            put_topic(&mut writer, topic);
            writer.seal()
        }
        TopicEntry::Altered(altered) => {
            let len = ALTERED_LEN + altered.config.bytes() + altered.slots.len() * SLOT_LEN;
            let mut writer = Writer::new(ALTERED, ALTERED_VERSION, len);
            writer.u64(altered.id.0);
            altered.config.put(&mut writer);
            writer.u32(altered.partition);
            writer.u64(altered.log.0);
            put_slots(&mut writer, &altered.slots);
            writer.seal()
        }
        TopicEntry::Deleted(id) => {
            let mut writer = Writer::new(DELETED, DELETED_VERSION, 8);
            writer.u64(id.0);
            writer.seal()
        }
    }
}

pub(super) fn decode(
    kind: u16,
    version: u16,
    reader: &mut Reader<'_>,
) -> Result<TopicEntry, DecodeError> {
    let only = |known| check_version(version, known..=known);
    Ok(match kind {
        CREATED => {
            only(CREATED_VERSION)?;
            TopicEntry::Created(Arc::new(get_topic(reader)?))
        }
        ALTERED => {
            only(ALTERED_VERSION)?;
            TopicEntry::Altered(Arc::new(get_altered(reader)?))
        }
        DELETED => {
            only(DELETED_VERSION)?;
            TopicEntry::Deleted(TopicId(reader.u64("topic id")?))
        }
        _ => return Err(DecodeError::UnknownKind(kind)),
    })
}

/// Bytes that a topic takes, about.
fn topic_len(topic: &Topic) -> usize {
    let logs = topic.runs.len() * RUN_LEN + topic.slots.len() * SLOT_LEN;
    TOPIC_LEN + topic.name.as_str().len() + topic.config.bytes() + logs
}

pub(super) fn put_topic(writer: &mut Writer, topic: &Topic) {
    writer.u64(topic.id.0);
    writer.i64(topic.created.0);
    writer.str(topic.name.as_str());
    topic.config.put(writer);
    writer.count(topic.runs.len());
    for run in &topic.runs {
        writer.u32(run.partition);
        writer.u64(run.log.0);
    }
    put_slots(writer, &topic.slots);
}

pub(super) fn get_topic(reader: &mut Reader<'_>) -> Result<Topic, DecodeError> {
    let id = TopicId(reader.u64("topic id")?);
    if id.0 == u64::MAX {
        return Err(DecodeError::Invalid("topic id"));
    }
    let created = WallMs(reader.i64("creation time")?);
    let name = TopicName::new(reader.str("topic name")?)
        .map_err(|_| DecodeError::Invalid("topic name"))?;
    let config = TopicConfig::read(reader)?;
    let runs: Result<Vec<_>, _> = (0..reader.count(RUN_LEN, "runs of logs")?)
        .map(|_| {
            Ok(LogRun {
                partition: reader.u32("first partition")?,
                log: LogId(reader.u64("first log")?),
            })
        })
        .collect();
    let runs = runs?;
    let slots = get_slots(reader)?;
    check_runs(&runs, slots.len())?;
    Ok(Topic {
        id,
        name,
        config,
        created,
        runs,
        slots,
    })
}

/// Runs that hold each partition once, in ids that grow.
fn check_runs(runs: &[LogRun], partitions: usize) -> Result<(), DecodeError> {
    let end = u32::try_from(partitions).map_err(|_| DecodeError::Invalid("partitions"))?;
    let ends = runs.iter().skip(1).map(|run| run.partition).chain([end]);
    let (mut partition, mut log) = (0, LogId(1));
    for (run, end) in runs.iter().zip(ends) {
        if run.partition != partition || end <= partition || run.log < log {
            return Err(DecodeError::Invalid("runs of logs"));
        }
        log = after(run.log, u64::from(end - partition))?;
        partition = end;
    }
    match partition == end && end > 0 {
        true => Ok(()),
        false => Err(DecodeError::Invalid("partitions")),
    }
}

/// The log id behind `count` from `log` on.
fn after(log: LogId, count: u64) -> Result<LogId, DecodeError> {
    let end = log.0.checked_add(count);
    end.map(LogId).ok_or(DecodeError::Invalid("log id"))
}

fn get_altered(reader: &mut Reader<'_>) -> Result<TopicAltered, DecodeError> {
    let altered = TopicAltered {
        id: TopicId(reader.u64("topic id")?),
        config: TopicConfig::read(reader)?,
        partition: reader.u32("partitions before")?,
        log: LogId(reader.u64("first new log")?),
        slots: get_slots(reader)?,
    };
    let added = u32::try_from(altered.slots.len()).ok();
    let total = added.and_then(|added| altered.partition.checked_add(added));
    after(altered.log, altered.slots.len() as u64)?;
    match total {
        Some(_) if altered.partition > 0 => Ok(altered),
        _ => Err(DecodeError::Invalid("partitions")),
    }
}

fn put_slots(writer: &mut Writer, slots: &[SlotId]) {
    writer.count(slots.len());
    for slot in slots {
        writer.u8(slot.0);
    }
}

fn get_slots(reader: &mut Reader<'_>) -> Result<Vec<SlotId>, DecodeError> {
    (0..reader.count(SLOT_LEN, "partitions")?)
        .map(|_| reader.u8("slot").map(SlotId))
        .collect()
}
