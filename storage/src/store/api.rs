//! The types between a store and its user: what goes in, what comes out, what can be refused.

use std::ops::Range;

use bytes::Bytes;

use crate::checksum::KnownSum;
use crate::io::FileName;
use crate::types::{EntryMeta, LogId, Offset, Ordinal, Term, WallMs};

/// An entry on its way in; the store gives it its ordinal.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Leader epoch under which it was decided; never falls within a log.
    pub term: Term,
    /// Wall clock when it was decided.
    pub time: WallMs,
    /// First client offset: the log's next one.
    pub first_offset: Offset,
    /// How many client offsets it takes (0 for internal entries).
    pub offsets: u32,
    /// Largest record timestamp in it, milliseconds; `i64::MIN` for internal entries.
    pub max_timestamp: i64,
    /// The entry itself, never empty.
    pub bytes: Bytes,
    /// What its own checksum, verified, says of it, if it has one. The store reads the bytes of no large
    /// entry again for its own checksums then.
    pub sum: Option<KnownSum>,
}

/// Why an entry was not taken. Nothing of it has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The journal has no room now; [`Event::SpaceAvailable`] says when to try again.
    #[error("journal is full")]
    Full,
    /// The file system is at its floor, or has refused something for want of space; consuming and
    /// deleting go on. [`Event::SpaceAvailable`] says when to try again.
    #[error("file system is full, or nearly")]
    DiskFloor,
    /// The log has stopped after a failed write, or the store is stopping.
    #[error("log is stopped")]
    Stopped,
    /// The entry is larger than the store takes.
    #[error("entry is too large")]
    TooLarge,
    /// There is no such log.
    #[error("unknown log")]
    UnknownLog,
}

/// Where a log stands. Every position is a *next* one: the first that is not covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Frontiers {
    /// The first entry and offset that can still be read.
    pub start: (Ordinal, Offset),
    /// Everything below has its place.
    pub ordered: (Ordinal, Offset),
    /// Everything below was handed to the device.
    pub written: (Ordinal, Offset),
    /// Everything below survives a power cut. For a log of level `memory`: the same as `ordered`.
    pub durable: (Ordinal, Offset),
}

/// Pairs a pending read or time look-up with its [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// What of a log is read: from the entry that holds the first place on, and nothing that begins at
/// or after the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRange {
    /// By client offsets.
    Offsets(Offset, Offset),
    /// By ordinals: of logs without offsets, and of what clients do not see.
    Ordinals(Ordinal, Ordinal),
}

impl From<Range<Offset>> for ReadRange {
    fn from(Range { start, end }: Range<Offset>) -> Self {
        Self::Offsets(start, end)
    }
}

impl From<Range<Ordinal>> for ReadRange {
    fn from(Range { start, end }: Range<Ordinal>) -> Self {
        Self::Ordinals(start, end)
    }
}

impl ReadRange {
    /// Whether it begins at this place or after it.
    pub(crate) fn is_from(self, (ordinal, offset): (Ordinal, Offset)) -> bool {
        match self {
            Self::Offsets(from, _) => from >= offset,
            Self::Ordinals(from, _) => from >= ordinal,
        }
    }

    /// Whether it begins after this place.
    pub(crate) fn is_beyond(self, (ordinal, offset): (Ordinal, Offset)) -> bool {
        match self {
            Self::Offsets(from, _) => from > offset,
            Self::Ordinals(from, _) => from > ordinal,
        }
    }

    /// Whether what begins at this place is not part of it.
    pub(crate) fn ends_by(self, (ordinal, offset): (Ordinal, Offset)) -> bool {
        match self {
            Self::Offsets(_, until) => offset >= until,
            Self::Ordinals(_, until) => ordinal >= until,
        }
    }

    /// Whether there is no place in it.
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Offsets(from, until) => from >= until,
            Self::Ordinals(from, until) => from >= until,
        }
    }
}

/// A place in a log between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ordinal of the entry behind it.
    pub ordinal: Ordinal,
    /// The first offset of that entry; `None` where only an index that was not read tells it.
    pub offset: Option<Offset>,
}

/// Entries as read: whole, in order, back to back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadData {
    /// The bytes of one or more whole entries per chunk. The first chunk may begin with entries
    /// below the place asked for, and a chunk that came from a segment may end with entries at
    /// or above the end if that was below the durable frontier; the reader trims them.
    pub chunks: Vec<Bytes>,
    /// Sum of the chunks' lengths.
    pub bytes: usize,
    /// Where the first chunk begins; `None` without chunks.
    pub first: Option<Place>,
    /// Where to read on: everything before was read, or is not there. `None` if there is nothing
    /// between the two places asked for.
    pub next: Option<Place>,
    /// What is known of each entry, one to a chunk, if it was read by ordinals and memory had them;
    /// else none.
    pub metas: Vec<ReadMeta>,
}

/// What is known of an entry that was read by its ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMeta {
    /// Where it stands, of which term and time, and how long it is.
    pub meta: EntryMeta,
    /// Its kind, where entries of its log say it: [`Replay::Own`](crate::class::Replay::Own); else 0.
    pub kind: u8,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset lies below the log's start (it may have moved meanwhile) or above its end.
    #[error("offset is out of range: the log begins at {start} and ends at {end}")]
    OutOfRange {
        /// First readable offset.
        start: Offset,
        /// First offset not yet given.
        end: Offset,
    },
    /// What the device gave back is not what was written. The rest of the log is not affected.
    #[error("{file} is damaged at byte {position}: {reason}")]
    Corrupt {
        /// The file.
        file: FileName,
        /// Byte position of the damaged span or index block.
        position: u64,
        /// What does not fit.
        reason: String,
    },
    /// The device refused.
    #[error("{0}")]
    Io(String),
    /// There is no such log, or it was deleted meanwhile.
    #[error("unknown log")]
    UnknownLog,
}

/// Answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// At once, from memory. Without chunks when there is nothing between `from` and `until`.
    Ready(ReadData),
    /// [`Event::ReadDone`] follows with this token.
    Pending(ReadToken),
    /// Not possible.
    Failed(ReadError),
}

/// An entry, or a span of entries, that a look-up by time found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFound {
    /// Its first offset: scan on from here.
    pub offset: Offset,
    /// The largest timestamp in it, milliseconds.
    pub timestamp: i64,
}

/// Answer to a look-up by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeOutcome {
    /// The first entry, or span of entries, that holds such a record.
    Found(TimeFound),
    /// There is no such record below `until`.
    NotFound,
    /// [`Event::TimeDone`] follows with this token.
    Pending(ReadToken),
    /// Not possible.
    Failed(ReadError),
}

/// What a store has to say, in the order that it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `written` or `durable` moved; at most one is queued per log.
    Frontier {
        /// Whose frontiers moved.
        log: LogId,
    },
    /// A pending read ended.
    ReadDone {
        /// Which read.
        token: ReadToken,
        /// What came of it.
        result: Result<ReadData, ReadError>,
    },
    /// A pending look-up by time ended.
    TimeDone {
        /// Which look-up.
        token: ReadToken,
        /// Where to scan on from, `None` if there is no such record.
        result: Result<Option<TimeFound>, ReadError>,
    },
    /// The machine over this log shall hand in a snapshot, so that journal space can be freed.
    SnapshotWanted {
        /// The machine's log.
        log: LogId,
    },
    /// The log's start has moved, durably. [`Frontiers::start`] may be further already.
    Trimmed {
        /// The log whose start has moved.
        log: LogId,
        /// To where.
        start: (Ordinal, Offset),
    },
    /// The log's end is durable; its files are on their way out.
    Dropped {
        /// The log that has ended.
        log: LogId,
    },
    /// The log takes no more entries; reads of what is durable go on.
    Stopped {
        /// The log that has stopped.
        log: LogId,
        /// What failed, for people.
        reason: String,
    },
    /// An append that was refused with [`AppendError::Full`] or [`AppendError::DiskFloor`] may
    /// succeed now.
    SpaceAvailable,
    /// From now on topic logs take no entries for want of space on the file system, or for another
    /// want of it than the last event said.
    DiskShort {
        /// Whether the floor is reached or the file system full.
        space: DiskSpace,
        /// What was refused, or how little is free; for people.
        reason: String,
    },
    /// What [`Event::DiskShort`] said is over.
    DiskHasRoom,
    /// After `begin_stop`: all is durable and nothing is under way.
    Flushed,
    /// The journal cannot be trusted any more: the process must end.
    Fatal(String),
}

/// What a store has done since it opened, and what its ring holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Ring bytes between the oldest needed block and the next free one.
    pub ring_used: u64,
    /// Ring bytes in all.
    pub ring_total: u64,
    /// Times that the ring began again at its first file.
    pub laps: u64,
    /// Appends refused for want of journal space.
    pub full: u64,
    /// Entries accepted.
    pub appends: u64,
    /// Commits issued.
    pub commits: u64,
    /// Commits issued without a record.
    pub empty_commits: u64,
    /// Bytes of commits issued.
    pub journal_bytes: u64,
    /// Bytes written to segments.
    pub segment_bytes: u64,
    /// Extent records placed.
    pub extents: u64,
    /// Extent records placed whose bytes did not end at a block boundary.
    pub extents_with_tail: u64,
    /// Journal runs copied forward.
    pub copy_forwards: u64,
    /// Commits that freed the oldest ones because nothing else had room.
    pub rescues: u64,
    /// Write-behind jobs begun.
    pub write_behinds: u64,
    /// Segments that were written out padded and closed to give journal space back.
    pub padded_closes: u64,
    /// Bytes of entries in memory.
    pub tail_bytes: u64,
    /// Logs known.
    pub logs: u64,
    /// Journal files that were zero-filled.
    pub prefilled_files: u64,
    /// Operations that the file system refused for want of space, each time that it did.
    pub space_refusals: u64,
    /// Whether the file system has space.
    pub disk: DiskSpace,
}

/// Whether the file system has space for the entries of topic logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskSpace {
    /// As far as is known: it is asked while entries come in, and now and then.
    #[default]
    HasRoom,
    /// Less is free than the floor, or than a start needs: appends are refused.
    AtFloor,
    /// It has refused something that is not done yet: appends are refused.
    Full,
}

impl DiskSpace {
    /// Whether appends are refused.
    #[must_use]
    pub fn is_short(self) -> bool {
        self != Self::HasRoom
    }
}

/// What one log takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes of entries from the start to the end, as far as known without reading: segments
    /// that were never looked at count nothing.
    pub bytes: u64,
    /// Segments known.
    pub segments: u64,
    /// Bytes that live in memory.
    pub cached_bytes: u64,
    /// Bytes that live only in the journal.
    pub journal_bytes: u64,
    /// Whether the log has stopped after a failed write.
    pub stopped: bool,
}
