//! A disk in memory that may be told to complete nothing for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use leveret_storage::io::{
    BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};

/// Buffers are plain vectors.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pool;

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        vec![0xA5; len]
    }
}

/// Tells operations apart.
pub(crate) type Is = fn(&Op<Vec<u8>>) -> bool;

/// Files by name, shared by all cores.
#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<FileName, Vec<u8>>,
    dirs: BTreeSet<Dir>,
    /// Whether operations wait in `held` until this is over.
    pub(crate) hold: bool,
    pub(crate) held: VecDeque<(usize, OpId, Op<Vec<u8>>)>,
    /// Fails the operations that it is true for.
    pub(crate) fails: Option<Is>,
}

impl Disk {
    pub(crate) fn carry_out(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        let missing = || IoError {
            kind: IoErrorKind::NotFound,
            message: "no such file".to_owned(),
        };
        if self.fails.is_some_and(|fails| fails(&op)) {
            return Err(IoError {
                kind: IoErrorKind::Other,
                message: "the test's fault".to_owned(),
            });
        }
        match op {
            Op::Create { file, .. } => {
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
                let len = buf.len();
                return Ok(Output::Read { len, buf });
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
        let names = files.map(|(file, content)| (file.name(), content.len() as u64));
        let logs = self.dirs.iter().filter_map(|dir| match dir {
            Dir::Log(id) => Some((format!("{:016x}", id.0), 0)),
            _ => None,
        });
        match dir {
            Dir::Logs => names.chain(logs).collect(),
            _ => names.collect(),
        }
    }
}
