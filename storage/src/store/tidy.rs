//! What a clean stop does so that the start after it reads little.
//!
//! A start reads the journals from the oldest commit that is needed to the newest, and writes once
//! more what they hold. So before the end the entries that only the journal has go to segments,
//! those of the logs with most first, their machines' states follow, and what is left then is moved
//! together behind all that is not needed any more. There is a time for it: what is not done by
//! then stays where it is, as after a crash, and nothing waits for it.

use std::collections::VecDeque;

use crate::format::record::CHECKPOINT_LEN;
use crate::io::{BLOCK, BufPool};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::log::lines::Line;
use crate::store::phase::Phase;
use crate::types::Mono;

/// How far the tidying before the end is.
#[derive(Debug)]
pub(crate) enum Tidying {
    /// These logs are to be written behind, until then.
    Flushing { left: VecDeque<LogKey>, until: Mono },
    /// What is left in the ring is being moved together, until then.
    Moving { until: Mono },
    /// It is over, or its time is.
    Over,
}

impl<P: BufPool> Store<P> {
    /// Begins it, with a walk over all logs, as only a stop makes.
    pub(crate) fn begin_tidying(&self) -> Tidying {
        let mut left: Vec<_> = self
            .logs
            .iter()
            .filter(|log| log.lives() && !log.is_stopped() && log.has_more_in_journal())
            .map(|log| (log.held.bytes(), log.id))
            .collect();
        left.sort_unstable_by(|one, other| other.cmp(one));
        let keys = left.into_iter().filter_map(|(_, id)| self.logs.key(id));
        match self.config.tidy_ns {
            0 => Tidying::Over,
            time => Tidying::Flushing {
                left: keys.collect(),
                until: self.turn.now.mono.after(time),
            },
        }
    }

    /// Whether the store stops, and need not wait for the tidying any more.
    pub(crate) fn is_tidy(&self) -> bool {
        self.phase.is_tidied() && self.writing.jobs() == 0
    }

    /// When it is to be over.
    pub(crate) fn tidy_deadline(&self) -> Option<Mono> {
        match self.phase {
            Phase::Stopping(Tidying::Flushing { until, .. } | Tidying::Moving { until }) => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Takes the next steps.
    pub(crate) fn tidy(&mut self) {
        let Some(until) = self.tidy_deadline() else {
            return;
        };
        if self.turn.now.mono >= until || self.space.is_full() {
            self.reclaim.forget_copies();
            self.phase = Phase::Stopping(Tidying::Over);
            return;
        }
        if self.commits.lines.ready() > 0 {
            // Entries that are not placed come first.
            return;
        }
        let next = match std::mem::replace(&mut self.phase, Phase::Stopping(Tidying::Over)) {
            Phase::Stopping(Tidying::Flushing { left, until }) => {
                let left = self.flush_left(left);
                let owes = self.commits.lines.control() > 0;
                let busy = self.writing.jobs() > 0 || owes || !self.ops.is_idle();
                match left.is_empty() && !busy {
                    true => {
                        self.move_together();
                        Tidying::Moving { until }
                    }
                    false => Tidying::Flushing { left, until },
                }
            }
            Phase::Stopping(Tidying::Moving { until })
                if self.reclaim.is_copying() || self.commits.lines.control() > 0 =>
            {
                Tidying::Moving { until }
            }
            _ => Tidying::Over,
        };
        if matches!(next, Tidying::Over) {
            self.turn.stir();
        }
        self.phase = Phase::Stopping(next);
    }

    /// What logs owe the ring, and no commit has room for when nothing is under way that could
    /// make some, stays owed, as after a crash. (Logs that have stopped may hold a small ring.)
    pub(crate) fn leave_owed(&mut self) {
        let rests = self.is_tidy() && self.ops.is_idle() && self.commits.lines.ready() == 0;
        if !rests || self.commits.lines.control() == 0 {
            return;
        }
        for key in self.commits.lines.take_control() {
            if let Some(log) = self.logs.get_mut(key) {
                log.lines.leave(Line::Control);
            }
        }
        self.turn.stir();
    }

    /// Begins to write behind as many logs as may be; those that have more to do.
    fn flush_left(&mut self, mut left: VecDeque<LogKey>) -> VecDeque<LogKey> {
        for _ in 0..left.len() {
            if self.writing.jobs() >= self.config.flush_jobs {
                break;
            }
            let key = left.pop_front().expect("counted");
            let Some(log) = self.logs.get(key).filter(|log| log.lives()) else {
                continue;
            };
            let at_work = log.job().is_some();
            let due = log.can_flush() && log.held.bytes() >= BLOCK as u64;
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
        if 2 * cost > self.journal.ring.used() || cost > self.journal.ring.spare() {
            return;
        }
        let upto = self.journal.ring.next_seq();
        let ids: Vec<_> = self.logs.iter().filter(lives).map(|log| log.id).collect();
        for id in ids {
            let key = self.logs.key(id).expect("just seen");
            self.renew_control(key, upto);
            if !self.logs[key].held.is_empty() {
                self.reclaim.copy(key, &mut self.logs[key], upto);
            }
        }
    }
}

impl LogState {
    /// Whether the ring has anything of it beside what it must always have there.
    fn has_more_in_journal(&self) -> bool {
        !self.held.runs().is_empty() || self.placing.next < self.at.ordered.0
    }

    /// Whether entries are in the ring only because its machine would replay them.
    fn is_behind_its_machine(&self) -> bool {
        let floor = match self.class.files {
            true => self.segmented.flushed.0.max(self.at.start.0),
            false => self.at.ordered.0,
        };
        self.held
            .runs()
            .front()
            .is_some_and(|run| run.first < floor)
    }

    /// Bytes of its records that are needed.
    fn live_bytes(&self) -> u64 {
        self.held.bytes() + (CHECKPOINT_LEN + self.snapshots.record_len()) as u64
    }
}
