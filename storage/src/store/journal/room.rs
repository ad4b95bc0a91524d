//! Who may take which part of the ring's room: what was granted to entries is for them, a reserve
//! is for rescues, and what is spare is for records that win space.

use super::ring::Ring;
use crate::format::commit::{COMMIT_HEADER, commit_len};
use crate::format::record::{CHECKPOINT_LEN, entry_len, extent_len};
use crate::io::BLOCK;

/// The room of a ring, beside what its commits take.
#[derive(Debug)]
pub(super) struct Room {
    /// Journal space granted to entries that are not placed.
    granted: u64,
    /// Largest commit, bytes with header and padding.
    max_commit: usize,
    reserve: u64,
}

impl Room {
    /// Nothing is granted. For `reserves`, see
    /// [`Geometry::reserve_bytes`](crate::format::superblock::Geometry::reserve_bytes), and
    /// `reclaim::rescue` for why that is enough.
    pub(super) fn new(max_commit: usize, reserves: bool) -> Self {
        let reserve = 2 * max_commit as u64 + BLOCK as u64;
        Self {
            granted: 0,
            max_commit,
            reserve: if reserves { reserve } else { 0 },
        }
    }
}

impl Ring {
    /// Largest commit, bytes with header and padding.
    pub(crate) fn max_commit(&self) -> usize {
        self.room().max_commit
    }

    /// Bytes of records that a commit holds at most.
    pub(crate) fn max_body(&self) -> usize {
        self.max_commit() - COMMIT_HEADER
    }

    /// Largest entry or extent record that goes into a commit, beside the log's first checkpoint.
    pub(crate) fn record_limit(&self) -> usize {
        self.max_body() - CHECKPOINT_LEN
    }

    /// Bytes of body that a commit may have that takes at most `bytes` of the ring.
    pub(crate) fn body_room(&self, bytes: u64) -> usize {
        let len = (self.max_commit() as u64).min(bytes) / BLOCK as u64 * BLOCK as u64;
        usize::try_from(len)
            .expect("one commit")
            .saturating_sub(COMMIT_HEADER)
    }

    /// Ring bytes that only rescues may take, so that the ring never locks up.
    pub(crate) fn reserve(&self) -> u64 {
        self.room().reserve
    }

    /// Ring bytes beyond the reserve and beyond what was granted to entries.
    pub(crate) fn spare(&self) -> u64 {
        let kept = self.granted() + self.reserve();
        self.free().saturating_sub(kept)
    }

    /// Whether so much can be granted and leaves the reserve alone.
    pub(crate) fn may_grant(&self, grant: u64) -> bool {
        self.free() >= self.granted() + grant + self.reserve()
    }

    /// Whether a block is free beside what is granted, and `kept` of the reserve beside that.
    pub(crate) fn has_block_beside(&self, kept: u64) -> bool {
        self.free() >= self.granted() + kept + BLOCK as u64
    }

    /// What was granted to entries that are not placed.
    pub(crate) fn granted(&self) -> u64 {
        self.room().granted
    }

    pub(crate) fn grant(&mut self, bytes: u64) {
        self.room_mut().granted += bytes;
    }

    /// Entries are placed, or given up: what was granted to them is free, or their commit's.
    pub(crate) fn ungrant(&mut self, bytes: u64) {
        self.room_mut().granted -= bytes;
    }

    /// Journal bytes that an entry will take at most: a commit of its own, with its log's first
    /// checkpoint, header and padding.
    ///
    /// That is enough however entries are put together, so that what was granted can always be
    /// placed and never waits for space: a commit of several is shorter than theirs apart, for
    /// padding is only shared. The extent record of a bulk write is no longer than the grants of
    /// its entries either: one of many entries needs far less than a block for each and a tail of
    /// less than a block, and its entries fill a block or two at least, or close their segment and
    /// leave no tail; an entry that fits no commit is granted its extent record.
    pub(crate) fn grant_for(&self, len: usize) -> u64 {
        let inline = entry_len(len);
        let record = if inline <= self.record_limit() {
            inline
        } else {
            extent_len(1, 1, BLOCK)
        };
        commit_len(CHECKPOINT_LEN + record) as u64
    }
}
