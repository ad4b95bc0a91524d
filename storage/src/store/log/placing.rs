//! The entries of a log that no commit holds yet: how many there are, how urgent they are, and
//! whether they go through the journal or straight to a segment.

use crate::types::Ordinal;

/// How soon what is pending is to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Whenever the sync of several commits comes.
    #[default]
    Leisure,
    /// Synced as soon as it is written: a reader waits for it.
    Reader,
    /// Durable as it is written: an acknowledgement waits for it, or journal space.
    Commit,
}

/// Which way pending entries go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Into the next commit.
    #[default]
    Inline,
    /// They are too large for one, or much, and a job that writes to the segment is in the way.
    AfterJob,
    /// Straight to the segment: a job has begun with the first of them, which none may overtake.
    Bulk,
}

/// Entries that are not placed.
#[derive(Debug, Default)]
pub(crate) struct Placing {
    /// The first of them: no commit holds it or vouches for it.
    pub(crate) next: Ordinal,
    /// Bytes of entries from there on.
    bytes: usize,
    /// Journal space granted to them.
    granted: u64,
    /// What the most urgent of them asks for.
    pub(crate) urgency: Urgency,
    pub(crate) way: Way,
}

impl Placing {
    /// For a log whose entries below this are in the journal.
    pub(crate) fn from(next: Ordinal) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    pub(crate) fn is_bulk(&self) -> bool {
        self.way == Way::Bulk
    }

    /// Bytes of entries that are not placed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of those that go into commits.
    pub(crate) fn inline_bytes(&self) -> usize {
        if self.is_bulk() { 0 } else { self.bytes }
    }

    /// An entry came, with what was granted to it.
    pub(crate) fn add(&mut self, bytes: usize, granted: u64, urgency: Urgency) {
        self.bytes += bytes;
        self.granted += granted;
        self.urgency = self.urgency.max(urgency);
    }

    /// Entries below `next`, of so many bytes, are placed.
    pub(crate) fn place(&mut self, next: Ordinal, bytes: usize) {
        self.next = next;
        self.bytes -= bytes;
    }

    /// What was granted to entries that were placed, which is `granted`, or all if none is left;
    /// it is their commit's now.
    pub(crate) fn use_grant(&mut self, granted: u64, none_left: bool) -> u64 {
        let granted = match none_left {
            true => self.granted,
            false => granted.min(self.granted),
        };
        self.granted -= granted;
        granted
    }

    /// They are given up; what was granted to them.
    pub(crate) fn give_up(&mut self) -> u64 {
        self.way = Way::Inline;
        self.bytes = 0;
        std::mem::take(&mut self.granted)
    }
}
