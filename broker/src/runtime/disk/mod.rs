//! Carries out storage's operations through glommio's direct I/O.
//!
//! Each operation is a local task; its completion is queued here and the driver is woken. What
//! glommio has no operation for (directories, sizes, free space) runs on the executor's helper
//! thread, never on the core's own. It orders nothing: operations in flight are unordered, and
//! storage starts a dependent one only after the completion that it depends on.

mod files;
mod pool;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use glommio::io::{DmaFile, OpenOptions};
use leveret_storage::io::{
    BLOCK, BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output,
};

use super::guard::AbortOnPanic;
use super::preflight::{c_path, probe_file};
use super::wake::Notify;
use files::{Files, Mode, plain};
pub use pool::{DmaBuf, DmaPool};

/// The disk side of one core.
pub(super) struct Disk(Rc<Shared>);

struct Shared {
    root: PathBuf,
    files: Files,
    pool: DmaPool,
    done: RefCell<VecDeque<(OpId, IoResult<DmaBuf>)>>,
    /// Operations started whose completion was not taken yet.
    outstanding: Cell<usize>,
    notify: Rc<Notify>,
}

impl Disk {
    /// Must run within the core's executor, before any other file of the device is opened there:
    /// see [`probe_file`].
    pub(super) async fn open(
        root: &Path,
        core: usize,
        most_files: usize,
        notify: Rc<Notify>,
    ) -> io::Result<Self> {
        let path = probe_file(root, core);
        let mut options = OpenOptions::new();
        let probe = options
            .write(true)
            .create(true)
            .truncate(true)
            .dma_open(&path)
            .await;
        probe.map_err(plain)?.close().await.map_err(plain)?;
        fs::remove_file(&path)?;
        Ok(Self(Rc::new(Shared {
            root: root.to_owned(),
            files: Files::new(most_files),
            pool: DmaPool::default(),
            done: RefCell::default(),
            outstanding: Cell::new(0),
            notify,
        })))
    }

    /// The pool whose buffers operations carry.
    pub(super) fn pool(&self) -> DmaPool {
        self.0.pool.clone()
    }

    /// Starts an operation. Nothing reaches the kernel before the reactor's next turn.
    pub(super) fn start(&self, id: OpId, op: Op<DmaBuf>) {
        let shared = Rc::clone(&self.0);
        shared.outstanding.set(shared.outstanding.get() + 1);
        let task = glommio::spawn_local(async move {
            let _guard = AbortOnPanic("a disk operation");
            let result = shared.carry_out(op).await;
            shared.done.borrow_mut().push_back((id, result));
            shared.notify.notify();
        });
        task.detach();
    }

    /// The next completion.
    pub(super) fn take_done(&self) -> Option<(OpId, IoResult<DmaBuf>)> {
        let done = self.0.done.borrow_mut().pop_front()?;
        self.0.outstanding.set(self.0.outstanding.get() - 1);
        Some(done)
    }

    /// Whether a completion waits to be taken.
    pub(super) fn has_done(&self) -> bool {
        !self.0.done.borrow().is_empty()
    }

    /// Operations started whose completion was not taken yet.
    pub(super) fn outstanding(&self) -> usize {
        self.0.outstanding.get()
    }

    /// Closes all files; nothing may be outstanding.
    pub(super) async fn close(&self) {
        assert_eq!(
            self.outstanding(),
            0,
            "disk operations end before their core"
        );
        self.0.files.close().await;
    }
}

impl Shared {
    async fn carry_out(&self, op: Op<DmaBuf>) -> IoResult<DmaBuf> {
        match op {
            Op::Create { file, reserve } => self.create(file, reserve).await,
            Op::MakeDir(dir) => {
                let path = self.dir(dir);
                let made =
                    blocking(move || ok_if(fs::create_dir(path), io::ErrorKind::AlreadyExists));
                made.await
                    .map(|()| Output::Done)
                    .map_err(|e| self.failed("make", dir.path(), &e))
            }
            Op::Write {
                file,
                pos,
                buf,
                durable,
            } => self.write(file, pos, buf, durable).await,
            Op::Read { file, pos, len } => self.read(file, pos, len).await,
            Op::Sync(file) => {
                let synced = async {
                    let open = self.files.get(file, Mode::Direct, &self.path(file)).await?;
                    open.fdatasync().await.map_err(plain)
                };
                synced
                    .await
                    .map(|()| Output::Done)
                    .map_err(|e| self.failed("sync", file, &e))
            }
            Op::SyncDir(dir) => {
                let path = self.dir(dir);
                let synced = blocking(move || File::open(path)?.sync_all()).await;
                synced
                    .map(|()| Output::Done)
                    .map_err(|e| self.failed("sync", dir.path(), &e))
            }
            Op::SyncAll => {
                let root = self.root.clone();
                let synced = blocking(move || sync_file_system(&root)).await;
                synced
                    .map(|()| Output::Done)
                    .map_err(|e| self.failed("sync all of", "", &e))
            }
            Op::Rename { from, to } => self.rename(from, to).await,
            Op::Remove(file) => self.remove(file).await,
            Op::RemoveDir(dir) => {
                let path = self.dir(dir);
                let removed =
                    blocking(move || ok_if(fs::remove_dir(path), io::ErrorKind::NotFound));
                let removed = removed.await.map(|()| Output::Done);
                removed.map_err(|e| self.failed("remove", dir.path(), &e))
            }
            Op::List(dir) => {
                let path = self.dir(dir);
                let names = blocking(move || list(&path)).await;
                names
                    .map(Output::Names)
                    .map_err(|e| self.failed("list", dir.path(), &e))
            }
            Op::Len(file) => {
                let path = self.path(file);
                let len = blocking(move || len_of(&path)).await;
                len.map(Output::Len)
                    .map_err(|e| self.failed("stat", file, &e))
            }
            Op::FreeSpace => {
                let root = self.root.clone();
                let free = blocking(move || free_space(&root)).await;
                free.map(Output::Free)
                    .map_err(|e| self.failed("measure free space of", "", &e))
            }
        }
    }

