//! Operations under way: an id for each, and what its completion means.
//!
//! Beyond a bound, reads of segments wait here: however many readers there are, a write finds a
//! bounded number of bytes before it in the device's queue, and a turn verifies a bounded number.

use std::collections::VecDeque;

use crate::io::{Dir, FileName, Op, OpId};
use crate::store::journal::ring::LogKey;
use crate::store::reading::loading::SpanLoad;
use crate::store::reading::read::IndexLoad;
use crate::store::segments::job_step::JobStep;
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
    Flush { log: LogKey, step: JobStep },
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
    /// The mark of the ring.
    Mark,
    /// Removal of something that nothing refers to any more.
    CleanUp,
}

/// An operation under way, or just over.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) purpose: Purpose,
    /// It syncs the directory that all logs share: a failed one leaves their directories in doubt,
    /// and a later one may succeed without them.
    pub(crate) shared: bool,
    /// It was refused for want of space before.
    pub(crate) again: bool,
    /// Bytes of a segment that it reads.
    reads: usize,
}

/// The operations of one store.
#[derive(Debug)]
pub(crate) struct Ops<B> {
    under_way: slab::Slab<UnderWay>,
    out: VecDeque<(OpId, Op<B>)>,
    /// How many of those under way were refused before.
    again: usize,
    /// Bytes of segments that are read at once, at most; one read may be longer.
    most_read: usize,
    /// Bytes of segments that are being read.
    reading: usize,
    /// Reads of segments that wait until fewer are.
    held: VecDeque<(OpId, Op<B>)>,
}

impl<B> Ops<B> {
    /// None yet; so many bytes of segments are read at once.
    pub(crate) fn new(most_read: usize) -> Self {
        Self {
            under_way: slab::Slab::new(),
            out: VecDeque::new(),
            again: 0,
            most_read,
            reading: 0,
            held: VecDeque::new(),
        }
    }

    /// Queues an operation.
    pub(crate) fn push(&mut self, purpose: Purpose, op: Op<B>) {
        self.add(purpose, op, false);
    }

    /// Queues an operation that was refused for want of space before.
    pub(crate) fn push_again(&mut self, purpose: Purpose, op: Op<B>) {
        self.again += 1;
        self.add(purpose, op, true);
    }

    fn add(&mut self, purpose: Purpose, op: Op<B>, again: bool) {
        let shared = matches!(op, Op::SyncDir(Dir::Logs));
        let reads = match (&purpose, &op) {
            (Purpose::Spans(_), Op::Read { len, .. }) => *len,
            _ => 0,
        };
        let under_way = UnderWay {
            purpose,
            shared,
            again,
            reads,
        };
        let id = OpId(self.under_way.insert(under_way) as u64);
        match reads {
            0 => self.out.push_back((id, op)),
            _ => {
                self.held.push_back((id, op));
                self.begin_reads();
            }
        }
    }

    /// Begins those reads that waited, as far as they may.
    fn begin_reads(&mut self) {
        while let Some((id, _)) = self.held.front() {
            let reads = self.under_way[key_of(*id)].reads;
            if self.reading > 0 && self.reading + reads > self.most_read {
                return;
            }
            self.reading += reads;
            self.out.extend(self.held.pop_front());
        }
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

    /// The operation is over.
    pub(crate) fn complete(&mut self, id: OpId) -> UnderWay {
        let over = self.under_way.remove(key_of(id));
        self.again -= usize::from(over.again);
        self.reading -= over.reads;
        self.begin_reads();
        over
    }

    /// Operations under way that were refused before.
    pub(crate) fn tried_again(&self) -> usize {
        self.again
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}

fn key_of(id: OpId) -> usize {
    usize::try_from(id.0).expect("operation ids are slab keys")
}
