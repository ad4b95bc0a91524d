//! The volume as a FUSE file system whose device takes its time.
//!
//! A write is visible when it arrives and answered later; between the two, and until it is synced
//! unless it was a durable one, a power cut can take it. A lying device answers every sync
//! without doing it. Nothing is cached by the kernel: every file is opened for direct I/O.
//!
//! Linux does not pass `syncfs` on to such a file system, so a process that is killed without a
//! power cut and then restarted is not part of this check; the simulator has that case.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use leveret_sim::disk::crash::Losses;
use leveret_sim::disk::inode::Stamp;
use leveret_sim::disk::tree::Node;
use leveret_sim::rng::Rng;

use crate::volume::{Volume, number};

/// What the device does with a request to make something durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// Does it.
    Honest,
    /// Says so and does not (the negative control: this must lose).
    Lying,
}

/// Largest write that arrives in one piece. Bytes.
const MAX_WRITE: u32 = 1 << 20;
/// The kernel keeps no attribute or name.
const NO_CACHE: Duration = Duration::ZERO;
/// Space that the file system claims to have left. Blocks of 4 KiB.
const FREE_BLOCKS: u64 = 16 << 20;

enum Answer {
    Written(ReplyWrite, u32),
    Done(ReplyEmpty),
}

impl Answer {
    fn ok(self) {
        match self {
            Self::Written(reply, len) => reply.written(len),
            Self::Done(reply) => reply.ok(),
        }
    }

    fn fail(self) {
        match self {
            Self::Written(reply, _) => reply.error(Errno::EIO),
            Self::Done(reply) => reply.error(Errno::EIO),
        }
    }
}

/// What becomes durable when an operation completes.
enum Effect {
    None,
    Range(u64, usize, usize, Stamp),
    File(u64, Stamp),
    Dir(u64, Stamp),
}

struct Pending {
    effect: Effect,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    /// Nothing completes any more; what arrives waits for the process to be dead.
    Going,
    /// Everything fails.
    Off,
}

struct State {
    volume: Volume,
    power: Power,
    rng: Rng,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    pending: std::collections::BTreeMap<u64, Pending>,
    next: u64,
    unmounted: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    device: Device,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is reported where it happened.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn later(&self, state: &mut State, effect: Effect, answer: Answer) {
        if state.power == Power::Off {
            answer.fail();
            return;
        }
        let micros = state.rng.magnitude(20, 600);
        let stalled = state.rng.chance(1, 100);
        let delay = Duration::from_micros(if stalled { micros * 20 } else { micros });
        state.next += 1;
        let id = state.next;
        state.due.push(Reverse((Instant::now() + delay, id)));
        state.pending.insert(id, Pending { effect, answer });
        self.wake.notify_one();
    }

    /// The device: completes operations when their time has come, in that order.
    fn run(&self) {
        let mut state = self.lock();
        while !state.unmounted {
            let now = Instant::now();
            let wait = match state.due.peek() {
                Some(Reverse((at, _))) if *at <= now && state.power == Power::On => {
                    let Some(Reverse((_, id))) = state.due.pop() else {
                        continue;
                    };
                    let done = state.pending.remove(&id).expect("due once");
                    if self.device == Device::Honest {
                        state.make_durable(&done.effect);
                    }
                    drop(state);
                    done.answer.ok();
                    state = self.lock();
                    continue;
                }
                Some(Reverse((at, _))) if state.power == Power::On => *at - now,
                _ => Duration::from_millis(100),
            };
            let waited = self.wake.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn make_durable(&mut self, effect: &Effect) {
        match *effect {
            Effect::None => {}
            Effect::Range(file, pos, len, stamp) => self.volume.sync_range(file, pos, len, stamp),
            Effect::File(file, issued) => self.volume.sync(file, issued),
            Effect::Dir(dir, issued) => self.volume.sync_dir(dir, issued),
        }
    }
}

/// Switches the power of a mounted volume.
pub(crate) struct PowerSwitch {
    shared: Arc<Shared>,
}

impl PowerSwitch {
    /// From now on nothing completes: what is in flight will be torn. The caller kills the
    /// process next.
    pub(crate) fn freeze(&self) {
        self.shared.lock().power = Power::Going;
    }

    /// Lets the killed process go: everything in flight fails, and so does what follows.
    pub(crate) fn release(&self) {
        let mut state = self.shared.lock();
        state.power = Power::Off;
        state.due.clear();
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        for (_, pending) in pending {
            pending.answer.fail();
        }
    }

    /// Loses what was not durable and switches the power on again.
    #[must_use]
    pub(crate) fn restore(&self) -> Losses {
        let mut state = self.shared.lock();
        let mut rng = state.rng.fork();
        let losses = state.volume.cut(&mut rng);
        state.power = Power::On;
        losses
    }

    /// Makes everything durable, whatever the device: what an orderly unmount does.
    pub(crate) fn settle(&self) {
        self.shared.lock().volume.sync_all();
    }

    /// Ends the device's thread.
    pub(crate) fn end(&self) {
        self.shared.lock().unmounted = true;
        self.shared.wake.notify_all();
    }
}

/// The file system; see the module.
pub(crate) struct PowercutFs {
    shared: Arc<Shared>,
}

/// A new, empty volume and its power switch; the device runs on a thread of its own.
#[must_use]
pub(crate) fn new(device: Device, seed: u64) -> (PowercutFs, PowerSwitch) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            volume: Volume::default(),
            power: Power::On,
            rng: Rng::new(seed),
            due: BinaryHeap::new(),
            pending: std::collections::BTreeMap::new(),
            next: 0,
            unmounted: false,
        }),
        wake: Condvar::new(),
        device,
    });
    let runner = Arc::clone(&shared);
    std::thread::spawn(move || runner.run());
    let switch = PowerSwitch {
        shared: Arc::clone(&shared),
    };
    (PowercutFs { shared }, switch)
}

