//! Carries out storage's operations with direct I/O.
//!
//! Reads, writes and syncs of open files go over the core's own ring ([`transfer`]). All else is a
//! local task of glommio's: files are opened, made and closed by it, and what it has no operation
//! for (directories, sizes, free space) runs on the executor's helper thread, never on the core's
//! own. Completions are queued here, and the driver is woken where it sleeps in glommio. It orders
//! nothing: operations in flight are unordered, and storage starts a dependent one only after the
//! completion that it depends on.

mod files;
mod pool;
mod reaper;
mod transfer;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use glommio::io::OpenOptions;
use leveret_storage::io::{BufPool, Dir, FileName, IoError, IoResult, Op, OpId, Output};

use super::file_kind::{expect_file, kind_of, open_at_once};
use super::guard::AbortOnPanic;
use super::preflight::{c_path, probe_file};
use super::ring::SharedRing;
use super::shared::Claims;
use super::wake::Notify;
use files::{Files, plain};
pub use pool::{DmaBuf, DmaPool};
use reaper::Reaper;
use transfer::{Job, Transfers};

/// The disk side of one core.
pub(super) struct Disk(Rc<Shared>);

struct Shared {
    root: PathBuf,
    core: usize,
    /// What each core claims of the file system.
    claims: Arc<Claims>,
    files: Files,
    transfers: Transfers,
    /// Started with the first large file that is removed; `None` if it cannot be.
    reaper: OnceCell<Option<Reaper>>,
    /// Where the kernel's workers run, and the reaper.
    workers: libc::cpu_set_t,
    pool: DmaPool,
    done: RefCell<VecDeque<(OpId, IoResult<DmaBuf>)>>,
    /// Operations started whose completion was not taken yet.
    outstanding: Cell<usize>,
    /// Tasks of glommio's among them.
    tasks: Cell<usize>,
    /// glommio has a file to close since it last ran.
    to_close: Cell<bool>,
    notify: Rc<Notify>,
}

