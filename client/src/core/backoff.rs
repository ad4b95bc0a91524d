//! How long to wait before trying again.

use std::time::Duration;

/// Waits that double from a least to a most one, each drawn from its upper half by a seeded
/// generator, so that many clients do not come back at once and a test can replay one.
#[derive(Clone, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
    state: u64,
}

impl Backoff {
    /// Waits between `least` and `most`.
    #[must_use]
    pub fn new(least: Duration, most: Duration, seed: u64) -> Self {
        Self {
            least,
            most: most.max(least),
            failures: 0,
            state: seed,
        }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let whole = self.least.saturating_mul(1 << doublings).min(self.most);
        let half = whole / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(self.random() % nanos.max(1))
    }

    /// It worked: the next wait is a short one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// SplitMix64: small, and good enough to spread waits.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_millis(1000);

    #[test]
    fn waits_double_within_their_bounds_and_start_over() {
        let mut backoff = Backoff::new(LEAST, MOST, 1);
        let mut whole = LEAST;
        for _ in 0..40 {
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} for {whole:?}");
            whole = (whole * 2).min(MOST);
        }
        backoff.reset();
        assert!(backoff.next_wait() <= LEAST);
    }

    #[test]
    fn a_seed_explains_the_waits() {
        let waits = |seed| {
            let mut backoff = Backoff::new(LEAST, MOST, seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }
}
