//! The file system's state: the simulator's model of files and directories, by inode number.
//!
//! It knows what is durable and what is not; it does not know FUSE, and it decides no timing.

use std::collections::BTreeMap;

use leveret_sim::disk::crash::{Losses, cut};
use leveret_sim::disk::inode::{Inode, SECTOR, Stamp};
use leveret_sim::disk::tree::{Change, DirId, Directory, InodeId, Node, reachable};
use leveret_sim::rng::Rng;
use libc::{EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, c_int};

/// The root directory's number, as FUSE wants it.
pub(crate) const ROOT: u64 = 1;

/// Files and directories of one mounted volume.
#[derive(Debug)]
pub(crate) struct Volume {
    files: BTreeMap<InodeId, Inode>,
    dirs: BTreeMap<DirId, Directory>,
    next_number: u64,
    stamp: u64,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            dirs: BTreeMap::from([(DirId(ROOT), Directory::default())]),
            next_number: ROOT + 1,
            stamp: 1,
        }
    }
}

/// The number by which FUSE knows a node; files and directories share one numbering.
#[must_use]
pub(crate) fn number(node: Node) -> u64 {
    match node {
        Node::File(InodeId(number)) | Node::Dir(DirId(number)) => number,
    }
}

impl Volume {
    /// What completed up to now bears a stamp not above this one.
    #[must_use]
    pub(crate) fn now(&self) -> Stamp {
        Stamp(self.stamp)
    }

    fn tick(&mut self) -> Stamp {
        self.stamp += 1;
        Stamp(self.stamp)
    }

    /// What bears the number, if it exists.
    #[must_use]
    pub(crate) fn node(&self, number: u64) -> Option<Node> {
        if self.files.contains_key(&InodeId(number)) {
            return Some(Node::File(InodeId(number)));
        }
        let dir = DirId(number);
        self.dirs.contains_key(&dir).then_some(Node::Dir(dir))
    }

    /// A file's length in bytes; 0 for a directory.
    #[must_use]
    pub(crate) fn len(&self, node: Node) -> usize {
        match node {
            Node::File(id) => self.files.get(&id).map_or(0, Inode::len),
            Node::Dir(_) => 0,
        }
    }

    /// Bytes of all files that have a name.
    #[must_use]
    pub(crate) fn used(&self) -> u64 {
        let nodes = self.dirs.values().flat_map(|dir| dir.names().values());
        nodes.map(|node| self.len(*node) as u64).sum()
    }

    fn directory(&mut self, dir: u64) -> Result<&mut Directory, c_int> {
        self.dirs.get_mut(&DirId(dir)).ok_or(ENOTDIR)
    }

    fn file(&mut self, file: u64) -> Result<&mut Inode, c_int> {
        self.files.get_mut(&InodeId(file)).ok_or(ENOENT)
    }

