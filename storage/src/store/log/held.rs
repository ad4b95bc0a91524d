//! Where a log's live entries stand in the journal.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::types::{CommitSeq, Ordinal};

/// Consecutive entries that one commit holds, or that one extent record in it vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) first: Ordinal,
    pub(crate) last: Ordinal,
    pub(crate) seq: CommitSeq,
    /// Journal bytes of its records.
    pub(crate) bytes: u64,
    /// Only the starts of entries, for a replay; never copied.
    pub(crate) prefix: bool,
    /// The encoded record, for copying it forward: that of an extent, or any of a lost log. `None`:
    /// it is made of entries in memory.
    pub(crate) record: Option<Bytes>,
    /// Whether it was copied forward: its sequence is above that of the runs behind it.
    pub(crate) copied: bool,
}

/// What the journal holds of a log.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// In order of ordinals.
    runs: VecDeque<Run>,
    /// Journal bytes of them; see [`Remnants::change`].
    ///
    /// [`Remnants::change`]: crate::store::reclaim::remnants::Remnants::change
    bytes: u64,
    /// Commits below this shall lose their entries of this log by copying.
    copy_below: Option<CommitSeq>,
    /// Pass of reclaim that saw it last.
    seen_in: u64,
}

impl Held {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the bytes of its runs; those before.
    pub(crate) fn set_bytes(&mut self, bytes: u64) -> u64 {
        std::mem::replace(&mut self.bytes, bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn runs(&self) -> &VecDeque<Run> {
        &self.runs
    }

    pub(crate) fn run_mut(&mut self, at: usize) -> &mut Run {
        &mut self.runs[at]
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Run> {
        self.runs.back_mut()
    }

    pub(crate) fn push(&mut self, run: Run) {
        self.runs.push_back(run);
    }

    /// The run that begins with `first` now stands in commit `seq`.
    pub(crate) fn moved(&mut self, first: Ordinal, seq: CommitSeq) {
        let at = self.runs.partition_point(|run| run.first < first);
        self.runs[at].seq = seq;
    }

    /// Takes out the first run, if it is wholly below `floor`.
    pub(crate) fn pop_below(&mut self, floor: Ordinal) -> Option<Run> {
        self.runs.front().filter(|run| run.last < floor)?;
        self.runs.pop_front()
    }

    /// The end of the log takes them all.
    pub(crate) fn take(&mut self) -> VecDeque<Run> {
        self.copy_below = None;
        std::mem::take(&mut self.runs)
    }

    /// What commits below `below` hold is to be copied; whether nothing was before.
    pub(crate) fn copy(&mut self, below: CommitSeq) -> bool {
        self.copy_below.replace(below).is_none()
    }

    /// Below which commits it is to be copied.
    pub(crate) fn copy_below(&self) -> Option<CommitSeq> {
        self.copy_below
    }

    pub(crate) fn copied(&mut self) {
        self.copy_below = None;
    }

    /// A pass of reclaim looks at the log; whether for the first time.
    pub(crate) fn see(&mut self, pass: u64) -> bool {
        std::mem::replace(&mut self.seen_in, pass) != pass
    }
}
