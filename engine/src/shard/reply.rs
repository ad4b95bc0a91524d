//! What a shard is asked and what it answers. Every request gets exactly one reply, unless it is
//! cancelled.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{LogId, Offset};

use crate::error::EngineError;
use crate::group::Answer;
use crate::topology::TopologyEntry;

/// Names a request; chosen by the caller, unique on this core until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a produce: the batch is as durable as was asked.
    Produced(Produced),
    /// To a fetch.
    Fetched(Vec<FetchedPartition>),
    /// To a look-up of an offset.
    Offset(FoundOffset),
    /// To a topology command: the entry is durable; now every core has to install it.
    Topology(TopologyEntry),
    /// To a call of a group.
    Group(Answer),
    /// To a toy's command.
    #[cfg(test)]
    Counted(u64),
    /// To any request: it failed.
    Failed(EngineError),
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// First offset of the log that can be read.
    pub start_offset: Offset,
    /// The timestamp that the broker gave every record of it, milliseconds; only in a topic of
    /// log append time.
    pub append_time: Option<i64>,
    /// It had been appended before; nothing was appended now.
    pub duplicate: bool,
}

/// One partition's part of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The log.
    pub log: LogId,
    /// Bytes that were counted or read, at most those asked for; more only of a first batch that
    /// comes whole.
    pub bytes: usize,
    /// Its records, or why there are none.
    pub result: Result<FetchedRecords, EngineError>,
}

impl FetchedPartition {
    /// Bytes of its batches: none where they were only counted, or could not be read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.result.as_ref().map_or(0, FetchedRecords::len)
    }

    /// Takes its batches away, and tells their bytes.
    pub fn take_batches(&mut self) -> usize {
        let read = self.read();
        if let Ok(records) = &mut self.result {
            records.batches = Vec::new();
        }
        read
    }
}

/// Records of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecords {
    /// First offset of the log that can be read.
    pub start_offset: Offset,
    /// The offset after the last that can be read.
    pub high_watermark: Offset,
    /// Whole batches back to back, together in as many pieces as it takes. The first batch may
    /// begin before the offset asked for; empty if there is nothing (yet).
    pub batches: Vec<Bytes>,
}

impl FetchedRecords {
    /// Bytes of all batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }

    /// Whether there are no batches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; the high watermark if there is no such record.
    pub offset: Offset,
    /// Timestamp of the record there, milliseconds; only for look-ups by time that found one.
    pub timestamp: Option<i64>,
}

/// Which offset is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that can be read.
    Earliest,
    /// The one after the last that can be read.
    Latest,
    /// That of the first record with a timestamp of at least so many milliseconds.
    Timestamp(i64),
    /// That of the first record with the largest timestamp of all.
    MaxTimestamp,
}

/// A fetch over partitions of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSpec {
    /// What to read, in this order, as far as `max_bytes` goes: once a partition gets less than
    /// its own bound for that, those after it get nothing.
    pub partitions: Vec<FetchPartition>,
    /// Bytes of all partitions together.
    pub max_bytes: usize,
    /// Bytes to wait for; 0 never waits.
    pub min_bytes: usize,
    /// Nanoseconds to wait at most.
    pub max_wait: u64,
    /// What becomes of the records that are there.
    pub work: FetchWork,
}

/// What a fetch does with the records that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchWork {
    /// They are read: a whole request. Its first batch comes whole even if it is larger than
    /// every bound.
    Read,
    /// They are counted, and nothing is read: other cores have a part in the request, and what
    /// each may read shows when all have counted.
    Count,
    /// They are read as far as the bounds go, as a share of a request that was counted before.
    Share {
        /// It begins with the first records of the request: the first batch comes whole.
        first: bool,
    },
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The log.
    pub log: LogId,
    /// Offset of the first record wanted.
    pub offset: Offset,
    /// Bytes of this partition.
    pub max_bytes: usize,
}

/// What a shard reports without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardEvent {
    /// A log takes no more entries until a restart; reading goes on.
    LogStopped {
        /// The log.
        log: LogId,
        /// What failed.
        reason: Arc<str>,
    },
    /// Stored bytes of a log could not be read, or are not those that were written. Whoever asked
    /// is told; the rest of the log can be read, and it takes more entries.
    Damaged {
        /// The log.
        log: LogId,
        /// Where reading began.
        offset: Offset,
        /// The file, the place in it, and what does not fit.
        reason: String,
    },
    /// From now on producing is refused for want of space on the file system, or for another want of it
    /// than was said last; the topology still changes.
    DiskShort {
        /// Whether the floor is reached or the file system full.
        space: DiskSpace,
        /// What was refused, or how little is free.
        reason: String,
    },
    /// What [`ShardEvent::DiskShort`] said is over.
    DiskHasRoom,
    /// Everything accepted before the stop is durable; nothing is outstanding.
    Flushed,
    /// The process must end: going on could lie.
    Fatal(String),
}
