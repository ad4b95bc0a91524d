//! Operations under way: an id for each, and what its completion means.

use std::collections::VecDeque;

use super::read::{IndexLoad, SpanLoad};
use super::ring::LogKey;
use crate::io::{Dir, FileName, Op, OpId};
use crate::types::{CommitSeq, LogId};

/// What a completed operation is a part of.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A commit; whether its completion makes it durable.
    Commit { seq: CommitSeq, durable: bool },
    /// A sync of a journal file.
    JournalSync { file: u16 },
    /// One write of the zero-fill of a journal file.
    Prefill { file: u16 },
    /// A step of a log's flush job.
    Flush { log: LogKey },
    /// A step of writing a log's snapshot file.
    SnapshotFile { log: LogKey },
    /// A step of removing a dropped log's files.
    Removal { log: LogKey },
    /// The listing of a log's directory.
    Listing { log: LogKey, id: LogId },
    /// A part of a segment's index.
    Index(Box<IndexLoad>),
    /// A part of a segment.
    Spans(Box<SpanLoad>),
    /// Free space on the file system.
    FreeSpace,
    /// Removal of something that nothing refers to any more.
    CleanUp,
}

/// The operations of one store.
#[derive(Debug)]
pub(crate) struct Ops<B> {
    /// With each whether it syncs the directory that all logs share.
    under_way: slab::Slab<(Purpose, bool)>,
    out: VecDeque<(OpId, Op<B>)>,
}

impl<B> Default for Ops<B> {
    fn default() -> Self {
        Self {
            under_way: slab::Slab::new(),
            out: VecDeque::new(),
        }
    }
}

impl<B> Ops<B> {
    /// Queues an operation.
    pub(crate) fn push(&mut self, purpose: Purpose, op: Op<B>) {
        let shared = matches!(op, Op::SyncDir(Dir::Logs));
        let id = OpId(self.under_way.insert((purpose, shared)) as u64);
        self.out.push_back((id, op));
    }

    /// Removes files that nothing refers to any more.
    pub(crate) fn remove(&mut self, file: FileName) {
        self.push(Purpose::CleanUp, Op::Remove(file));
    }

    pub(crate) fn poll(&mut self) -> Option<(OpId, Op<B>)> {
        self.out.pop_front()
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// What the operation was for, and whether it was a sync that other logs rely on, too: a
    /// failed one leaves their directories in doubt, and a later one may succeed without them.
    /// It is over.
    pub(crate) fn complete(&mut self, id: OpId) -> (Purpose, bool) {
        let key = usize::try_from(id.0).expect("operation ids are slab keys");
        self.under_way.remove(key)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}
