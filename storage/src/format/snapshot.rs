//! A snapshot file: the state of a machine that is too large to stand in the journal.
//!
//! One header, the bytes, zeros to the end of the block. Written once under a name of its own,
//! synced with its directory, and only then pointed to by a journal record.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, FormatError, crc, round_up};
use crate::types::{Generation, LogId, Ordinal};

/// Snapshots up to this many bytes stand in the journal record itself.
pub const INLINE_MAX: usize = 16 * 1024;

/// No snapshot is larger: what recovery may allocate on a record's word.
pub const SNAPSHOT_MAX: u32 = 256 * 1024 * 1024;

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

/// Writes the whole file into `buf`.
///
/// # Panics
/// If `buf` is not [`file_len`] bytes long or the state exceeds [`SNAPSHOT_MAX`].
pub fn encode(buf: &mut [u8], id: &SnapshotId, state: &[u8]) {
    assert_eq!(
        buf.len(),
        file_len(state.len()),
        "snapshot buffer of wrong length"
    );
    let len = u32::try_from(state.len()).expect("bounded below");
    assert!(len <= SNAPSHOT_MAX, "snapshot too large");
    let mut raw = RawSnapshot {
        magic: MAGIC,
        version: U16::new(FORMAT_VERSION),
        reserved: U16::new(0),
        generation: U32::new(id.generation.0),
        log: U64::new(id.log.0),
        ordinal: U64::new(id.ordinal.0),
        reserved2: [0; 20],
        len: U32::new(len),
        state_crc: U32::new(crc(state)),
        crc: U32::new(0),
    };
    raw.crc = U32::new(crc(&raw.as_bytes()[..SNAPSHOT_HEADER - 4]));
    buf[..SNAPSHOT_HEADER].copy_from_slice(raw.as_bytes());
    buf[SNAPSHOT_HEADER..][..state.len()].copy_from_slice(state);
    buf[SNAPSHOT_HEADER + state.len()..].fill(0);
}

/// The state in a file that was read whole.
///
/// # Errors
/// [`FormatError`] when it is absent, damaged, newer, or another snapshot.
pub fn decode<'a>(file: &'a [u8], expected: &SnapshotId) -> Result<&'a [u8], FormatError> {
    let malformed = |why| FormatError::Malformed { what: WHAT, why };
    let (raw, rest) = RawSnapshot::ref_from_prefix(file).map_err(|_| FormatError::Absent(WHAT))?;
    if raw.magic != MAGIC {
        return Err(FormatError::Absent(WHAT));
    }
    if raw.crc.get() != crc(&raw.as_bytes()[..SNAPSHOT_HEADER - 4]) {
        return Err(FormatError::Crc(WHAT));
    }
    if raw.version.get() != FORMAT_VERSION {
        return Err(FormatError::Version {
            what: WHAT,
            found: raw.version.get(),
        });
    }
    let found = SnapshotId {
        log: LogId(raw.log.get()),
        ordinal: Ordinal(raw.ordinal.get()),
        generation: Generation(raw.generation.get()),
    };
    if found != *expected {
        return Err(malformed("it is another snapshot"));
    }
    let state = rest
        .get(..raw.len.get() as usize)
        .ok_or_else(|| malformed("shorter than it says"))?;
    if crc(state) != raw.state_crc.get() {
        return Err(FormatError::Crc(WHAT));
    }
    Ok(state)
}
