//! The volume as a FUSE file system whose device takes its time.
//!
//! A write is visible when it arrives and answered later; between the two, and until it is synced
//! unless it was a durable one, a power cut can take it. Nothing is cached by the kernel: every
//! file is opened for direct I/O. Whether the device is honest, powered and free of faults is
//! decided in [`super::device`] and [`super::faults`].
//!
//! Linux does not pass `syncfs` on to such a file system, so a process that is killed without a
//! power cut and then restarted is not part of this check; the simulator has that case.

use std::ffi::OsStr;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use leveret_sim::disk::inode::{SECTOR, Stamp};
use leveret_sim::disk::tree::Node;

use crate::device::{Answer, Device, Effect, Power, PowerSwitch, Shared, State};
use crate::faults::{Action, Class, Outcome};
use crate::volume::{Volume, number};

/// Largest write that arrives in one piece. Bytes.
const MAX_WRITE: u32 = 1 << 20;
/// The kernel keeps no attribute or name.
const NO_CACHE: Duration = Duration::ZERO;
/// The file system's block, bytes.
const BLOCK: u64 = 4096;

/// The file system; see the module.
pub(crate) struct PowercutFs {
    shared: Arc<Shared>,
}

/// A new, empty volume and its power switch; the device runs on a thread of its own.
#[must_use]
pub(crate) fn new(device: Device, seed: u64) -> (PowercutFs, PowerSwitch) {
    let shared = Shared::start(device, seed);
    let switch = PowerSwitch::new(Arc::clone(&shared));
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

/// Makes a file or directory, unless that is to fail.
fn make(state: &mut State, parent: INodeNo, name: &str, is_dir: bool) -> Result<Node, Errno> {
    let class = if is_dir {
        Class::Directory
    } else {
        Class::of_file(name)
    };
    if let Some(Outcome::Fail(error)) = state.faults.meet_class(Action::Create, class) {
        return Err(Errno::from_i32(error));
    }
    let node = state.volume.make(parent.0, name, is_dir);
    let node = node.map_err(Errno::from_i32)?;
    state.faults.know(number(node), class);
    Ok(node)
}

/// Whether a file may become so long.
fn has_room(state: &State, file: INodeNo, end: u64) -> bool {
    let now = state.volume.node(file.0);
    let len = now.map_or(0, |node| state.volume.len(node)) as u64;
    end <= len || end - len <= state.free_bytes()
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
            let node = match made {
                Some(is_dir) => make(&mut state, parent, text(name), is_dir)?,
                None => {
                    let found = state.volume.look_up(parent.0, text(name));
                    found.map_err(Errno::from_i32)?
                }
            };
            Ok(attributes(&state.volume, node))
        });
        match found {
            Ok(attr) => reply.entry(&NO_CACHE, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn sync(&self, ino: INodeNo, effect: fn(u64, Stamp) -> Effect, reply: ReplyEmpty) {
        let mut state = self.shared.lock();
        let answer = Answer::Done(reply);
        let effect = match state.faults.meet_sync(ino.0) {
            Some(Outcome::Fail(error)) => {
                state.volume.fail_sync(ino.0);
                answer.fail(Errno::from_i32(error));
                return;
            }
            Some(Outcome::Ignore) => Effect::None,
            None => effect(ino.0, state.volume.now()),
        };
        self.shared.later(&mut state, effect, answer);
    }

    fn change(
        &self,
        reply: ReplyEmpty,
        change: impl FnOnce(&mut State) -> Result<(), libc::c_int>,
    ) {
        let done = self
            .powered()
            .and_then(|mut state| change(&mut state).map_err(Errno::from_i32));
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
        self.change(reply, |state| {
            state.volume.remove(parent.0, text(name), false)
        });
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.change(reply, |state| {
            state.volume.remove(parent.0, text(name), true)
        });
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
        self.change(reply, |state| {
            state.volume.rename(parent.0, text(name), text(newname))?;
            let node = state.volume.look_up(parent.0, text(newname))?;
            if let Node::File(_) = node {
                state
                    .faults
                    .know(number(node), Class::of_file(text(newname)));
            }
            Ok(())
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
            let node = make(&mut state, parent, text(name), false)?;
            Ok(attributes(&state.volume, node))
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
            if let Some(Outcome::Fail(error)) = state.faults.meet(Action::Read, ino.0) {
                return Err(Errno::from_i32(error));
            }
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
        let answer = Answer::Written(reply, data.len() as u32);
        if !has_room(&state, ino, offset + data.len() as u64) {
            answer.fail(Errno::ENOSPC);
            return;
        }
        let fate = state.faults.meet_write(ino.0, offset, data);
        let done = match fate {
            None => data,
            // What a failed write leaves behind is anybody's guess; one that only seems to be
            // done leaves nothing.
            Some(Outcome::Fail(libc::ENOSPC) | Outcome::Ignore) => &[],
            Some(Outcome::Fail(_)) => &data[..data.len() / 2 / SECTOR * SECTOR],
        };
        let pos = offset as usize;
        let written = state.volume.write(ino.0, pos, done);
        match (fate, written) {
            (Some(Outcome::Fail(error)), _) | (_, Err(error)) => {
                answer.fail(Errno::from_i32(error));
            }
            (Some(Outcome::Ignore), Ok(_)) => {
                self.shared.later(&mut state, Effect::None, answer);
            }
            (None, Ok(stamp)) => {
                let effect = if flags.0 & libc::O_DSYNC != 0 {
                    Effect::Range(ino.0, pos, data.len(), stamp)
                } else {
                    Effect::None
                };
                self.shared.later(&mut state, effect, answer);
            }
        }
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.sync(ino, Effect::File, reply);
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.sync(ino, Effect::Dir, reply);
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
        let state = self.shared.lock();
        let (all, free) = (state.faults.capacity() / BLOCK, state.free_bytes() / BLOCK);
        reply.statfs(all, free, free, 0, 0, BLOCK as u32, 255, BLOCK as u32);
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.powered().and_then(|mut state| match mode {
            _ if length > state.free_bytes() => Err(Errno::ENOSPC),
            // A reservation beyond the end is granted and not kept.
            libc::FALLOC_FL_KEEP_SIZE => Ok(()),
            0 => {
                let extended = state.volume.extend(ino.0, (offset + length) as usize);
                extended.map_err(Errno::from_i32)
            }
            _ => Err(Errno::EOPNOTSUPP),
        });
        match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}
