//! How a core spends its time: the length of its turns, how much of the time it turns, and the most
//! CPU time that one turn took.
//!
//! A turn's beginning and a sleep's are read anyway. The thread's own clock costs a system call, so
//! it is read about once a millisecond, and at the end of a turn that took longer than that: the
//! CPU time of a turn is overstated by at most a millisecond, and never understated. Time that the
//! machine gave to others is not in it.

use leveret_storage::histogram::Histogram;
use leveret_storage::types::Mono;

/// Turns up to this length are not looked into, and how old a reading of the thread's clock may be,
/// nanoseconds.
const FINE: u64 = 1_000_000;
/// A turn that uses more CPU time holds up others, nanoseconds.
const LONG: u64 = 5_000_000;

/// The turns of one core since it began to serve.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// From a turn's beginning to the next one's, or to the sleep after it, nanoseconds.
    pub lengths: Histogram,
    /// The most CPU time of a turn that was longer than a millisecond, nanoseconds.
    pub longest_cpu: u64,
    /// The present turn's beginning; `None` asleep.
    began: Option<Mono>,
    /// The thread's clock as it was read last, and when.
    read: Option<(Mono, u64)>,
}

impl Turns {
    /// Nanoseconds spent in turns.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.lengths.sum()
    }

    /// A turn begins; `cpu` reads the time that the thread has used, nanoseconds.
    pub(super) fn begin(&mut self, now: Mono, cpu: impl Fn() -> u64) {
        self.end(now, &cpu);
        if self.read.is_none_or(|(at, _)| now.since(at) >= FINE) {
            self.read = Some((now, cpu()));
        }
        self.began = Some(now);
    }

    pub(super) fn sleep(&mut self, now: Mono, cpu: impl Fn() -> u64) {
        self.end(now, &cpu);
    }

    fn end(&mut self, now: Mono, cpu: &impl Fn() -> u64) {
        let Some(began) = self.began.take() else {
            return;
        };
        let length = now.since(began);
        self.lengths.record(length);
        let Some((_, before)) = self.read.filter(|_| length > FINE) else {
            return;
        };
        let after = cpu();
        self.read = Some((now, after));
        let used = (after - before).min(length);
        if used > self.longest_cpu {
            self.longest_cpu = used;
            if used > LONG {
                tracing::warn!(
                    "a turn of this core took {} ms of CPU time",
                    used / 1_000_000
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_in_no_turn() {
        let mut turns = Turns::default();
        let cpu = || 0;
        turns.begin(Mono(100), cpu);
        turns.begin(Mono(110), cpu);
        turns.sleep(Mono(130), cpu);
        turns.begin(Mono(1000), cpu);
        turns.sleep(Mono(1001), cpu);
        turns.sleep(Mono(5000), cpu);
        assert_eq!((turns.lengths.count(), turns.busy()), (3, 31));
    }

    #[test]
    fn a_turn_is_as_long_as_the_cpu_time_that_it_used() {
        let ms = 1_000_000;
        let mut turns = Turns::default();
        // A busy machine: 20 ms long, 2 ms of them used.
        turns.begin(Mono(0), || 100);
        turns.sleep(Mono(20 * ms), || 100 + 2 * ms);
        assert_eq!(turns.longest_cpu, 2 * ms);
        turns.begin(Mono(30 * ms), || 100 + 2 * ms);
        turns.begin(Mono(37 * ms), || 100 + 9 * ms);
        assert_eq!(turns.longest_cpu, 7 * ms);
        // A short one is not looked into.
        turns.sleep(Mono(37 * ms + 10), || panic!("not read"));
        assert_eq!(turns.longest_cpu, 7 * ms);
    }
}
