//! What a run has seen so far: shared by its tasks, which all run on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

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
    /// When that was.
    recent_from: Cell<Instant>,
    series: RefCell<Vec<Second>>,
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
    pub(crate) series: Vec<Second>,
}

/// About a second of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Its end, in seconds since the figures begin.
    pub(crate) until: f64,
    pub(crate) messages_per_second: f64,
    /// Of what arrived in it; 0 if nothing did.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

/// A last second that is shorter says too little to be shown.
const SHORTEST: Duration = Duration::from_millis(250);

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
            recent_from: Cell::new(start),
            series: RefCell::default(),
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
            self.recent.take();
            self.recent_messages.take();
            self.recent_from.set(Instant::now());
        }
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let second = self.end_second(Instant::now());
            self.series.borrow_mut().push(second);
            eprintln!(
                "{:4.0} s  {what} {:>8} messages, {:>8}/s, p50 {:.0} µs, p99 {:.0} µs",
                self.start.elapsed().as_secs_f64(),
                units::count(self.messages.get() as f64),
                units::count(second.messages_per_second),
                second.p50_us,
                second.p99_us,
            );
        }
    }

    /// What came since the last call.
    fn end_second(&self, now: Instant) -> Second {
        let from = self.recent_from.replace(now);
        let seconds = now.saturating_duration_since(from).as_secs_f64();
        let recent = self.recent.take();
        let messages = self.recent_messages.take() as f64;
        let max = recent.percentiles().map_or(0.0, |p| p.max);
        Second {
            until: now
                .saturating_duration_since(self.measure_from)
                .as_secs_f64(),
            messages_per_second: if seconds > 0.0 {
                messages / seconds
            } else {
                0.0
            },
            p50_us: recent.micros_at(0.5),
            p99_us: recent.micros_at(0.99),
            max_us: max,
        }
    }

    /// The seconds so far, with what has begun of the last one if that is enough.
    fn series(&self) -> Vec<Second> {
        let mut series = self.series.borrow().clone();
        let rest = self
            .last
            .get()
            .saturating_duration_since(self.recent_from.get());
        if (rest >= SHORTEST || series.is_empty()) && self.recent_messages.get() > 0 {
            series.push(self.end_second(self.last.get()));
        }
        series
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
            series: self.series(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_figures_and_all_together_the_whole() {
        let recorder = Recorder::new(Duration::ZERO, None);
        let long_ago = recorder.start;
        recorder.arrived(long_ago, 1000);
        let first = recorder.end_second(recorder.start + Duration::from_secs(1));
        recorder.series.borrow_mut().push(first);
        recorder
            .recent
            .borrow_mut()
            .record(Duration::from_millis(5), 10);
        let second = recorder.end_second(recorder.start + Duration::from_secs(3));
        assert!(
            (first.messages_per_second - 1000.0).abs() < 1e-6,
            "{first:?}"
        );
        assert_eq!((first.until, second.until), (1.0, 3.0));
        assert_eq!(second.messages_per_second, 0.0, "those were counted before");
        assert!(
            first.max_us < second.p50_us && second.p50_us > 4_900.0,
            "{second:?}"
        );
        let measured = recorder.measured();
        assert_eq!((measured.messages, measured.series.len()), (1000, 1));
    }
}