fn attributes(volume: &Volume, node: Node) -> FileAttr {
    let size = volume.len(node) as u64;
    let (kind, perm) = match node {
        Node::File(_) => (FileType::RegularFile, 0o644),
        Node::Dir(_) => (FileType::Directory, 0o755),
    };
    FileAttr {
        ino: INodeNo(number(node)),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

const DIRECT: FopenFlags = FopenFlags::FOPEN_DIRECT_IO
    .union(FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES)
    .union(FopenFlags::FOPEN_NOFLUSH);
const HANDLE: FileHandle = FileHandle(0);

fn text(name: &OsStr) -> &str {
    // Names that are not UTF-8 are none that the broker makes.
    name.to_str().unwrap_or("\u{fffd}")
}

impl PowercutFs {
    /// The state, unless the power is off: then nothing answers but with an error.
    fn powered(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.shared.lock();
        match state.power {
            Power::On => Ok(state),
            Power::Going | Power::Off => Err(Errno::EIO),
        }
    }

    fn entry(&self, parent: INodeNo, name: &OsStr, made: Option<bool>, reply: ReplyEntry) {
        let found = self.powered().and_then(|mut state| {
            let volume = &mut state.volume;
            let node = match made {
                Some(is_dir) => volume.make(parent.0, text(name), is_dir),
                None => volume.look_up(parent.0, text(name)),
            };
            let node = node.map_err(Errno::from_i32)?;
            Ok(attributes(volume, node))
        });
        match found {
            Ok(attr) => reply.entry(&NO_CACHE, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn change(
        &self,
        reply: ReplyEmpty,
        change: impl FnOnce(&mut Volume) -> Result<(), libc::c_int>,
    ) {
        let done = self
            .powered()
            .and_then(|mut state| change(&mut state.volume).map_err(Errno::from_i32));
        match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}

impl Filesystem for PowercutFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // What the kernel cannot do it goes without; the check is the same, only slower.
        let _lacking =
            config.add_capabilities(InitFlags::FUSE_ASYNC_DIO | InitFlags::FUSE_MAX_PAGES);
        let _smaller = config.set_max_write(MAX_WRITE);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(parent, name, None, reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.powered().and_then(|state| {
            let node = state.volume.node(ino.0).ok_or(Errno::ENOENT)?;
            Ok(attributes(&state.volume, node))
        });
        match found {
            Ok(attr) => reply.attr(&NO_CACHE, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(size) = size {
            let done = self.powered().and_then(|mut state| {
                let set = state.volume.set_len(ino.0, size as usize);
                set.map_err(Errno::from_i32)
            });
            if let Err(error) = done {
                reply.error(error);
                return;
            }
        }
        self.getattr(req, ino, fh, reply);
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        self.entry(parent, name, Some(true), reply);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.change(reply, |volume| volume.remove(parent.0, text(name), false));
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.change(reply, |volume| volume.remove(parent.0, text(name), true));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if parent != newparent {
            reply.error(Errno::EXDEV);
            return;
        }
        self.change(reply, |volume| {
            volume.rename(parent.0, text(name), text(newname))
        });
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(HANDLE, DIRECT);
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.powered().and_then(|mut state| {
            let volume = &mut state.volume;
            let node = volume.make(parent.0, text(name), false);
            let node = node.map_err(Errno::from_i32)?;
            Ok(attributes(volume, node))
        });
        match made {
            Ok(attr) => reply.created(&NO_CACHE, &attr, Generation(0), HANDLE, DIRECT),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.powered().and_then(|mut state| {
            let read = state.volume.read(ino.0, offset as usize, size as usize);
            read.map_err(Errno::from_i32)
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.shared.lock();
        if state.power == Power::Off {
            reply.error(Errno::EIO);
            return;
        }
        let pos = offset as usize;
        let stamp = match state.volume.write(ino.0, pos, data) {
            Ok(stamp) => stamp,
            Err(error) => {
                reply.error(Errno::from_i32(error));
                return;
            }
        };
        let effect = if flags.0 & libc::O_DSYNC != 0 {
            Effect::Range(ino.0, pos, data.len(), stamp)
        } else {
            Effect::None
        };
        let answer = Answer::Written(reply, data.len() as u32);
        self.shared.later(&mut state, effect, answer);
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.shared.lock();
        let effect = Effect::File(ino.0, state.volume.now());
        self.shared.later(&mut state, effect, Answer::Done(reply));
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.shared.lock();
        let effect = Effect::Dir(ino.0, state.volume.now());
        self.shared.later(&mut state, effect, Answer::Done(reply));
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = self.powered().and_then(|mut state| {
            let names = state.volume.names(ino.0);
            names.map_err(Errno::from_i32)
        });
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                reply.error(error);
                return;
            }
        };
        for (at, (name, node)) in names.iter().enumerate().skip(offset as usize) {
            let kind = match node {
                Node::File(_) => FileType::RegularFile,
                Node::Dir(_) => FileType::Directory,
            };
            if reply.add(INodeNo(number(*node)), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(FREE_BLOCKS, FREE_BLOCKS, FREE_BLOCKS, 0, 0, 4096, 255, 4096);
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        _length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // Space is never short here; only a reservation beyond the end is asked for.
        if mode == libc::FALLOC_FL_KEEP_SIZE {
            reply.ok();
        } else {
            reply.error(Errno::EOPNOTSUPP);
        }
    }
}