    /// What a name means.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub(crate) fn look_up(&mut self, dir: u64, name: &str) -> Result<Node, c_int> {
        let found = self.directory(dir)?.names().get(name).copied();
        found.ok_or(ENOENT)
    }

    /// The names in a directory, in order.
    ///
    /// # Errors
    /// ENOTDIR.
    pub(crate) fn names(&mut self, dir: u64) -> Result<Vec<(String, Node)>, c_int> {
        let names = self.directory(dir)?.names();
        Ok(names
            .iter()
            .map(|(name, node)| (name.clone(), *node))
            .collect())
    }

    /// Makes an empty file or directory.
    ///
    /// # Errors
    /// EEXIST, ENOTDIR.
    pub(crate) fn make(&mut self, dir: u64, name: &str, is_dir: bool) -> Result<Node, c_int> {
        if self.look_up(dir, name).is_ok() {
            return Err(EEXIST);
        }
        let number = self.next_number;
        let stamp = self.tick();
        let node = if is_dir {
            Node::Dir(DirId(number))
        } else {
            Node::File(InodeId(number))
        };
        let name = name.to_owned();
        self.directory(dir)?
            .change(Change::Link { name, node }, stamp);
        self.next_number += 1;
        match node {
            Node::File(id) => {
                self.files.insert(id, Inode::default());
            }
            Node::Dir(id) => {
                self.dirs.insert(id, Directory::default());
            }
        }
        Ok(node)
    }

    /// Removes a name; a directory must be empty.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR, ENOTEMPTY.
    pub(crate) fn remove(&mut self, dir: u64, name: &str, is_dir: bool) -> Result<(), c_int> {
        match (self.look_up(dir, name)?, is_dir) {
            (Node::File(_), true) => return Err(ENOTDIR),
            (Node::Dir(_), false) => return Err(EISDIR),
            (Node::Dir(DirId(number)), true) if !self.names(number)?.is_empty() => {
                return Err(ENOTEMPTY);
            }
            _ => {}
        }
        let stamp = self.tick();
        let name = name.to_owned();
        self.directory(dir)?.change(Change::Unlink { name }, stamp);
        Ok(())
    }

    /// Renames within a directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub(crate) fn rename(&mut self, dir: u64, from: &str, to: &str) -> Result<(), c_int> {
        let node = self.look_up(dir, from)?;
        let stamp = self.tick();
        let (from, to) = (from.to_owned(), to.to_owned());
        self.directory(dir)?
            .change(Change::Rename { from, to, node }, stamp);
        Ok(())
    }

    /// Bytes of a file, fewer at its end.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn read(&mut self, file: u64, pos: usize, len: usize) -> Result<Vec<u8>, c_int> {
        let bytes = self.file(file)?.bytes();
        let start = pos.min(bytes.len());
        let end = pos.saturating_add(len).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    /// A write that running processes see at once and a power cut may lose. An unaligned one is
    /// none of storage's (the lock file, a probe) and is durable as it stands.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn write(&mut self, file: u64, pos: usize, data: &[u8]) -> Result<Stamp, c_int> {
        let stamp = self.tick();
        let inode = self.file(file)?;
        let end = pos + data.len();
        if pos.is_multiple_of(SECTOR) && end.is_multiple_of(SECTOR) {
            inode.write(pos, data, stamp);
            return Ok(stamp);
        }
        let len = inode.len().max(end);
        let start = pos - pos % SECTOR;
        inode.set_len(len.next_multiple_of(SECTOR));
        let mut sectors = inode.bytes()[start..end.next_multiple_of(SECTOR)].to_vec();
        sectors[pos - start..end - start].copy_from_slice(data);
        inode.write(start, &sectors, stamp);
        inode.sync_range(start, sectors.len(), stamp);
        inode.set_len(len);
        Ok(stamp)
    }

    /// A failed sync: what it should have made durable never will be.
    pub(crate) fn fail_sync(&mut self, file: u64) {
        if let Ok(inode) = self.file(file) {
            inode.fail_sync();
        }
    }

    /// Cuts or extends a file; a power cut may lose what it gains. A length that is no whole number
    /// of sectors is none of storage's, and durable as it stands.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn set_len(&mut self, file: u64, len: usize) -> Result<(), c_int> {
        let stamp = self.tick();
        let inode = self.file(file)?;
        match len.is_multiple_of(SECTOR) {
            true => inode.resize(len, stamp),
            false => inode.set_len(len),
        }
        Ok(())
    }

    /// Makes a file at least this long.
    ///
    /// # Errors
    /// ENOENT.
    pub(crate) fn extend(&mut self, file: u64, len: usize) -> Result<(), c_int> {
        match self.file(file)?.len() < len {
            true => self.set_len(file, len),
            false => Ok(()),
        }
    }

    /// Makes durable what was written to the range at or before `issued`.
    pub(crate) fn sync_range(&mut self, file: u64, pos: usize, len: usize, issued: Stamp) {
        if let Ok(inode) = self.file(file) {
            inode.sync_range(pos, len, issued);
        }
    }

    /// Makes the whole file, as of `issued`, durable.
    pub(crate) fn sync(&mut self, file: u64, issued: Stamp) {
        if let Ok(inode) = self.file(file) {
            inode.sync(issued);
        }
    }

    /// Makes the changes to a directory, as of `issued`, durable.
    pub(crate) fn sync_dir(&mut self, dir: u64, issued: Stamp) {
        if let Ok(directory) = self.directory(dir) {
            directory.sync(issued);
        }
    }

    /// Makes everything durable: what an orderly unmount does.
    pub(crate) fn sync_all(&mut self) {
        let now = self.now();
        self.files.values_mut().for_each(|inode| inode.sync(now));
        self.dirs.values_mut().for_each(|dir| dir.sync(now));
    }

    /// The power goes.
    pub(crate) fn cut(&mut self, rng: &mut Rng) -> Losses {
        let losses = cut(rng, self.files.values_mut(), self.dirs.values_mut());
        self.collect();
        losses
    }

    fn collect(&mut self) {
        let (files, dirs) = reachable(DirId(ROOT), &self.dirs);
        self.files.retain(|id, _| files.contains(id));
        self.dirs.retain(|id, _| dirs.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_bytes_under_a_synced_name_survive_and_others_do_not_always() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut volume = Volume::default();
            let kept = number(volume.make(ROOT, "kept", false).expect("new"));
            let stamp = volume.write(kept, 0, &[1; 4096]).expect("exists");
            volume.sync_range(kept, 0, 4096, stamp);
            let now = volume.now();
            volume.sync_dir(ROOT, now);
            volume.write(kept, 4096, &[2; 4096]).expect("exists");
            volume.cut(&mut Rng::new(seed));
            assert_eq!(volume.look_up(ROOT, "kept"), Ok(Node::File(InodeId(kept))));
            assert_eq!(volume.read(kept, 0, 4096), Ok(vec![1; 4096]));
            lost += u32::from(volume.read(kept, 4096, 4096) != Ok(vec![2; 4096]));
        }
        assert!((10..100).contains(&lost), "{lost}");
    }

    #[test]
    fn unaligned_writes_keep_their_neighbours_and_the_length() {
        let mut volume = Volume::default();
        let file = number(volume.make(ROOT, "lock", false).expect("new"));
        volume.write(file, 0, b"hello").expect("exists");
        volume.write(file, 3, b"p!").expect("exists");
        assert_eq!(volume.read(file, 0, 100), Ok(b"help!".to_vec()));
        assert_eq!(volume.make(ROOT, "lock", false), Err(EEXIST));
        assert_eq!(volume.remove(ROOT, "lock", true), Err(ENOTDIR));
    }
}
