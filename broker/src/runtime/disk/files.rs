//! Open files of one core, the most recently used ones up to a bound.
//!
//! A file in use by an operation is never closed under it: operations hold their own reference,
//! and the descriptor closes with the last one. A name whose file was created, renamed or
//! removed while an open was under way is not remembered, so that no stale descriptor survives.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::rc::Rc;

use foldhash::fast::FixedState;
use glommio::io::{DmaFile, OpenOptions};
use hashbrown::HashMap;
use leveret_storage::io::FileName;

use crate::runtime::file_kind::{expect_file, why_not_opened};

struct Entry {
    file: Rc<DmaFile>,
    used: u64,
}

/// The cache of open files.
pub(super) struct Files {
    open: RefCell<HashMap<FileName, Entry, FixedState>>,
    most: usize,
    /// Orders uses.
    clock: Cell<u64>,
    /// Counts changes of names.
    changes: Cell<u64>,
}

impl Files {
    pub(super) fn new(most: usize) -> Self {
        Self {
            open: RefCell::default(),
            most: most.max(4),
            clock: Cell::new(0),
            changes: Cell::new(0),
        }
    }

    /// The file, if it is open.
    pub(super) fn cached(&self, name: FileName) -> Option<Rc<DmaFile>> {
        let mut open = self.open.borrow_mut();
        let entry = open.get_mut(&name)?;
        entry.used = self.tick();
        Some(Rc::clone(&entry.file))
    }

    /// The open file, opened if need be.
    pub(super) async fn get(&self, name: FileName, path: &Path) -> io::Result<Rc<DmaFile>> {
        if let Some(file) = self.cached(name) {
            return Ok(file);
        }
        let changes = self.changes.get();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        // Opened for both, a FIFO keeps nobody waiting here.
        let opened = options.dma_open(path).await.map_err(plain);
        let file = Rc::new(opened.map_err(|error| why_not_opened(path, error))?);
        if let Err(error) = check_kind(&file) {
            let _closed = file.close_rc().await;
            return Err(error);
        }
        if changes == self.changes.get() {
            self.remember(name, &file);
        }
        Ok(file)
    }

    /// Makes a new file.
    pub(super) async fn create(&self, name: FileName, path: &Path) -> io::Result<Rc<DmaFile>> {
        self.forget(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = Rc::new(options.dma_open(path).await.map_err(plain)?);
        self.forget(name);
        self.remember(name, &file);
        Ok(file)
    }

    /// Forgets descriptors of a name that is about to mean another file, or none, and of opens
    /// under way. Call it before and after the change.
    pub(super) fn forget(&self, name: FileName) {
        self.changes.set(self.changes.get() + 1);
        self.open.borrow_mut().remove(&name);
    }

    /// Closes everything; no operation may be under way.
    pub(super) async fn close(&self) {
        let open = std::mem::take(&mut *self.open.borrow_mut());
        for (_, entry) in open {
            // Every write that matters was synced and heard of: an error here says nothing new.
            let _closed = entry.file.close_rc().await;
        }
    }

    fn remember(&self, name: FileName, file: &Rc<DmaFile>) {
        let mut open = self.open.borrow_mut();
        if open.len() >= self.most {
            let idle = open
                .iter()
                .filter(|(_, entry)| Rc::strong_count(&entry.file) == 1);
            let oldest = idle
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        let entry = Entry {
            file: Rc::clone(file),
            used: self.tick(),
        };
        open.insert(name, entry);
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }
}

/// Refuses what is no regular file.
fn check_kind(file: &DmaFile) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "glommio gives no metadata without a trip through its ring"
    )]
    // SAFETY: the descriptor is open through the call, and is not closed with what borrows it here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(file.as_raw_fd()) });
    expect_file(&file.metadata()?)
}

/// The system's own error out of glommio's.
pub(super) fn plain(error: glommio::GlommioError<()>) -> io::Error {
    match error {
        glommio::GlommioError::EnhancedIoError { source, .. }
        | glommio::GlommioError::IoError(source) => source,
        other => io::Error::other(other.to_string()),
    }
}
