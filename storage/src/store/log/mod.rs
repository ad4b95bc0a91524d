//! What the store keeps of one log, in parts: its frontiers, its entries in memory ([`tail`]), those
//! that no commit holds ([`placing`]), where the others live in the journal ([`held`]), what its
//! checkpoint says, its machine's states ([`snapshots`]), its segments, and the lines in which it
//! stands ([`lines`]).
//!
//! It is kept small, because a broker may have ten thousand idle logs: what only a log with files
//! needs is boxed in [`Files`].

pub(crate) mod held;
pub(crate) mod lines;
pub(crate) mod own;
pub(crate) mod placing;
pub(crate) mod snapshots;
pub(crate) mod tail;

use crate::class::LogClass;
use crate::format::record::Checkpoint;
use crate::store::api::{Frontiers, ReadRange};
use crate::store::config::LogSettings;
use crate::store::journal::ring::LogKey;
use crate::store::segments::files::Files;
use crate::store::segments::job::Job;
use crate::types::{CommitSeq, LogId, LogKind, Mono, Offset, Ordinal, SlotId, Term};
use held::Held;
use lines::{Line, Standing};
use placing::Placing;
use snapshots::Snapshots;
use tail::Tail;

/// Steps of removing a log's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalStep {
    List,
    Files,
    Directory,
    SyncParent,
}

/// How far the removal of a log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The end record is to be placed.
    Wanted,
    /// The end record stands in this commit.
    Placed(CommitSeq),
    /// The end is durable and its files are being removed; so many operations are not complete.
    Files {
        end: Option<CommitSeq>,
        step: RemovalStep,
        waits: usize,
    },
}

/// Whether a log takes entries.
#[derive(Debug, Default)]
pub(crate) enum Health {
    #[default]
    Well,
    /// It takes no more: something of it failed.
    Stopped,
    /// Nor does this one: a file of it was lost before this run, and this is to be said of that. Its
    /// records in the ring stay as they are, and so do its files.
    Lost(Box<str>),
}

/// What the placed checkpoint record of a log says.
#[derive(Debug)]
pub(crate) struct Checkpointed {
    pub(crate) slot: SlotId,
    /// Segments hold everything below.
    pub(crate) upto: Ordinal,
    pub(crate) start: (Ordinal, Offset),
    /// The commit with the live record; `None` before the first durable one.
    pub(crate) seq: Option<CommitSeq>,
}

/// Records of its own that a log is to place, or to place again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) checkpoint: bool,
    /// The live snapshot.
    pub(crate) snapshot: bool,
    pub(crate) end: bool,
}

/// What segments hold of a log, and where its next entry goes.
#[derive(Debug)]
pub(crate) struct Segmented {
    /// Segment, index and directory are synced below this: may be evicted.
    pub(crate) flushed: (Ordinal, Offset),
    /// Largest record timestamp of entries below that.
    pub(crate) max_timestamp: i64,
    /// Byte position of the next entry in its segment.
    pub(crate) next_pos: u64,
    /// The next entry begins a new segment.
    pub(crate) roll: bool,
    /// When its settings want it looked at.
    pub(crate) look_at: Option<Mono>,
    /// Its files, if it has any.
    pub(crate) files: Option<Box<Files>>,
}

/// One log.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) id: LogId,
    pub(crate) kind: LogKind,
    pub(crate) class: LogClass,
    pub(crate) settings: LogSettings,
    pub(crate) health: Health,
    pub(crate) removal: Option<Removal>,
    /// The lines in which it stands.
    pub(crate) lines: Standing,
    /// Leader epoch of the last entry.
    pub(crate) term: Term,
    pub(crate) at: Frontiers,
    pub(crate) tail: Tail,
    pub(crate) placing: Placing,
    pub(crate) held: Held,
    pub(crate) checkpoint: Checkpointed,
    pub(crate) owed: Owed,
    pub(crate) snapshots: Snapshots,
    pub(crate) segmented: Segmented,
}

impl LogState {
    pub(crate) fn new(
        id: LogId,
        slot: SlotId,
        (kind, class): (LogKind, LogClass),
        settings: LogSettings,
    ) -> Self {
        let zero = (Ordinal(0), Offset(0));
        Self {
            id,
            kind,
            class,
            settings,
            health: Health::Well,
            removal: None,
            lines: Standing::default(),
            term: Term::default(),
            at: Frontiers::default(),
            tail: Tail::default(),
            placing: Placing::default(),
            held: Held::default(),
            checkpoint: Checkpointed {
                slot,
                upto: Ordinal(0),
                start: zero,
                seq: None,
            },
            owed: Owed::default(),
            snapshots: Snapshots::default(),
            segmented: Segmented {
                flushed: zero,
                max_timestamp: i64::MIN,
                next_pos: 0,
                roll: true,
                look_at: None,
                files: None,
            },
        }
    }

