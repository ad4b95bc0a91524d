//! A log's entries in memory: dense, in order, the last one being the log's last.
//!
//! A method that takes entries out returns how many bytes that frees; its caller tells the memory's
//! account.

use std::collections::VecDeque;
use std::collections::vec_deque::Iter;

use bytes::Bytes;

use crate::checksum::{append, join};
use crate::store::log::own::OwnMemory;
use crate::types::{EntryMeta, Offset, Ordinal};

/// Memory that an entry takes beside its bytes, for the cache budget.
pub const ENTRY_OVERHEAD: usize = 128;

/// Room for so many entries is kept when they are gone.
const FEW: usize = 16;

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

    /// Byte position after it in its segment.
    pub(crate) fn end(&self) -> u64 {
        self.pos + u64::from(self.meta.len)
    }

    fn size(&self) -> usize {
        self.bytes.len() + ENTRY_OVERHEAD
    }
}

/// Entries in memory.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    entries: VecDeque<TailEntry>,
    bytes: usize,
    own: OwnMemory,
}

impl Tail {
    /// Memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn first(&self) -> Option<&TailEntry> {
        self.entries.front()
    }

    /// Whether the first of them begins at or below the offset.
    pub(crate) fn reaches(&self, offset: Offset) -> bool {
        self.first()
            .is_some_and(|first| first.meta.first_offset <= offset)
    }

    pub(crate) fn iter(&self) -> Iter<'_, TailEntry> {
        self.entries.iter()
    }

    /// The entry with this ordinal, which must be in memory.
    pub(crate) fn entry(&self, ordinal: Ordinal) -> &TailEntry {
        &self.entries[self.index(ordinal)]
    }

    /// Those of `from..to`, which must be in memory.
    pub(crate) fn entries(&self, from: Ordinal, to: Ordinal) -> Iter<'_, TailEntry> {
        if from >= to {
            return self.entries.range(0..0);
        }
        self.entries.range(self.index(from)..self.index(to))
    }

    /// Those from the first on that holds an offset at or after `offset`.
    pub(crate) fn at_offset(&self, offset: Offset) -> Iter<'_, TailEntry> {
        let below = |entry: &TailEntry| entry.meta.next_offset() <= offset;
        self.entries.range(self.entries.partition_point(below)..)
    }

    /// Those from `ordinal` on, which is not below the first. A log that has stopped may have given
    /// up its last.
    pub(crate) fn at_ordinal(&self, ordinal: Ordinal) -> Iter<'_, TailEntry> {
        let at = self.index(ordinal).min(self.entries.len());
        self.entries.range(at..)
    }

    fn index(&self, ordinal: Ordinal) -> usize {
        let first = self.first().expect("entry is in memory").meta.ordinal;
        let at = ordinal.0.checked_sub(first.0);
        at.and_then(|at| usize::try_from(at).ok())
            .expect("entry is in memory")
    }

    /// What is to be kept in memory of an entry that lies in these bytes.
    pub(crate) fn keep(&mut self, bytes: &Bytes) -> Bytes {
        self.own.keep(bytes, self.bytes)
    }

    /// Adds an entry; the memory that it takes.
    pub(crate) fn push(&mut self, entry: TailEntry) -> usize {
        debug_assert!(
            self.entries
                .back()
                .is_none_or(|last| last.meta.ordinal.plus(1) == entry.meta.ordinal),
            "entries in memory are dense"
        );
        let size = entry.size();
        self.bytes += size;
        self.entries.push_back(entry);
        size
    }

    /// Takes out those at the beginning for which `goes` holds, given what was freed before; what
    /// that frees.
    pub(crate) fn drop_while(&mut self, goes: impl Fn(&TailEntry, usize) -> bool) -> usize {
        let mut freed = 0;
        while let Some(first) = self.entries.front()
            && goes(first, freed)
        {
            freed += first.size();
            self.entries.pop_front();
        }
        self.bytes -= freed;
        self.shrink();
        freed
    }

    /// Takes out those below `ordinal`.
    pub(crate) fn drop_below(&mut self, ordinal: Ordinal) -> usize {
        self.drop_while(|entry, _| entry.meta.ordinal < ordinal)
    }

    /// Takes out those from `ordinal` on.
    pub(crate) fn drop_from(&mut self, ordinal: Ordinal) -> usize {
        let mut freed = 0;
        while let Some(last) = self.entries.back()
            && last.meta.ordinal >= ordinal
        {
            freed += last.size();
            self.entries.pop_back();
        }
        self.bytes -= freed;
        self.shrink();
        freed
    }

    pub(crate) fn clear(&mut self) -> usize {
        self.entries.clear();
        self.shrink();
        std::mem::take(&mut self.bytes)
    }

    /// What was allocated for entries that are gone goes after them, or one burst each in ten thousand
    /// logs would hold far more than is counted.
    fn shrink(&mut self) {
        let (len, room) = (self.entries.len(), self.entries.capacity());
        if room > FEW && len < room / 4 {
            self.entries.shrink_to(2 * len);
        }
        if len == 0 {
            self.own = OwnMemory::default();
        }
    }

    // --- as bytes of segments ---

    /// End of the entry before `to` in its segment.
    pub(crate) fn end_of(&self, to: Ordinal) -> u64 {
        self.entry(Ordinal(to.0 - 1)).end()
    }

    /// Entries `from..to` go to a segment that begins at byte `by` of their present one; the largest
    /// timestamp of theirs.
    pub(crate) fn move_back(&mut self, from: Ordinal, to: Ordinal, by: u64) -> Option<i64> {
        let range = self.index(from)..self.index(to);
        let entries = self.entries.range_mut(range);
        let moved = entries.map(|entry| {
            entry.pos -= by;
            entry.meta.max_timestamp
        });
        moved.max()
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
        let first = self.first().map_or(to, |entry| entry.meta.ordinal);
        let (base, before) = match first < to {
            true => (self.index(base.max(first)), self.index(to)),
            false => (0, 0),
        };
        let skip = base + partition(&self.entries, base..before, |entry| entry.end() <= pos);
        let mut filled = 0;
        for entry in self.entries.range(skip..before) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Term, WallMs};

    fn entry(ordinal: u64) -> TailEntry {
        TailEntry {
            meta: EntryMeta {
                ordinal: Ordinal(ordinal),
                term: Term(1),
                time: WallMs(0),
                first_offset: Offset(ordinal),
                offsets: 1,
                max_timestamp: 0,
                len: 1,
            },
            pos: ordinal,
            bytes: Bytes::from_static(b"x"),
            sum: None,
        }
    }

    #[test]
    fn what_was_allocated_for_a_burst_goes_with_it() {
        let mut tail = Tail::default();
        for ordinal in 0..10_000 {
            tail.push(entry(ordinal));
        }
        assert!(tail.entries.capacity() >= 10_000, "the control");
        let mut before = tail.entries.capacity();
        let mut moves = 0;
        for ordinal in 1..=10_000 {
            tail.drop_below(Ordinal(ordinal));
            let (room, left) = (tail.entries.capacity(), 10_000 - ordinal as usize);
            assert!(room <= FEW.max(4 * left + 4), "{room} for {left}");
            moves += usize::from(room != before);
            before = room;
        }
        assert!(moves < 14, "seldom: {moves} times");
        assert_eq!(tail.bytes(), 0);
    }
}
