//! The simplest device that storage can be driven with: files in memory, operations carried out
//! in order, or held back until the test lets them go. It forgets nothing; crashes are the
//! simulator's business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use leveret_storage::io::{
    BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};

pub(super) struct Pool;

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        vec![0xa5; len]
    }
}

#[derive(Default)]
pub(super) struct Disk {
    files: BTreeMap<FileName, Vec<u8>>,
    dirs: BTreeSet<Dir>,
    held: VecDeque<(OpId, Op<Vec<u8>>)>,
    /// Nothing completes while this is set.
    pub(super) hold: bool,
    /// Writes to these files fail.
    pub(super) broken: Option<fn(&FileName) -> bool>,
    /// These files are refused space: neither made nor written.
    pub(super) refused: Option<fn(&FileName) -> bool>,
    /// What the file system claims to have free.
    pub(super) full: bool,
}

impl std::fmt::Display for Disk {
    /// What is under way, for a test that fails.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, op) in &self.held {
            match op {
                Op::Write { file, pos, buf, .. } => {
                    writeln!(f, "{id:?} write {file} at {pos}, {} bytes", buf.len())?;
                }
                other => writeln!(f, "{id:?} {other:?}")?,
            }
        }
        Ok(())
    }
}

impl Disk {
    pub(super) fn submit(&mut self, id: OpId, op: Op<Vec<u8>>) {
        self.held.push_back((id, op));
    }

    /// The next completion, unless held.
    pub(super) fn complete(&mut self) -> Option<(OpId, IoResult<Vec<u8>>)> {
        if self.hold {
            return None;
        }
        let (id, op) = self.held.pop_front()?;
        Some((id, self.run(op)))
    }

    /// The process is gone: what it had under way happens no more.
    pub(super) fn drop_held(&mut self) {
        self.held.clear();
        self.hold = false;
    }

    /// Syncs of the journal that are under way.
    pub(super) fn journal_syncs(&self) -> usize {
        let sync = |op: &Op<_>| matches!(op, Op::Sync(FileName::Journal { .. }));
        self.held.iter().filter(|(_, op)| sync(op)).count()
    }

    /// Flips one bit in the middle of every segment.
    pub(super) fn rot_segments(&mut self) -> usize {
        let mut rotten = 0;
        for (name, bytes) in &mut self.files {
            if matches!(name, FileName::Segment { .. }) && !bytes.is_empty() {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
                rotten += 1;
            }
        }
        rotten
    }

    pub(super) fn logs_with_files(&self) -> usize {
        let logs: BTreeSet<Dir> = self.files.keys().map(|name| name.dir()).collect();
        logs.iter().filter(|dir| matches!(dir, Dir::Log(_))).count()
    }

    pub(super) fn run(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        let missing = |what: &dyn std::fmt::Debug| IoError {
            kind: IoErrorKind::NotFound,
            message: format!("{what:?}: no such file"),
        };
        match &op {
            Op::Create { file, .. } | Op::Write { file, .. }
                if self.refused.is_some_and(|refused| refused(file)) =>
            {
                return Err(IoError {
                    kind: IoErrorKind::NoSpace,
                    message: format!("{file}: no space"),
                });
            }
            _ => {}
        }
        match op {
            Op::Create { file, .. } => {
                if self.files.contains_key(&file) {
                    let message = format!("{file}: exists");
                    return Err(IoError {
                        kind: IoErrorKind::Exists,
                        message,
                    });
                }
                self.files.insert(file, Vec::new());
            }
            Op::MakeDir(dir) => {
                self.dirs.insert(dir);
            }
            Op::Write { file, pos, buf, .. } => {
                if self.broken.is_some_and(|broken| broken(&file)) {
                    let message = format!("{file}: broken on purpose");
                    return Err(IoError {
                        kind: IoErrorKind::Other,
                        message,
                    });
                }
                let bytes = self.files.get_mut(&file).ok_or_else(|| missing(&file))?;
                let pos = usize::try_from(pos).unwrap();
                if bytes.len() < pos + buf.len() {
                    bytes.resize(pos + buf.len(), 0);
                }
                bytes[pos..pos + buf.len()].copy_from_slice(&buf);
            }
            Op::Resize { file, len } => {
                let bytes = self.files.get_mut(&file).ok_or_else(|| missing(&file))?;
                bytes.resize(usize::try_from(len).unwrap(), 0);
            }
            Op::Read { file, pos, len } => {
                let bytes = self.files.get(&file).ok_or_else(|| missing(&file))?;
                let from = usize::try_from(pos).unwrap().min(bytes.len());
                let to = (from + len).min(bytes.len());
                let buf = bytes[from..to].to_vec();
                let len = buf.len();
                return Ok(Output::Read { buf, len });
            }
            Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => {}
            Op::Rename { from, to } => {
                let bytes = self.files.remove(&from).ok_or_else(|| missing(&from))?;
                self.files.insert(to, bytes);
            }
            Op::Remove(file) => {
                self.files.remove(&file);
            }
            Op::RemoveDir(dir) => {
                self.dirs.remove(&dir);
            }
            Op::List(dir) => return Ok(Output::Names(self.list(dir))),
            Op::Len(file) => {
                let len = self.files.get(&file).map(|bytes| bytes.len() as u64);
                return Ok(Output::Len(len));
            }
            Op::FreeSpace { .. } => return Ok(Output::Free(if self.full { 0 } else { 1 << 40 })),
        }
        Ok(Output::Done)
    }

    fn list(&self, dir: Dir) -> Vec<(String, u64)> {
        let files = self.files.iter().filter(|(name, _)| name.dir() == dir);
        let files = files.map(|(name, bytes)| (name.name(), bytes.len() as u64));
        let dirs = self.dirs.iter().filter(|d| d.parent() == Some(dir));
        let last = |d: &Dir| d.path().rsplit('/').next().unwrap_or_default().to_owned();
        files.chain(dirs.map(|d| (last(d), 0))).collect()
    }
}