    /// Whether it takes no more entries.
    pub(crate) fn is_stopped(&self) -> bool {
        !matches!(self.health, Health::Well)
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.health, Health::Lost(_))
    }

    /// Whether it has applied entries that it gave up: no snapshot of it can come any more.
    pub(crate) fn gave_up(&self) -> bool {
        self.is_stopped() && self.placing.next < self.at.ordered.0
    }

    /// Longest that its segments become, bytes.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes.min(self.class.segment_bytes)
    }

    /// The write to its segment that is under way.
    pub(crate) fn job(&self) -> Option<&Job> {
        self.segmented.files.as_ref()?.job.as_ref()
    }

    /// Its files, and the write to its segment that is under way.
    ///
    /// # Panics
    /// If none is.
    pub(crate) fn flushing(&self) -> (&Files, &Job) {
        let files = self.segmented.files.as_ref();
        let files = files.expect("a flushing log has files");
        (files, files.job.as_ref().expect("job under way"))
    }

    /// Its files, while a write to its segment is under way.
    ///
    /// # Panics
    /// If it has none.
    pub(crate) fn flushing_files(&mut self) -> &mut Files {
        let files = self.segmented.files.as_mut();
        files.expect("a flushing log has files")
    }

    /// Whether all its entries are placed.
    pub(crate) fn is_placed(&self) -> bool {
        self.placing.next == self.at.ordered.0
    }

    /// Ordinal of the first entry in memory (that of the next entry if there is none).
    pub(crate) fn tail_first(&self) -> Ordinal {
        let first = self.tail.first();
        first.map_or(self.at.ordered.0, |entry| entry.meta.ordinal)
    }

    /// The position of the entry with this ordinal, which may be yet to come.
    pub(crate) fn position(&self, ordinal: Ordinal) -> (Ordinal, Offset) {
        if ordinal == self.at.ordered.0 {
            return self.at.ordered;
        }
        (ordinal, self.tail.entry(ordinal).meta.first_offset)
    }

    /// Entries below this need no journal: segments hold them (or they lie below the start), and
    /// no replay needs them.
    pub(crate) fn journal_floor(&self) -> Ordinal {
        match self.class.files {
            true => self.replay_floor().min(self.data_floor()),
            false => self.snapshots.ordinal(),
        }
    }

    /// Entries below this need no replay.
    pub(crate) fn replay_floor(&self) -> Ordinal {
        self.class.replay.from(self.snapshots.ordinal())
    }

    /// Entries below this are in segments or below the start.
    pub(crate) fn data_floor(&self) -> Ordinal {
        if self.is_lost() {
            // All that the ring has of it is needed.
            return Ordinal(0);
        }
        match self.class.files {
            true => self.checkpoint.upto.max(self.checkpoint.start.0),
            false => self.snapshots.ordinal(),
        }
    }

    /// What a checkpoint record placed now says.
    pub(crate) fn checkpoint_now(&self) -> Checkpoint {
        let (start, upto) = match self.class.files {
            true => (self.at.start, self.segmented.flushed),
            false => {
                let ordinal = self.data_floor();
                ((ordinal, Offset(0)), (ordinal, Offset(0)))
            }
        };
        Checkpoint {
            slot: self.checkpoint.slot,
            start,
            upto,
            max_timestamp: self.segmented.max_timestamp,
            term: self.term,
        }
    }

    /// Whether it is not being deleted: what comes back to a log (a listing, an index, a commit, a
    /// deadline) finds its entries in memory only while it lives.
    pub(crate) fn lives(&self) -> bool {
        self.removal.is_none()
    }

    /// Why nothing of this can be read, if a file of the log is lost: what segments hold below
    /// its checkpoint is read as ever.
    pub(crate) fn lost_from(&self, range: ReadRange) -> Option<&str> {
        let Health::Lost(reason) = &self.health else {
            return None;
        };
        range.is_from(self.segmented.flushed).then_some(reason)
    }

    /// Whether nothing of this log was ever placed in the journal.
    pub(crate) fn is_unborn(&self) -> bool {
        self.checkpoint.seq.is_none()
    }

    /// A segment that was written to its end on a block boundary needs no closing write.
    pub(crate) fn drop_finished_writer(&mut self) {
        let flushed = self.segmented.flushed.0;
        let Some(files) = self.segmented.files.as_deref_mut() else {
            return;
        };
        let begins = files.segment_at(flushed).is_some();
        if begins && files.job.is_none() && files.writer.as_ref().is_some_and(|w| w.base < flushed)
        {
            files.writer = None;
        }
    }
}

/// Logs by id, with stable keys.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    by_id: hashbrown::HashMap<LogId, LogKey, foldhash::fast::FixedState>,
    /// In boxes: moved as they are, a hundred thousand would take a core's turn when the slab grows.
    slots: slab::Slab<Box<LogState>>,
}

impl Logs {
    pub(crate) fn key(&self, id: LogId) -> Option<LogKey> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn insert(&mut self, log: LogState) -> LogKey {
        let id = log.id;
        let key = self.slots.insert(Box::new(log));
        let old = self.by_id.insert(id, key);
        assert!(old.is_none(), "log {id} exists already");
        key
    }

    pub(crate) fn remove(&mut self, key: LogKey) -> LogState {
        let log = self.slots.remove(key);
        self.by_id.remove(&log.id);
        *log
    }

    pub(crate) fn get(&self, key: LogKey) -> Option<&LogState> {
        self.slots.get(key).map(|log| &**log)
    }

    /// Whether there is such a log, and it stands in the line.
    pub(crate) fn stands(&self, key: LogKey, line: Line) -> bool {
        self.get(key).is_some_and(|log| log.lines.is_in(line))
    }

    pub(crate) fn get_mut(&mut self, key: LogKey) -> Option<&mut LogState> {
        self.slots.get_mut(key).map(|log| &mut **log)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LogState> {
        self.slots.iter().map(|(_, log)| &**log)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut LogState> {
        self.slots.iter_mut().map(|(_, log)| &mut **log)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl std::ops::Index<LogKey> for Logs {
    type Output = LogState;
    fn index(&self, key: LogKey) -> &LogState {
        &self.slots[key]
    }
}

impl std::ops::IndexMut<LogKey> for Logs {
    fn index_mut(&mut self, key: LogKey) -> &mut LogState {
        &mut self.slots[key]
    }
}
