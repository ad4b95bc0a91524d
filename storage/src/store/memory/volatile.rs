//! Logs of level `memory`: their entries are in memory and nowhere else, so their bounds say what
//! they forget.
//!
//! Each keeps a bounded number of bytes, and all of a core together keep half of what entries may
//! take. So however many there are, the other half is left to the logs that have segments, and none
//! of those is written to its segment because of them. Nothing is forgotten that fits.

use std::collections::VecDeque;

use crate::io::BufPool;
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::lines::Line;
use crate::store::log::tail::TailEntry;
use crate::types::{Level, LogId, Ordinal};

/// What they take, and who gives next.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    pub(super) bytes: usize,
    /// Those with entries, the one that gave longest ago first; some may be gone.
    pub(super) line: VecDeque<(LogKey, LogId)>,
}

impl<P: BufPool> Store<P> {
    /// Keeps the bounds after `latest` got an entry, which stays. The oldest entries of a log go first,
    /// and the logs take turns.
    pub(crate) fn bound_volatile(&mut self, latest: LogKey) {
        self.enter_volatile(latest);
        let log = &self.logs[latest];
        let newest = Ordinal(log.at.ordered.0.0 - 1);
        let over = log
            .tail
            .bytes()
            .saturating_sub(self.config.memory_log_bytes);
        self.forget(latest, over, newest);
        let most = match mutated(self.config.mutation, Mutation::UnboundedTogether) {
            true => usize::MAX,
            false => self.config.tail_cache_bytes / 2,
        };
        let mut looked = self.memory.volatile.line.len();
        while self.memory.volatile.bytes > most
            && looked > 0
            && let Some((key, id)) = self.memory.volatile.line.pop_front()
        {
            looked -= 1;
            if self.logs.key(id) != Some(key) {
                continue;
            }
            let over = match mutated(self.config.mutation, Mutation::ForgetsTooMuch) {
                true => usize::MAX,
                false => self.memory.volatile.bytes - most,
            };
            let stays = match key == latest {
                true => newest,
                false => self.logs[key].at.ordered.0,
            };
            self.forget(key, over, stays);
            if self.logs[key].tail.first().is_some() {
                self.memory.volatile.line.push_back((key, id));
            } else {
                self.logs[key].lines.leave(Line::Volatile);
            }
        }
    }

    /// The log has entries. For each that comes two of the line are looked at, so that those that are
    /// gone are never more than those that live.
    fn enter_volatile(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if !log.lines.enter(Line::Volatile) {
            return;
        }
        let entry = (key, log.id);
        let line = &mut self.memory.volatile.line;
        for _ in 0..2 {
            if let Some((key, id)) = line.pop_front()
                && self.logs.key(id) == Some(key)
            {
                line.push_back((key, id));
            }
        }
        line.push_back(entry);
    }

    /// The log's first entries go, until that has freed so many bytes or those from `stays` on are left.
    fn forget(&mut self, key: LogKey, bytes: usize, stays: Ordinal) {
        let log = &mut self.logs[key];
        let goes = |entry: &TailEntry, freed| freed < bytes && entry.meta.ordinal < stays;
        let freed = log.tail.drop_while(goes);
        if freed == 0 {
            return;
        }
        let first = log.tail.first().map(|entry| entry.meta.place());
        log.at.start = log.at.start.max(first.unwrap_or(log.at.ordered));
        log.segmented.flushed = log.at.start;
        self.memory.gave(Level::Memory, freed);
    }
}
