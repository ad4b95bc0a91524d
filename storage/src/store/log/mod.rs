//! What the store keeps of one log: its frontiers, its entries in memory, and where in the
//! journal they live.
//!
//! Kept small, because a broker may hold ten thousand idle ones: what only a log with files
//! needs is boxed in [`Files`].

pub(crate) mod layout;
pub(crate) mod lines;
pub(crate) mod own;

use std::collections::VecDeque;

use bytes::Bytes;

use self::lines::Standing;
use crate::checksum::{append, join};
use crate::class::LogClass;
use crate::format::record::Checkpoint;
use crate::store::api::Frontiers;
use crate::store::config::LogSettings;
use crate::store::journal::ring::LogKey;
use crate::store::segments::files::Files;
use crate::store::snapshot::Step;
use crate::types::{
    CommitSeq, EntryMeta, Generation, LogId, LogKind, Mono, Offset, Ordinal, SlotId, Term,
};

/// Memory that an entry takes beside its bytes, for the cache budget.
pub(crate) const ENTRY_OVERHEAD: usize = 128;

/// An entry held in memory.
#[derive(Clone, Debug)]
pub(crate) struct TailEntry {
    pub(crate) meta: EntryMeta,
    /// Byte position in its segment.
    pub(crate) pos: u64,
    pub(crate) bytes: Bytes,
    /// Their CRC-32C, if it is known and worth joining.
    pub(crate) sum: Option<u32>,
}

impl TailEntry {
    /// CRC-32C of what has `before`, followed by the entry.
    pub(crate) fn sum_after(&self, before: u32) -> u32 {
        match self.sum {
            Some(own) => join(before, own, self.bytes.len()),
            None => append(before, &self.bytes),
        }
    }
}

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

/// Where a snapshot's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotBody {
    Inline(Bytes),
    File {
        generation: Generation,
        len: u32,
        crc: u32,
    },
}

/// The live snapshot record of a log.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) ordinal: Ordinal,
    pub(crate) body: SnapshotBody,
    /// The commit that holds its record.
    pub(crate) seq: CommitSeq,
}

/// A snapshot whose record is not placed yet.
#[derive(Clone, Debug)]
pub(crate) struct PendingSnapshot {
    pub(crate) ordinal: Ordinal,
    pub(crate) body: SnapshotBody,
    /// What is to be written to its file.
    pub(crate) bytes: Bytes,
    /// The step that its file is at; `None` once it is complete or there is none.
    pub(crate) writing: Option<Step>,
    /// That step was refused for want of space, and waits.
    pub(crate) refused: bool,
}

impl PendingSnapshot {
    /// Whether an operation of it is.
    pub(crate) fn is_under_way(&self) -> bool {
        self.writing.is_some() && !self.refused
    }
}

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

