//! Zero-fills journal files ahead of need: overwriting written blocks costs the device two thirds
//! of what extending a file does.
//!
//! Only files that the ring does not stand in are filled, in order of need, one write at a time,
//! and the ring enters no file while a fill is in flight.

use crate::io::{BufPool, IoResult, Op};
use crate::store::Store;
use crate::store::ops::Purpose;
use crate::store::space::{Refused, is_refusal};

/// Bytes of one fill.
const FILL: u64 = 256 << 10;

/// What of each journal file has been written at least once.
#[derive(Debug)]
pub(crate) struct Prefill {
    /// Bytes from the file's start.
    prepared: Vec<u64>,
    /// Bytes of all files that the file system is still to give.
    missing: u64,
    file_bytes: u64,
    /// The file that is being filled.
    under_way: Option<u16>,
    /// The last fill waits for space on the file system.
    refused: bool,
    enabled: bool,
    /// Every file has its full length, durably.
    complete: bool,
}

impl Prefill {
    /// Of a ring whose blocks are all `set_aside`, or only those that are prepared.
    pub(crate) fn new(prepared: &[u64], file_bytes: u64, set_aside: bool, enabled: bool) -> Self {
        let missing = prepared
            .iter()
            .map(|bytes| file_bytes.saturating_sub(*bytes));
        Self {
            missing: missing.filter(|_| !set_aside).sum(),
            prepared: prepared.to_vec(),
            file_bytes,
            under_way: None,
            refused: false,
            enabled,
            complete: false,
        }
    }

    /// Whether all below `end` in the file was written before, durably: its length needs no sync.
    pub(crate) fn covers(&self, file: u16, end: u64) -> bool {
        let prepared = self.prepared.get(usize::from(file));
        prepared.is_some_and(|bytes| *bytes >= end)
    }

    /// Whether all files have been filled.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Bytes of the ring that the file system is still to give.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// So much of the file has been written at least once; bytes that the file system has given for it.
    fn reach(&mut self, file: u16, end: u64) -> u64 {
        let Some(prepared) = self.prepared.get_mut(usize::from(file)) else {
            return 0;
        };
        let more = end.saturating_sub(*prepared);
        *prepared += more;
        let given = more.min(self.missing);
        self.missing -= given;
        given
    }

    /// Bytes that have been written of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.prepared.iter().sum()
    }

    fn is_ready(&self, file: u16) -> bool {
        let prepared = self.prepared.get(usize::from(file));
        prepared.is_some_and(|bytes| *bytes >= self.file_bytes)
    }
}

impl<P: BufPool> Store<P> {
    /// Starts the next fill, if a file needs one.
    pub(crate) fn issue_prefill(&mut self) {
        if !self.journal.prefill.refused
            && let Some((file, op)) = self.next_fill()
        {
            self.ops.push(Purpose::Prefill { file }, op);
        }
    }

    /// The fill that was refused for want of space is tried again, if one is still needed.
    pub(crate) fn retry_fill(&mut self) {
        self.journal.prefill.refused = false;
        if let Some((file, op)) = self.next_fill() {
            self.ops.push_again(Purpose::Prefill { file }, op);
        }
    }

    fn next_fill(&mut self) -> Option<(u16, Op<P::Buf>)> {
        if !self.journal.prefill.enabled
            || self.journal.prefill.under_way.is_some()
            || self.phase.is_stopping()
        {
            return None;
        }
        let files = u16::try_from(self.journal.prefill.prepared.len()).expect("ring geometry");
        let head = self.journal.ring.head_file();
        let in_order = (1..files).map(|ahead| (head + ahead) % files);
        let mut wanting = in_order.filter(|file| !self.journal.prefill.is_ready(*file));
        let Some(file) = wanting.next() else {
            self.journal.prefill.enabled = false;
            self.journal.prefill.complete = self.journal.prefill.is_ready(head);
            return None;
        };
        if !self.journal.ring.is_outside(file) {
            return None;
        }
        let pos = self.journal.prefill.prepared[usize::from(file)];
        let len = FILL.min(self.journal.prefill.file_bytes - pos);
        // The floor is not for this.
        if self.journal.prefill.missing > 0 && self.space.is_short() {
            return None;
        }
        let len = usize::try_from(len).expect("one fill");
        let mut buf = self.pool.alloc(len);
        buf.as_mut().fill(0);
        self.journal.prefill.under_way = Some(file);
        let name = self.journal.file(file);
        let op = Op::Write {
            file: name,
            pos,
            buf,
            // With the file's new length: a commit of level `written` relies on it.
            durable: true,
        };
        Some((file, op))
    }

    pub(crate) fn prefilled(&mut self, file: u16, result: IoResult<P::Buf>) {
        self.journal.prefill.under_way = None;
        if let Err(error) = &result
            && is_refusal(error)
        {
            self.journal.prefill.refused = true;
            return self.refuse(Refused::Fill, error.message.clone());
        }
        if result.is_err() {
            // Filling is for speed; the commit that meets the fault decides what it means.
            self.journal.prefill.enabled = false;
            return;
        }
        let bytes = self.journal.prefill.file_bytes;
        let filled = self.journal.prefill.prepared[usize::from(file)] + FILL;
        self.reached(file, filled.min(bytes));
        self.stats.prefilled_files += u64::from(filled >= bytes);
    }

    /// Whether the next commit may be written where it would stand: not while that file is being
    /// filled. A ring that grows into unwritten blocks moves on to a filled file instead.
    pub(crate) fn may_enter_next(&mut self) -> bool {
        let head = self.journal.ring.head_file();
        let next = self
            .journal
            .ring
            .file_for(self.journal.ring.max_commit() as u64);
        let busy = |file| self.journal.prefill.under_way == Some(file);
        !busy(head) && !busy(next)
    }

    /// A commit was placed in the file.
    pub(crate) fn entered(&mut self, file: u16, end: u64) {
        self.reached(file, end);
    }

    /// What the ring is given is no longer kept for it.
    fn reached(&mut self, file: u16, end: u64) {
        let given = self.journal.prefill.reach(file, end);
        if given > 0 {
            self.take_space(given);
        }
    }
}
