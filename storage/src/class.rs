//! What a log is like for storage: the one place that says what its kind means.
//!
//! A class says what the store, recovery and `leveret verify` do with a log. They are not told
//! whose log it is.

use crate::format::record::PREFIX_MAX;
use crate::types::{LogKind, Ordinal};

/// What becomes of a log's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogClass {
    /// Whether its entries are written to segment files behind the journal. Otherwise they live in
    /// the journal only, each within one commit, until a snapshot replaces them.
    pub files: bool,
    /// Most bytes of a segment; the log's settings may make it shorter.
    pub segment_bytes: u64,
    /// When its entries are written there, if it has files.
    pub behind: Behind,
    /// From so many pending bytes on, they are written straight to its segment; never without
    /// files.
    pub bulk_from: usize,
    /// How much of each entry its machine is given again after a start.
    pub replay: Replay,
    /// Whether retention removes its oldest segments, and its start can be moved.
    pub retention: bool,
    /// When the store asks for a snapshot although it needs no space.
    pub snapshot: Option<SnapshotWhen>,
    /// Whether it goes on while the disk is at its floor: what it takes is small, and may be what
    /// frees space.
    pub passes_floor: bool,
}

/// When entries that the journal holds are written to segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// As soon as enough of them are there.
    Eager,
    /// When their journal space or their memory is needed: few of them are read after that.
    Asked,
}

/// What of each entry a replay needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Nothing: no machine is rebuilt of it.
    None,
    /// So many bytes from its beginning, at most [`PREFIX_MAX`].
    Prefix(usize),
    /// As many bytes from its beginning as the entry says itself, together with its kind: entries
    /// begin with [`OWN_HEAD`].
    Own,
    /// All of it.
    Whole,
}

/// Length of the head of an entry that says itself what a replay needs of it, bytes. Little-endian:
/// how many bytes from its beginning are replayed u32, its kind u8.
pub const OWN_HEAD: usize = 5;

/// How much has to be journaled until a snapshot is wanted: the larger of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotWhen {
    /// So many bytes.
    pub least: u64,
    /// So many times what the last snapshot took.
    pub factor: u64,
}

impl Replay {
    /// What is replayed of an entry's bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[..self.len_of(bytes, bytes.len())]
    }

    /// How many bytes are replayed of an entry of `len` bytes that begins with these. An entry that
    /// is too short to say it is replayed whole.
    #[must_use]
    pub fn len_of(self, begin: &[u8], len: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Prefix(most) => len.min(most),
            Self::Own => match begin.first_chunk() {
                Some(own) if begin.len() >= OWN_HEAD => {
                    let own = usize::try_from(u32::from_le_bytes(*own));
                    own.map_or(len, |own| own.clamp(OWN_HEAD, len))
                }
                _ => len,
            },
            Self::Whole => len,
        }
    }

    /// The kind of an entry that begins with these bytes; 0 where entries do not say it.
    #[must_use]
    pub fn kind_of(self, begin: &[u8]) -> u8 {
        match self {
            Self::Own if begin.len() >= OWN_HEAD => begin[OWN_HEAD - 1],
            _ => 0,
        }
    }

    /// The first entry that a replay needs where a snapshot holds all below `snapshot`.
    #[must_use]
    pub fn from(self, snapshot: Ordinal) -> Ordinal {
        match self {
            Self::None => Ordinal(u64::MAX),
            _ => snapshot,
        }
    }
}

impl SnapshotWhen {
    /// How many journaled bytes are enough where the last snapshot took `last`.
    #[must_use]
    pub fn enough(self, last: u64) -> u64 {
        self.least.max(self.factor.saturating_mul(last))
    }
}

impl LogKind {
    /// What logs of this kind are like.
    #[must_use]
    pub const fn class(self) -> LogClass {
        match self {
            Self::Topic => LogClass {
                files: true,
                // As the settings of the topic say.
                segment_bytes: u64::MAX,
                behind: Behind::Eager,
                bulk_from: 256 << 10,
                replay: Replay::Prefix(PREFIX_MAX),
                retention: true,
                snapshot: None,
                passes_floor: false,
            },
            Self::Machine => LogClass {
                files: false,
                segment_bytes: 0,
                behind: Behind::Asked,
                bulk_from: usize::MAX,
                replay: Replay::Whole,
                retention: false,
                snapshot: Some(SnapshotWhen {
                    least: 1 << 20,
                    factor: 2,
                }),
                passes_floor: true,
            },
            Self::Coordinator => LogClass {
                passes_floor: false,
                ..Self::Machine.class()
            },
        }
    }
}

/// What logs of each kind are like; the sizes in it may be made small.
#[derive(Clone, Copy, Debug)]
pub struct Classes {
    /// The class of a topic partition's log.
    pub topic: LogClass,
    /// The class of a machine's own log.
    pub machine: LogClass,
    /// The class of a coordinator's log.
    pub coordinator: LogClass,
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            topic: LogKind::Topic.class(),
            machine: LogKind::Machine.class(),
            coordinator: LogKind::Coordinator.class(),
        }
    }
}

impl Classes {
    /// The same classes, except that logs with files are written straight to their segments from so
    /// many pending bytes on.
    #[must_use]
    pub fn with_bulk_from(self, bulk_from: usize) -> Self {
        let topic = LogClass {
            bulk_from,
            ..self.topic
        };
        Self { topic, ..self }
    }

    /// The same classes, except that segments become no longer than so many bytes, whatever
    /// settings say.
    #[must_use]
    pub fn with_segments_up_to(self, segment_bytes: u64) -> Self {
        let topic = LogClass {
            segment_bytes,
            ..self.topic
        };
        Self { topic, ..self }
    }

    /// The same classes, except that this is replayed of the entries of logs with files.
    #[must_use]
    pub fn with_replay(self, replay: Replay) -> Self {
        let topic = LogClass {
            replay,
            ..self.topic
        };
        Self { topic, ..self }
    }

    /// The same classes, except that logs with files are written behind the journal then.
    #[must_use]
    pub fn with_behind(self, behind: Behind) -> Self {
        let topic = LogClass {
            behind,
            ..self.topic
        };
        Self { topic, ..self }
    }

    /// The same classes, except that machines' snapshots are wanted after no fewer journaled bytes
    /// than `least`.
    #[must_use]
    pub fn with_snapshots_from(self, least: u64) -> Self {
        let when = |when| SnapshotWhen { least, ..when };
        let from = |class: LogClass| LogClass {
            snapshot: class.snapshot.map(when),
            ..class
        };
        Self {
            machine: from(self.machine),
            coordinator: from(self.coordinator),
            ..self
        }
    }

    /// What logs of a kind are like.
    #[must_use]
    pub fn of(&self, kind: LogKind) -> LogClass {
        match kind {
            LogKind::Topic => self.topic,
            LogKind::Machine => self.machine,
            LogKind::Coordinator => self.coordinator,
        }
    }
}
