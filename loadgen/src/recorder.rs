//! What a run has seen so far: shared by its tasks, which all run on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::broker::Usage;
use crate::latency::Latencies;
use crate::units;

/// Counts and latencies of one phase. Before the warm-up has passed nothing is recorded.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Start of the phase.
    pub(crate) start: Instant,
    /// When the figures begin.
    measure_from: Instant,
    last: Cell<Instant>,
    messages: Cell<u64>,
    latencies: RefCell<Latencies>,
    /// Since the last line of progress.
    recent: RefCell<Latencies>,
    recent_messages: Cell<u64>,
    /// The broker's process, if it is here.
    broker: Option<u32>,
    usage_before: Cell<Usages>,
}

/// What broker and load have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usages {
    /// `None` if the broker is remote.
    pub(crate) broker: Option<Usage>,
    pub(crate) load: Usage,
}

/// The figures of a phase.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Latencies,
    pub(crate) usages: Usages,
}

impl Recorder {
    /// A phase that starts now.
    pub(crate) fn new(warmup: Duration, broker: Option<u32>) -> Rc<Self> {
        let start = Instant::now();
        let recorder = Self {
            start,
            measure_from: start + warmup,
            last: Cell::new(start),
            messages: Cell::new(0),
            latencies: RefCell::default(),
            recent: RefCell::default(),
            recent_messages: Cell::new(0),
            broker,
            usage_before: Cell::default(),
        };
        recorder.usage_before.set(recorder.usages());
        Rc::new(recorder)
    }

    /// `count` messages that were meant to leave at `intended` have arrived (been acknowledged,
    /// or read).
    pub(crate) fn arrived(&self, intended: Instant, count: u64) {
        let now = Instant::now();
        let latency = now.saturating_duration_since(intended);
        self.recent.borrow_mut().record(latency, count);
        self.recent_messages.set(self.recent_messages.get() + count);
        if now < self.measure_from {
            return;
        }
        self.latencies.borrow_mut().record(latency, count);
        self.messages.set(self.messages.get() + count);
        self.last.set(now);
    }

    /// Prints a line a second until it is dropped; begins the count of what is used when the
    /// warm-up has passed.
    pub(crate) async fn report_progress(self: Rc<Self>, what: &'static str) {
        let warmup = self.measure_from.saturating_duration_since(Instant::now());
        if !warmup.is_zero() {
            tokio::time::sleep(warmup).await;
            self.usage_before.set(self.usages());
        }
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        loop {
            let before = Instant::now();
            ticks.tick().await;
            let rate = self.recent_messages.take() as f64 / before.elapsed().as_secs_f64();
            let recent = self.recent.take();
            eprintln!(
                "{:4.0} s  {what} {:>8} messages, {:>8}/s, p50 {:.0} µs, p99 {:.0} µs",
                self.start.elapsed().as_secs_f64(),
                units::count(self.messages.get() as f64),
                units::count(rate),
                recent.micros_at(0.5),
                recent.micros_at(0.99),
            );
        }
    }

    /// The figures so far.
    pub(crate) fn measured(&self) -> Measured {
        let (before, now) = (self.usage_before.get(), self.usages());
        let broker = now
            .broker
            .zip(before.broker)
            .map(|(now, before)| now.since(before));
        Measured {
            messages: self.messages.get(),
            elapsed: self.last.get().saturating_duration_since(self.measure_from),
            latencies: self.latencies.borrow().clone(),
            usages: Usages {
                broker,
                load: now.load.since(before.load),
            },
        }
    }

    fn usages(&self) -> Usages {
        let load = Usage::of(std::process::id()).unwrap_or_default();
        Usages {
            broker: self.broker.and_then(Usage::of),
            load,
        }
    }
}
