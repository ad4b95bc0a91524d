//! The segments of one log, as far as they are known, and the one that is being written.
//!
//! Segments of earlier runs are found by listing the log's directory, not before something asks
//! for them. Those of this run are known from the moment that their first entry is appended.

use std::collections::VecDeque;

use crate::format::index::Span;
use crate::format::segments::SegmentId;
use crate::io::FileName;
use crate::store::reading::read::Waiter;
use crate::store::segments::job::Job;
use crate::store::segments::job_step::Part;
use crate::types::{Generation, LogId, Offset, Ordinal, WallMs};

/// One segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    /// First offset; `None` for a segment of an earlier run whose index was not read.
    pub(crate) base_offset: Option<Offset>,
    /// The position after its last entry; `None` while it grows.
    pub(crate) end: Option<(Ordinal, Option<Offset>)>,
    /// Run that wrote its index.
    pub(crate) written: Generation,
    /// The files exist.
    pub(crate) created: bool,
    /// Bytes of entries.
    pub(crate) bytes: u64,
    /// The end of its entries in a file that is longer: what an earlier run gave it ahead, and a
    /// crash kept from being given back. It is, once the bytes have proven to be its own.
    pub(crate) cut_to: Option<u64>,
    /// Largest record timestamp; `None` for a segment of an earlier run whose index was not read.
    pub(crate) max_timestamp: Option<i64>,
    /// When its first entry was decided.
    pub(crate) opened: WallMs,
}

impl Segment {
    /// A segment of this run, without an entry.
    pub(crate) fn new(base: (Ordinal, Offset), generation: Generation, opened: WallMs) -> Self {
        Self {
            id: SegmentId {
                base: base.0,
                generation,
            },
            base_offset: Some(base.1),
            end: None,
            written: generation,
            created: false,
            bytes: 0,
            cut_to: None,
            max_timestamp: Some(i64::MIN),
            opened,
        }
    }

    pub(crate) fn file(&self, log: LogId) -> FileName {
        FileName::Segment {
            log,
            base: self.id.base,
            generation: self.id.generation,
        }
    }

    pub(crate) fn part_file(&self, log: LogId, part: Part) -> FileName {
        match part {
            Part::Data => self.file(log),
            Part::Index => self.index_file(log),
        }
    }

    pub(crate) fn index_file(&self, log: LogId) -> FileName {
        FileName::Index {
            log,
            base: self.id.base,
            generation: self.id.generation,
            written: self.written,
        }
    }
}

/// Whether the segments of earlier runs are known.
#[derive(Debug)]
pub(crate) enum Listing {
    /// Nobody has asked.
    Unknown,
    /// The directory is being listed; these wait for it.
    UnderWay(Vec<Waiter>),
    /// All segments are known.
    Known,
}

/// The segment that the log's entries are written to.
#[derive(Debug)]
pub(crate) struct Writer {
    /// First ordinal of the segment that is written.
    pub(crate) base: Ordinal,
    /// Everything below this block boundary is written, and never written again.
    pub(crate) boundary: u64,
    /// How long its files were made ahead of what is written.
    pub(crate) given: Given,
    /// First entry that no span covers.
    pub(crate) span_from: Ordinal,
    /// Blocks of the index file that are written.
    pub(crate) index_blocks: u32,
    /// Spans that are not in the index file.
    pub(crate) spans: VecDeque<Span>,
}

/// Lengths that a segment's files were given ahead of what is written to them, bytes; 0: none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    pub(crate) data: u64,
    pub(crate) index: u64,
}

/// What a log with segments needs.
#[derive(Debug)]
pub(crate) struct Files {
    /// In order of base.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) listing: Listing,
    /// What recovery said that segments hold: those of earlier runs are trusted up to here.
    pub(crate) inherited: (Ordinal, Offset),
    /// Files of earlier runs that hold nothing that counts, if this folder is truly the log's:
    /// they go when an index in it has said so.
    pub(crate) dead: Vec<FileName>,
    /// The directory exists, durably.
    pub(crate) dir_made: bool,
    pub(crate) writer: Option<Writer>,
    pub(crate) job: Option<Job>,
}

impl Files {
    /// For a log whose segments of earlier runs hold everything up to `inherited`, if any.
    pub(crate) fn new(inherited: (Ordinal, Offset), has_segments: bool) -> Self {
        Self {
            segments: VecDeque::new(),
            listing: if has_segments {
                Listing::Unknown
            } else {
                Listing::Known
            },
            inherited,
            dead: Vec::new(),
            dir_made: false,
            writer: None,
            job: None,
        }
    }

    /// Index of the segment that holds the ordinal, if it is known.
    pub(crate) fn segment_of(&self, ordinal: Ordinal) -> Option<usize> {
        self.segments
            .partition_point(|segment| segment.id.base <= ordinal)
            .checked_sub(1)
    }

    /// How many segments are wholly below a start; those that are still here wait for a snapshot.
    pub(crate) fn gone_below(&self, start: Ordinal) -> usize {
        let below = |segment: &Segment| segment.end.is_some_and(|(end, _)| end <= start);
        self.segments.partition_point(below)
    }

    pub(crate) fn segment_at(&self, base: Ordinal) -> Option<&Segment> {
        let segment = &self.segments[self.segment_of(base)?];
        (segment.id.base == base).then_some(segment)
    }

    pub(crate) fn segment_at_mut(&mut self, base: Ordinal) -> Option<&mut Segment> {
        let at = self.segment_of(base)?;
        let segment = &mut self.segments[at];
        (segment.id.base == base).then_some(segment)
    }
}
