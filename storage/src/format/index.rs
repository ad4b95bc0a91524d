//! The span index of a segment: what is where, and one CRC over all of it.
//!
//! A file of whole blocks; each flush begins a new block, so that no block with durable spans is
//! written again. A block is a header and up to [`SPANS_PER_BLOCK`] spans, in ordinal order.

use zerocopy::byteorder::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, FormatError, crc};
use crate::checksum::append;
use crate::io::BLOCK;
use crate::types::{Generation, LogId, Offset, Ordinal, Term};

/// Bytes of one span, here and in an extent record.
pub const SPAN_LEN: usize = size_of::<RawSpan>();

/// Spans that fit one index block.
pub const SPANS_PER_BLOCK: usize = (BLOCK - HEADER) / SPAN_LEN;

const HEADER: usize = size_of::<RawBlock>();
const MAGIC: [u8; 4] = *b"LVIX";
const WHAT: &str = "index block";

/// Whole entries, back to back in a segment, under one CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Ordinal of the first entry.
    pub first_ordinal: Ordinal,
    /// First client offset.
    pub first_offset: Offset,
    /// Largest timestamp of any entry in it, milliseconds.
    pub max_timestamp: i64,
    /// Byte position in the segment.
    pub position: u64,
    /// Term of all its entries.
    pub term: Term,
    /// Bytes of all its entries.
    pub length: u32,
    /// How many entries it has.
    pub entries: u32,
    /// CRC-32C over all its bytes.
    pub crc: u32,
}

impl Span {
    /// The ordinal after its last entry.
    #[must_use]
    pub fn end_ordinal(&self) -> Ordinal {
        self.first_ordinal.plus(u64::from(self.entries))
    }

    /// Where its first entry stands.
    pub(crate) fn place(&self) -> (Ordinal, Offset) {
        (self.first_ordinal, self.first_offset)
    }

    /// The byte position after it.
    #[must_use]
    pub fn end_position(&self) -> u64 {
        self.position + u64::from(self.length)
    }

    /// Writes the span into the first [`SPAN_LEN`] bytes of `out`.
    ///
    /// # Panics
    /// If `out` is shorter.
    pub fn encode(&self, out: &mut [u8]) {
        let raw = RawSpan {
            first_ordinal: U64::new(self.first_ordinal.0),
            first_offset: U64::new(self.first_offset.0),
            max_timestamp: I64::new(self.max_timestamp),
            position: U64::new(self.position),
            term: U32::new(self.term.0),
            length: U32::new(self.length),
            entries: U32::new(self.entries),
            crc: U32::new(self.crc),
        };
        out[..SPAN_LEN].copy_from_slice(raw.as_bytes());
    }

    /// Reads a span from the first [`SPAN_LEN`] bytes of `bytes`.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when it is too short, empty, or its numbers overflow.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let malformed = |why| FormatError::Malformed { what: "span", why };
        let (raw, _) = RawSpan::ref_from_prefix(bytes).map_err(|_| malformed("too few bytes"))?;
        let span = Self {
            first_ordinal: Ordinal(raw.first_ordinal.get()),
            first_offset: Offset(raw.first_offset.get()),
            max_timestamp: raw.max_timestamp.get(),
            position: raw.position.get(),
            term: Term(raw.term.get()),
            length: raw.length.get(),
            entries: raw.entries.get(),
            crc: raw.crc.get(),
        };
        if span.length == 0 || span.entries == 0 {
            return Err(malformed("empty"));
        }
        let bound = u64::MAX / 4;
        if span.first_ordinal.0 > bound || span.position > bound || span.first_offset.0 > bound {
            return Err(malformed("numbers out of range"));
        }
        Ok(span)
    }
}