/// One log.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) id: LogId,
    pub(crate) slot: SlotId,
    pub(crate) kind: LogKind,
    pub(crate) class: LogClass,
    pub(crate) settings: LogSettings,
    /// Leader epoch of the last entry.
    pub(crate) term: Term,
    /// First readable position.
    pub(crate) start: (Ordinal, Offset),
    /// Position of the next entry.
    pub(crate) next: (Ordinal, Offset),
    pub(crate) written: (Ordinal, Offset),
    pub(crate) durable: (Ordinal, Offset),
    /// First entry that no commit holds or vouches for.
    pub(crate) placed: Ordinal,
    /// Bytes of entries from `placed` on.
    pub(crate) pending_bytes: usize,
    /// Journal space granted to them.
    pub(crate) granted: u64,
    /// Segment, index and directory are synced below this: may be evicted.
    pub(crate) flushed: (Ordinal, Offset),
    /// What the placed checkpoint record says: segments hold everything below.
    pub(crate) checkpoint: Ordinal,
    /// The start that the placed checkpoint record says.
    pub(crate) checkpoint_start: (Ordinal, Offset),
    /// The commit with the live checkpoint record; `None` before the first durable record.
    pub(crate) checkpoint_seq: Option<CommitSeq>,
    /// Largest record timestamp of entries below `flushed`.
    pub(crate) max_timestamp: i64,
    /// Entries in memory, dense, the last one being `next - 1`.
    pub(crate) tail: VecDeque<TailEntry>,
    pub(crate) tail_bytes: usize,
    own: own::OwnMemory,
    /// Where the live entries stand in the journal, in order of ordinals.
    pub(crate) runs: VecDeque<Run>,
    pub(crate) run_bytes: u64,
    pub(crate) snapshot: Option<Box<Snapshot>>,
    pub(crate) pending_snapshot: Option<Box<PendingSnapshot>>,
    pub(crate) removal: Option<Removal>,
    pub(crate) files: Option<Box<Files>>,
    /// Byte position of the next entry in its segment.
    pub(crate) next_pos: u64,
    /// The next entry begins a new segment.
    pub(crate) roll: bool,
    pub(crate) stopped: bool,
    /// A file of it was lost before this run, and what is to be said of that: its records in the
    /// ring stay as they are, and so do its files. It has stopped, too.
    pub(crate) lost: Option<Box<str>>,
    /// Entries up to `placed` wait for a bulk write: no inline entry may overtake it.
    pub(crate) bulk: bool,
    /// The lines in which it stands.
    pub(crate) lines: Standing,
    /// What is pending is too large for a commit, or much, and a flush job is in the way.
    pub(crate) waits_for_job: bool,
    /// What the most urgent of the pending entries asks for.
    pub(crate) urgency: Urgency,
    pub(crate) wants_checkpoint: bool,
    /// The live snapshot record is to be placed again.
    pub(crate) wants_snapshot: bool,
    /// The end record is to be placed (again).
    pub(crate) wants_end: bool,
    /// A snapshot was asked for and not handed in.
    pub(crate) asked_snapshot: bool,
    /// Commits below this shall lose their entries of this log by copying.
    pub(crate) copy_below: Option<CommitSeq>,
    pub(crate) retention_at: Option<Mono>,
    /// Reclaim pass that saw this log last.
    pub(crate) seen_in_pass: u64,
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
            slot,
            kind,
            class,
            settings,
            term: Term::default(),
            start: zero,
            next: zero,
            written: zero,
            durable: zero,
            placed: Ordinal(0),
            pending_bytes: 0,
            granted: 0,
            flushed: zero,
            checkpoint: Ordinal(0),
            checkpoint_start: zero,
            checkpoint_seq: None,
            max_timestamp: i64::MIN,
            tail: VecDeque::new(),
            tail_bytes: 0,
            own: own::OwnMemory::default(),
            runs: VecDeque::new(),
            run_bytes: 0,
            snapshot: None,
            pending_snapshot: None,
            removal: None,
            files: None,
            next_pos: 0,
            roll: true,
            stopped: false,
            lost: None,
            bulk: false,
            lines: Standing::default(),
            waits_for_job: false,
            urgency: Urgency::Leisure,
            wants_checkpoint: false,
            wants_snapshot: false,
            wants_end: false,
            asked_snapshot: false,
            copy_below: None,
            retention_at: None,
            seen_in_pass: 0,
        }
    }

    pub(crate) fn frontiers(&self) -> Frontiers {
        Frontiers {
            start: self.start,
            ordered: self.next,
            written: self.written,
            durable: self.durable,
        }
    }

    /// Ordinal of the first entry in memory (`next` if there is none).
    pub(crate) fn tail_first(&self) -> Ordinal {
        self.tail
            .front()
            .map_or(self.next.0, |entry| entry.meta.ordinal)
    }

    /// The entry with this ordinal, which must be in memory.
    pub(crate) fn entry(&self, ordinal: Ordinal) -> &TailEntry {
        let at = ordinal
            .0
            .checked_sub(self.tail_first().0)
            .and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.tail.get(at))
            .expect("entry is in memory")
    }

    /// The position of the entry with this ordinal: `next` if it is yet to come.
    pub(crate) fn position(&self, ordinal: Ordinal) -> (Ordinal, Offset) {
        if ordinal == self.next.0 {
            return self.next;
        }
        (ordinal, self.entry(ordinal).meta.first_offset)
    }

    /// Index in `tail` of the first entry that holds an offset at or after `offset`.
    pub(crate) fn tail_index(&self, offset: Offset) -> usize {
        self.tail
            .partition_point(|entry| entry.meta.next_offset() <= offset)
    }

    /// What is kept in memory of an entry that lies in these bytes.
    pub(crate) fn keep(&mut self, bytes: &Bytes) -> Bytes {
        self.own.keep(bytes, self.tail_bytes)
    }

    /// Adds an entry to the tail; returns what that adds to the cache.
    pub(crate) fn push_tail(&mut self, entry: TailEntry) -> usize {
        let size = entry.bytes.len() + ENTRY_OVERHEAD;
        self.tail_bytes += size;
        self.tail.push_back(entry);
        size
    }

    /// Removes the first entry in memory; returns what that takes off the cache.
    pub(crate) fn pop_tail(&mut self) -> usize {
        let entry = self.tail.pop_front().expect("tail is not empty");
        let size = entry.bytes.len() + ENTRY_OVERHEAD;
        self.tail_bytes -= size;
        size
    }

    /// Entries below this need no journal: segments hold them (or they lie below the start), and
    /// no replay needs them.
    pub(crate) fn journal_floor(&self) -> Ordinal {
        let snapshot = self
            .snapshot
            .as_ref()
            .map_or(Ordinal(0), |snapshot| snapshot.ordinal);
        match self.class.files {
            true => snapshot.min(self.data_floor()),
            false => snapshot,
        }
    }

    /// Entries below this are in segments or below the start.
    pub(crate) fn data_floor(&self) -> Ordinal {
        if self.lost.is_some() {
            // All that the ring has of it is needed.
            return Ordinal(0);
        }
        let snapshot = self.snapshot.as_ref();
        match self.class.files {
            true => self.checkpoint.max(self.checkpoint_start.0),
            false => snapshot.map_or(Ordinal(0), |snapshot| snapshot.ordinal),
        }
    }

    /// Bytes of the state in its last snapshot.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshot
            .as_ref()
            .map_or(0, |snapshot| match &snapshot.body {
                SnapshotBody::Inline(bytes) => bytes.len() as u64,
                SnapshotBody::File { len, .. } => u64::from(*len),
            })
    }

    /// What a checkpoint record placed now says.
    pub(crate) fn checkpoint_now(&self) -> Checkpoint {
        let (start, upto) = match self.class.files {
            true => (self.start, self.flushed),
            false => {
                let ordinal = self.data_floor();
                ((ordinal, Offset(0)), (ordinal, Offset(0)))
            }
        };
        Checkpoint {
            slot: self.slot,
            start,
            upto,
            max_timestamp: self.max_timestamp,
            term: self.term,
        }
    }

    /// Whether it is not being deleted: what comes back to a log (a listing, an index, a commit, a
    /// deadline) finds its entries in memory only while it lives.
    pub(crate) fn lives(&self) -> bool {
        self.removal.is_none()
    }

    /// Why nothing can be read at this offset, if a file of the log is lost: what segments hold below
    /// its checkpoint is read as ever.
    pub(crate) fn lost_from(&self, offset: Offset) -> Option<&str> {
        let reason = self.lost.as_deref()?;
        (offset >= self.flushed.1).then_some(reason)
    }

    /// Whether nothing of this log was ever placed in the journal.
    pub(crate) fn is_unborn(&self) -> bool {
        self.checkpoint_seq.is_none()
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
