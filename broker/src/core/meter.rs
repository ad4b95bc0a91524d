//! A core's rates: means over its last few seconds, from totals that are looked at now and then.

use std::collections::VecDeque;

use leveret_engine::shard::ShardStats;
use leveret_storage::types::Mono;

/// How far back rates look, nanoseconds.
const WINDOW: u64 = 5_000_000_000;
/// How often totals are noted, nanoseconds.
const STEP: u64 = 1_000_000_000;

/// Traffic since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Record batches appended.
    pub batches_in: u64,
    /// Records appended.
    pub records_in: u64,
    /// Bytes of batches appended.
    pub bytes_in: u64,
    /// Bytes of batches fetched.
    pub bytes_out: u64,
}

/// Traffic per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Records appended.
    pub records_in: f64,
    /// Bytes of batches appended.
    pub bytes_in: f64,
    /// Bytes of batches fetched.
    pub bytes_out: f64,
}

impl Totals {
    pub(super) fn of(stats: &ShardStats) -> Self {
        Self {
            batches_in: stats.counters.batches_in,
            records_in: stats.counters.records_in,
            bytes_in: stats.counters.bytes_in,
            bytes_out: stats.counters.bytes_out,
        }
    }
}

/// Totals of the last few seconds, a step apart. While nothing happens nothing is noted, so an
/// idle core needs no timer for it.
pub(super) struct Meter {
    samples: VecDeque<(Mono, Totals)>,
}

impl Meter {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            samples: VecDeque::from([(now, Totals::default())]),
        }
    }

    /// Whether the totals should be noted before what happens now.
    pub(super) fn due(&self, now: Mono) -> bool {
        self.samples
            .back()
            .is_none_or(|(at, _)| now.since(*at) >= STEP)
    }

    /// Notes totals.
    pub(super) fn note(&mut self, totals: Totals, now: Mono) {
        self.samples.push_back((now, totals));
        // One sample at or before the window's start stays.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) >= WINDOW)
        {
            self.samples.pop_front();
        }
    }

    pub(super) fn rates(&mut self, totals: Totals, now: Mono) -> Rates {
        if self.due(now) {
            self.note(totals, now);
        }
        let (at, before) = self.samples.front().copied().unwrap_or((now, totals));
        let seconds = now.since(at).max(1) as f64 / 1e9;
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            records_in: rate(totals.records_in, before.records_in),
            bytes_in: rate(totals.bytes_in, before.bytes_in),
            bytes_out: rate(totals.bytes_out, before.bytes_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_means_of_the_window_and_fall_to_nothing() {
        let second = |n: u64| Mono(n * 1_000_000_000);
        let totals = |n: u64| Totals {
            records_in: n,
            ..Totals::default()
        };
        let mut meter = Meter::new(second(0));
        for n in 1..=10 {
            assert!(meter.due(second(n)));
            meter.note(totals(n * 100), second(n));
        }
        let rate = meter.rates(totals(1000), second(10)).records_in;
        assert!((rate - 100.0).abs() < 1.0, "{rate}");
        assert!(!meter.due(second(10)));
        let later = meter.rates(totals(1000), second(100)).records_in;
        let still = meter.rates(totals(1000), second(106)).records_in;
        assert!(later < 20.0 && still == 0.0, "{later} {still}");
    }
}
