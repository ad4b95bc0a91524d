//! A disk and its file system, simulated: completes operations out of order after seeded delays,
//! and at a crash loses, tears and garbles whatever was not made durable.
//!
//! It promises exactly what [`Op`] says and nothing more: a file's sync says nothing of its name,
//! a directory's sync nothing of the files in it, a durable write nothing of other writes, and a
//! sync covers only what had completed when it was issued. It refuses what the real one would
//! only punish: unaligned operations and overlapping writes in flight fail the run.

pub mod crash;
pub mod inode;
pub mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use leveret_storage::io::{
    BLOCK, BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};
use leveret_storage::types::{LogId, Mono};

use crate::rng::Rng;
pub use crash::Crash;
use inode::{Inode, Stamp};
use tree::{Change, DirId, Directory, InodeId, Node};

/// A staging buffer of the simulated device.
pub type SimBuf = Vec<u8>;

/// Hands out buffers full of a byte that is never meant, so that unwritten padding shows.
#[derive(Debug, Default)]
pub struct SimPool {
    poison: u8,
}

impl BufPool for SimPool {
    type Buf = SimBuf;

    fn alloc(&mut self, len: usize) -> SimBuf {
        assert!(len.is_multiple_of(BLOCK), "buffers are whole blocks");
        self.poison = self.poison.wrapping_add(0x5b) | 1;
        vec![self.poison; len]
    }
}

/// Which faults the device itself has. None by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Bytes of the file system; `None` is without end.
    pub capacity: Option<u64>,
    /// One in so many operations that make a file or directory, or a file longer, is refused for
    /// want of space; 0 is never. Of a write that is refused a part may have been done.
    pub refusals: u64,
    /// One in so many segment, index and snapshot writes and syncs fails with EIO; 0 is never.
    pub segment_errors: u64,
    /// One in so many reads fails with EIO; 0 is never.
    pub read_errors: u64,
    /// One in so many journal writes and syncs fails with EIO; 0 is never.
    pub journal_errors: u64,
}

impl Faults {
    /// Whether space can be short.
    #[must_use]
    pub fn lack_space(&self) -> bool {
        self.capacity.is_some() || self.refusals > 0
    }
}

/// What happened on the disk so far; the run adds them to its report.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskCounters {
    /// Operations completed.
    pub operations: u64,
    /// Completions that overtook an operation issued earlier.
    pub reorders: u64,
    /// Writes of which a crash kept a part.
    pub torn_writes: u64,
    /// Sectors that a crash left as neither old nor new.
    pub garbled_sectors: u64,
    /// Writes that completed, unsynced, and were lost whole.
    pub lost_writes: u64,
    /// Unsynced directory changes lost.
    pub lost_directory_entries: u64,
    /// Files that got another name.
    pub renames: u64,
    /// Operations failed on purpose.
    pub faults: u64,
}

/// Names the submitter of an operation: the driver maps it to a core of the running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(pub u16);

#[derive(Debug)]
struct InFlight {
    client: Client,
    id: OpId,
    op: Op<SimBuf>,
    issued: Stamp,
    /// The file that the name meant when the operation was issued.
    target: Option<InodeId>,
}

/// An operation that ended.
#[derive(Debug)]
pub struct Completion {
    /// Who submitted it.
    pub client: Client,
    /// Which one.
    pub id: OpId,
    /// How it ended.
    pub result: IoResult<SimBuf>,
}

/// The device with its file system.
#[derive(Debug)]
pub struct Disk {
    rng: Rng,
    inodes: BTreeMap<InodeId, Inode>,
    dirs: BTreeMap<DirId, Directory>,
    next_number: u64,
    stamp: u64,
    in_flight: BTreeMap<(Mono, u64), InFlight>,
    issued: u64,
    newest_completed: u64,
    /// Typical latency in nanoseconds; drawn anew at each start.
    latency: u64,
    /// Faults in force.
    pub faults: Faults,
    /// What happened so far.
    pub counters: DiskCounters,
}

const ROOT: DirId = DirId(0);

