//! Which of the segments found in a log's directory count, and up to where.
//!
//! Recovery never edits a segment and never renames one. What supersedes it is another of a
//! later generation that begins where the journal says that the log went on. So names alone tell:
//! in order of base, generations never fall, and each segment ends where the next begins.

use std::ops::Range;

use crate::types::{Generation, Ordinal};

/// A segment as its file name tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentId {
    /// Ordinal of its first entry.
    pub base: Ordinal,
    /// Run that created it.
    pub generation: Generation,
}

/// The segments of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Those that hold the log, in order, each with the ordinals that it is trusted for: from
    /// its base to the next one's base or to the checkpoint.
    pub live: Vec<(SegmentId, Range<Ordinal>)>,
    /// Those that hold nothing that counts; they may be removed.
    pub dead: Vec<SegmentId>,
}

/// Sorts out the segments `found` of a log whose checkpoint is `upto`, as recovery hands it over
/// (before this run has created segments of its own). Those wholly below the log's start are
/// still `live`: retention, not this rule, removes them.
#[must_use]
pub fn sort_out(found: impl IntoIterator<Item = SegmentId>, upto: Ordinal) -> Segments {
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    let mut live: Vec<SegmentId> = Vec::with_capacity(found.len());
    let mut dead = Vec::new();
    for id in found {
        let superseded = live
            .last()
            .is_some_and(|last| last.generation > id.generation);
        if superseded || id.base >= upto {
            dead.push(id);
            continue;
        }
        if live.last().is_some_and(|last| last.base == id.base) {
            dead.extend(live.pop());
        }
        live.push(id);
    }
    let ends: Vec<_> = live
        .iter()
        .skip(1)
        .map(|id| id.base)
        .chain([upto])
        .collect();
    let live = live
        .into_iter()
        .zip(ends)
        .map(|(id, end)| (id, id.base..end));
    Segments {
        live: live.collect(),
        dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(base: u64, generation: u32) -> SegmentId {
        SegmentId {
            base: Ordinal(base),
            generation: Generation(generation),
        }
    }

    #[test]
    fn ranges_end_at_the_next_base_and_at_the_checkpoint() {
        let sorted = sort_out([id(10, 1), id(0, 1), id(30, 2)], Ordinal(40));
        let ranges: Vec<_> = sorted
            .live
            .iter()
            .map(|(_, r)| (r.start.0, r.end.0))
            .collect();
        assert_eq!(ranges, [(0, 10), (10, 30), (30, 40)]);
        assert!(sorted.dead.is_empty());
    }

    #[test]
    fn a_later_generation_supersedes_what_begins_at_or_after_it() {
        let sorted = sort_out([id(0, 1), id(10, 1), id(20, 2), id(10, 3)], Ordinal(50));
        assert_eq!(sorted.live.len(), 2);
        assert_eq!(sorted.live[1], (id(10, 3), Ordinal(10)..Ordinal(50)));
        assert_eq!(sorted.dead, [id(10, 1), id(20, 2)].as_slice());
    }

    #[test]
    fn nothing_from_the_checkpoint_on_is_trusted() {
        let sorted = sort_out([id(0, 1), id(10, 1)], Ordinal(10));
        assert_eq!(sorted.live, [(id(0, 1), Ordinal(0)..Ordinal(10))]);
        assert_eq!(sorted.dead, [id(10, 1)]);
    }
}
