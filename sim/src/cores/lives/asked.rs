//! What clients ask and are answered, whatever protocol they speak.

use bytes::Bytes;
use leveret_storage::types::{Level, LogId};

use super::topics::{Change, Seen};
use crate::clients::ledger::{BatchKey, Scan};

/// What a client asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// To be served, by that core if one is named.
    Hello(Option<u16>),
    /// A producer's id, for the producer of that number.
    ProducerId(usize),
    /// To append batches; over the native protocol it is one.
    Produce {
        /// By the producer of that number.
        producer: usize,
        level: Level,
        batches: Vec<Batch>,
    },
    /// To read partitions; over the native protocol they are of one topic.
    Fetch(Vec<Reading>, Wait),
    /// To be pushed a partition from its beginning; a native client's only request on its connection.
    Subscribe(LogId),
    /// To change a topic.
    Change(usize, Change),
    /// To be told of a topic that had that version then.
    Look {
        topic: usize,
        version: u64,
        what: What,
    },
}

/// A batch on its way.
pub(super) struct Batch {
    pub(super) key: BatchKey,
    pub(super) bytes: Bytes,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}+{}", self.key, self.bytes.len())
    }
}

/// A partition that is read from its beginning, as far as that has come.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) log: LogId,
    pub(super) scan: Scan,
    /// The least that its high watermark is.
    pub(super) end: u64,
}

/// How long a fetch waits for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Not,
    /// Until there are some, but for so long that nobody here would see the end of it.
    ForRecords,
}

/// What somebody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Partitions,
    Kept,
}

/// What a client was answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// The connection is served.
    Hello,
    ProducerId(Result<i64, Refusal>),
    /// Base offsets, in the order of the batches.
    Produced(Vec<Result<u64, Refusal>>),
    /// In the order of the partitions.
    Fetched(Vec<Result<Fetched, Refusal>>),
    /// The subscription stands.
    Subscribed,
    /// What is pushed, or why no more is.
    Pushed(Result<Fetched, Refusal>),
    Changed(Result<(), Refusal>),
    Seen(Result<Seen, Refusal>),
}

/// What was read of a partition.
pub(super) struct Fetched {
    pub(super) high_watermark: u64,
    pub(super) records: Bytes,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {}", self.records.len(), self.high_watermark)
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There was no room for it: it may be tried again.
    Again,
    Stopping,
    /// There is no such topic or partition.
    Unknown,
    /// A batch before it is missing.
    OutOfOrder,
    /// It took too long, and may have been done or not.
    TimedOut,
    /// What nobody here should hear.
    Other(String),
}
