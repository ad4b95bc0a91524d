//! A snapshot file: the state of a machine that is too large to stand in the journal.
//!
//! A header, the bytes, and zeros to the end of the block. A file is written once, under a name of
//! its own, in pieces and with the first block last; it is synced with its directory, and only then
//! does a journal record point to it.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, FormatError, crc, proved, round_up, seal_block};
use crate::types::{Generation, LogId, Ordinal};

/// Snapshots up to this many bytes stand in the journal record itself.
pub const INLINE_MAX: usize = 16 * 1024;

/// Bytes before the state.
pub const SNAPSHOT_HEADER: usize = size_of::<RawSnapshot>();

const MAGIC: [u8; 8] = *b"LVSNAPSH";
const WHAT: &str = "snapshot file";

/// Which snapshot a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotId {
    /// The log.
    pub log: LogId,
    /// It holds the effect of all entries below this ordinal.
    pub ordinal: Ordinal,
    /// Run that wrote it.
    pub generation: Generation,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSnapshot {
    magic: [u8; 8],
    version: U16,
    reserved: U16,
    generation: U32,
    log: U64,
    ordinal: U64,
    reserved2: [u8; 20],
    len: U32,
    state_crc: U32,
    crc: U32,
}

/// Bytes of the file that holds a state of `len` bytes.
#[must_use]
pub const fn file_len(len: usize) -> usize {
    round_up(SNAPSHOT_HEADER + len)
}

/// What the head of a file says of the state in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSum {
    /// Its bytes.
    pub len: u32,
    /// Their CRC-32C.
    pub crc: u32,
}

/// Writes the head, which precedes the state, into the first [`SNAPSHOT_HEADER`] bytes of `buf`.
pub fn put_head(buf: &mut [u8], id: &SnapshotId, state: StateSum) {
    let raw = RawSnapshot {
        magic: MAGIC,
        version: U16::new(FORMAT_VERSION),
        reserved: U16::new(0),
        generation: U32::new(id.generation.0),
        log: U64::new(id.log.0),
        ordinal: U64::new(id.ordinal.0),
        reserved2: [0; 20],
        len: U32::new(state.len),
        state_crc: U32::new(state.crc),
        crc: U32::new(0),
    };
    seal_block(&mut buf[..SNAPSHOT_HEADER], &raw);
}

/// Writes the whole file into `buf`.
///
/// # Panics
/// If `buf` is not [`file_len`] bytes long.
pub fn encode(buf: &mut [u8], id: &SnapshotId, state: &[u8]) {
    assert_eq!(
        buf.len(),
        file_len(state.len()),
        "snapshot buffer of wrong length"
    );
    let len = u32::try_from(state.len()).expect("states are below 4 GiB");
    let crc = crc(state);
    put_head(buf, id, StateSum { len, crc });
    buf[SNAPSHOT_HEADER..][..state.len()].copy_from_slice(state);
    buf[SNAPSHOT_HEADER + state.len()..].fill(0);
}

/// What a file that begins with `file` says of its state.
///
/// # Errors
/// [`FormatError`] when it is absent, damaged, newer, or another snapshot.
pub fn decode_head(file: &[u8], expected: &SnapshotId) -> Result<StateSum, FormatError> {
    let raw: &RawSnapshot = proved(file, MAGIC, WHAT)?;
    let found = SnapshotId {
        log: LogId(raw.log.get()),
        ordinal: Ordinal(raw.ordinal.get()),
        generation: Generation(raw.generation.get()),
    };
    if found != *expected {
        let why = "it is another snapshot";
        return Err(FormatError::Malformed { what: WHAT, why });
    }
    Ok(StateSum {
        len: raw.len.get(),
        crc: raw.state_crc.get(),
    })
}
