//! The extent record: entries whose bytes went straight to a segment.
//!
//! It alone makes them durable: until a commit with it is durable, what stands in the segment does
//! not count. It knows where its entries and spans are, not what is in them.

use zerocopy::byteorder::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::index::{SPAN_LEN, Span};
use super::record::{Common, EXTENT, bounded, common, malformed};
use super::{FormatError, round_down};
use crate::io::BLOCK;
use crate::types::{EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, Term, WallMs};

const EXTENT_HEADER: usize = size_of::<RawExtent>();
const SLOT_LEN: usize = size_of::<RawSlot>();

/// What an extent knows of one of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentSlot {
    /// Length of the entry, bytes.
    pub len: u32,
    /// Client offsets that it takes.
    pub offsets: u32,
    /// Wall clock when it was decided.
    pub time: WallMs,
    /// Largest timestamp in it.
    pub max_timestamp: i64,
    /// How many of its first bytes a replay needs.
    pub replay: u32,
}

/// Entries whose bytes stand back to back in a segment, `position..position + length`, but for
/// the last `tail.len()` of them, which begin at a block boundary and stand here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent<'a> {
    /// First offset of the first entry.
    pub first_offset: Offset,
    /// Term of all entries.
    pub term: Term,
    /// Segment: ordinal of its first entry.
    pub segment: Ordinal,
    /// Segment: run that created it.
    pub generation: Generation,
    /// Where the first entry begins in the segment.
    pub position: u64,
    /// Bytes of all entries.
    pub length: u64,
    slots: &'a [u8],
    spans: &'a [u8],
    /// The last bytes, less than a block.
    pub tail: &'a [u8],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawExtent {
    common: Common,
    first_offset: U64,
    segment: U64,
    position: U64,
    length: U64,
    generation: U32,
    term: U32,
    entries: U32,
    spans: U32,
    tail_len: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSlot {
    len: U32,
    offsets: U32,
    time: I64,
    max_timestamp: I64,
    replay: U32,
}

/// Bytes of an extent record.
#[must_use]
pub const fn extent_len(entries: usize, spans: usize, tail: usize) -> usize {
    EXTENT_HEADER + entries * SLOT_LEN + spans * SPAN_LEN + tail
}

/// What an extent record is made of; its entries' numbers follow from `entries`.
#[derive(Clone, Copy, Debug)]
pub struct NewExtent<'a> {
    /// Segment: ordinal of its first entry.
    pub segment: Ordinal,
    /// Segment: run that created it.
    pub generation: Generation,
    /// Where the first entry begins in the segment.
    pub position: u64,
    /// Its entries, dense and of one term, and how many of their first bytes a replay needs.
    pub entries: &'a [(EntryMeta, u32)],
    /// Spans over exactly these entries.
    pub spans: &'a [Span],
    /// The last bytes, from the block boundary on.
    pub tail: &'a [u8],
}

/// Writes an extent record.
///
/// # Panics
/// If `extent` has no entries.
pub fn put_extent(out: &mut [u8], log: LogId, kind: LogKind, extent: &NewExtent<'_>) -> usize {
    let (first, _) = extent.entries.first().expect("an extent has entries");
    let len = extent_len(extent.entries.len(), extent.spans.len(), extent.tail.len());
    let count = |n: usize| U32::new(u32::try_from(n).expect("a commit is smaller"));
    let raw = RawExtent {
        common: common(EXTENT, log, kind, first.ordinal, len),
        first_offset: U64::new(first.first_offset.0),
        segment: U64::new(extent.segment.0),
        position: U64::new(extent.position),
        length: U64::new(extent.entries.iter().map(|(e, _)| u64::from(e.len)).sum()),
        generation: U32::new(extent.generation.0),
        term: U32::new(first.term.0),
        entries: count(extent.entries.len()),
        spans: count(extent.spans.len()),
        tail_len: count(extent.tail.len()),
    };
    out[..EXTENT_HEADER].copy_from_slice(raw.as_bytes());
    let mut at = EXTENT_HEADER;
    for (entry, replay) in extent.entries {
        let slot = RawSlot {
            len: U32::new(entry.len),
            offsets: U32::new(entry.offsets),
            time: I64::new(entry.time.0),
            max_timestamp: I64::new(entry.max_timestamp),
            replay: U32::new(*replay),
        };
        out[at..at + SLOT_LEN].copy_from_slice(slot.as_bytes());
        at += SLOT_LEN;
    }
    for span in extent.spans {
        span.encode(&mut out[at..]);
        at += SPAN_LEN;
    }
    out[at..len].copy_from_slice(extent.tail);
    len
}