/// Which index a block belongs to, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexBlock {
    /// The log.
    pub log: LogId,
    /// Ordinal of the segment's first entry.
    pub base: Ordinal,
    /// Run that created the segment.
    pub generation: Generation,
    /// Run that wrote this index.
    pub written: Generation,
    /// Place in the file, from 0.
    pub number: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSpan {
    first_ordinal: U64,
    first_offset: U64,
    max_timestamp: I64,
    position: U64,
    term: U32,
    length: U32,
    entries: U32,
    crc: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawBlock {
    magic: [u8; 4],
    version: U16,
    count: U16,
    log: U64,
    base: U64,
    generation: U32,
    written: U32,
    number: U32,
    reserved: [u8; 8],
    /// Over the whole block with this field zero.
    crc: U32,
}

/// CRC of a whole block as if its CRC field were zero.
fn block_crc(block: &[u8]) -> u32 {
    let sum = crc(&block[..HEADER - 4]);
    let sum = append(sum, &[0; 4]);
    append(sum, &block[HEADER..BLOCK])
}

/// Writes one index block.
///
/// # Panics
/// If `block` is not one block long, or `spans` is empty or longer than [`SPANS_PER_BLOCK`].
pub fn encode_block(block: &mut [u8], id: &IndexBlock, spans: &[Span]) {
    assert_eq!(block.len(), BLOCK, "an index block is one block");
    assert!(
        (1..=SPANS_PER_BLOCK).contains(&spans.len()),
        "spans of one block"
    );
    let raw = RawBlock {
        magic: MAGIC,
        version: U16::new(FORMAT_VERSION),
        count: U16::new(u16::try_from(spans.len()).expect("at most SPANS_PER_BLOCK")),
        log: U64::new(id.log.0),
        base: U64::new(id.base.0),
        generation: U32::new(id.generation.0),
        written: U32::new(id.written.0),
        number: U32::new(id.number),
        reserved: [0; 8],
        crc: U32::new(0),
    };
    block[..HEADER].copy_from_slice(raw.as_bytes());
    for (at, span) in spans.iter().enumerate() {
        span.encode(&mut block[HEADER + at * SPAN_LEN..]);
    }
    block[HEADER + spans.len() * SPAN_LEN..].fill(0);
    let sum = block_crc(block);
    block[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
}

/// The log that an intact block belongs to, of whatever index and place.
#[must_use]
pub fn owner(block: &[u8]) -> Option<LogId> {
    let (raw, _) = RawBlock::ref_from_prefix(block).ok()?;
    let intact = block.len() >= BLOCK && raw.magic == MAGIC && raw.crc.get() == block_crc(block);
    intact.then(|| LogId(raw.log.get()))
}

/// Reads one index block and appends its spans to `spans`.
///
/// # Errors
/// [`FormatError`] when it is absent, damaged, newer, or of another index or place; `spans` is
/// then as it was.
pub fn decode_block(
    block: &[u8],
    expected: &IndexBlock,
    spans: &mut Vec<Span>,
) -> Result<(), FormatError> {
    let malformed = |why| FormatError::Malformed { what: WHAT, why };
    if block.len() < BLOCK {
        return Err(FormatError::Absent(WHAT));
    }
    let (raw, _) = RawBlock::ref_from_prefix(block).map_err(|_| FormatError::Absent(WHAT))?;
    if raw.magic != MAGIC {
        return Err(FormatError::Absent(WHAT));
    }
    if raw.crc.get() != block_crc(block) {
        return Err(FormatError::Crc(WHAT));
    }
    if raw.version.get() != FORMAT_VERSION {
        return Err(FormatError::Version {
            what: WHAT,
            found: raw.version.get(),
        });
    }
    let found = IndexBlock {
        log: LogId(raw.log.get()),
        base: Ordinal(raw.base.get()),
        generation: Generation(raw.generation.get()),
        written: Generation(raw.written.get()),
        number: raw.number.get(),
    };
    if found != *expected {
        return Err(malformed("it belongs to another index or place"));
    }
    let count = usize::from(raw.count.get());
    if !(1..=SPANS_PER_BLOCK).contains(&count) {
        return Err(malformed("span count"));
    }
    let before = spans.len();
    for at in 0..count {
        match Span::decode(&block[HEADER + at * SPAN_LEN..]) {
            Ok(span) => spans.push(span),
            Err(error) => {
                spans.truncate(before);
                return Err(error);
            }
        }
    }
    Ok(())
}
