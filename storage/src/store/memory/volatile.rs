//! Logs of level `memory`: their entries are in memory and nowhere else, so their bounds say what
//! they forget.
//!
//! Each keeps a bounded number of bytes, and all of a core together keep half of what entries may
//! take. So however many there are, the other half is left to the logs that have segments, and none
//! of those is written to its segment because of them. Nothing is forgotten that fits.

use crate::io::BufPool;
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::lines::Line;
use crate::store::log::tail::TailEntry;
use crate::types::{Level, Ordinal};

use super::line::LogLine;

/// What they take, and who gives next.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    pub(super) bytes: usize,
    /// Those with entries, the one that gave longest ago first.
    pub(super) line: LogLine,
}

impl<P: BufPool> Store<P> {
    /// Keeps the bounds after `latest` got an entry, which stays. The oldest entries of a log go first,
    /// and the logs take turns.
    pub(crate) fn bound_volatile(&mut self, latest: LogKey) {
        if self.logs[latest].lines.enter(Line::Volatile) {
            self.memory.volatile.line.enter(latest, &self.logs);
        }
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
        while self.memory.volatile.bytes > most && looked > 0 {
            looked -= 1;
            let Some(key) = self.memory.volatile.line.leave_first(&self.logs) else {
                continue;
            };
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
                self.memory.volatile.line.enter(key, &self.logs);
            } else {
                self.logs[key].lines.leave(Line::Volatile);
            }
        }
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
