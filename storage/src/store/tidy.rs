//! What a clean stop does so that the start after it reads little.
//!
//! A start reads the journals from the oldest commit that is needed to the newest, and writes once
//! more what they hold. So before the end the entries that only the journal has go to segments,
//! those of the logs with most first, their machines' states follow, and what is left then is moved
//! together behind all that is not needed any more. There is a time for it: what is not done by
//! then stays where it is, as after a crash, and nothing waits for it.

use std::collections::VecDeque;

use crate::format::record::{CHECKPOINT_LEN, SNAPSHOT_RECORD_HEADER};
use crate::io::{BLOCK, BufPool};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::types::Mono;

/// How far the tidying before the end is.
#[derive(Debug, Default)]
pub(crate) enum Tidying {
    /// The store goes on.
    #[default]
    Not,
    /// These logs are to be written behind, until then.
    Flushing { left: VecDeque<LogKey>, until: Mono },
    /// What is left in the ring is being moved together, until then.
    Moving { until: Mono },
    /// It is over, or its time is.
    Over,
}

impl<P: BufPool> Store<P> {
    /// Begins it. The one walk over all logs.
    pub(crate) fn begin_tidying(&mut self) {
        let mut left: Vec<_> = self
            .logs
            .iter()
            .filter(|log| log.lives() && !log.stopped && log.has_more_in_journal())
            .map(|log| (log.run_bytes, log.id))
            .collect();
        left.sort_unstable_by(|one, other| other.cmp(one));
        let keys = left.into_iter().filter_map(|(_, id)| self.logs.key(id));
        self.tidying = match self.config.tidy_ns {
            0 => Tidying::Over,
            time => Tidying::Flushing {
                left: keys.collect(),
                until: self.now.mono.after(time),
            },
        };
    }

    /// Whether the stop need not wait for it any more.
    pub(crate) fn is_tidy(&self) -> bool {
        matches!(self.tidying, Tidying::Over) && self.jobs == 0
    }

    /// When it is to be over.
    pub(crate) fn tidy_deadline(&self) -> Option<Mono> {
        match self.tidying {
            Tidying::Flushing { until, .. } | Tidying::Moving { until } => Some(until),
            Tidying::Not | Tidying::Over => None,
        }
    }

    /// Takes the next steps.
    pub(crate) fn tidy(&mut self) {
        let Some(until) = self.tidy_deadline() else {
            return;
        };
        if self.now.mono >= until || self.space.is_full() {
            self.copies.clear();
            self.tidying = Tidying::Over;
            return;
        }
        if !self.ready.is_empty() {
            // Entries that are not placed come first.
            return;
        }
        match std::mem::take(&mut self.tidying) {
            Tidying::Flushing { left, until } => {
                let left = self.flush_left(left);
                let busy = self.jobs > 0 || !self.control.is_empty() || !self.ops.is_idle();
                self.tidying = match left.is_empty() && !busy {
                    true => {
                        self.move_together();
                        Tidying::Moving { until }
                    }
                    false => Tidying::Flushing { left, until },
                };
            }
            Tidying::Moving { until } => {
                let moved = self.copies.is_empty() && self.control.is_empty();
                self.tidying = match moved {
                    true => Tidying::Over,
                    false => Tidying::Moving { until },
                };
            }
            other => self.tidying = other,
        }
        self.stirred |= matches!(self.tidying, Tidying::Over);
    }

    /// What logs owe the ring, and no commit has room for when nothing is under way that could
    /// make some, stays owed, as after a crash. (Logs that have stopped may hold a small ring.)
    pub(crate) fn leave_owed(&mut self) {
        let rests = self.stopping && self.is_tidy() && self.ops.is_idle() && self.ready.is_empty();
        if !rests || self.control.is_empty() {
            return;
        }
        for key in self.control.drain(..) {
            if let Some(log) = self.logs.get_mut(key) {
                log.queued_control = false;
            }
        }
        self.stirred = true;
    }

    /// Begins to write behind as many logs as may be; those that have more to do.
    fn flush_left(&mut self, mut left: VecDeque<LogKey>) -> VecDeque<LogKey> {
        for _ in 0..left.len() {
            if self.jobs >= self.config.flush_jobs {
                break;
            }
            let key = left.pop_front().expect("counted");
            let Some(log) = self.logs.get(key).filter(|log| log.lives()) else {
                continue;
            };
            let at_work = log.files.as_ref().is_some_and(|files| files.job.is_some());
            let due = log.can_flush() && log.run_bytes >= BLOCK as u64;
            if at_work || (due && self.start_behind(key, true)) {
                left.push_back(key);
            } else if self.logs[key].is_behind_its_machine() {
                self.ask_snapshot(key);
            }
        }
        left
    }

    /// Copies all that is live to the end of the ring, if that is little beside what it frees.
    fn move_together(&mut self) {
        let lives = |log: &&LogState| log.lives() && !log.is_unborn();
        let cost: u64 = self
            .logs
            .iter()
            .filter(lives)
            .map(LogState::live_bytes)
            .sum();
        let cost = cost + cost / 8 + 2 * BLOCK as u64;
        if 2 * cost > self.ring.used() || cost > self.spare() {
            return;
        }
        let upto = self.ring.next_seq();
        let ids: Vec<_> = self.logs.iter().filter(lives).map(|log| log.id).collect();
        for id in ids {
            let key = self.logs.key(id).expect("just seen");
            self.renew_control(key, upto);
            if !self.logs[key].runs.is_empty() {
                self.copy(key, upto);
            }
        }
    }
}

impl LogState {
    /// Whether the ring has anything of it beside what it must always have there.
    fn has_more_in_journal(&self) -> bool {
        !self.runs.is_empty() || self.placed < self.next.0
    }

    /// Whether entries are in the ring only because its machine would replay them.
    fn is_behind_its_machine(&self) -> bool {
        let floor = match self.class.files {
            true => self.flushed.0.max(self.start.0),
            false => self.next.0,
        };
        self.runs.front().is_some_and(|run| run.first < floor)
    }

    /// Bytes of its records that are needed.
    fn live_bytes(&self) -> u64 {
        let snapshot = self.snapshot.as_ref().map_or(0, |snapshot| {
            SNAPSHOT_RECORD_HEADER + crate::store::commit::plan::inline_len(&snapshot.body)
        });
        self.run_bytes + (CHECKPOINT_LEN + snapshot) as u64
    }
}
