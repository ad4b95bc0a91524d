//! Counts of values by powers of two, in plain memory of fixed size: recording is a shift and two
//! additions, and never allocates. It knows no unit; whoever shows it does.

/// How many buckets there are: for zero, for each power of two up to 2^46 (in nanoseconds 19
/// hours), and for all beyond.
pub const BUCKETS: usize = 49;

/// How often values fell between two powers of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    count: u64,
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            count: 0,
            sum: 0,
        }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum; it stays at the largest number rather than begin again.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The buckets from the smallest on: the largest value that each counts (`None`: any) and how
    /// many it counted.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let counts = self.counts.iter().copied().enumerate();
        counts.map(|(index, count)| (bound(index), count))
    }
}

/// The bucket that counts `value`.
fn bucket(value: u64) -> usize {
    let index = match value {
        0 => 0,
        // One more than the exponent of the smallest power of two that is not below it.
        _ => 65 - (value - 1).leading_zeros() as usize,
    };
    index.min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn bound(index: usize) -> Option<u64> {
    match index {
        0 => Some(0),
        _ if index < BUCKETS - 1 => Some(1 << (index - 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_first_bucket_that_reaches_it() {
        let edges = (0..63).flat_map(|power| {
            let edge = 1u64 << power;
            [edge - 1, edge, edge + 1]
        });
        for value in edges.chain([u64::MAX]) {
            let index = bucket(value);
            assert!(bound(index).is_none_or(|bound| value <= bound), "{value}");
            if index > 0 {
                let below = bound(index - 1).expect("only the last is unbounded");
                assert!(value > below, "{value} belongs below");
            }
        }
    }

    #[test]
    fn counts_and_sum_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 3, 4, 5, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!((histogram.count(), histogram.sum()), (6, u64::MAX));
        let filled: Vec<_> = histogram.buckets().filter(|(_, n)| *n > 0).collect();
        let expected = [
            (Some(0), 1),
            (Some(1), 1),
            (Some(4), 2),
            (Some(8), 1),
            (None, 1),
        ];
        assert_eq!(filled, expected);
        assert_eq!(histogram.buckets().count(), BUCKETS);
    }
}
