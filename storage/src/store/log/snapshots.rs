//! The states of a log's machine: the one in the journal, and the one on its way there.

use bytes::Bytes;

use crate::format::record::SNAPSHOT_RECORD_HEADER;
use crate::store::snapshot::Step;
use crate::store::state_file::StateFile;
use crate::types::{CommitSeq, Generation, Offset, Ordinal};

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

impl SnapshotBody {
    /// Bytes of its record.
    pub(crate) fn record_len(&self) -> usize {
        SNAPSHOT_RECORD_HEADER
            + match self {
                Self::Inline(bytes) => bytes.len(),
                Self::File { .. } => 0,
            }
    }

    /// Bytes of the state.
    fn state_len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { len, .. } => u64::from(*len),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// The live snapshot record of a log.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) ordinal: Ordinal,
    pub(crate) body: SnapshotBody,
    /// The commit that holds its record.
    pub(crate) seq: CommitSeq,
}

/// How far the file of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// It is complete, or there is none.
    Complete,
    /// An operation of this step is under way.
    At(Step),
    /// This step was refused for want of space, and waits.
    Refused(Step),
}

/// A snapshot whose record is not placed yet.
#[derive(Debug)]
pub(crate) struct PendingSnapshot {
    pub(crate) ordinal: Ordinal,
    /// Where the log starts from when the record is placed, if that is further.
    pub(crate) keep: Option<(Ordinal, Offset)>,
    pub(crate) body: SnapshotBody,
    /// What is being written to its file.
    pub(crate) file: Option<Box<StateFile>>,
    pub(crate) writing: Writing,
}

impl PendingSnapshot {
    /// Whether its record can be placed, as far as its file goes.
    pub(crate) fn is_complete(&self) -> bool {
        self.writing == Writing::Complete
    }
}

/// The snapshots of a log.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// The one whose record is live.
    pub(crate) placed: Option<Box<Snapshot>>,
    pub(crate) pending: Option<Box<PendingSnapshot>>,
    /// One was asked for and not handed in.
    pub(crate) asked: bool,
}

impl Snapshots {
    /// What the live one holds the effect of: all entries below this.
    pub(crate) fn ordinal(&self) -> Ordinal {
        self.placed
            .as_ref()
            .map_or(Ordinal(0), |snapshot| snapshot.ordinal)
    }

    /// The commit that holds the live one's record.
    pub(crate) fn seq(&self) -> Option<CommitSeq> {
        self.placed.as_ref().map(|snapshot| snapshot.seq)
    }

    /// Bytes of the state in the live one.
    pub(crate) fn bytes(&self) -> u64 {
        let placed = self.placed.as_ref();
        placed.map_or(0, |snapshot| snapshot.body.state_len())
    }

    /// Bytes of the live one's record.
    pub(crate) fn record_len(&self) -> usize {
        let placed = self.placed.as_ref();
        placed.map_or(0, |snapshot| snapshot.body.record_len())
    }

    /// Whether an operation of the pending one's file is under way.
    pub(crate) fn is_writing(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| matches!(pending.writing, Writing::At(_)))
    }

    /// The pending one, if its record can be placed in a log whose entries below `next` are placed.
    pub(crate) fn placeable(&self, next: Ordinal) -> Option<&PendingSnapshot> {
        let pending = self.pending.as_deref();
        pending.filter(|pending| pending.is_complete() && pending.ordinal <= next)
    }
}
