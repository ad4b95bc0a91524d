//! Entries in memory: how many bytes they take, which of them could go, and what lets more of them
//! go.
//!
//! It takes no entry out that is not in a segment, and none that a replay may need. Logs of level
//! `memory` have no segments: [`volatile`] says which of their entries go.

mod line;
mod volatile;

use crate::io::BufPool;
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::Logs;
use crate::store::log::lines::Line;
use crate::types::Level;
use line::LogLine;
use volatile::Volatile;

/// Logs that one turn looks at, at most.
const MOST_LOOKED_AT: usize = 4096;

/// What all logs have in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: usize,
    /// Logs with entries that may be evicted, oldest first.
    evictable: LogLine,
    /// Logs with unflushed entries, oldest first: what memory pressure writes behind.
    dirty: LogLine,
    volatile: Volatile,
}

impl Memory {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries of a log of that level take so much more.
    pub(crate) fn took(&mut self, level: Level, bytes: usize) {
        self.bytes += bytes;
        if level == Level::Memory {
            self.volatile.bytes += bytes;
        }
    }

    /// Entries of a log of that level left, which took so much.
    pub(crate) fn gave(&mut self, level: Level, bytes: usize) {
        self.bytes -= bytes;
        if level == Level::Memory {
            self.volatile.bytes -= bytes;
        }
    }

    /// How many stand in the longest of its lines, those that are gone with them.
    #[cfg(test)]
    pub(crate) fn longest_line(&self) -> usize {
        let lines = [&self.evictable, &self.dirty, &self.volatile.line];
        lines.map(LogLine::len).into_iter().max().expect("three")
    }

    /// Segments hold more of the log.
    pub(crate) fn add_evictable(&mut self, key: LogKey, logs: &Logs) {
        self.evictable.enter(key, logs);
    }

    /// The log has entries that no segment holds.
    pub(crate) fn add_dirty(&mut self, key: LogKey, logs: &mut Logs) {
        if logs[key].lines.enter(Line::Dirty) {
            self.dirty.enter(key, logs);
        }
    }
}

impl<P: BufPool> Store<P> {
    /// Evicts what segments hold, oldest first; if that is not enough, has more written behind.
    pub(crate) fn relieve_memory(&mut self) {
        let budget = self.config.tail_cache_bytes;
        let mut looked = self.memory.evictable.len();
        while self.memory.bytes() > budget && looked > 0 {
            looked -= 1;
            let Some(key) = self.memory.evictable.leave_first(&self.logs) else {
                continue;
            };
            let more = self.evict(key, budget);
            if more {
                self.memory.add_evictable(key, &self.logs);
            }
        }
        let little = self.config.copy_forward_bytes;
        let dire = self.memory.bytes() > 2 * budget;
        let mut looked = self.memory.dirty.len().min(MOST_LOOKED_AT);
        while self.memory.bytes() > budget
            && looked > 0
            && self.writing.waiting() < self.config.flush_jobs
        {
            looked -= 1;
            let Some(key) = self.memory.dirty.leave_first(&self.logs) else {
                continue;
            };
            let log = &mut self.logs[key];
            if log.removal.is_some() {
                // Its entries are gone, or go with its files.
                log.lines.leave(Line::Dirty);
                continue;
            }
            if log.tail.bytes() < little && !dire {
                // Closing a segment for so little costs more than the memory is worth.
                self.memory.dirty.enter(key, &self.logs);
                continue;
            }
            log.lines.leave(Line::Dirty);
            let close = !log.can_flush() || !log.gains_by_blocks();
            self.queue_behind(key, close);
        }
    }

    /// Takes durable entries out of memory that a segment holds and no replay needs; whether there
    /// are more that could go.
    fn evict(&mut self, key: LogKey, budget: usize) -> bool {
        let log = &mut self.logs[key];
        let replay = log.replay_floor().0;
        // What is not durable is not read from segments; see `visible`.
        let bound = log.segmented.flushed.0.min(log.at.durable.0).0.min(replay);
        let over = self.memory.bytes().saturating_sub(budget);
        let freed = log
            .tail
            .drop_while(|entry, freed| freed < over && entry.meta.ordinal.0 < bound);
        self.memory.gave(log.settings.level, freed);
        let first = log.tail_first();
        if first.0 >= replay && first < log.segmented.flushed.0 {
            self.ask_snapshot(key);
        }
        first < self.logs[key].segmented.flushed.0
    }
}
