//! Reads, writes and syncs of open files on the core's own ring.
//!
//! One system call hands over all of a turn's and waits for them together with the sockets, where
//! a pass through glommio's reactor takes several (docs/decisions/0005). It opens no file, knows
//! no path and orders nothing. A transfer that the kernel ends early goes on where it stopped.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::io::DmaFile;
use io_uring::{opcode, squeue, types::Fd, types::FsyncFlags};
use leveret_storage::io::{BLOCK, FileName, OpId, Output};
use slab::Slab;

use super::DmaBuf;
use crate::runtime::ring::SharedRing;
use crate::runtime::tag::{Kind, tag};

/// Most of a read that the device is given at once while there is something to write, bytes: a commit
/// waits for no more than that. Measured beside one reader of old records, reads of 1 MiB put 0.5 ms
/// into every tenth commit.
const READ_BESIDE_WRITES: usize = 64 << 10;
/// For how long after a write more of them are expected.
const WRITES_GO_ON: Duration = Duration::from_millis(5);

/// What is done with a file.
pub(super) enum Job {
    /// Write the whole buffer at this position; complete when the device has it, if `durable`.
    Write {
        pos: u64,
        buf: DmaBuf,
        durable: bool,
    },
    /// Fill the buffer from this position, as far as the file reaches.
    Read(u64, DmaBuf),
    /// Make the file's data durable.
    Sync,
}

/// A job that the kernel holds or is about to get.
struct Transfer {
    id: OpId,
    name: FileName,
    file: Rc<DmaFile>,
    job: Job,
    /// Bytes transferred.
    done: usize,
}

/// How a transfer ended.
pub(super) struct Ended {
    pub(super) id: OpId,
    pub(super) name: FileName,
    /// What it was, in words for people.
    pub(super) verb: &'static str,
    pub(super) result: io::Result<Output<DmaBuf>>,
    /// The last hold on a file that was removed from the cache meanwhile: glommio closes it.
    pub(super) closes_file: bool,
}

/// The transfers of one core.
pub(super) struct Transfers {
    ring: SharedRing,
    under_way: RefCell<Slab<Transfer>>,
    /// Slots of transfers, new or to be gone on with, that the kernel does not hold.
    to_queue: RefCell<Vec<usize>>,
    last_write: Cell<Option<Instant>>,
}

impl Transfers {
    pub(super) fn new(ring: SharedRing) -> Self {
        Self {
            ring,
            under_way: RefCell::default(),
            to_queue: RefCell::default(),
            last_write: Cell::default(),
        }
    }

    /// Takes a job; it reaches the ring with the next [`Transfers::queue`].
    pub(super) fn begin(&self, id: OpId, name: FileName, file: Rc<DmaFile>, job: Job) {
        let transfer = Transfer {
            id,
            name,
            file,
            job,
            done: 0,
        };
        if matches!(transfer.job, Job::Write { .. }) {
            self.last_write.set(Some(Instant::now()));
        }
        let slot = self.under_way.borrow_mut().insert(transfer);
        self.to_queue.borrow_mut().push(slot);
    }

    /// Whether [`Transfers::queue`] has something to do.
    pub(super) fn has_to_queue(&self) -> bool {
        !self.to_queue.borrow().is_empty()
    }

    /// Queues what was begun on the ring.
    ///
    /// # Errors
    /// The kernel's refusal to take the ring's queue.
    pub(super) fn queue(&self) -> io::Result<()> {
        let mut under_way = self.under_way.borrow_mut();
        let last_write = self.last_write.get();
        let most_read = match last_write.is_some_and(|at| at.elapsed() < WRITES_GO_ON) {
            true => READ_BESIDE_WRITES,
            false => usize::MAX,
        };
        for slot in self.to_queue.borrow_mut().drain(..) {
            let index = u32::try_from(slot).expect("storage bounds its operations");
            let entry = under_way[slot]
                .entry(most_read)
                .user_data(tag(Kind::Disk, index));
            #[expect(unsafe_code, reason = "queues an operation")]
            // SAFETY: it points into the buffer that the transfer owns and names the descriptor
            // of the file that it holds; both leave the slab only when it has completed.
            unsafe {
                self.ring.borrow_mut().push(&entry)?;
            }
        }
        Ok(())
    }

    /// The kernel is done with the transfer in `slot`. `None` if it goes on.
    pub(super) fn completed(&self, slot: u32, result: i32) -> Option<Ended> {
        let slot = slot as usize;
        let mut under_way = self.under_way.borrow_mut();
        let result = match under_way[slot].advance(result) {
            Progress::Ended(result) => result,
            Progress::GoesOn => {
                self.to_queue.borrow_mut().push(slot);
                return None;
            }
        };
        let Transfer {
            id,
            name,
            file,
            job,
            done,
        } = under_way.remove(slot);
        let (verb, output) = match job {
            Job::Write { .. } => ("write", Output::Done),
            Job::Read(_, buf) => ("read", Output::Read { buf, len: done }),
            Job::Sync => ("sync", Output::Done),
        };
        Some(Ended {
            id,
            name,
            verb,
            result: result.map(|()| output),
            closes_file: Rc::strong_count(&file) == 1,
        })
    }
}

enum Progress {
    Ended(io::Result<()>),
    GoesOn,
}

impl Transfer {
    /// The operation for what is left, of a read at most so much.
    fn entry(&mut self, most_read: usize) -> squeue::Entry {
        let fd = Fd(self.file.as_raw_fd());
        let done = self.done;
        match &mut self.job {
            Job::Write { pos, buf, durable } => {
                let rest = &buf.as_ref()[done..];
                opcode::Write::new(fd, rest.as_ptr(), length(rest))
                    .offset(*pos + done as u64)
                    .rw_flags(if *durable { libc::RWF_DSYNC } else { 0 })
                    .build()
            }
            Job::Read(pos, buf) => {
                let rest = &mut buf.as_mut()[done..];
                let piece = rest.len().min(most_read);
                let rest = &mut rest[..piece];
                opcode::Read::new(fd, rest.as_mut_ptr(), length(rest))
                    .offset(*pos + done as u64)
                    .build()
            }
            Job::Sync => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
        }
    }

    fn advance(&mut self, result: i32) -> Progress {
        let Ok(moved) = usize::try_from(result) else {
            // A sync that failed is never tried again, whatever the reason.
            let again =
                matches!(-result, libc::EAGAIN | libc::EINTR) && !matches!(self.job, Job::Sync);
            return if again {
                Progress::GoesOn
            } else {
                Progress::Ended(Err(io::Error::from_raw_os_error(-result)))
            };
        };
        let (len, reads) = match &self.job {
            Job::Write { buf, .. } => (buf.as_ref().len(), false),
            Job::Read(_, buf) => (buf.as_ref().len(), true),
            Job::Sync => return Progress::Ended(Ok(())),
        };
        let end = self.done + moved;
        // A read that ends within a block, or gets nothing, has come to the file's end.
        if end >= len || (reads && (moved == 0 || !end.is_multiple_of(BLOCK))) {
            self.done = end;
            return Progress::Ended(Ok(()));
        }
        // Direct writes begin at blocks.
        let whole = end / BLOCK * BLOCK;
        if whole == self.done {
            return Progress::Ended(Err(io::ErrorKind::WriteZero.into()));
        }
        self.done = whole;
        Progress::GoesOn
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("storage's operations are far below 4 GiB")
}
