//! The device under the file system: when what it was asked for is done, when the power goes, and
//! which requests it fails.
//!
//! A lying device answers every sync without doing it. It knows neither names nor FUSE's requests,
//! only their answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fuser::{Errno, ReplyEmpty, ReplyWrite};
use leveret_sim::disk::crash::Losses;
use leveret_sim::disk::inode::Stamp;
use leveret_sim::rng::Rng;

use crate::faults::Faults;
use crate::volume::Volume;

/// What the device does with a request to make something durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Device {
    /// Does it.
    Honest,
    /// Says so and does not (the negative control: this must lose).
    Lying,
}

/// Who waits for an operation.
pub(crate) enum Answer {
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

    pub(crate) fn fail(self, error: Errno) {
        match self {
            Self::Written(reply, _) => reply.error(error),
            Self::Done(reply) => reply.error(error),
        }
    }
}

/// What becomes durable when an operation completes.
pub(crate) enum Effect {
    None,
    Range(u64, usize, usize, Stamp),
    File(u64, Stamp),
    Dir(u64, Stamp),
}

struct Pending {
    effect: Effect,
    answer: Answer,
}

/// Whether the device has power.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// Nothing completes any more; what arrives waits for the process to be dead.
    Going,
    /// Everything fails.
    Off,
}

/// What the device and the file system share.
pub(crate) struct State {
    pub(crate) volume: Volume,
    pub(crate) power: Power,
    pub(crate) faults: Faults,
    rng: Rng,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    pending: BTreeMap<u64, Pending>,
    next: u64,
    unmounted: bool,
}

/// The device: its state, and the thread that completes what is due.
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    device: Device,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is reported where it happened.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(device: Device, seed: u64) -> Arc<Self> {
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                volume: Volume::default(),
                power: Power::On,
                faults: Faults::default(),
                rng: Rng::new(seed),
                due: BinaryHeap::new(),
                pending: BTreeMap::new(),
                next: 0,
                unmounted: false,
            }),
            wake: Condvar::new(),
            device,
        });
        let runner = Arc::clone(&shared);
        std::thread::spawn(move || runner.run());
        shared
    }

    pub(crate) fn later(&self, state: &mut State, effect: Effect, answer: Answer) {
        if state.power == Power::Off {
            answer.fail(Errno::EIO);
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
    /// Bytes that can still be written to files that grow.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.faults.capacity().saturating_sub(self.volume.used())
    }

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
    /// The switch of a device.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Looks at, or changes, the faults that the device has.
    pub(crate) fn with_faults<R>(&self, work: impl FnOnce(&mut Faults) -> R) -> R {
        work(&mut self.shared.lock().faults)
    }

    /// Bytes that can still be written to files that grow.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.shared.lock().free_bytes()
    }

    /// From now on so many bytes are free, beside what is there.
    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        let mut state = self.shared.lock();
        let capacity = state.volume.used().saturating_add(bytes);
        state.faults.set_capacity(capacity);
    }

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
            pending.answer.fail(Errno::EIO);
        }
    }

    /// Loses what was not durable and switches the power on again.
    #[must_use]
    pub(crate) fn restore(&self) -> Losses {
        let mut state = self.shared.lock();
        let mut rng = state.rng.fork();
        let losses = state.volume.cut(&mut rng);
        state.faults.forget_failures();
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
