//! A data directory read with plain blocking files, for tools that run while no broker does.
//!
//! Turns any of storage's machines that only read (`leveret verify`) to its end. It refuses every
//! operation that would change the directory, so that a tool built on it cannot.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use leveret_storage::io::{
    BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};
use leveret_storage::recovery::Driven;

use crate::runtime::file_kind::{expect_file, kind_of, open_at_once};

/// Descriptors kept open at most.
const OPEN_FILES: usize = 64;

/// Hands out plain vectors: buffered reads need no alignment.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapPool;

impl BufPool for HeapPool {
    type Buf = Vec<u8>;

    fn alloc(&mut self, len: usize) -> Vec<u8> {
        vec![0; len]
    }
}

/// A data directory, read only.
#[derive(Debug)]
pub struct Offline {
    root: PathBuf,
    open: BTreeMap<FileName, File>,
}

impl Offline {
    /// The directory at `root`, which need not exist: then it is empty.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            open: BTreeMap::new(),
        }
    }

    /// Turns `machine` to its end, calling `each` after every operation.
    ///
    /// # Errors
    /// When it waits for nothing and has not ended.
    pub fn run<M: Driven<HeapPool>>(
        &mut self,
        mut machine: M,
        mut each: impl FnMut(&M),
    ) -> io::Result<M::Output> {
        loop {
            if let Some(output) = machine.poll_result() {
                return Ok(output);
            }
            let Some((id, op)) = machine.poll_op() else {
                return Err(io::Error::other("the check waits for nothing"));
            };
            self.step(&mut machine, id, op);
            each(&machine);
        }
    }

    fn step<M: Driven<HeapPool>>(&mut self, machine: &mut M, id: OpId, op: Op<Vec<u8>>) {
        let result = self.carry_out(op);
        machine.handle_completion(id, result);
    }

    fn carry_out(&mut self, op: Op<Vec<u8>>) -> IoResult<Vec<u8>> {
        match op {
            Op::Read { file, pos, len } => self
                .read(file, pos, len)
                .map_err(|error| failed("reading", &file, &error)),
            Op::List(dir) => self
                .list(dir)
                .map_err(|error| failed("listing", &dir.path(), &error)),
            Op::Len(file) => self
                .len(file)
                .map_err(|error| failed("measuring", &file, &error)),
            other => Err(IoError {
                kind: IoErrorKind::Other,
                message: format!("{other:?} would change a directory opened for reading"),
            }),
        }
    }

    fn read(&mut self, file: FileName, pos: u64, len: usize) -> io::Result<Output<Vec<u8>>> {
        if !self.open.contains_key(&file) && self.open.len() >= OPEN_FILES {
            self.open.pop_first();
        }
        let opened = match self.open.entry(file) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let path = self.root.join(file.to_string());
                entry.insert(open_at_once(&path, File::options().read(true))?)
            }
        };
        let mut buf = vec![0; len];
        let mut done = 0;
        while done < len {
            match opened.read_at(&mut buf[done..], pos + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Output::Read { buf, len: done })
    }

    fn list(&self, dir: Dir) -> io::Result<Output<Vec<u8>>> {
        let entries = match fs::read_dir(self.root.join(dir.path())) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Output::Names(Vec::new()));
            }
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let len = if metadata.is_dir() { 0 } else { metadata.len() };
            // Storage writes no other names than these; it overlooks what it did not write.
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, len));
            }
        }
        Ok(Output::Names(names))
    }

    fn len(&self, file: FileName) -> io::Result<Output<Vec<u8>>> {
        match fs::metadata(self.root.join(file.to_string())) {
            Ok(found) => {
                expect_file(&found)?;
                Ok(Output::Len(Some(found.len())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Output::Len(None)),
            Err(error) => Err(error),
        }
    }
}

fn failed(what: &str, which: &impl std::fmt::Display, error: &io::Error) -> IoError {
    IoError {
        kind: kind_of(error),
        message: format!("{what} {which}: {error}"),
    }
}
