//! The bytes on disk: superblock, journal commits and their records, span indexes, snapshots.
//!
//! Everything is little-endian and fixed-layout, encoded into a buffer of the caller and decoded
//! from a slice of the caller. This module does no I/O and takes no decisions: what a damaged or
//! unknown structure means is for [`crate::recovery`], [`crate::verify`] and [`crate::store`].
//! `docs/disk-format.md` is the same in prose, and golden files fix the bytes.

pub mod commit;
mod extent;
pub mod index;
pub mod mark;
pub mod record;
pub mod segments;
pub mod snapshot;
pub mod superblock;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::io::BLOCK;

/// Version that every structure of this build bears. A reader refuses any other.
pub const FORMAT_VERSION: u16 = 3;

/// Why bytes are not the structure that was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The magic number is missing: never written, or something else.
    #[error("no {0} here")]
    Absent(&'static str),
    /// Intact, but of a version that this build does not know.
    #[error(
        "{what} has format version {found}; this build reads version {FORMAT_VERSION}: start the {} Leveret that wrote it",
        if *found < FORMAT_VERSION { "older" } else { "newer" }
    )]
    Version {
        /// What was being read.
        what: &'static str,
        /// Version found.
        found: u16,
    },
    /// The structure's CRC does not match its bytes.
    #[error("{0} has a wrong CRC")]
    Crc(&'static str),
    /// The CRC matches, but a field contradicts another or a bound.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
}

impl FormatError {
    /// Whether another version is the reason.
    #[must_use]
    pub fn is_version(self) -> bool {
        matches!(self, Self::Version { .. })
    }
}

/// `len` rounded up to whole blocks.
#[must_use]
pub const fn round_up(len: usize) -> usize {
    len.div_ceil(BLOCK) * BLOCK
}

/// `position` rounded down to a block boundary.
#[must_use]
pub const fn round_down(position: u64) -> u64 {
    position - position % BLOCK as u64
}

/// Writes a structure of magic, version, fields and a CRC of all before it into `block`, and zeroes
/// what follows.
///
/// # Panics
/// If it does not fit.
fn seal_block(block: &mut [u8], raw: &(impl IntoBytes + Immutable)) {
    let bytes = raw.as_bytes();
    let (fields, rest) = block.split_at_mut(bytes.len());
    fields.copy_from_slice(bytes);
    let (summed, sum) = fields.split_at_mut(bytes.len() - CRC);
    sum.copy_from_slice(&crc(summed).to_le_bytes());
    rest.fill(0);
}

/// The structure that [`seal_block`] wrote.
///
/// # Errors
/// [`FormatError`] when it is absent, damaged or of another version.
fn proved<'a, T>(block: &'a [u8], magic: [u8; 8], what: &'static str) -> Result<&'a T, FormatError>
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let absent = FormatError::Absent(what);
    let (raw, _) = T::ref_from_prefix(block).map_err(|_| absent)?;
    let bytes = raw.as_bytes();
    let (summed, sum) = bytes.split_at(bytes.len() - CRC);
    if !summed.starts_with(&magic) {
        return Err(absent);
    }
    if sum != crc(summed).to_le_bytes() {
        return Err(FormatError::Crc(what));
    }
    match u16::from_le_bytes([summed[magic.len()], summed[magic.len() + 1]]) {
        FORMAT_VERSION => Ok(raw),
        found => Err(FormatError::Version { what, found }),
    }
}

/// Bytes of a CRC.
const CRC: usize = size_of::<u32>();

pub use crate::checksum::crc;

#[cfg(test)]
mod tests;
