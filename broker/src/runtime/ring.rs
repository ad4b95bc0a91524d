//! The core's own io_uring, for sockets and for the disk's reads, writes and syncs: submission,
//! harvest, and the ring of receive buffers.
//!
//! It knows operations and their tags, not connections or files. Only [`Ring::wait`] waits; a
//! driver that sleeps elsewhere is told by the eventfd registered with this ring.

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering, fence};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::tag::{Kind, tag, untag};
use super::wake::Doors;

/// The ring as a core's sockets, disk and driver share it: one thread's, borrowed for single
/// calls.
pub(super) type SharedRing = Rc<RefCell<Ring>>;

/// Submission entries; a full queue is submitted early.
const ENTRIES: u32 = 512;
/// Completion entries; the kernel keeps what does not fit and delivers it later.
const COMPLETIONS: u32 = 4096;
/// The one group of provided buffers.
pub(super) const GROUP: u16 = 0;
/// Bytes of one receive buffer.
pub(super) const BUFFER: usize = 16 * 1024;

/// A completion, copied out of the queue.
#[derive(Clone, Copy)]
pub(super) struct Done {
    tag: u64,
    /// Bytes or descriptor, or a negated errno.
    pub(super) result: i32,
    flags: u32,
}

impl Done {
    /// What the operation was, and on what.
    pub(super) fn of(&self) -> (Kind, u32) {
        untag(self.tag)
    }

    /// The provided buffer that holds what was received.
    pub(super) fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// Whether the socket held more than was received.
    pub(super) fn socket_has_more(&self) -> bool {
        cqueue::sock_nonempty(self.flags)
    }

    /// Whether a multishot operation goes on.
    pub(super) fn more(&self) -> bool {
        cqueue::more(self.flags)
    }
}

/// The ring and its buffers. Used by one thread only.
pub(super) struct Ring {
    // Dropped first: closing the ring ends all use of the buffers by the kernel.
    ring: IoUring,
    buffers: Buffers,
    /// What other threads raise to wake this core.
    wake: RawFd,
}

impl Ring {
    /// Sets the ring up on this thread, with the best flags that the kernel takes. It wakes up when
    /// other threads raise one of the doors, and raises the other, the bell, on completions while
    /// [`Ring::watch`] is on.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn new(doors: Doors, buffers: u16) -> io::Result<Self> {
        let ring = build()?;
        ring.submitter().register_eventfd(doors.bell)?;
        let buffers = Buffers::new(buffers)?;
        #[expect(unsafe_code, reason = "lends the buffer ring's memory to the kernel")]
        // SAFETY: the memory is page-aligned, of the stated length, and outlives the ring.
        unsafe {
            let address = buffers.entries.as_ptr() as u64;
            let submitter = ring.submitter();
            submitter.register_buf_ring_with_flags(address, buffers.count, GROUP, 0)?;
        }
        let wake = doors.wake;
        let mut this = Self {
            ring,
            buffers,
            wake,
        };
        this.watch(false);
        this.listen_for_wakes()?;
        Ok(this)
    }

    /// Polls the eventfd that other threads raise. It is never read: each raise completes the
    /// poll once more whatever the count.
    fn listen_for_wakes(&mut self) -> io::Result<()> {
        let events = u32::try_from(libc::POLLIN).expect("a flag");
        let poll = opcode::PollAdd::new(Fd(self.wake), events)
            .multi(true)
            .build();
        #[expect(unsafe_code, reason = "queues an operation")]
        // SAFETY: it points to nothing.
        unsafe {
            self.push(&poll.user_data(tag(Kind::Wake, 0)))
        }
    }

    /// Lets the kernel's workers of this thread, of all its rings, run on these CPUs. Growing
    /// writes and syncs are carried out by them, and they would share the core's own CPU.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn place_workers(&self, cpus: &libc::cpu_set_t) -> io::Result<()> {
        self.ring.submitter().register_iowq_aff(cpus)
    }

    /// Queues an operation; it leaves with the next [`Ring::submit`], or now if the queue is full.
    ///
    /// # Errors
    /// The kernel's refusal to take the queue.
    ///
    /// # Safety
    /// What the entry points to must live until its completion is harvested.
    #[expect(unsafe_code, reason = "the kernel will use the addresses in the entry")]
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.enter()?;
        }
        Ok(())
    }

    /// Hands queued operations to the kernel and lets it post what is complete, if either is due.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        let queue = self.ring.submission();
        let due = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if due { self.enter() } else { Ok(()) }
    }

    /// Hands queued operations to the kernel and sleeps until something completes or `limit` has
    /// passed.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let submitter = self.ring.submitter();
        let waited = match limit {
            Some(limit) => {
                let timespec = Timespec::from(limit);
                let arguments = SubmitArgs::new().timespec(&timespec);
                submitter.submit_with_args(1, &arguments)
            }
            None => submitter.submit_and_wait(1),
        };
        passing(waited)
    }

    fn enter(&mut self) -> io::Result<()> {
        passing(self.ring.submit())
    }

    /// Moves at most `most` completions into `into`, wakes among them. Returns whether there may
    /// be more.
    ///
    /// # Errors
    /// The kernel's refusal to go on listening for wakes.
    pub(super) fn harvest(&mut self, into: &mut VecDeque<Done>, most: usize) -> io::Result<bool> {
        let done = |entry: cqueue::Entry| Done {
            tag: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        };
        let before = into.len();
        into.extend(self.ring.completion().take(most).map(done));
        let full = into.len() - before == most;
        let deaf = |done: &Done| matches!(done.of(), (Kind::Wake, _)) && !done.more();
        if into.range(before..).any(deaf) {
            self.listen_for_wakes()?;
        }
        Ok(full)
    }

    /// Whether completions wait, posted or about to be.
    pub(super) fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        let due = queue.taskrun() || queue.cq_overflow() || !queue.is_empty();
        drop(queue);
        due || !self.ring.completion().is_empty()
    }

    /// Turns the eventfd on before sleep and off after it: awake, the driver looks anyway.
    pub(super) fn watch(&mut self, on: bool) {
        let queue = self.ring.completion();
        if on {
            queue.enable_eventfd();
            // Orders this against the look for work that must follow.
            fence(Ordering::SeqCst);
        } else {
            queue.disable_eventfd();
        }
    }

    /// The first `len` bytes of a buffer that a completion named.
    pub(super) fn received(&self, buffer: u16, len: usize) -> &[u8] {
        self.buffers.get(buffer, len)
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn give_back(&mut self, buffer: u16) {
        self.buffers.provide(buffer);
    }
}

