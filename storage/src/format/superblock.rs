//! The superblock: which generation of journals is the truth.
//!
//! It has two slots of one block each. A switch of generations overwrites the slot in which the
//! present generation does not stand, so that a torn write leaves the present one. The very first
//! start writes slot 0 and then a copy in slot 1: a file of two slots with none intact has
//! therefore rotted, while one of a single torn slot was never served from.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{FORMAT_VERSION, FormatError, crc, proved, seal_block};
use crate::homes::{Homes, SLOTS as HOMES};
use crate::io::BLOCK;
use crate::types::{CoreId, Generation};

/// Number of slots; slot `n` stands at byte `n × BLOCK`.
pub const SLOTS: usize = 2;

const MAGIC: [u8; 8] = *b"LEVERET\x01";
const WHAT: &str = "superblock slot";

/// The shape of every journal ring of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of each file of a ring, a multiple of [`BLOCK`].
    pub file_bytes: u64,
    /// Files of each ring.
    pub files: u16,
    /// Upper bound of a whole commit (header, body and padding), a multiple of [`BLOCK`].
    pub max_commit_bytes: u32,
    /// W: how many commits may be in flight; at most so many can be torn by a crash.
    pub in_flight: u16,
}

impl Geometry {
    /// Bytes of one whole ring.
    #[must_use]
    pub fn ring_bytes(&self) -> u64 {
        self.file_bytes * u64::from(self.files)
    }

    /// Bytes of a whole commit as it is written: at most [`Geometry::max_commit_bytes`], but no
    /// more than an eighth of the ring and half a file, so that a ring always holds several and
    /// no file is mostly the rest that a commit did not fit in. At least two blocks.
    #[must_use]
    pub fn commit_bytes(&self) -> u64 {
        let block = BLOCK as u64;
        let most = (self.ring_bytes() / 8).min(self.file_bytes / 2) / block * block;
        u64::from(self.max_commit_bytes).min(most.max(2 * block))
    }

    /// Bytes of commits that a ring takes wherever they stand: a commit straddles no two files,
    /// so each may lose up to a whole commit less a block at its end.
    #[must_use]
    pub fn usable_bytes(&self) -> u64 {
        let lost = self.commit_bytes() - BLOCK as u64;
        (self.file_bytes - lost) * u64::from(self.files)
    }

    /// Bytes of commits that appends leave free. Two commits: one that moves what the oldest one
    /// holds, and one more in case it holds more than one commit takes, or its records grow on the
    /// way (a new snapshot for the starts of entries). And a block, to vouch for the last commit.
    #[must_use]
    pub fn reserve_bytes(&self) -> u64 {
        2 * self.commit_bytes() + BLOCK as u64
    }

    /// How many files the commits in flight may begin.
    ///
    /// # Panics
    /// If a commit does not fit a file.
    #[must_use]
    pub fn files_in_flight(&self) -> u16 {
        let commits = self.file_bytes / u64::from(self.max_commit_bytes);
        let files = u64::from(self.in_flight).div_ceil(commits);
        u16::try_from(files).expect("at most one for each commit")
    }

    /// The rule that the geometry breaks, if any. Recovery finds the newest commit by the first
    /// blocks of the ring's files, so commits in flight must never span all of them.
    #[must_use]
    pub fn broken_rule(&self) -> Option<&'static str> {
        let block = BLOCK as u64;
        let commit = u64::from(self.max_commit_bytes);
        if self.in_flight == 0 {
            Some("no commit may be in flight")
        } else if self.file_bytes == 0 || !self.file_bytes.is_multiple_of(block) {
            Some("journal files are not whole blocks")
        } else if self.file_bytes > u64::from(u32::MAX) {
            Some("journal files are larger than 4 GiB")
        } else if commit < 2 * block || !commit.is_multiple_of(block) || commit > self.file_bytes {
            Some("commits do not fit journal files")
        } else if self.files <= self.files_in_flight() {
            Some("commits in flight could span the whole ring")
        } else {
            None
        }
    }
}

/// The content of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The generation that is the truth.
    pub generation: Generation,
    /// Which core each slot lives on, and how many cores, and so rings, there are.
    pub homes: Homes,
    /// Shape of its rings.
    pub geometry: Geometry,
    /// Unpredictable to producers; every commit header bears it, so that payload bytes cannot
    /// pass for a commit.
    pub salt: u64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSlot {
    magic: [u8; 8],
    version: U16,
    cores: U16,
    generation: U32,
    file_bytes: U64,
    files: U16,
    in_flight: U16,
    max_commit_bytes: U32,
    salt: U64,
    /// Of what stands behind this.
    homes_crc: U32,
    reserved: [u8; 16],
    crc: U32,
}

/// The core of each slot, u16, behind the fields of every version.
const HOMES_LEN: usize = 2 * HOMES;

impl Superblock {
    /// Writes the slot into `block` and zeroes what follows.
    ///
    /// # Panics
    /// If `block` is not exactly one block long.
    pub fn encode(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK, "a superblock slot is one block");
        let homes = self
            .homes
            .slots()
            .flat_map(|(_, core)| core.0.to_le_bytes());
        let homes: Vec<u8> = homes.collect();
        let raw = RawSlot {
            magic: MAGIC,
            version: U16::new(FORMAT_VERSION),
            cores: U16::new(self.homes.cores()),
            generation: U32::new(self.generation.0),
            file_bytes: U64::new(self.geometry.file_bytes),
            files: U16::new(self.geometry.files),
            in_flight: U16::new(self.geometry.in_flight),
            max_commit_bytes: U32::new(self.geometry.max_commit_bytes),
            salt: U64::new(self.salt),
            homes_crc: U32::new(crc(&homes)),
            reserved: [0; 16],
            crc: U32::new(0),
        };
        seal_block(block, &raw);
        block[size_of::<RawSlot>()..][..HOMES_LEN].copy_from_slice(&homes);
    }

    /// Reads a slot.
    ///
    /// # Errors
    /// [`FormatError`] when it is absent, damaged, of another version, or contradicts itself.
    pub fn decode(block: &[u8]) -> Result<Self, FormatError> {
        let raw: &RawSlot = proved(block, MAGIC, WHAT)?;
        let malformed = |why| FormatError::Malformed { what: WHAT, why };
        let slot = Self {
            generation: Generation(raw.generation.get()),
            homes: decode_homes(block, raw)?,
            geometry: Geometry {
                file_bytes: raw.file_bytes.get(),
                files: raw.files.get(),
                max_commit_bytes: raw.max_commit_bytes.get(),
                in_flight: raw.in_flight.get(),
            },
            salt: raw.salt.get(),
        };
        match slot.geometry.broken_rule() {
            Some(why) => Err(malformed(why)),
            None => Ok(slot),
        }
    }
}

fn decode_homes(block: &[u8], raw: &RawSlot) -> Result<Homes, FormatError> {
    let malformed = |why| FormatError::Malformed { what: WHAT, why };
    let homes = block[size_of::<RawSlot>()..].get(..HOMES_LEN);
    let homes = homes.ok_or(malformed("it ends amid its map of slots"))?;
    if crc(homes) != raw.homes_crc.get() {
        return Err(FormatError::Crc(WHAT));
    }
    let of = std::array::from_fn(|slot| {
        CoreId(u16::from_le_bytes([homes[2 * slot], homes[2 * slot + 1]]))
    });
    let homes = Homes::new(raw.cores.get(), of);
    homes.ok_or(malformed("slots on cores that it does not have"))
}
