//! Latencies in a histogram. Never averages; the true maximum is kept.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(3600);

/// A recording of latencies, to about 0.1 % of each value.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    nanos: Histogram<u64>,
    longest: u64,
}

/// The percentiles of every report, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) max: f64,
}

/// A point of the curve of all percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The part of the messages, 0 to 1, ...
    pub(crate) quantile: f64,
    /// ... that took at most so long, microseconds.
    pub(crate) us: f64,
}

/// Points of a curve for each halving of the messages that are left above.
const POINTS_PER_HALVING: u32 = 5;

impl Default for Latencies {
    fn default() -> Self {
        let top = u64::try_from(LONGEST.as_nanos()).expect("an hour fits");
        let nanos = Histogram::new_with_bounds(1, top, 3).expect("constant bounds are valid");
        Self { nanos, longest: 0 }
    }
}

impl Latencies {
    /// Records that `count` messages took `latency`.
    pub(crate) fn record(&mut self, latency: Duration, count: u64) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.longest = self.longest.max(nanos);
        self.nanos.saturating_record_n(nanos.max(1), count);
    }

    /// Messages recorded.
    pub(crate) fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// The value below which `quantile` (0 to 1) of the messages are, microseconds.
    pub(crate) fn micros_at(&self, quantile: f64) -> f64 {
        // A bucket's upper edge may lie above the largest value in it.
        let nanos = self.nanos.value_at_quantile(quantile).min(self.longest);
        nanos as f64 / 1000.0
    }

    /// Adds another recording: merged, not averaged.
    pub(crate) fn add(&mut self, other: &Self) {
        self.nanos
            .add(&other.nanos)
            .expect("all recordings have the same bounds");
        self.longest = self.longest.max(other.longest);
    }

    /// The whole curve, from the shortest to the longest, in as many points as can be seen.
    pub(crate) fn points(&self) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .nanos
            .iter_quantiles(POINTS_PER_HALVING)
            .map(|step| Point {
                quantile: step.quantile(),
                us: step.value_iterated_to().min(self.longest) as f64 / 1000.0,
            })
            .collect();
        points.dedup();
        if let Some(last) = points.last_mut() {
            // Also beyond the histogram.
            last.us = self.longest as f64 / 1000.0;
        }
        points
    }

    /// All percentiles of a report; `None` before anything was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        (self.count() > 0).then(|| Percentiles {
            p50: self.micros_at(0.5),
            p90: self.micros_at(0.9),
            p99: self.micros_at(0.99),
            p99_9: self.micros_at(0.999),
            p99_99: self.micros_at(0.9999),
            max: self.longest as f64 / 1000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_messages() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        latencies.record(Duration::from_micros(100), 98);
        latencies.record(Duration::from_micros(1000), 1);
        latencies.record(Duration::from_secs(7200), 1);
        let p = latencies.percentiles().expect("recorded");
        assert!(
            (p.p50 - 100.0).abs() < 1.0 && (p.p90 - 100.0).abs() < 1.0,
            "{p:?}"
        );
        assert!((p.p99 - 1000.0).abs() < 2.0, "{p:?}");
        assert_eq!(p.max, 7.2e9, "also beyond the histogram");
        assert_eq!(latencies.count(), 100);
    }

    #[test]
    fn the_curve_rises_from_the_shortest_to_the_longest_and_passes_the_percentiles() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.points(), []);
        (1..=10_000).for_each(|us| latencies.record(Duration::from_micros(us), 1));
        let points = latencies.points();
        assert!(points.len() > 30 && points.len() < 200, "{}", points.len());
        let rises =
            |pair: &[Point]| pair[0].quantile <= pair[1].quantile && pair[0].us <= pair[1].us;
        assert!(points.windows(2).all(rises));
        let last = points.last().expect("there are some");
        assert_eq!((last.quantile, last.us), (1.0, 10_000.0));
        let at = |quantile| {
            let point = points.iter().find(|point| point.quantile >= quantile);
            point.expect("up to 1").us
        };
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let exact = quantile * 10_000.0;
            assert!((at(quantile) - exact).abs() < exact * 0.1, "{quantile}");
        }
    }

    #[test]
    fn recordings_are_merged_and_not_averaged() {
        let (mut fast, mut slow) = (Latencies::default(), Latencies::default());
        fast.record(Duration::from_micros(10), 99);
        slow.record(Duration::from_millis(10), 1);
        fast.add(&slow);
        let p = fast.percentiles().expect("recorded");
        assert!(p.p99 < 11.0 && p.p99_9 > 9_900.0, "{p:?}");
        assert_eq!(p.max, 10_000.0);
    }
}