    async fn create(&self, name: FileName, reserve: u64) -> IoResult<DmaBuf> {
        let path = self.path(name);
        let failed = |e: io::Error| self.failed("create", name, &e);
        let file = self.files.create(name, &path).await.map_err(failed)?;
        if reserve > 0
            && let Err(error) = file.pre_allocate(reserve, true).await.map_err(plain)
            && error.raw_os_error() != Some(libc::EOPNOTSUPP)
        {
            drop(file);
            // Leaves nothing behind, so that the creation can be tried again.
            self.remove(name).await?;
            return Err(self.failed("reserve space for", name, &error));
        }
        Ok(Output::Done)
    }

    async fn write(
        &self,
        name: FileName,
        pos: u64,
        buf: DmaBuf,
        durable: bool,
    ) -> IoResult<DmaBuf> {
        let mode = if durable { Mode::Durable } else { Mode::Direct };
        let written = async {
            let file = self.files.get(name, mode, &self.path(name)).await?;
            self.write_all(&file, pos, buf).await
        };
        written
            .await
            .map(|()| Output::Done)
            .map_err(|e| self.failed("write", name, &e))
    }

    /// Writes the whole buffer. A write that ends early goes on with a copy of the rest, as
    /// glommio writes whole buffers only; the device then says why.
    async fn write_all(&self, file: &DmaFile, mut pos: u64, mut buf: DmaBuf) -> io::Result<()> {
        loop {
            let len = buf.as_ref().len();
            let written = file.write_rc_at(buf.share(), pos).await.map_err(plain)?;
            if written >= len {
                return Ok(());
            }
            let whole = written / BLOCK * BLOCK;
            if whole == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let mut rest = self.pool.clone().alloc(len - whole);
            rest.as_mut().copy_from_slice(&buf.as_ref()[whole..]);
            buf = rest;
            pos += whole as u64;
        }
    }

    async fn read(&self, name: FileName, pos: u64, len: usize) -> IoResult<DmaBuf> {
        let read = async {
            let file = self.files.get(name, Mode::Direct, &self.path(name)).await?;
            file.read_at_aligned(pos, len).await.map_err(plain)
        };
        let read = read.await.map_err(|e| self.failed("read", name, &e))?;
        let valid = read.len();
        Ok(Output::Read {
            buf: self.pool.adopt(read),
            len: valid,
        })
    }

    async fn rename(&self, from: FileName, to: FileName) -> IoResult<DmaBuf> {
        let (source, target) = (self.path(from), self.path(to));
        let forget = || {
            self.files.forget(from);
            self.files.forget(to);
        };
        forget();
        let renamed = blocking(move || fs::rename(source, target)).await;
        forget();
        renamed
            .map(|()| Output::Done)
            .map_err(|e| self.failed("rename", from, &e))
    }

    async fn remove(&self, name: FileName) -> IoResult<DmaBuf> {
        let path = self.path(name);
        self.files.forget(name);
        let removed = blocking(move || ok_if(fs::remove_file(path), io::ErrorKind::NotFound)).await;
        self.files.forget(name);
        removed
            .map(|()| Output::Done)
            .map_err(|e| self.failed("remove", name, &e))
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.dir(name.dir()).join(name.name())
    }

    fn dir(&self, dir: Dir) -> PathBuf {
        match dir {
            Dir::Root => self.root.clone(),
            dir => self.root.join(dir.path()),
        }
    }

    fn failed(&self, verb: &str, what: impl std::fmt::Display, error: &io::Error) -> IoError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => IoErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => IoErrorKind::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoErrorKind::NoSpace,
            _ => IoErrorKind::Other,
        };
        let path = self.root.join(what.to_string());
        IoError {
            kind,
            message: format!("cannot {verb} {}: {error}", path.display()),
        }
    }
}

/// Runs on the executor's helper thread. A panic there would leave the future waiting for ever,
/// so it becomes an error.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let caught = move || catch_unwind(AssertUnwindSafe(work));
    let result = glommio::executor().spawn_blocking(caught).await;
    result.unwrap_or_else(|_| Err(io::Error::other("the helper thread panicked")))
}

fn ok_if(result: io::Result<()>, fine: io::ErrorKind) -> io::Result<()> {
    result.or_else(|e| if e.kind() == fine { Ok(()) } else { Err(e) })
}

fn list(path: &Path) -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let meta = match entry.metadata() {
            // Removed since it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        let len = if meta.is_file() { meta.len() } else { 0 };
        names.push((entry.file_name().to_string_lossy().into_owned(), len));
    }
    Ok(names)
}

fn len_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn sync_file_system(root: &Path) -> io::Result<()> {
    let dir = File::open(root)?;
    #[expect(unsafe_code, reason = "syncfs(2) has no safe wrapper")]
    // SAFETY: takes a descriptor that is open through the call.
    let result = unsafe { libc::syncfs(dir.as_raw_fd()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn free_space(root: &Path) -> io::Result<u64> {
    let path = c_path(root)?;
    #[expect(unsafe_code, reason = "statvfs(3) fills a plain struct")]
    // SAFETY: the path ends in NUL; the struct is plain old data, valid when zero.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut stat) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat
    };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
