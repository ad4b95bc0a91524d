//! How a sleeping core is woken.
//!
//! Other threads raise the core's *wake* eventfd, which its own ring polls, so that a core
//! whose disk is idle sleeps in that ring alone. While disk operations are outstanding it sleeps
//! in glommio's reactor; then the ring raises the *bell*, a second eventfd, on which the
//! [`Ear`] keeps one glommio read outstanding. A wake says only *that* something happened, never
//! what: the driver looks at every source each turn, so a wake too many is harmless.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glommio::io::BufferedFile;
use glommio::timer::Timer;

/// A kernel counter that one thread waits on and any thread raises.
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    /// A counter at zero. Blocking, because io_uring answers EAGAIN at once to a read of a
    /// non-blocking one instead of waiting.
    pub(super) fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "eventfd(2) and taking ownership of its result")]
        // SAFETY: takes no pointers; a valid descriptor returned here is owned by nobody else.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Raises the counter. It would block only at 2^64 - 1 unread wakes.
    pub(super) fn raise(&self) {
        let one = 1u64.to_ne_bytes();
        #[expect(unsafe_code, reason = "write(2) without a File")]
        // SAFETY: the buffer lives through the call and is 8 bytes, as eventfd wants.
        let written = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        assert_eq!(
            written,
            8,
            "an eventfd takes a wake: {}",
            io::Error::last_os_error()
        );
    }

    fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The two eventfds of a core, owned by its [`CoreSignal`].
#[derive(Clone, Copy)]
pub(super) struct Doors {
    /// To be polled by the core's ring.
    pub(super) wake: RawFd,
    /// To be raised by the core's ring.
    pub(super) bell: RawFd,
}

/// What other threads see of a core.
pub(super) struct CoreSignal {
    /// Polled by the core's ring.
    wake: EventFd,
    /// Raised by the core's ring, heard by glommio.
    bell: EventFd,
    /// True while the driver sleeps or is about to: only then is a wake worth a system call.
    sleeping: AtomicBool,
    /// A wake was asked for and no turn has begun since.
    pending: AtomicBool,
    /// Counts the driver's turns.
    pub(super) turns: AtomicU64,
    /// When the driver wants to be awake at the latest: nanoseconds of the shared monotonic
    /// clock, `u64::MAX` if it can sleep for ever.
    pub(super) deadline: AtomicU64,
    /// How often the supervisor had to wake this core although a wake or timer was due.
    pub(super) stalls: AtomicU64,
}

impl CoreSignal {
    /// A core that has not begun.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            wake: EventFd::new()?,
            bell: EventFd::new()?,
            sleeping: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            deadline: AtomicU64::new(u64::MAX),
            stalls: AtomicU64::new(0),
        })
    }

    /// The eventfds as the socket ring knows them.
    pub(super) fn doors(&self) -> Doors {
        Doors {
            wake: self.wake.as_raw_fd(),
            bell: self.bell.as_raw_fd(),
        }
    }

    /// Wakes the core if it sleeps. What it is to find must have been written before.
    pub(super) fn wake_if_asleep(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && !self.pending.swap(true, Ordering::AcqRel) {
            self.wake.raise();
        }
    }

    /// Wakes the core whatever it seems to do.
    pub(super) fn wake_always(&self) {
        self.pending.store(true, Ordering::Release);
        self.wake.raise();
        self.bell.raise();
    }

    /// Announces sleep. The driver must look at all its sources once more afterwards.
    pub(super) fn prepare_sleep(&self, deadline: u64) {
        self.deadline.store(deadline, Ordering::Relaxed);
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Begins a turn.
    pub(super) fn begin_turn(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
        if self.pending.load(Ordering::Relaxed) {
            self.pending.store(false, Ordering::Release);
        }
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the core should have moved by `now`, given that its turn counter stood still.
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        !self.sleeping.load(Ordering::Relaxed)
            || self.pending.load(Ordering::Relaxed)
            || self.deadline.load(Ordering::Relaxed) < now
    }
}

/// Wakes the driver task from tasks of the same core; remembers a wake that nobody waited for.
#[derive(Default)]
pub(super) struct Notify {
    set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Notify {
    /// Wakes the waiting task, or lets the next wait end at once.
    pub(super) fn notify(&self) {
        self.set.set(true);
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for a notification or until `limit` has passed.
    pub(super) async fn wait(&self, limit: Option<Duration>) {
        let mut timer = limit.map(Timer::new);
        std::future::poll_fn(|cx| self.poll_wait(cx, timer.as_mut())).await;
    }

    fn poll_wait(&self, cx: &mut Context<'_>, timer: Option<&mut Timer>) -> Poll<()> {
        if self.set.take() {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        match timer {
            Some(timer) => Pin::new(timer).poll(cx).map(drop),
            None => Poll::Pending,
        }
    }
}

/// Lets glommio's reactor run once without waiting for anything.
///
/// Merely yielding would not do: the reactor is polled only when no task is runnable. A timer
/// that has expired by the time this returns pending is found by the reactor's next look.
pub(super) async fn pass_through_reactor() {
    const SOON: Duration = Duration::from_nanos(300);
    const MARGIN: Duration = Duration::from_nanos(100);
    let mut passed = false;
    let mut timer = None;
    std::future::poll_fn(|cx| {
        if passed {
            return Poll::Ready(());
        }
        loop {
            let due = Instant::now() + SOON;
            let armed = timer.insert(Timer::new(SOON));
            if Pin::new(armed).poll(cx).is_pending() {
                while Instant::now() <= due + MARGIN {
                    std::hint::spin_loop();
                }
                passed = true;
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Keeps one read of the core's bell outstanding and notifies the driver of each ring.
pub(super) struct Ear {
    task: glommio::Task<()>,
    stop: Rc<Cell<bool>>,
}

impl Ear {
    /// Begins to listen. Must run within the core's executor.
    pub(super) fn listen(signal: &CoreSignal, notify: Rc<Notify>) -> io::Result<Self> {
        let fd = signal.bell.duplicate()?.into_raw_fd();
        #[expect(unsafe_code, reason = "gives glommio a descriptor to read")]
        // SAFETY: the duplicate is owned by the file alone, which closes it.
        let file = unsafe { BufferedFile::from_raw_fd(fd) };
        let stop = Rc::new(Cell::new(false));
        let stopped = Rc::clone(&stop);
        let task = glommio::spawn_local(async move {
            while !stopped.get() {
                let heard = file.read_at(0, 8).await;
                assert!(heard.is_ok(), "the core's bell can be read: {heard:?}");
                notify.notify();
            }
            // Nothing to lose on an error: the descriptor is gone either way.
            let _closed = file.close().await;
        });
        Ok(Self { task, stop })
    }

    /// Ends the outstanding read and waits for the task, so that nothing is left in the ring.
    pub(super) async fn close(self, signal: &CoreSignal) {
        self.stop.set(true);
        signal.wake_always();
        self.task.await;
    }
}
