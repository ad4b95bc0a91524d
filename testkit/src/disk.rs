//! A disk in memory that carries out every operation at once, in order, and forgets nothing.
//!
//! The unit tests of `storage` compile this file as their own (`storage/src/recovery/tests`): the crate that they
//! are part of cannot depend on one that depends on it and be the same.

use std::collections::{BTreeMap, BTreeSet};

use leveret_storage::io::{BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, Output};
use leveret_storage::recovery::Driven;

/// Buffers are plain vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pool;

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        // Unspecified content, as the trait says.
        vec![0xA5; len]
    }
}

/// Tells operations apart.
pub type Is = fn(&Op<Vec<u8>>) -> bool;

/// Files by name, and how the disk behaves.
#[derive(Clone, Default, Debug)]
pub struct Disk {
    /// What is in each file.
    pub files: BTreeMap<FileName, Vec<u8>>,
    /// Directories that were made.
    pub dirs: BTreeSet<Dir>,
    /// Operations carried out.
    pub ops: u64,
    /// Fail every operation from this one on, as a process that dies does.
    pub dies_at: Option<u64>,
    /// Fails the operations that it is true for.
    pub fails: Option<Is>,
    /// Refuses the operations that it is true for, for want of space.
    pub refuses: Option<Is>,
    /// Bytes read.
    pub read: u64,
    /// Bytes that all files together may have; `None`: as many as they like.
    pub room: Option<u64>,
    /// It says that nothing is free, and takes what it is given all the same.
    pub full: bool,
    /// The most that they had.
    pub most: u64,
    /// Bytes set aside for files, where they are longer than what is in them.
    pub reserved: BTreeMap<FileName, u64>,
}

fn error(kind: IoErrorKind, message: String) -> IoError {
    IoError { kind, message }
}

fn missing(file: FileName) -> IoError {
    error(IoErrorKind::NotFound, format!("{file}: no such file"))
}

fn place(pos: u64) -> usize {
    usize::try_from(pos).expect("files fit into memory")
}

impl Disk {
    /// Carries out an operation.
    ///
    /// # Errors
    /// As a device would: what is not there, what exists, and what the test wants.
    pub fn run(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        self.ops += 1;
        if self.dies_at.is_some_and(|at| self.ops > at) {
            return Err(error(IoErrorKind::Other, "died".to_owned()));
        }
        if self.fails.is_some_and(|fails| fails(&op)) {
            return Err(error(IoErrorKind::Other, "the test's fault".to_owned()));
        }
        let refused = self.refuses.is_some_and(|refuses| refuses(&op));
        if refused || self.growth(&op) > self.free() {
            return Err(error(IoErrorKind::NoSpace, "no space left".to_owned()));
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

    /// Bytes that all files take, where that is bounded; else 0.
    #[must_use]
    pub fn used(&self) -> u64 {
        match self.room {
            None => 0,
            Some(_) => self.files.keys().map(|file| self.taken(file)).sum(),
        }
    }

    fn free(&self) -> u64 {
        self.room
            .map_or(1 << 40, |room| room.saturating_sub(self.used()))
    }

    fn file(&mut self, file: FileName) -> Result<&mut Vec<u8>, IoError> {
        self.files.get_mut(&file).ok_or_else(|| missing(file))
    }

    fn carry_out(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        match op {
            Op::Create { file, reserve } => {
                if self.files.contains_key(&file) {
                    return Err(error(IoErrorKind::Exists, format!("{file}: exists")));
                }
                self.reserved.insert(file, reserve);
                self.files.insert(file, Vec::new());
            }
            Op::MakeDir(dir) => {
                self.dirs.insert(dir);
            }
            Op::Write { file, pos, buf, .. } => {
                let content = self.file(file)?;
                let pos = place(pos);
                content.resize(content.len().max(pos + buf.len()), 0);
                content[pos..pos + buf.len()].copy_from_slice(&buf);
            }
            Op::Resize { file, len } => self.file(file)?.resize(place(len), 0),
            Op::Read { file, pos, len } => {
                let content = self.file(file)?;
                let pos = place(pos).min(content.len());
                let end = pos.saturating_add(len).min(content.len());
                let mut buf = content[pos..end].to_vec();
                let len = buf.len();
                self.read += len as u64;
                // More than was asked for, as a device's buffers have it.
                buf.resize(len + 7, 0xA5);
                return Ok(Output::Read { buf, len });
            }
            Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => {}
            Op::Rename { from, to } => {
                let content = self.files.remove(&from).ok_or_else(|| missing(from))?;
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
            Op::FreeSpace { .. } => {
                return Ok(Output::Free(if self.full { 0 } else { self.free() }));
            }
        }
        Ok(Output::Done)
    }

    /// Files of a directory with their lengths, and of that of all logs their directories.
    fn list(&self, dir: Dir) -> Vec<(String, u64)> {
        let files = self.files.iter().filter(|(file, _)| file.dir() == dir);
        let files = files.map(|(file, content)| (file.name(), content.len() as u64));
        let logs = self.dirs.iter().filter_map(|dir| match dir {
            Dir::Log(id) => Some((format!("{:016x}", id.0), 0)),
            _ => None,
        });
        match dir {
            Dir::Logs => files.chain(logs).collect(),
            _ => files.collect(),
        }
    }

    /// Turns a task to its end. `None`: it waits for nothing and has not ended.
    pub fn drive<T: Driven<Pool>>(&mut self, mut task: T) -> Option<T::Output> {
        while let Some((id, op)) = task.poll_op() {
            let result = self.run(op);
            task.handle_completion(id, result);
        }
        task.poll_result()
    }
}
