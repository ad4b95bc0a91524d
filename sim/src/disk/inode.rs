//! One file's bytes: what a running system reads, what the device surely has, and what lies
//! between.
//!
//! Chance is not decided here; a power cut asks the caller for the fate of each sector. The same
//! model stands behind the simulated disk and behind the file system that the real broker is
//! tried on.

use std::collections::BTreeMap;

/// Bytes that the device writes at once or not at all (unless it garbles them).
pub const SECTOR: usize = 512;

/// Orders what completed: everything stamped at or before a sync's issue is covered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Later than any sync: what a failed sync left behind is never written out again.
    const NEVER: Self = Self(u64::MAX);
}

/// What a power cut does to one version of one sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The device has it.
    Kept,
    /// The device has what was there before.
    Lost,
    /// The device has neither.
    Garbled,
}

type Sector = Box<[u8; SECTOR]>;

/// A file, whatever its name.
#[derive(Debug, Default)]
pub struct Inode {
    volatile: Vec<u8>,
    durable: Vec<u8>,
    /// Per sector, the versions that the device may still lose, oldest first.
    dirty: BTreeMap<usize, Vec<(Stamp, Sector)>>,
    /// Lengths that the device may still lose, oldest first.
    lengths: Vec<(Stamp, usize)>,
    /// Bytes set aside by fallocate.
    pub reserved: u64,
}

impl Inode {
    /// An empty file with so many bytes set aside.
    #[must_use]
    pub fn with_reserve(reserved: u64) -> Self {
        Self {
            reserved,
            ..Self::default()
        }
    }

    /// Bytes that a running system sees in it.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.volatile.len()
    }

    /// What a running system reads.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.volatile
    }

    /// A write, both ends on sector boundaries, that a power cut may lose until it is synced.
    pub fn write(&mut self, pos: usize, data: &[u8], stamp: Stamp) {
        assert!(pos.is_multiple_of(SECTOR) && data.len().is_multiple_of(SECTOR));
        let end = pos + data.len();
        if end > self.volatile.len() {
            self.volatile.resize(end, 0);
            self.lengths.push((stamp, end));
        }
        self.volatile[pos..end].copy_from_slice(data);
        for (at, sector) in data.chunks_exact(SECTOR).enumerate() {
            let sector = Box::new(sector.try_into().expect("a whole sector"));
            let versions = self.dirty.entry(pos / SECTOR + at).or_default();
            versions.push((stamp, sector));
        }
    }

    /// The file gets this length: what it gains are zeroes, and a power cut may lose the gain; what
    /// it loses is gone for good.
    pub fn resize(&mut self, len: usize, stamp: Stamp) {
        assert!(len.is_multiple_of(SECTOR));
        if len >= self.volatile.len() {
            self.volatile.resize(len, 0);
            self.lengths.push((stamp, len));
        } else {
            self.volatile.truncate(len);
            self.durable.truncate(len);
            for (_, pending) in &mut self.lengths {
                *pending = len.min(*pending);
            }
            self.dirty.retain(|&index, _| (index + 1) * SECTOR <= len);
        }
    }

    /// A completed sync: what was completed when it was issued is durable.
    pub fn sync(&mut self, issued: Stamp) {
        self.sync_range(0, usize::MAX, issued);
    }

    /// What was written to the range at or before `issued` is durable, with the length needed to
    /// read it back; nothing else is.
    pub fn sync_range(&mut self, pos: usize, len: usize, issued: Stamp) {
        let end = pos.saturating_add(len);
        let covered = |pending: usize| pending.min(end);
        for &(stamp, pending) in &self.lengths {
            if stamp <= issued && covered(pending) > self.durable.len() {
                self.durable.resize(covered(pending), 0);
            }
        }
        let durable = &mut self.durable;
        self.lengths.retain(|&(_, pending)| pending > durable.len());
        let mut clean = Vec::new();
        for (&index, versions) in self.dirty.range_mut(pos / SECTOR..end.div_ceil(SECTOR)) {
            let last = versions.iter().rposition(|&(stamp, _)| stamp <= issued);
            let Some(last) = last else { continue };
            let at = index * SECTOR;
            if durable.len() < at + SECTOR {
                durable.resize(at + SECTOR, 0);
            }
            durable[at..at + SECTOR].copy_from_slice(&versions[last].1[..]);
            versions.drain(..=last);
            if versions.is_empty() {
                clean.push(index);
            }
        }
        for index in clean {
            self.dirty.remove(&index);
        }
    }

    /// Cuts or extends the file with zeros; not itself subject to loss, as is done to foreign files
    /// only (never to those that storage owns).
    pub fn set_len(&mut self, len: usize) {
        self.volatile.resize(len, 0);
        self.durable.resize(len, 0);
        self.lengths.retain(|&(_, pending)| pending <= len);
        self.dirty.retain(|&index, _| (index + 1) * SECTOR <= len);
    }

    /// A failed sync: what it should have covered is marked clean without having been written,
    /// so that no later sync makes it durable.
    pub fn fail_sync(&mut self) {
        for versions in self.dirty.values_mut() {
            for version in versions {
                version.0 = Stamp::NEVER;
            }
        }
    }

    /// The power goes: `fate` is asked for each version that may be lost, newest first per
    /// sector, until one is not lost; `length` for each pending length. `garble` gets the
    /// sector's older and newer content.
    pub fn cut(
        &mut self,
        mut fate: impl FnMut(Stamp) -> Fate,
        mut keep_length: impl FnMut(Stamp) -> bool,
        mut garble: impl FnMut(&[u8], &mut [u8]),
    ) {
        let longest = self.volatile.len().max(self.durable.len());
        let mut after = std::mem::take(&mut self.durable);
        let mut len = after.len();
        for (stamp, pending) in self.lengths.drain(..) {
            if keep_length(stamp) {
                len = len.max(pending);
            }
        }
        after.resize(longest, 0);
        for (index, versions) in std::mem::take(&mut self.dirty) {
            let sector = &mut after[index * SECTOR..][..SECTOR];
            for (stamp, version) in versions.iter().rev() {
                match fate(*stamp) {
                    Fate::Lost => continue,
                    Fate::Kept => sector.copy_from_slice(&version[..]),
                    Fate::Garbled => {
                        let old: [u8; SECTOR] = (&*sector).try_into().expect("a whole sector");
                        sector.copy_from_slice(&version[..]);
                        garble(&old, sector);
                    }
                }
                break;
            }
        }
        after.truncate(len);
        self.volatile.clone_from(&after);
        self.durable = after;
    }

    /// The operating system goes but the device keeps its power: data that reached the device
    /// stays, lengths that were not journaled may go.
    pub fn forget_lengths(&mut self, mut keep_length: impl FnMut(Stamp) -> bool) {
        let mut len = self.durable.len();
        let mut kept = Vec::new();
        for (stamp, pending) in self.lengths.drain(..) {
            if keep_length(stamp) {
                len = len.max(pending);
                kept.push((stamp, pending));
            }
        }
        self.lengths = kept;
        self.volatile.truncate(len);
        self.dirty.retain(|&index, _| index * SECTOR < len);
    }

    /// Sectors that a power cut may still lose.
    #[must_use]
    pub fn at_risk(&self) -> usize {
        self.dirty.len()
    }
}