impl Disk {
    /// `workers` are the CPUs of threads that work for the core.
    ///
    /// Must run within the core's executor, before any other file of the device is opened there:
    /// see [`probe_file`].
    pub(super) async fn open(
        root: &Path,
        (core, claims): (usize, Arc<Claims>),
        most_files: usize,
        ring: SharedRing,
        notify: Rc<Notify>,
        workers: libc::cpu_set_t,
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
            core,
            claims,
            files: Files::new(most_files),
            transfers: Transfers::new(ring),
            reaper: OnceCell::new(),
            workers,
            pool: DmaPool::default(),
            done: RefCell::default(),
            outstanding: Cell::new(0),
            tasks: Cell::new(0),
            to_close: Cell::new(false),
            notify,
        })))
    }

    /// The pool whose buffers operations carry.
    pub(super) fn pool(&self) -> DmaPool {
        self.0.pool.clone()
    }

    /// Starts an operation. Nothing reaches the kernel before [`Disk::queue`] and the ring's next
    /// submission, or the reactor's next turn.
    pub(super) fn start(&self, id: OpId, op: Op<DmaBuf>) {
        let shared = &self.0;
        shared.outstanding.set(shared.outstanding.get() + 1);
        let (name, job) = match op {
            Op::Write {
                file,
                pos,
                buf,
                durable,
            } => (file, Job::Write { pos, buf, durable }),
            Op::Read { file, pos, len } => {
                let buf = shared.pool.clone().alloc(len);
                (file, Job::Read(pos, buf))
            }
            Op::Sync(file) => (file, Job::Sync),
            op => {
                let task = Rc::clone(shared);
                return shared.spawn(async move {
                    let result = task.carry_out(op).await;
                    task.end(id, result);
                });
            }
        };
        if let Some(file) = shared.files.cached(name) {
            return shared.transfers.begin(id, name, file, job);
        }
        let task = Rc::clone(shared);
        shared.spawn(async move {
            match task.files.get(name, &task.path(name)).await {
                Ok(file) => task.transfers.begin(id, name, file, job),
                Err(error) => task.end(id, Err(task.failed("open", name, &error))),
            }
        });
    }

    /// Queues the transfers begun on the ring.
    ///
    /// # Errors
    /// The kernel's refusal to take the ring's queue.
    pub(super) fn queue(&self) -> io::Result<()> {
        self.0.transfers.queue()
    }

    /// The ring has completed the transfer in this slot.
    pub(super) fn handle_completion(&self, slot: u32, result: i32) {
        let shared = &self.0;
        let Some(ended) = shared.transfers.completed(slot, result) else {
            return;
        };
        if ended.closes_file {
            shared.to_close.set(true);
        }
        let result = ended
            .result
            .map_err(|error| shared.failed(ended.verb, ended.name, &error));
        shared.end(ended.id, result);
    }

    /// The next completion.
    pub(super) fn take_done(&self) -> Option<(OpId, IoResult<DmaBuf>)> {
        let done = self.0.done.borrow_mut().pop_front()?;
        self.0.outstanding.set(self.0.outstanding.get() - 1);
        Some(done)
    }

    /// Whether a completion waits to be taken, or a transfer to be queued.
    pub(super) fn has_work(&self) -> bool {
        !self.0.done.borrow().is_empty() || self.0.transfers.has_to_queue()
    }

    /// Whether glommio has something to do: its reactor must run for it to end.
    pub(super) fn needs_reactor(&self) -> bool {
        self.0.tasks.get() > 0 || self.0.to_close.get()
    }

    /// glommio's reactor is about to run.
    pub(super) fn reactor_runs(&self) {
        // What the last task leaves to close is seen to by one more look.
        self.0.to_close.set(self.0.tasks.get() > 0);
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
    /// Runs a task of glommio's; the driver is woken at its end.
    fn spawn(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        let shared = Rc::clone(self);
        let task = glommio::spawn_local(async move {
            let _guard = AbortOnPanic("a disk operation");
            work.await;
            shared.tasks.set(shared.tasks.get() - 1);
            shared.notify.notify();
        });
        task.detach();
    }

    fn end(&self, id: OpId, result: IoResult<DmaBuf>) {
        self.done.borrow_mut().push_back((id, result));
    }

    async fn carry_out(&self, op: Op<DmaBuf>) -> IoResult<DmaBuf> {
        match op {
            Op::Create { file, reserve } => self.create(file, reserve).await,
            Op::Resize { file, len } => self.resize(file, len).await,
            Op::MakeDir(dir) => {
                let path = self.dir(dir);
                let made =
                    blocking(move || ok_if(fs::create_dir(path), io::ErrorKind::AlreadyExists));
                made.await
                    .map(|()| Output::Done)
                    .map_err(|e| self.failed("make", dir.path(), &e))
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
            Op::Write { .. } | Op::Read { .. } | Op::Sync(_) => {
                unreachable!("transfers go over the ring")
            }
            Op::FreeSpace { claim } => {
                let root = self.root.clone();
                let claimed = self.claims.claim(self.core, claim);
                let free = blocking(move || free_space(&root)).await;
                free.map(|free| Output::Free(free.saturating_sub(claimed)))
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

    async fn resize(&self, name: FileName, len: u64) -> IoResult<DmaBuf> {
        let path = self.path(name);
        let resized = blocking(move || set_len(&path, len)).await;
        resized
            .map(|()| Output::Done)
            .map_err(|e| self.failed("set the length of", name, &e))
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
        let removed = blocking(move || remove(&path)).await;
        self.files.forget(name);
        let large = removed.map_err(|e| self.failed("remove", name, &e))?;
        if let Some(large) = large
            && let Some(reaper) = self.reaper.get_or_init(|| Reaper::start(self.workers).ok())
        {
            reaper.take(large);
        }
        Ok(Output::Done)
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
        let path = self.root.join(what.to_string());
        IoError {
            kind: kind_of(error),
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

/// Removes a file, if there is one. A large one is given back open: its space is not free yet.
fn remove(path: &Path) -> io::Result<Option<File>> {
    let large = open_at_once(path, File::options().write(true)).ok();
    let large = large.filter(|file| {
        file.metadata()
            .is_ok_and(|meta| Reaper::cares_for(meta.len()))
    });
    ok_if(fs::remove_file(path), io::ErrorKind::NotFound)?;
    Ok(large)
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

/// What the file gains has its space set aside: without that it gains nothing.
fn set_len(path: &Path, len: u64) -> io::Result<()> {
    let file = open_at_once(path, File::options().write(true))?;
    let present = file.metadata()?.len();
    if len <= present {
        return file.set_len(len);
    }
    let offset = |bytes: u64| libc::off_t::try_from(bytes).map_err(io::Error::other);
    let (from, more) = (offset(present)?, offset(len - present)?);
    #[expect(unsafe_code, reason = "fallocate(2) has no safe wrapper here")]
    // SAFETY: takes a descriptor that is open through the call, and numbers.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, from, more) };
    ok_or_errno(result)
}

fn len_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(meta) => expect_file(&meta).map(|()| Some(meta.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn sync_file_system(root: &Path) -> io::Result<()> {
    let dir = File::open(root)?;
    #[expect(unsafe_code, reason = "syncfs(2) has no safe wrapper")]
    // SAFETY: takes a descriptor that is open through the call.
    let result = unsafe { libc::syncfs(dir.as_raw_fd()) };
    ok_or_errno(result)
}

fn ok_or_errno(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
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
