//! A log's entries in memory as the bytes of its segments: which entry stands where.

use std::collections::VecDeque;

use crate::store::log::{LogState, TailEntry};
use crate::types::Ordinal;

impl LogState {
    /// End of the entry before `to` in its segment, and that segment's base.
    pub(crate) fn end_of(&self, to: Ordinal) -> u64 {
        let entry = self.entry(Ordinal(to.0 - 1));
        entry.pos + u64::from(entry.meta.len)
    }

    pub(crate) fn entries(&self, from: Ordinal, to: Ordinal) -> impl Iterator<Item = &TailEntry> {
        let first = self.tail_first().0;
        let at = |ordinal: Ordinal| usize::try_from(ordinal.0 - first).expect("tail index");
        if from >= to {
            return self.tail.range(0..0);
        }
        self.tail.range(at(from)..at(to))
    }

    /// A segment that was written to its end on a block boundary needs no closing write.
    pub(crate) fn drop_finished_writer(&mut self) {
        let flushed = self.flushed.0;
        let Some(files) = self.files.as_deref_mut() else {
            return;
        };
        let begins = files.segment_at(flushed).is_some();
        if begins && files.job.is_none() && files.writer.as_ref().is_some_and(|w| w.base < flushed)
        {
            files.writer = None;
        }
    }

    /// The bytes of the segment between two positions, which entries of `base..to` cover.
    pub(crate) fn bytes_between(
        &self,
        from: u64,
        end: u64,
        (base, to): (Ordinal, Ordinal),
    ) -> Vec<u8> {
        let mut out = vec![0; usize::try_from(end - from).expect("less than a block")];
        self.copy_out(from, end, (base, to), &mut out);
        out
    }

    /// Fills `out` with the bytes of the segment that begins with entry `base` from `pos` on;
    /// beyond `end`, where the entries before `to` end, with zeros.
    pub(crate) fn copy_out(
        &self,
        pos: u64,
        end: u64,
        (base, to): (Ordinal, Ordinal),
        out: &mut [u8],
    ) {
        // Positions rise only within one segment.
        let first = self.tail_first();
        let index = |ordinal: u64| usize::try_from(ordinal - first.0).expect("tail index");
        let (base, before) = (index(base.0.max(first.0)), index(to.0));
        let skip = base
            + partition(&self.tail, base..before, |entry| {
                entry.pos + u64::from(entry.meta.len) <= pos
            });
        let mut filled = 0;
        for entry in self.tail.range(skip..before) {
            if filled == out.len() {
                break;
            }
            let at = pos + filled as u64;
            let within = usize::try_from(at - entry.pos).expect("entry covers the position");
            let part = &entry.bytes[within..];
            let part = &part[..part.len().min(out.len() - filled)];
            out[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        assert!(
            filled == out.len() || pos + filled as u64 == end,
            "a segment write has a hole"
        );
        out[filled..].fill(0);
    }
}

fn partition(
    tail: &VecDeque<TailEntry>,
    range: std::ops::Range<usize>,
    below: impl Fn(&TailEntry) -> bool,
) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        if below(&tail[middle]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low - range.start
}
