//! A write to a log's segment under way, as numbers.

use bytes::Bytes;

use crate::format::index::{SPANS_PER_BLOCK, Span};
use crate::store::segments::job_step::JobStep;
use crate::types::Ordinal;

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Entries that no commit holds yet, from this ordinal on.
    Bulk(Ordinal),
    /// Entries that the journal holds.
    Behind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Directory,
    Create,
    Reserve,
    Write,
    Sync,
    Trim,
    /// Bulk: all is durable but the extent record, which is ready to be placed.
    Extent,
}

/// A write to a log's segment under way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    /// The segment's first ordinal.
    pub(crate) base: Ordinal,
    /// First entry that it does not cover.
    pub(crate) to: Ordinal,
    /// Byte position after the last entry covered.
    pub(crate) end: u64,
    /// Next byte to be written, and where to stop: block boundaries.
    pub(crate) cursor: u64,
    pub(crate) stop: u64,
    /// Pads the last block and closes the segment.
    pub(crate) close: bool,
    /// All of it lies within the length that the file was given.
    pub(crate) in_place: bool,
    /// Spans that become part of the index with this job.
    pub(crate) index: Vec<Span>,
    /// Operations of the present stage that are not complete.
    pub(crate) waits: usize,
    pub(crate) error: Option<String>,
    /// Steps of the present stage that were refused for want of space.
    pub(crate) refused: Vec<JobStep>,
    /// It waits for space: nothing of it is under way.
    pub(crate) parked: bool,
    /// Bulk: the encoded extent record, with the first and last ordinal.
    pub(crate) extent: Option<Bytes>,
    pub(crate) has_tail: bool,
}

impl Job {
    pub(crate) fn is_extent_ready(&self) -> bool {
        self.stage == Stage::Extent
    }

    /// Nothing of it is under way: it waits for a commit, or for space on the file system.
    pub(crate) fn is_idle(&self) -> bool {
        self.parked || self.is_extent_ready()
    }

    /// Blocks that its spans take in the index.
    pub(crate) fn index_blocks(&self) -> u64 {
        self.index.len().div_ceil(SPANS_PER_BLOCK) as u64
    }
}
