//! The types of `storage`: ids, positions and frontiers that cannot be mixed up.
//!
//! Nothing here knows a protocol; offsets are the client's numbering of a topic log, ordinals
//! are ours (dense, one per entry, also for entries that clients never see).

use std::fmt;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The value after adding `n`.
            #[must_use]
            pub fn plus(self, n: u64) -> Self {
                Self(self.0.checked_add(n).expect(concat!(stringify!($name), " overflow")))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

counter!(
    /// Names one log for ever; never reused, also not after a deletion. 0 is the topology's log.
    LogId
);
counter!(
    /// Dense number of an entry within its log, from 0.
    Ordinal
);
counter!(
    /// A client-visible record offset of a topic log. Log-internal entries have none.
    Offset
);
counter!(
    /// Sequence number of a journal commit, dense within one core's journal of one generation.
    CommitSeq
);

/// Leader epoch under which an entry was decided. Constant on a single node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term(pub u32);

/// One run of the broker between two recoveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u32);

/// Index of a core, from 0, dense within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CoreId(pub u16);

/// What a log belongs to for ever, and what has a home: on one node a core, see
/// [`Homes`](crate::homes::Homes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SlotId(pub u8);

/// What an acknowledgement promises. Ordered from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// Held in memory; survives nothing.
    Memory,
    /// Handed to the device without a flush; survives any process or OS crash that does not cut
    /// the device's power.
    Written,
    /// The device has it; survives a power cut.
    #[default]
    Synced,
}

/// What kind of log this is: it decides how journal space is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// A topic partition: entries are record batches with client offsets, written behind to
    /// segments that hold nothing else.
    Topic,
    /// A machine's own log (the topology): lives in the journal only; a snapshot replaces the
    /// entries below it.
    Machine,
    /// The log of a coordinator (of groups of consumers): as a machine's, but what clients have it keep may be
    /// much, so it stays above the disk's floor.
    Coordinator,
}

/// The time that a call happens at. Storage has no clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic nanoseconds since an arbitrary start.
    pub mono: Mono,
    /// Wall clock, milliseconds since the Unix epoch.
    pub wall: WallMs,
}

/// Monotonic nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The instant `nanos` later.
    #[must_use]
    pub fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall-clock milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallMs(pub i64);

/// Everything that is known of an entry besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// Position in the log.
    pub ordinal: Ordinal,
    /// Leader epoch under which it was decided.
    pub term: Term,
    /// Wall clock when it was decided.
    pub time: WallMs,
    /// First client offset; for an entry without offsets, the next offset at that place.
    pub first_offset: Offset,
    /// How many client offsets it takes (0 for internal entries).
    pub offsets: u32,
    /// Largest record timestamp in it, milliseconds; `i64::MIN` for internal entries.
    pub max_timestamp: i64,
    /// Length of its bytes.
    pub len: u32,
}

impl EntryMeta {
    /// The first client offset after this entry.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.first_offset.plus(u64::from(self.offsets))
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> (Ordinal, Offset) {
        (self.ordinal, self.first_offset)
    }

    /// Where the next one does.
    pub(crate) fn next_place(&self) -> (Ordinal, Offset) {
        (self.ordinal.plus(1), self.next_offset())
    }
}
