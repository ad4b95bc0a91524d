//! A disk in memory that carries out every operation at once, in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::io::{BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, Output};
use crate::recovery::Driven;

/// Buffers are plain vectors.
#[derive(Clone, Copy)]
pub(crate) struct Pool;

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        // Unspecified content, as the trait says.
        vec![0xA5; len]
    }
}

/// Files by name.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    pub(crate) dirs: BTreeSet<Dir>,
    /// Operations carried out.
    pub(crate) ops: u64,
    /// Fail every operation from this one on, as a process that dies does.
    pub(crate) dies_at: Option<u64>,
    /// Bytes read.
    pub(crate) read: u64,
    /// Bytes that all files together may have; `None`: as many as they like.
    pub(crate) room: Option<u64>,
    /// The most that they had.
    pub(crate) most: u64,
    /// Bytes set aside for files, where they are longer than what is in them.
    pub(crate) reserved: BTreeMap<FileName, u64>,
}

fn error(kind: IoErrorKind, message: &str) -> IoError {
    IoError {
        kind,
        message: message.to_owned(),
    }
}

impl Disk {
    pub(crate) fn run(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        self.ops += 1;
        if self.dies_at.is_some_and(|at| self.ops > at) {
            return Err(error(IoErrorKind::Other, "died"));
        }
        if self.growth(&op) > self.free() {
            return Err(error(IoErrorKind::NoSpace, "no space left"));
        }
        let result = self.carry_out(op);
        self.most = self.most.max(self.used());
        result
    }

    fn growth(&self, op: &Op<Vec<u8>>) -> u64 {
        let (file, end) = match op {
            Op::Create { file, reserve } => (file, *reserve),
            Op::Write { file, pos, buf, .. } => (file, pos + buf.len() as u64),
            Op::Resize { file, len } => (file, *len),
            _ => return 0,
        };
        end.saturating_sub(self.taken(file))
    }

    fn taken(&self, file: &FileName) -> u64 {
        let len = self.files.get(file).map_or(0, Vec::len) as u64;
        len.max(self.reserved.get(file).copied().unwrap_or(0))
    }

    /// Bytes that all files take.
    pub(crate) fn used(&self) -> u64 {
        match self.room {
            None => 0,
            Some(_) => self.files.keys().map(|file| self.taken(file)).sum(),
        }
    }

    fn free(&self) -> u64 {
        self.room
            .map_or(1 << 40, |room| room.saturating_sub(self.used()))
    }

    fn carry_out(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        match op {
            Op::Create { file, reserve } => {
                if self.files.contains_key(&file) {
                    return Err(error(IoErrorKind::Exists, "exists"));
                }
                self.reserved.insert(file, reserve);
                self.files.insert(file, Vec::new());
            }
            Op::MakeDir(dir) => {
                self.dirs.insert(dir);
            }
            Op::Write { file, pos, buf, .. } => {
                let content = self
                    .files
                    .get_mut(&file)
                    .ok_or_else(|| error(IoErrorKind::NotFound, "no file to write"))?;
                let pos = usize::try_from(pos).unwrap();
                content.resize(content.len().max(pos + buf.len()), 0);
                content[pos..pos + buf.len()].copy_from_slice(&buf);
            }
            Op::Resize { file, len } => {
                let content = self
                    .files
                    .get_mut(&file)
                    .ok_or_else(|| error(IoErrorKind::NotFound, "no file to resize"))?;
                content.resize(usize::try_from(len).unwrap(), 0);
            }
            Op::Read { file, pos, len } => {
                let content = self
                    .files
                    .get(&file)
                    .ok_or_else(|| error(IoErrorKind::NotFound, "no file to read"))?;
                let pos = usize::try_from(pos).unwrap().min(content.len());
                let end = (pos + len).min(content.len());
                let mut buf = content[pos..end].to_vec();
                let len = buf.len();
                self.read += len as u64;
                buf.resize(len + 7, 0xA5);
                return Ok(Output::Read { buf, len });
            }
            Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => {}
            Op::Rename { from, to } => {
                let content = self
                    .files
                    .remove(&from)
                    .ok_or_else(|| error(IoErrorKind::NotFound, "no file to rename"))?;
                self.files.insert(to, content);
                self.reserved.remove(&to);
                let reserved = self.reserved.remove(&from);
                self.reserved.extend(reserved.map(|bytes| (to, bytes)));
            }
            Op::Remove(file) => {
                self.files.remove(&file);
                self.reserved.remove(&file);
            }
            Op::RemoveDir(dir) => {
                self.dirs.remove(&dir);
            }
            Op::List(dir) => return Ok(Output::Names(self.list(dir))),
            Op::Len(file) => {
                let len = self.files.get(&file).map(|content| content.len() as u64);
                return Ok(Output::Len(len));
            }
            Op::FreeSpace { .. } => return Ok(Output::Free(self.free())),
        }
        Ok(Output::Done)
    }

    fn list(&self, dir: Dir) -> Vec<(String, u64)> {
        let files = self.files.iter().filter(|(file, _)| file.dir() == dir);
        let mut names: Vec<_> = files
            .map(|(file, content)| (file.name(), content.len() as u64))
            .collect();
        if dir == Dir::Logs {
            let logs = self.dirs.iter().filter_map(|dir| match dir {
                Dir::Log(id) => Some((format!("{:016x}", id.0), 0)),
                _ => None,
            });
            names.extend(logs);
        }
        names
    }

    /// Turns a task to its end. `None`: it waits for nothing and has not ended.
    pub(crate) fn drive<T: Driven<Pool>>(&mut self, mut task: T) -> Option<T::Output> {
        while let Some((id, op)) = task.poll_op() {
            let result = self.run(op);
            task.handle_completion(id, result);
        }
        task.poll_result()
    }
}
