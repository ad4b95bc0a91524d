//! A journal commit: header, records, padding to whole blocks; the unit of durability.
//!
//! A commit never straddles two files of its ring: the next one follows in the next block or, if
//! it does not fit there, at the beginning of the next file. Sequence numbers are dense and
//! begin at 1 in every generation, so that 0 can say "none".

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, FormatError, crc, round_up};
use crate::io::BLOCK;
use crate::types::{CommitSeq, CoreId, Generation};

/// Bytes of a commit header; the body follows at once.
pub const COMMIT_HEADER: usize = size_of::<RawHeader>();

/// The first commit of every generation.
pub const FIRST_SEQ: CommitSeq = CommitSeq(1);

const MAGIC: [u8; 4] = *b"LVJC";
const WHAT: &str = "journal commit header";

/// Where a commit begins in its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RingPosition {
    /// Index of the file in the ring.
    pub file: u16,
    /// Block within the file.
    pub block: u32,
}

impl RingPosition {
    /// Byte position within the file.
    #[must_use]
    pub fn byte(self) -> u64 {
        u64::from(self.block) * BLOCK as u64
    }
}

/// Which journal a commit belongs to: it counts only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalId {
    /// Run that writes it.
    pub generation: Generation,
    /// Core that owns it.
    pub core: CoreId,
    /// The superblock's salt.
    pub salt: u64,
}

/// What a commit says of itself and of the commits before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitHeader {
    /// The journal.
    pub journal: JournalId,
    /// Place in the sequence.
    pub seq: CommitSeq,
    /// Oldest commit that is still needed once this one is durable; never above `seq`.
    pub live_from: CommitSeq,
    /// Where `live_from` begins.
    pub live_from_at: RingPosition,
    /// Every commit up to and including this one was durable when this header was made
    /// (0: none). Damage at or below it is corruption, never a torn end.
    pub durable_through: CommitSeq,
    /// Records in the body.
    pub count: u32,
    /// Bytes of the body, without padding.
    pub body_len: u32,
    /// CRC-32C of the body.
    pub body_crc: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: [u8; 4],
    version: U16,
    core: U16,
    generation: U32,
    count: U32,
    salt: U64,
    seq: U64,
    live_from: U64,
    durable_through: U64,
    live_from_block: U32,
    live_from_file: U16,
    reserved: U16,
    body_len: U32,
    body_crc: U32,
    reserved2: U32,
    crc: U32,
}

/// Bytes that a commit with a body of `body_len` takes in its file.
#[must_use]
pub const fn commit_len(body_len: usize) -> usize {
    round_up(COMMIT_HEADER + body_len)
}

/// As [`seal_summed`], after computing the body's CRC: `header.body_crc` is ignored.
///
/// # Panics
/// As [`seal_summed`].
pub fn seal(buf: &mut [u8], header: &CommitHeader) {
    let body_crc = crc(&buf[COMMIT_HEADER..][..header.body_len as usize]);
    let header = CommitHeader {
        body_crc,
        ..*header
    };
    seal_summed(buf, &header);
}

/// Completes a commit whose body stands at `buf[COMMIT_HEADER..][..header.body_len]`: writes the
/// header before it and zeroes the padding after it.
///
/// # Panics
/// If `buf` is not exactly [`commit_len`] bytes long.
pub fn seal_summed(buf: &mut [u8], header: &CommitHeader) {
    let body_len = header.body_len as usize;
    assert_eq!(
        buf.len(),
        commit_len(body_len),
        "commit buffer of wrong length"
    );
    assert!(header.live_from <= header.seq && header.durable_through < header.seq);
    let (front, pad) = buf.split_at_mut(COMMIT_HEADER + body_len);
    pad.fill(0);
    let head = &mut front[..COMMIT_HEADER];
    let mut raw = RawHeader {
        magic: MAGIC,
        version: U16::new(FORMAT_VERSION),
        core: U16::new(header.journal.core.0),
        generation: U32::new(header.journal.generation.0),
        count: U32::new(header.count),
        salt: U64::new(header.journal.salt),
        seq: U64::new(header.seq.0),
        live_from: U64::new(header.live_from.0),
        durable_through: U64::new(header.durable_through.0),
        live_from_block: U32::new(header.live_from_at.block),
        live_from_file: U16::new(header.live_from_at.file),
        reserved: U16::new(0),
        body_len: U32::new(header.body_len),
        body_crc: U32::new(header.body_crc),
        reserved2: U32::new(0),
        crc: U32::new(0),
    };
    raw.crc = U32::new(crc(&raw.as_bytes()[..COMMIT_HEADER - 4]));
    head.copy_from_slice(raw.as_bytes());
}

impl CommitHeader {
    /// Reads the header at the start of `block`, if it belongs to a journal that `belongs`
    /// accepts; anything else is absent, of whatever version. The body is not looked at.
    ///
    /// # Errors
    /// [`FormatError`] when there is none, or it is damaged, newer or contradicts itself.
    pub fn decode(
        block: &[u8],
        belongs: impl FnOnce(&JournalId) -> bool,
    ) -> Result<Self, FormatError> {
        let (raw, _) = RawHeader::ref_from_prefix(block).map_err(|_| FormatError::Absent(WHAT))?;
        if raw.magic != MAGIC {
            return Err(FormatError::Absent(WHAT));
        }
        if raw.crc.get() != crc(&raw.as_bytes()[..COMMIT_HEADER - 4]) {
            return Err(FormatError::Crc(WHAT));
        }
        let journal = JournalId {
            generation: Generation(raw.generation.get()),
            core: CoreId(raw.core.get()),
            salt: raw.salt.get(),
        };
        if !belongs(&journal) {
            return Err(FormatError::Absent(WHAT));
        }
        if raw.version.get() != FORMAT_VERSION {
            return Err(FormatError::Version {
                what: WHAT,
                found: raw.version.get(),
            });
        }
        let header = Self {
            journal,
            seq: CommitSeq(raw.seq.get()),
            live_from: CommitSeq(raw.live_from.get()),
            live_from_at: RingPosition {
                file: raw.live_from_file.get(),
                block: raw.live_from_block.get(),
            },
            durable_through: CommitSeq(raw.durable_through.get()),
            count: raw.count.get(),
            body_len: raw.body_len.get(),
            body_crc: raw.body_crc.get(),
        };
        let malformed = |why| FormatError::Malformed { what: WHAT, why };
        if header.seq < FIRST_SEQ || header.seq.0 == u64::MAX {
            return Err(malformed("sequence out of range"));
        }
        if header.live_from < FIRST_SEQ || header.live_from > header.seq {
            return Err(malformed("live-from out of range"));
        }
        if header.durable_through >= header.seq {
            return Err(malformed("durable-through covers the commit itself"));
        }
        Ok(header)
    }

    /// Whether `body` is the one that the header was made for.
    #[must_use]
    pub fn matches_body(&self, body: &[u8]) -> bool {
        body.len() == self.body_len as usize && crc(body) == self.body_crc
    }

    /// Bytes of the whole commit.
    #[must_use]
    pub fn whole_len(&self) -> usize {
        commit_len(self.body_len as usize)
    }
}
