//! When a log has grown, or is gone, those that wait for it look again: a bounded number of them in
//! a turn.
//!
//! A batch may be awaited by thousands of fetches and watches of its partition, and a commit may
//! bring records to as many partitions. Those that do not look in the turn in which the log grew
//! stand in line and look in [`Shard::handle_timeout`], which is due at once. Meanwhile each stands
//! in that line and nowhere else: however fast a log grows, each stands there once, and finds all
//! that has come until its turn.

use std::collections::{BTreeSet, VecDeque, btree_set};
use std::vec;

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Shard;
use super::fetch::FetchKey;
use super::watching::WatchId;

/// The line, and how many may still be looked at in this turn.
pub(super) struct Waking {
    line: VecDeque<Woken>,
    /// In each turn.
    most: usize,
    /// Names the turn: the time, which a driver takes once in each.
    turn: Mono,
    left: usize,
}

/// Those of one log, none of whom is registered with it any more. Some may have ended since.
enum Woken {
    /// The parts of fetches. The key of one that has ended may be another's by now, who looks in vain.
    Fetches(btree_set::IntoIter<(FetchKey, u32)>),
    Watches(vec::IntoIter<WatchId>),
}

enum Waiter {
    Fetch(FetchKey, u32),
    Watch(WatchId),
}

impl Waking {
    /// So many are looked at in a turn.
    pub(super) fn new(most: usize) -> Self {
        Self {
            line: VecDeque::new(),
            most,
            turn: Mono(0),
            left: most,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.line.is_empty()
    }

    /// As many as may be looked at in a turn may be looked at from here on.
    fn begin_turn(&mut self, now: Mono) {
        (self.turn, self.left) = (now, self.most);
    }

    /// How many of so many may be looked at now: as if they were.
    pub(super) fn grant(&mut self, wanted: usize, now: Mono) -> usize {
        if self.turn != now {
            self.begin_turn(now);
        }
        let granted = wanted.min(self.left);
        self.left -= granted;
        granted
    }

    pub(super) fn add_fetches(&mut self, readers: BTreeSet<(FetchKey, u32)>) {
        if !readers.is_empty() {
            self.line.push_back(Woken::Fetches(readers.into_iter()));
        }
    }

    pub(super) fn add_watches(&mut self, ids: Vec<WatchId>) {
        if !ids.is_empty() {
            self.line.push_back(Woken::Watches(ids.into_iter()));
        }
    }

    /// Who is looked at next, if there is somebody and room.
    fn next(&mut self, now: Mono) -> Option<Waiter> {
        while let Some(first) = self.line.front_mut() {
            if first.is_empty() {
                self.line.pop_front();
                continue;
            }
            if self.grant(1, now) == 0 {
                return None;
            }
            return self.line.front_mut()?.next();
        }
        None
    }
}

impl Woken {
    fn is_empty(&self) -> bool {
        match self {
            Self::Fetches(parts) => parts.len() == 0,
            Self::Watches(ids) => ids.len() == 0,
        }
    }

    fn next(&mut self) -> Option<Waiter> {
        match self {
            Self::Fetches(parts) => parts.next().map(|(key, part)| Waiter::Fetch(key, part)),
            Self::Watches(ids) => ids.next().map(Waiter::Watch),
        }
    }
}

impl<P: BufPool> Shard<P> {
    /// Those in line look again, as far as this turn goes.
    pub(super) fn go_on_waking(&mut self, now: Now) {
        while let Some(waiter) = self.waking.next(now.mono) {
            match waiter {
                Waiter::Fetch(key, part) => self.wake_fetch(key, part as usize, now),
                Waiter::Watch(id) => self.wake_from_line(id, now),
            }
        }
    }

    /// Those in line look again, so many as a turn has: called once in each.
    pub(super) fn work_at_waking(&mut self, now: Now) {
        self.waking.begin_turn(now.mono);
        self.go_on_waking(now);
    }
}
