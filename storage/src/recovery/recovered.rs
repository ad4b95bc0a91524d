//! What recovery hands to the live store and to the machines: one value per core, all `Send`.

use bytes::Bytes;

use crate::format::commit::{JournalId, RingPosition};
use crate::format::superblock::Geometry;
use crate::homes::Homes;
use crate::io::FileName;
use crate::types::{
    CommitSeq, EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term,
};

/// A data directory after recovery: a new generation, already the truth on disk.
#[derive(Debug)]
pub struct Recovered {
    /// The new generation.
    pub generation: Generation,
    /// Shape of its rings.
    pub geometry: Geometry,
    /// Which core each slot lives on in this run.
    pub homes: Homes,
    /// One per core, in order.
    pub cores: Vec<RecoveredCore>,
    /// What was found and done, for the operator.
    pub summary: Summary,
    /// What is damaged that a start does without, in the words of a check.
    pub flaws: Vec<Flaw>,
}

/// Something in a data directory that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file.
    pub file: FileName,
    /// Byte position in it.
    pub position: u64,
    /// What is wrong there.
    pub what: String,
}

/// What recovery found and did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Whether the directory was empty: a first start.
    pub first_start: bool,
    /// Commits adopted from the old journals.
    pub commits: u64,
    /// Entries adopted, inline or through extents.
    pub entries: u64,
    /// Of those, entries that came through an extent with a tail in the journal.
    pub tailed_extents: u64,
    /// Journals that ended in a torn commit.
    pub torn_ends: u64,
    /// Segments written because a log's remainder was large.
    pub segments_written: u64,
    /// Logs that were found.
    pub logs: u64,
    /// Logs that changed their core.
    pub moved: u64,
    /// Files of dead or unborn generations removed.
    pub removed: u64,
    /// Bytes of the old rings from live-from to their ends.
    pub live_bytes: u64,
    /// Bytes read, of journals, segments and all else.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// One core's share.
#[derive(Debug)]
pub struct RecoveredCore {
    /// Its journal: core, generation, salt.
    pub journal: JournalId,
    /// Shape of its ring.
    pub geometry: Geometry,
    /// Bytes that have been written in each file of the ring, from its start; beyond it the file
    /// must be zero-filled before a durable overwrite is cheap. All files exist.
    pub prepared: Vec<u64>,
    /// Whether the file system has set aside all blocks of the ring.
    pub set_aside: bool,
    /// Where in the superblock's file its mark stands.
    pub mark_at: u64,
    /// Sequence number of the next commit.
    pub next_seq: CommitSeq,
    /// Block after the newest commit; possibly the end of its file.
    pub write_at: RingPosition,
    /// The commits that recovery wrote, in order, all durable; the first is still live.
    pub commits: Vec<RecoveredCommit>,
    /// Bytes free on the file system at the end, if that is known.
    pub free: Option<u64>,
    /// Its logs, by id.
    pub logs: Vec<RecoveredLog>,
}

/// A commit that recovery wrote into the new ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredCommit {
    /// Its sequence number.
    pub seq: CommitSeq,
    /// Where it begins.
    pub at: RingPosition,
    /// Bytes with header and padding.
    pub len: u32,
}

/// A file that a log's snapshot stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The run that wrote it.
    pub generation: Generation,
    /// Bytes of the state.
    pub len: u32,
    /// CRC-32C of the state.
    pub crc: u32,
}

/// A log of which a file is lost. Nothing of it is given up before an operator has put that back,
/// or deletes it.
#[derive(Debug)]
pub struct Lost {
    /// The file or folder, what that means, and what to do.
    pub reason: String,
    /// Its entries as the new ring has them, in order of ordinals.
    pub kept: Vec<Kept>,
}

/// A record of a lost log.
#[derive(Debug)]
pub struct Kept {
    /// The first entry that it holds or vouches for.
    pub first: Ordinal,
    /// The last one.
    pub last: Ordinal,
    /// The commit that it stands in.
    pub commit: CommitSeq,
    /// The bytes of the record.
    pub record: Bytes,
}

/// One log. Commits that hold its records are those named here, and no others.
#[derive(Debug)]
pub struct RecoveredLog {
    /// Its id.
    pub id: LogId,
    /// Its kind.
    pub kind: LogKind,
    /// The slot that it belongs to, which is one of this core's.
    pub slot: SlotId,
    /// First retained ordinal and offset.
    pub start: (Ordinal, Offset),
    /// What of it cannot be read. Then it has neither `replay` nor `tail`, and the state in
    /// `snapshot` may be missing: its records stand in the ring as they were found.
    pub lost: Option<Lost>,
    /// The next ordinal and offset to be given out.
    pub next: (Ordinal, Offset),
    /// Segments and their indexes hold everything durably from `start` up to here. For a machine
    /// log: the snapshot's ordinal.
    pub checkpoint: (Ordinal, Offset),
    /// Term of the newest entry.
    pub term: Term,
    /// Largest timestamp of any entry (`i64::MIN`: none).
    pub max_timestamp: i64,
    /// The commit with its live checkpoint record.
    pub checkpoint_commit: CommitSeq,
    /// State of its machine before that ordinal; `None`: no entry has been snapshotted.
    pub snapshot: Option<(Ordinal, Bytes)>,
    /// The commit with its live snapshot record.
    pub snapshot_commit: Option<CommitSeq>,
    /// The snapshot's file, if it stands in one.
    pub snapshot_file: Option<SnapshotFile>,
    /// All entries from the snapshot on, in order. Machine logs: whole; topics: the first
    /// [`crate::format::record::PREFIX_MAX`] bytes.
    pub replay: Vec<(EntryMeta, Bytes)>,
    /// For entries in `replay` below the checkpoint: the first and the last commit that hold
    /// them. They live there until a snapshot passes the checkpoint.
    pub replay_commits: Option<(CommitSeq, CommitSeq)>,
    /// Entries from the checkpoint on, in order and whole, with the commit that holds each.
    pub tail: Vec<(EntryMeta, Bytes, CommitSeq)>,
}
