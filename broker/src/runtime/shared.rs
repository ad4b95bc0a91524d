//! What the threads of the runtime share: wake signals, the stop, and nothing on the hot path.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::wake::{CoreSignal, EventFd};

/// Seen by all cores and the supervisor.
pub(super) struct Shared {
    /// One per core.
    pub(super) signals: Vec<Arc<CoreSignal>>,
    stopping: AtomicBool,
    /// Cores whose behaviour has finished its stop.
    pub(super) stopped: AtomicUsize,
    /// What each core claims of the file system.
    pub(super) claims: Arc<Claims>,
}

/// Bytes of the file system that each core wants left alone, for the next start.
pub(super) struct Claims(Vec<AtomicU64>);

impl Claims {
    /// Takes note of what a core claims; what the others do together.
    pub(super) fn claim(&self, core: usize, bytes: u64) -> u64 {
        self.0[core].store(bytes, Ordering::Relaxed);
        let others = self.0.iter().enumerate();
        let others = others.filter(|(other, _)| *other != core);
        others
            .map(|(_, claim)| claim.load(Ordering::Relaxed))
            .fold(0, u64::saturating_add)
    }
}

impl Shared {
    /// For so many cores, none of which has begun.
    pub(super) fn new(cores: usize) -> io::Result<Self> {
        let signals = (0..cores).map(|_| CoreSignal::new().map(Arc::new));
        Ok(Self {
            signals: signals.collect::<io::Result<_>>()?,
            stopping: AtomicBool::new(false),
            stopped: AtomicUsize::new(0),
            claims: Arc::new(Claims((0..cores).map(|_| AtomicU64::new(0)).collect())),
        })
    }

    /// Whether the broker is to stop.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Tells all cores to stop.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Tells all cores to stop because this one never began, and not to wait for it.
    pub(super) fn give_up(&self) {
        self.stopped.fetch_add(1, Ordering::AcqRel);
        self.stop();
    }

    /// Wakes every core.
    pub(super) fn wake_all(&self) {
        for signal in &self.signals {
            signal.wake_always();
        }
    }
}

/// Asks a running broker to stop, from any thread. Clones are the same handle.
#[derive(Clone)]
pub struct StopHandle(Arc<StopState>);

struct StopState {
    requests: AtomicU32,
    /// Wakes the supervisor.
    wake: EventFd,
}

impl StopHandle {
    /// A handle to give to [`run`](super::run).
    ///
    /// # Errors
    /// If the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let wake = EventFd::new()?;
        Ok(Self(Arc::new(StopState {
            requests: AtomicU32::new(0),
            wake,
        })))
    }

    /// Begins the graceful stop, as SIGTERM does. Returns whether one was asked for before.
    pub fn stop(&self) -> bool {
        let before = self.0.requests.fetch_add(1, Ordering::AcqRel);
        self.0.wake.raise();
        before > 0
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.requests.load(Ordering::Acquire) > 0
    }

    /// Wakes the supervisor.
    pub(super) fn wake_supervisor(&self) {
        self.0.wake.raise();
    }

    /// The descriptor that becomes readable when the supervisor is wanted.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.0.wake.as_raw_fd()
    }
}
