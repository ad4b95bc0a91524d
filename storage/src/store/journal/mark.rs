//! The ring's mark in the superblock's file: what the ring cannot vouch for itself.
//!
//! It is written when commits have become durable in a file that the last mark did not know, when
//! the ring's files have their full length, after a while without commits, and before the store
//! says that it is flushed. That last one says where the ring has ended; nothing waits for any
//! other. One is under way at a time.

use crate::format::commit::RingPosition;
use crate::format::mark::Mark;
use crate::io::{BLOCK, BufPool, FileName, IoResult, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::ops::Purpose;
use crate::types::{CommitSeq, Mono};

/// How long nothing is committed before the last commits are marked.
const SILENCE_NS: u64 = 1_000_000_000;

/// The mark that is on disk.
#[derive(Debug)]
pub(crate) struct Marked {
    /// Where it stands.
    pub(crate) position: u64,
    pub(crate) vouched: CommitSeq,
    /// The file in which that commit stands.
    pub(crate) file: u16,
    /// How long the ring's files were together.
    pub(crate) bytes: u64,
    /// One is being written.
    pub(crate) under_way: bool,
    /// A write failed: what is there then is behind, or torn, and vouches for less.
    pub(crate) failed: bool,
    /// It says that the ring has ended, or will: nothing is committed any more.
    pub(crate) ended: bool,
}

impl<P: BufPool> Store<P> {
    /// Whether every commit is durable.
    fn is_all_durable(&self) -> bool {
        self.journal.ring.in_flight() == 0 && !self.journal.ring.has_unsynced()
    }

    fn vouched(&self) -> CommitSeq {
        let end = match mutated(self.config.mutation, Mutation::MarkAhead) {
            true => self.journal.ring.next_seq(),
            false => self.journal.ring.durable(),
        };
        CommitSeq(end.0 - 1)
    }

    /// Whether a mark is to be written now.
    pub(crate) fn mark_due(&self) -> bool {
        if self.journal.marked.under_way
            || self.journal.marked.failed
            || self.journal.marked.ended
            || self.phase.is_failed()
        {
            return false;
        }
        let vouched = self.vouched();
        let file = self.journal.ring.file_of_commit(vouched);
        let crossed = file.is_some_and(|file| file != self.journal.marked.file);
        let filled = self.journal.prefill.is_complete()
            && self.journal.marked.bytes < self.journal.ring.capacity();
        let silent = || {
            let deadline = self.mark_deadline();
            self.phase.is_stopping() || deadline.is_some_and(|at| at <= self.turn.now.mono)
        };
        let all_durable = self.is_all_durable();
        crossed || (all_durable && (filled || (vouched > self.journal.marked.vouched && silent())))
    }

    /// When silence asks for a mark.
    pub(crate) fn mark_deadline(&self) -> Option<Mono> {
        let idle = !self.journal.marked.under_way
            && !self.journal.marked.failed
            && !self.phase.is_failed();
        let owed = self.is_all_durable() && self.vouched() > self.journal.marked.vouched;
        (idle && owed).then(|| self.commits.pace.last_at().after(SILENCE_NS))
    }

    pub(crate) fn issue_mark(&mut self) {
        if self.mark_due() {
            self.write_mark();
        }
    }

    /// At the very end of a stop: says where the ring ends, so that the next start need not search for
    /// it. Nothing is committed afterwards. Whether that is under way now.
    pub(crate) fn mark_end(&mut self) -> bool {
        if self.journal.marked.ended || self.journal.marked.failed || self.phase.is_failed() {
            return false;
        }
        self.journal.marked.ended = true;
        self.write_mark();
        true
    }

    fn write_mark(&mut self) {
        let vouched = self.vouched();
        // A commit that is not durable may yet take back what it adds to its file's length.
        if self.is_all_durable() {
            self.journal.marked.bytes = self.journal.prefill.bytes();
        }
        self.journal.marked.vouched = vouched;
        self.journal.marked.file = self
            .journal
            .ring
            .file_of_commit(vouched)
            .unwrap_or(self.journal.marked.file);
        self.journal.marked.under_way = true;
        let ended = self.journal.marked.ended || mutated(self.config.mutation, Mutation::StaleEnd);
        let place = self.journal.ring.place_of(vouched).filter(|_| ended);
        let mark = Mark {
            journal: self.journal.id,
            vouched,
            bytes: self.journal.marked.bytes,
            ended: place.map(|(file, pos)| RingPosition {
                file,
                block: u32::try_from(pos / BLOCK as u64).expect("files are below 4 GiB"),
            }),
        };
        let mut buf = self.pool.alloc(BLOCK);
        mark.encode(&mut buf.as_mut()[..BLOCK]);
        let op = Op::Write {
            file: FileName::Superblock,
            pos: self.journal.marked.position,
            buf,
            durable: true,
        };
        self.ops.push(Purpose::Mark, op);
    }

    pub(crate) fn mark_written(&mut self, result: &IoResult<P::Buf>) {
        self.journal.marked.under_way = false;
        self.journal.marked.failed |= result.is_err();
    }
}
