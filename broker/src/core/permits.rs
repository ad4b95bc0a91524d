//! A core's share of memory for requests that have arrived and are not finished.
//!
//! A permit is taken before a body is received and given back when its request is answered, so
//! what producers have under way is bounded whatever they send. Who finds none left waits in line;
//! nobody overtakes, so a large body cannot starve behind small ones.

use std::collections::VecDeque;

use super::boundary::ConnId;

/// Bytes that requests of one core may hold, and the connections that wait for some.
#[derive(Debug)]
pub(super) struct Permits {
    total: usize,
    free: usize,
    waiting: VecDeque<ConnId>,
}

impl Permits {
    /// A budget of `total` bytes.
    #[must_use]
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            free: total,
            waiting: VecDeque::new(),
        }
    }

    /// Takes `bytes` for a connection, or puts it in line. A request larger than the whole budget
    /// gets through when nothing else is under way: a frame limit above the budget must not
    /// block for ever.
    pub(super) fn take(&mut self, conn: ConnId, bytes: usize) -> bool {
        let first_in_line = self.waiting.front().is_none_or(|first| *first == conn);
        if first_in_line && (bytes <= self.free || self.free == self.total) {
            self.free = self.free.saturating_sub(bytes);
            if self.waiting.front() == Some(&conn) {
                self.waiting.pop_front();
            }
            return true;
        }
        if !self.waiting.contains(&conn) {
            self.waiting.push_back(conn);
        }
        false
    }

    /// Gives back what [`Permits::take`] gave for `bytes`.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.free = (self.free + bytes).min(self.total);
    }

    /// The connection that should try again, if there are bytes to be had.
    #[must_use]
    pub(super) fn next_waiting(&self) -> Option<ConnId> {
        self.waiting.front().copied().filter(|_| self.free > 0)
    }

    /// Forgets a connection that is gone.
    pub(super) fn leave(&mut self, conn: ConnId) {
        self.waiting.retain(|waiting| *waiting != conn);
    }

    /// Bytes held now.
    #[must_use]
    pub(super) fn held(&self) -> usize {
        self.total - self.free
    }

    /// The whole budget, bytes.
    #[must_use]
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(slot: u32) -> ConnId {
        ConnId {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn nobody_overtakes_who_waits() {
        let mut permits = Permits::new(100);
        assert!(permits.take(conn(1), 60));
        assert!(!permits.take(conn(2), 60));
        assert!(!permits.take(conn(3), 10), "3 must not overtake 2");
        assert_eq!(permits.next_waiting(), Some(conn(2)));
        permits.give_back(60);
        assert!(!permits.take(conn(3), 10));
        assert!(permits.take(conn(2), 60));
        assert!(permits.take(conn(3), 10));
        assert_eq!(permits.held(), 70);
    }

    #[test]
    fn an_oversized_request_passes_alone() {
        let mut permits = Permits::new(100);
        assert!(permits.take(conn(1), 1));
        assert!(!permits.take(conn(2), 1000));
        permits.give_back(1);
        assert!(permits.take(conn(2), 1000));
        assert!(!permits.take(conn(3), 1));
        permits.leave(conn(3));
        permits.give_back(1000);
        assert_eq!(permits.held(), 0);
        assert_eq!(permits.next_waiting(), None);
    }
}
