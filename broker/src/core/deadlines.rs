//! Coarse deadlines for what hardly ever comes due: produce time-outs, unfinished hellos and bodies.
//!
//! Setting one is a push to a bucket; nothing is cancelled, the owner looks whether what came due
//! still matters. A deadline is heard of up to one [`GRAIN`] late, never early.

use std::collections::{BTreeMap, VecDeque};

use leveret_storage::types::Mono;

/// Width of a bucket, nanoseconds.
pub(super) const GRAIN: u64 = 250_000_000;

/// Deadlines that each carry a `T`.
#[derive(Debug)]
pub(super) struct Deadlines<T> {
    /// None of them is empty.
    buckets: BTreeMap<u64, VecDeque<T>>,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self {
            buckets: BTreeMap::new(),
        }
    }
}

impl<T> Deadlines<T> {
    /// Remembers `what` for `at`.
    pub(super) fn set(&mut self, at: Mono, what: T) {
        self.buckets
            .entry(at.0.div_ceil(GRAIN))
            .or_default()
            .push_back(what);
    }

    /// When [`Deadlines::due`] has something to give next.
    #[must_use]
    pub(super) fn next(&self) -> Option<Mono> {
        self.buckets
            .keys()
            .next()
            .map(|bucket| Mono(bucket.saturating_mul(GRAIN)))
    }

    /// Takes the next of what is due by `now`.
    pub(super) fn due(&mut self, now: Mono) -> Option<T> {
        let mut bucket = self.buckets.first_entry()?;
        if bucket.key().saturating_mul(GRAIN) > now.0 {
            return None;
        }
        let due = bucket.get_mut().pop_front();
        if bucket.get().is_empty() {
            bucket.remove();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_due_late_by_at_most_a_grain_and_never_early() {
        let mut deadlines = Deadlines::default();
        deadlines.set(Mono(1), "soon");
        deadlines.set(Mono(2), "as soon");
        deadlines.set(Mono(GRAIN * 3), "later");
        assert_eq!(deadlines.due(Mono(0)), None);
        let next = deadlines.next().expect("one is set");
        assert!(next >= Mono(1) && next <= Mono(1 + GRAIN));
        assert_eq!(deadlines.due(next), Some("soon"));
        assert_eq!(deadlines.next(), Some(next));
        assert_eq!(deadlines.due(next), Some("as soon"));
        assert_eq!(deadlines.due(next), None);
        assert_eq!(deadlines.due(Mono(GRAIN * 3)), Some("later"));
        assert_eq!(deadlines.next(), None);
    }
}
