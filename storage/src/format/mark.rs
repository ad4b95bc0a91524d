//! A mark: what a core vouches for of its journal ring, in a file other than the ring.
//!
//! A commit vouches for those before it; nothing in the ring can vouch for the last ones, nor for
//! what stands in a file that was emptied, cut, or replaced by an older one. So from time to time
//! each core writes into the superblock's file how far its ring is durable and how long the ring's
//! files are. A mark is always behind the ring, never ahead: one that is absent or torn vouches for
//! nothing. The last one of a clean stop says where the ring has ended, so that the next start need
//! not look for that.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::commit::{JournalId, RingPosition};
use super::superblock::SLOTS;
use super::{FORMAT_VERSION, FormatError, proved, seal_block};
use crate::io::BLOCK;
use crate::types::{CommitSeq, CoreId, Generation};

const MAGIC: [u8; 8] = *b"LVMARK\0\x01";
const WHAT: &str = "journal mark";

/// What a core vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The ring.
    pub journal: JournalId,
    /// Every commit up to this one was durable.
    pub vouched: CommitSeq,
    /// So long were the ring's files together, bytes; they grow and never shrink.
    pub bytes: u64,
    /// Where the commit `vouched` stands, if the store has ended there: nothing was written behind it.
    pub ended: Option<RingPosition>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawMark {
    magic: [u8; 8],
    version: U16,
    core: U16,
    generation: U32,
    salt: U64,
    vouched: U64,
    bytes: U64,
    ended: U16,
    end_file: U16,
    end_block: U32,
    reserved: [u8; 12],
    crc: U32,
}

impl Mark {
    /// Where in the superblock's file the mark of a core stands, in the generation whose slot is
    /// `slot`: each slot has marks of its own, so that a new generation's leave the present ones.
    #[must_use]
    pub fn position(core: CoreId, slot: usize) -> u64 {
        ((SLOTS * (1 + usize::from(core.0)) + slot) * BLOCK) as u64
    }

    /// Writes the mark into `block` and zeroes what follows.
    ///
    /// # Panics
    /// If `block` is not exactly one block long.
    pub fn encode(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK, "a mark is one block");
        let end = self.ended.unwrap_or_default();
        let raw = RawMark {
            magic: MAGIC,
            version: U16::new(FORMAT_VERSION),
            core: U16::new(self.journal.core.0),
            generation: U32::new(self.journal.generation.0),
            salt: U64::new(self.journal.salt),
            vouched: U64::new(self.vouched.0),
            bytes: U64::new(self.bytes),
            ended: U16::new(u16::from(self.ended.is_some())),
            end_file: U16::new(end.file),
            end_block: U32::new(end.block),
            reserved: [0; 12],
            crc: U32::new(0),
        };
        seal_block(block, &raw);
    }

    /// Reads a mark.
    ///
    /// # Errors
    /// [`FormatError`] when it is absent, damaged or of another version.
    pub fn decode(block: &[u8]) -> Result<Self, FormatError> {
        let raw: &RawMark = proved(block, MAGIC, WHAT)?;
        Ok(Self {
            journal: JournalId {
                generation: Generation(raw.generation.get()),
                core: CoreId(raw.core.get()),
                salt: raw.salt.get(),
            },
            vouched: CommitSeq(raw.vouched.get()),
            bytes: raw.bytes.get(),
            ended: (raw.ended.get() == 1).then(|| RingPosition {
                file: raw.end_file.get(),
                block: raw.end_block.get(),
            }),
        })
    }
}
