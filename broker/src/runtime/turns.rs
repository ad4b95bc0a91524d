//! How a core spends its time: the length of its turns, and how much of the time it turns.
//!
//! It needs no clock of its own: a turn's beginning and a sleep's are read anyway.

use leveret_storage::histogram::Histogram;
use leveret_storage::types::Mono;

/// The turns of one core since it began to serve.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// From a turn's beginning to the next one's, or to the sleep after it, nanoseconds.
    pub lengths: Histogram,
    /// The present turn's beginning; `None` asleep.
    began: Option<Mono>,
}

impl Turns {
    /// Nanoseconds spent in turns.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.lengths.sum()
    }

    pub(super) fn begin(&mut self, now: Mono) {
        if let Some(before) = self.began.replace(now) {
            self.lengths.record(now.since(before));
        }
    }

    pub(super) fn sleep(&mut self, now: Mono) {
        if let Some(began) = self.began.take() {
            self.lengths.record(now.since(began));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_in_no_turn() {
        let mut turns = Turns::default();
        turns.begin(Mono(100));
        turns.begin(Mono(110));
        turns.sleep(Mono(130));
        turns.begin(Mono(1000));
        turns.sleep(Mono(1001));
        turns.sleep(Mono(5000));
        assert_eq!((turns.lengths.count(), turns.busy()), (3, 31));
    }
}
