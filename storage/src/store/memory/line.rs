//! A line of logs, the one that has stood longest first. Logs may be deleted while they stand there.

use std::collections::VecDeque;

use crate::store::journal::ring::LogKey;
use crate::store::log::Logs;
use crate::types::LogId;

/// The logs of a line. For each that enters, two that stand there are looked at, so that those that are gone
/// are never many more than those that live.
#[derive(Debug, Default)]
pub(super) struct LogLine {
    /// Those that were looked at in this round; they stand before the others.
    seen: VecDeque<(LogKey, LogId)>,
    /// Those that were not.
    unseen: VecDeque<(LogKey, LogId)>,
}

impl LogLine {
    /// How many stand there, those that are gone with them.
    pub(super) fn len(&self) -> usize {
        self.seen.len() + self.unseen.len()
    }

    /// The log stands there from now on, behind all others.
    pub(super) fn enter(&mut self, key: LogKey, logs: &Logs) {
        self.unseen.push_back((key, logs[key].id));
        for _ in 0..2 {
            if let Some((key, id)) = self.unseen.pop_front()
                && logs.key(id) == Some(key)
            {
                self.seen.push_back((key, id));
            }
        }
        if self.unseen.is_empty() {
            std::mem::swap(&mut self.seen, &mut self.unseen);
        }
    }

    /// Takes the first out: its key, if it still lives.
    pub(super) fn leave_first(&mut self, logs: &Logs) -> Option<LogKey> {
        let (key, id) = self.seen.pop_front().or_else(|| self.unseen.pop_front())?;
        (logs.key(id) == Some(key)).then_some(key)
    }
}
