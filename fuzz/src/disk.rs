//! A disk in memory that carries out every operation at once, and plain buffers.

use std::collections::{BTreeMap, BTreeSet};

use leveret_storage::io::{BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, Output};
use leveret_storage::recovery::Driven;

/// Buffers are plain vectors.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pool;

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        // Unspecified content, as the trait says.
        vec![0xA5; len]
    }
}

/// Files by name.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    dirs: BTreeSet<Dir>,
}

fn error(kind: IoErrorKind, message: &str) -> IoError {
    IoError {
        kind,
        message: message.to_owned(),
    }
}

impl Disk {
    pub(crate) fn carry_out(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        let missing = || error(IoErrorKind::NotFound, "no such file");
        match op {
            Op::Create { file, .. } => {
                if self.files.contains_key(&file) {
                    return Err(error(IoErrorKind::Exists, "exists"));
                }
                self.files.insert(file, Vec::new());
            }
            Op::MakeDir(dir) => {
                self.dirs.insert(dir);
            }
            Op::Write { file, pos, buf, .. } => {
                let content = self.files.get_mut(&file).ok_or_else(missing)?;
                let pos = pos as usize;
                content.resize(content.len().max(pos + buf.len()), 0);
                content[pos..pos + buf.len()].copy_from_slice(&buf);
            }
            Op::Resize { file, len } => {
                let content = self.files.get_mut(&file).ok_or_else(missing)?;
                content.resize(len as usize, 0);
            }
            Op::Read { file, pos, len } => {
                let content = self.files.get(&file).ok_or_else(missing)?;
                let start = (pos as usize).min(content.len());
                let end = start.saturating_add(len).min(content.len());
                let buf = content[start..end].to_vec();
                return Ok(Output::Read {
                    len: buf.len(),
                    buf,
                });
            }
            Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => {}
            Op::Rename { from, to } => {
                let content = self.files.remove(&from).ok_or_else(missing)?;
                self.files.insert(to, content);
            }
            Op::Remove(file) => {
                self.files.remove(&file);
            }
            Op::RemoveDir(dir) => {
                self.dirs.remove(&dir);
            }
            Op::List(dir) => return Ok(Output::Names(self.list(dir))),
            Op::Len(file) => {
                let len = self.files.get(&file).map(|content| content.len() as u64);
                return Ok(Output::Len(len));
            }
            Op::FreeSpace { .. } => return Ok(Output::Free(1 << 40)),
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

    /// Turns a task to its end.
    ///
    /// # Errors
    /// When it waits for nothing and has not ended.
    pub(crate) fn drive<T: Driven<Pool>>(&mut self, mut task: T) -> Result<T::Output, String> {
        while let Some((id, op)) = task.poll_op() {
            let result = self.carry_out(op);
            task.handle_completion(id, result);
        }
        task.poll_result()
            .ok_or_else(|| "a task waits for nothing and has not ended".to_owned())
    }

    /// Bytes of all files.
    pub(crate) fn len(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }
}