impl<'a> Extent<'a> {
    /// Bytes of the record that it was read from.
    #[must_use]
    pub fn record_len(&self) -> usize {
        EXTENT_HEADER + self.slots.len() + self.spans.len() + self.tail.len()
    }

    /// Reads the record `bytes`.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (raw, rest) =
            RawExtent::ref_from_prefix(bytes).map_err(|_| malformed("extent too short"))?;
        let entries = raw.entries.get() as usize * SLOT_LEN;
        let spans = raw.spans.get() as usize * SPAN_LEN;
        let tail_len = raw.tail_len.get() as usize;
        if raw.entries.get() == 0 || rest.len() != entries + spans + tail_len {
            return Err(malformed("extent of wrong length"));
        }
        let (slots, rest) = rest.split_at(entries);
        let (spans, tail) = rest.split_at(spans);
        let extent = Self {
            first_offset: Offset(bounded(raw.first_offset.get())?),
            term: Term(raw.term.get()),
            segment: Ordinal(bounded(raw.segment.get())?),
            generation: Generation(raw.generation.get()),
            position: bounded(raw.position.get())?,
            length: bounded(raw.length.get())?,
            slots,
            spans,
            tail,
        };
        extent.check(Ordinal(bounded(raw.common.ordinal.get())?))?;
        Ok(extent)
    }

    /// How many entries it has.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.slots.len() / SLOT_LEN
    }

    /// Its entries in order.
    pub fn slots(&self) -> impl Iterator<Item = ExtentSlot> + use<'a> {
        self.slots.chunks_exact(SLOT_LEN).map(|bytes| {
            let raw = RawSlot::ref_from_bytes(bytes).expect("chunks of exactly this length");
            ExtentSlot {
                len: raw.len.get(),
                offsets: raw.offsets.get(),
                time: WallMs(raw.time.get()),
                max_timestamp: raw.max_timestamp.get(),
                replay: raw.replay.get(),
            }
        })
    }

    /// Its entries in full, and what of each is replayed; `first` is the ordinal of the record.
    pub fn entries(&self, first: Ordinal) -> impl Iterator<Item = (EntryMeta, u32)> + use<'a> {
        let term = self.term;
        let mut next = (first, self.first_offset);
        self.slots().map(move |slot| {
            let meta = EntryMeta {
                ordinal: next.0,
                term,
                time: slot.time,
                first_offset: next.1,
                offsets: slot.offsets,
                max_timestamp: slot.max_timestamp,
                len: slot.len,
            };
            next = (next.0.plus(1), meta.next_offset());
            (meta, slot.replay)
        })
    }

    /// Its spans in order.
    pub fn spans(&self) -> impl Iterator<Item = Span> + use<'a> {
        self.spans
            .chunks_exact(SPAN_LEN)
            .map(|bytes| Span::decode(bytes).expect("decoded once before"))
    }

    /// Byte position of the block boundary from which on the bytes stand in [`Extent::tail`].
    #[must_use]
    pub fn boundary(&self) -> u64 {
        self.position + self.length - self.tail.len() as u64
    }

    /// Spans and entries must tile the same bytes and ordinals.
    fn check(&self, first: Ordinal) -> Result<(), FormatError> {
        let total: u64 = self.slots().map(|slot| u64::from(slot.len)).sum();
        let end = self.position + self.length;
        if total != self.length {
            return Err(malformed("extent's entries do not add up"));
        }
        if self.slots().any(|slot| slot.replay > slot.len) {
            return Err(malformed("extent's entries are replayed beyond their end"));
        }
        if self.tail.len() >= BLOCK
            || (self.tail.len() as u64) > self.length
            || (!self.tail.is_empty() && self.boundary() != round_down(end))
        {
            return Err(malformed(
                "extent's tail does not begin at the last boundary",
            ));
        }
        let mut slots = self.slots();
        let (mut ordinal, mut position) = (first, self.position);
        for bytes in self.spans.chunks_exact(SPAN_LEN) {
            let span = Span::decode(bytes)?;
            if (span.first_ordinal, span.position) != (ordinal, position) {
                return Err(malformed("extent's spans have holes"));
            }
            let lengths = slots.by_ref().take(span.entries as usize);
            if lengths.map(|slot| u64::from(slot.len)).sum::<u64>() != u64::from(span.length) {
                return Err(malformed("extent's span cuts an entry"));
            }
            (ordinal, position) = (span.end_ordinal(), span.end_position());
        }
        if position != end || ordinal != first.plus(self.entry_count() as u64) {
            return Err(malformed("extent's spans do not cover it"));
        }
        Ok(())
    }
}