/// Forgives what is only for the moment: the time has passed, a signal came, completions must be
/// harvested first, or memory is short. Entries stay queued and the next turn tries again.
fn passing(entered: io::Result<usize>) -> io::Result<()> {
    const MOMENTARY: [i32; 4] = [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN];
    match entered {
        Err(e)
            if e.raw_os_error()
                .is_some_and(|errno| MOMENTARY.contains(&errno)) =>
        {
            Ok(())
        }
        entered => entered.map(drop),
    }
}

/// Deferred task work is the fastest; kernels before 6.1 get what they know.
fn build() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS).setup_clamp();
    let mut best = builder.clone();
    best.setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag();
    if let Ok(ring) = best.build(ENTRIES) {
        return Ok(ring);
    }
    let mut good = builder.clone();
    good.setup_coop_taskrun().setup_taskrun_flag();
    good.build(ENTRIES).or_else(|_| builder.build(ENTRIES))
}

/// Receive buffers, and the ring through which the kernel is told which are free.
struct Buffers {
    entries: NonNull<BufRingEntry>,
    entries_layout: Layout,
    memory: Box<[u8]>,
    count: u16,
    tail: u16,
}

impl Buffers {
    fn new(count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel wants a power of two");
        let size = usize::from(count) * size_of::<BufRingEntry>();
        let entries_layout = Layout::from_size_align(size, 4096).expect("a small size");
        #[expect(unsafe_code, reason = "page-aligned memory for the kernel")]
        // SAFETY: the layout is not empty; all-zero entries are valid.
        let entries = unsafe { std::alloc::alloc_zeroed(entries_layout) };
        let Some(entries) = NonNull::new(entries.cast::<BufRingEntry>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        let memory = vec![0; usize::from(count) * BUFFER].into_boxed_slice();
        let mut buffers = Self {
            entries,
            entries_layout,
            memory,
            count,
            tail: 0,
        };
        for buffer in 0..count {
            buffers.provide(buffer);
        }
        Ok(buffers)
    }

    fn get(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(
            buffer < self.count && len <= BUFFER,
            "the kernel names its own buffers"
        );
        let start = usize::from(buffer) * BUFFER;
        &self.memory[start..start + len]
    }

    fn provide(&mut self, buffer: u16) {
        assert!(buffer < self.count, "a buffer of this ring");
        let start = usize::from(buffer) * BUFFER;
        let address = self.memory[start..start + BUFFER].as_mut_ptr() as u64;
        let slot = usize::from(self.tail % self.count);
        self.tail = self.tail.wrapping_add(1);
        #[expect(
            unsafe_code,
            reason = "writes an entry of the ring shared with the kernel"
        )]
        // SAFETY: the slot is within the ring, and free: at most `count` buffers are outside the
        // kernel's hands. The tail lies in the first entry's reserved field; the kernel reads
        // entries below it only, and the release store orders them before it.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(slot);
            entry.set_addr(address);
            entry.set_len(u32::try_from(BUFFER).expect("16 KiB"));
            entry.set_bid(buffer);
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "frees what `new` allocated")]
        // SAFETY: allocated with this layout; the ring that used it is closed already.
        unsafe {
            std::alloc::dealloc(self.entries.as_ptr().cast(), self.entries_layout);
        }
    }
}
