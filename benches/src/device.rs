//! A device in memory that carries out every operation at once, and the buffers for it. It costs
//! as little as it can, so that what is measured is ours.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use leveret_storage::io::{
    BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};
use leveret_storage::recovery::Driven;

/// Buffers that are used again, as the broker's are: nothing is zeroed and no page is new after
/// the first turns.
#[derive(Clone, Default)]
pub(crate) struct Pool(Rc<RefCell<BTreeMap<usize, Vec<Vec<u8>>>>>);

impl BufPool for Pool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        let kept = self.0.borrow_mut().get_mut(&len).and_then(Vec::pop);
        kept.unwrap_or_else(|| vec![0xA5; len])
    }
}

impl Pool {
    fn give_back(&self, buf: Vec<u8>) {
        self.0.borrow_mut().entry(buf.len()).or_default().push(buf);
    }
}

/// Something that asks for operations: a store or a shard.
pub(crate) trait Asks {
    fn poll_op(&mut self) -> Option<(OpId, Op<Vec<u8>>)>;
    fn handle_completion(&mut self, id: OpId, result: IoResult<Vec<u8>>);
}

#[derive(Clone, Default)]
pub(crate) struct Device {
    files: BTreeMap<FileName, Vec<u8>>,
    dirs: BTreeSet<Dir>,
    pool: Pool,
    /// Writes are taken and forgotten, and nothing can be read: a copy into memory that nobody
    /// reads is no part of what a broker costs.
    forgets: bool,
}

impl Device {
    pub(crate) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// From now on what is written is forgotten.
    pub(crate) fn forget(&mut self) {
        self.forgets = true;
        self.files
            .values_mut()
            .for_each(|bytes| *bytes = Vec::new());
    }

    /// Everything that can happen without time passing: operations, completions, until there
    /// are no more.
    pub(crate) fn serve(&mut self, asks: &mut impl Asks) {
        while let Some((id, op)) = asks.poll_op() {
            let result = self.run(op);
            asks.handle_completion(id, result);
        }
    }

    /// Turns a task to its end.
    pub(crate) fn drive<T: Driven<Pool>>(&mut self, mut task: T) -> T::Output {
        while let Some((id, op)) = task.poll_op() {
            let result = self.run(op);
            task.handle_completion(id, result);
        }
        task.poll_result()
            .expect("a task waits for operations only")
    }

    fn run(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        match op {
            Op::Create { file, .. } => {
                if self.files.insert(file, Vec::new()).is_some() {
                    return Err(IoError {
                        kind: IoErrorKind::Exists,
                        message: format!("{file}: exists"),
                    });
                }
            }
            Op::MakeDir(dir) => {
                self.dirs.insert(dir);
            }
            Op::Write { file, pos, buf, .. } => {
                if !self.forgets {
                    let bytes = self.file(file)?;
                    let pos = usize::try_from(pos).expect("files fit into memory");
                    let end = pos + buf.len();
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[pos..end].copy_from_slice(&buf);
                }
                self.pool.give_back(buf);
            }
            Op::Resize { file, len } => {
                if !self.forgets {
                    let len = usize::try_from(len).expect("files fit into memory");
                    self.file(file)?.resize(len, 0);
                }
            }
            Op::Read { file, pos, len } => {
                assert!(
                    !self.forgets,
                    "{file}: read, and what was written is forgotten"
                );
                let mut buf = self.pool.alloc(len);
                let bytes = self.file(file)?;
                let from = usize::try_from(pos).expect("files fit into memory");
                let from = from.min(bytes.len());
                let len = len.min(bytes.len() - from);
                buf[..len].copy_from_slice(&bytes[from..from + len]);
                return Ok(Output::Read { buf, len });
            }
            Op::Sync(_) | Op::SyncDir(_) | Op::SyncAll => {}
            Op::Rename { from, to } => {
                let bytes = self.files.remove(&from).ok_or_else(|| missing(from))?;
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
            Op::FreeSpace { .. } => return Ok(Output::Free(1 << 40)),
        }
        Ok(Output::Done)
    }

    fn file(&mut self, file: FileName) -> Result<&mut Vec<u8>, IoError> {
        self.files.get_mut(&file).ok_or_else(|| missing(file))
    }

    fn list(&self, dir: Dir) -> Vec<(String, u64)> {
        let files = self.files.iter().filter(|(name, _)| name.dir() == dir);
        let files = files.map(|(name, bytes)| (name.name(), bytes.len() as u64));
        let dirs = self.dirs.iter().filter(|d| d.parent() == Some(dir));
        let last = |d: &Dir| d.path().rsplit('/').next().unwrap_or_default().to_owned();
        files.chain(dirs.map(|d| (last(d), 0))).collect()
    }
}

fn missing(file: FileName) -> IoError {
    IoError {
        kind: IoErrorKind::NotFound,
        message: format!("{file}: no such file"),
    }
}