impl Disk {
    /// An empty file system.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        let mut disk = Self {
            rng,
            inodes: BTreeMap::new(),
            dirs: BTreeMap::new(),
            next_number: 1,
            stamp: 1,
            in_flight: BTreeMap::new(),
            issued: 0,
            newest_completed: 0,
            latency: 50_000,
            faults: Faults::default(),
            counters: DiskCounters::default(),
        };
        disk.dirs.insert(ROOT, Directory::default());
        disk
    }

    /// Takes an operation; it completes at a time of the disk's choosing.
    pub fn submit(&mut self, now: Mono, client: Client, id: OpId, op: Op<SimBuf>) {
        let target = self.resolve(&op);
        self.check(&op, target);
        let delay = match op {
            Op::Read { .. } | Op::List(_) | Op::Len(_) | Op::FreeSpace { .. } => {
                self.rng.magnitude(1_000, self.latency)
            }
            _ => self.rng.magnitude(self.latency / 16 + 1, self.latency * 4),
        };
        let stalled = self.rng.chance(1, 64);
        let at = now.after(if stalled { delay * 40 } else { delay });
        self.issued += 1;
        self.in_flight.insert(
            (at, self.issued),
            InFlight {
                client,
                id,
                op,
                issued: Stamp(self.stamp),
                target,
            },
        );
    }

    /// When the next operation completes.
    #[must_use]
    pub fn next_completion(&self) -> Option<Mono> {
        self.in_flight.keys().next().map(|&(at, _)| at)
    }

    /// Whether an operation of this submitter is under way.
    #[must_use]
    pub fn works_for(&self, client: Client) -> bool {
        let mut flights = self.in_flight.values();
        flights.any(|flight| flight.client == client)
    }

    /// Whether files of this log are being listed or read.
    #[must_use]
    pub fn is_reading(&self, log: LogId) -> bool {
        self.in_flight.values().any(|flight| match flight.op {
            Op::List(dir) => dir == Dir::Log(log),
            Op::Read { file, .. } => file.dir() == Dir::Log(log),
            _ => false,
        })
    }

    /// Completes the next operation.
    pub fn complete(&mut self) -> Option<Completion> {
        let ((_, issued), flight) = self.in_flight.pop_first()?;
        self.counters.operations += 1;
        if issued < self.newest_completed {
            self.counters.reorders += 1;
        }
        self.newest_completed = self.newest_completed.max(issued);
        let InFlight {
            client,
            id,
            op,
            issued,
            target,
        } = flight;
        let what = match &op {
            Op::Write { file, pos, buf, .. } => format!("write {file} at {pos}+{}", buf.len()),
            other => format!("{other:?}"),
        };
        let result = match self.fault(&op, target) {
            Some(kind) => {
                self.counters.faults += 1;
                if kind == IoErrorKind::NoSpace {
                    self.do_a_part(&op, target);
                }
                Err(kind)
            }
            None => self.perform(op, issued, target),
        };
        let result = result.map_err(|kind| IoError {
            kind,
            message: format!("{what}: {kind:?} (simulated)"),
        });
        Some(Completion { client, id, result })
    }

    /// Sectors that a power cut now could lose, besides what is in flight.
    #[must_use]
    pub fn sectors_at_risk(&self) -> usize {
        self.inodes.values().map(Inode::at_risk).sum()
    }

    /// Draws how slow the device is from now on.
    pub fn change_speed(&mut self) {
        self.latency = self.rng.magnitude(2_000, 400_000);
    }

    /// A file's present bytes; `None` if there is no such file.
    #[must_use]
    pub fn peek(&self, file: FileName) -> Option<&[u8]> {
        let inode = self.find(file)?;
        Some(self.inodes[&inode].bytes())
    }

    fn tick(&mut self) -> Stamp {
        self.stamp += 1;
        Stamp(self.stamp)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn find_dir(&self, dir: Dir) -> Option<DirId> {
        let Some(parent) = dir.parent() else {
            return Some(ROOT);
        };
        let parent = self.find_dir(parent)?;
        match self.dirs[&parent].names().get(&last_part(dir))? {
            Node::Dir(id) => Some(*id),
            Node::File(_) => None,
        }
    }

    fn find(&self, file: FileName) -> Option<InodeId> {
        let dir = self.find_dir(file.dir())?;
        match self.dirs[&dir].names().get(&file.name())? {
            Node::File(id) => Some(*id),
            Node::Dir(_) => None,
        }
    }

    fn resolve(&self, op: &Op<SimBuf>) -> Option<InodeId> {
        match op {
            Op::Write { file, .. }
            | Op::Resize { file, .. }
            | Op::Read { file, .. }
            | Op::Sync(file)
            | Op::Len(file) => self.find(*file),
            _ => None,
        }
    }

    /// Fails the run on what storage must never ask for.
    fn check(&self, op: &Op<SimBuf>, target: Option<InodeId>) {
        let aligned = |n: u64| n.is_multiple_of(BLOCK as u64);
        match op {
            Op::Write { file, pos, buf, .. } => {
                assert!(
                    aligned(*pos) && aligned(buf.len() as u64) && !buf.is_empty(),
                    "unaligned write of {file} at {pos}+{}",
                    buf.len()
                );
                let end = pos + buf.len() as u64;
                for other in self.in_flight.values() {
                    if let Op::Write {
                        pos: other_pos,
                        buf: other_buf,
                        ..
                    } = &other.op
                        && target.is_some()
                        && other.target == target
                    {
                        assert!(
                            *other_pos >= end || other_pos + other_buf.len() as u64 <= *pos,
                            "two writes of {file} in flight overlap at {pos} and {other_pos}"
                        );
                    }
                }
            }
            Op::Resize { file, len } => {
                let written = |other: &InFlight| {
                    matches!(other.op, Op::Write { .. }) && other.target == target
                };
                assert!(
                    aligned(*len) && !self.in_flight.values().any(written),
                    "{file} gets length {len} while it is written, or no whole blocks"
                );
            }
            Op::Read { file, pos, len } => assert!(
                aligned(*pos) && aligned(*len as u64) && *len > 0,
                "unaligned read of {file} at {pos}+{len}"
            ),
            _ => {}
        }
    }

    fn used(&self) -> u64 {
        self.inodes
            .values()
            .map(|inode| (inode.len() as u64).max(inode.reserved))
            .sum()
    }

    fn free(&self) -> u64 {
        self.faults
            .capacity
            .map_or(1 << 40, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Whether this operation fails on purpose; a failed sync loses what it should have covered.
    fn fault(&mut self, op: &Op<SimBuf>, target: Option<InodeId>) -> Option<IoErrorKind> {
        let one_in = match op {
            Op::Write { file, .. } | Op::Sync(file) => match file {
                FileName::Journal { .. } => self.faults.journal_errors,
                FileName::Superblock => 0,
                _ => self.faults.segment_errors,
            },
            Op::Read { .. } => self.faults.read_errors,
            _ => 0,
        };
        if one_in > 0 && self.rng.chance(1, one_in) {
            if let (Op::Sync(_), Some(inode)) = (op, target) {
                self.inodes.get_mut(&inode)?.fail_sync();
            }
            return Some(IoErrorKind::Other);
        }
        let refusals = self.faults.refusals;
        if refusals > 0 && self.grows(op, target) && self.rng.chance(1, refusals) {
            return Some(IoErrorKind::NoSpace);
        }
        self.faults.capacity?;
        let wanted = match op {
            Op::Write { pos, buf, .. } => {
                let inode = &self.inodes[&target?];
                let have = (inode.len() as u64).max(inode.reserved);
                (pos + buf.len() as u64).saturating_sub(have)
            }
            Op::Create { reserve, .. } => *reserve,
            Op::Resize { len, .. } => {
                let inode = &self.inodes[&target?];
                len.saturating_sub((inode.len() as u64).max(inode.reserved))
            }
            _ => 0,
        };
        (wanted > self.free()).then_some(IoErrorKind::NoSpace)
    }

    /// Whether a file system that keeps no reservation needs space for it.
    fn grows(&self, op: &Op<SimBuf>, target: Option<InodeId>) -> bool {
        match op {
            Op::Create { .. } | Op::MakeDir(_) => true,
            Op::Write { pos, buf, .. } => target.is_some_and(|inode| {
                let end = pos + buf.len() as u64;
                end > self.inodes[&inode].len() as u64
            }),
            Op::Resize { len, .. } => {
                target.is_some_and(|inode| *len > self.inodes[&inode].len() as u64)
            }
            _ => false,
        }
    }

    /// Of a write that is refused for want of space, a part that there was space for is done.
    fn do_a_part(&mut self, op: &Op<SimBuf>, target: Option<InodeId>) {
        let (Op::Write { pos, buf, .. }, Some(inode)) = (op, target) else {
            return;
        };
        let blocks = self.rng.below((buf.len() / BLOCK) as u64) as usize;
        if blocks > 0 {
            let stamp = self.tick();
            let inode = self.inodes.get_mut(&inode).expect("a file that is written");
            inode.write(*pos as usize, &buf[..blocks * BLOCK], stamp);
        }
    }

    /// Somebody else's file takes all space but so many bytes.
    pub fn leave_free(&mut self, bytes: u64) {
        self.faults.capacity = Some(self.used() + bytes);
    }

    fn perform(
        &mut self,
        op: Op<SimBuf>,
        issued: Stamp,
        target: Option<InodeId>,
    ) -> Result<Output<SimBuf>, IoErrorKind> {
        match op {
            Op::Write {
                pos, buf, durable, ..
            } => {
                let stamp = self.tick();
                let inode = target.ok_or(IoErrorKind::NotFound)?;
                let inode = self.inodes.get_mut(&inode).ok_or(IoErrorKind::NotFound)?;
                inode.write(pos as usize, &buf, stamp);
                if durable {
                    inode.sync_range(pos as usize, buf.len(), stamp);
                }
                Ok(Output::Done)
            }
            Op::Resize { len, .. } => {
                let stamp = self.tick();
                let inode = target.ok_or(IoErrorKind::NotFound)?;
                let inode = self.inodes.get_mut(&inode).ok_or(IoErrorKind::NotFound)?;
                inode.resize(len as usize, stamp);
                Ok(Output::Done)
            }
            Op::Read { pos, len, .. } => {
                let bytes = self.inodes[&target.ok_or(IoErrorKind::NotFound)?].bytes();
                let start = (pos as usize).min(bytes.len());
                let valid = len.min(bytes.len() - start);
                let mut buf = vec![0xee; len];
                buf[..valid].copy_from_slice(&bytes[start..start + valid]);
                Ok(Output::Read { buf, len: valid })
            }
            Op::Sync(_) => {
                let inode = target.ok_or(IoErrorKind::NotFound)?;
                if let Some(inode) = self.inodes.get_mut(&inode) {
                    inode.sync(issued);
                }
                Ok(Output::Done)
            }
            Op::SyncDir(dir) => {
                let dir = self.find_dir(dir).ok_or(IoErrorKind::NotFound)?;
                self.directory(dir).sync(issued);
                self.collect();
                Ok(Output::Done)
            }
            Op::SyncAll => {
                self.inodes
                    .values_mut()
                    .for_each(|inode| inode.sync(issued));
                self.dirs.values_mut().for_each(|dir| dir.sync(issued));
                Ok(Output::Done)
            }
            Op::Len(file) => Ok(Output::Len(
                self.find(file)
                    .map(|inode| self.inodes[&inode].len() as u64),
            )),
            Op::FreeSpace { .. } => Ok(Output::Free(self.free())),
            Op::List(dir) => Ok(Output::Names(self.list(dir))),
            op => self.change_names(op).map(|()| Output::Done),
        }
    }

    fn list(&self, dir: Dir) -> Vec<(String, u64)> {
        let Some(dir) = self.find_dir(dir) else {
            return Vec::new();
        };
        let names = self.dirs[&dir].names().iter();
        names
            .map(|(name, node)| {
                let len = match node {
                    Node::File(inode) => self.inodes[inode].len() as u64,
                    Node::Dir(_) => 0,
                };
                (name.clone(), len)
            })
            .collect()
    }

    fn directory(&mut self, dir: DirId) -> &mut Directory {
        self.dirs.get_mut(&dir).expect("found a moment ago")
    }

    /// Creates, renames and removes; also what a crash may still carry out.
    fn change_names(&mut self, op: Op<SimBuf>) -> Result<(), IoErrorKind> {
        let stamp = self.tick();
        match op {
            Op::Create { file, reserve } => {
                let dir = self.find_dir(file.dir()).ok_or(IoErrorKind::NotFound)?;
                if self.find(file).is_some() {
                    return Err(IoErrorKind::Exists);
                }
                let id = InodeId(self.number());
                self.inodes.insert(id, Inode::with_reserve(reserve));
                let name = file.name();
                let node = Node::File(id);
                self.directory(dir)
                    .change(Change::Link { name, node }, stamp);
            }
            Op::MakeDir(new) => {
                let Some(parent) = new.parent() else {
                    return Ok(());
                };
                let parent = self.find_dir(parent).ok_or(IoErrorKind::NotFound)?;
                if self.find_dir(new).is_none() {
                    let id = DirId(self.number());
                    self.dirs.insert(id, Directory::default());
                    let name = last_part(new);
                    let node = Node::Dir(id);
                    self.directory(parent)
                        .change(Change::Link { name, node }, stamp);
                }
            }
            Op::Rename { from, to } => {
                assert_eq!(from.dir(), to.dir(), "renames stay within a directory");
                let dir = self.find_dir(from.dir()).ok_or(IoErrorKind::NotFound)?;
                let node = Node::File(self.find(from).ok_or(IoErrorKind::NotFound)?);
                let (from, to) = (from.name(), to.name());
                self.counters.renames += 1;
                self.directory(dir)
                    .change(Change::Rename { from, to, node }, stamp);
            }
            Op::Remove(file) => {
                if self.find(file).is_some() {
                    let dir = self.find_dir(file.dir()).expect("holds the file");
                    let name = file.name();
                    self.directory(dir).change(Change::Unlink { name }, stamp);
                }
            }
            Op::RemoveDir(dir) => {
                if let (Some(id), Some(parent)) = (self.find_dir(dir), dir.parent()) {
                    if !self.dirs[&id].names().is_empty() {
                        return Err(IoErrorKind::Other);
                    }
                    let parent = self.find_dir(parent).expect("holds the directory");
                    let name = last_part(dir);
                    self.directory(parent)
                        .change(Change::Unlink { name }, stamp);
                }
            }
            other => unreachable!("not a change of names: {other:?}"),
        }
        Ok(())
    }
}

fn last_part(dir: Dir) -> String {
    let path = dir.path();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
