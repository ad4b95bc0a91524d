//! Logs with something to place: entries, or records that they owe the ring.

use std::collections::VecDeque;

use crate::store::journal::ring::LogKey;
use crate::store::log::lines::Line;
use crate::store::log::{LogState, Logs};
use crate::types::Mono;

/// The logs that have something to place.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Logs with entries to place, and since when. Who has left the line may still be named here.
    ready: VecDeque<(LogKey, Mono)>,
    /// Logs with checkpoints, snapshots or ends to place.
    control: VecDeque<LogKey>,
    /// Bytes of entries that wait for a commit.
    pub(crate) pending_inline: usize,
}

impl Lines {
    /// The log has entries to place.
    pub(crate) fn add_ready(&mut self, key: LogKey, log: &mut LogState, since: Mono) {
        if log.lines.enter(Line::Ready) {
            self.ready.push_back((key, since));
        }
    }

    /// As [`Self::add_ready`], before all others.
    pub(crate) fn add_ready_first(&mut self, key: LogKey, log: &mut LogState, since: Mono) {
        if log.lines.enter(Line::Ready) {
            self.ready.push_front((key, since));
        }
    }

    /// The next of those that still stand there.
    pub(crate) fn next_ready(&mut self, logs: &Logs) -> Option<(LogKey, Mono)> {
        next(&mut self.ready, |(key, _)| logs.stands(*key, Line::Ready))
    }

    /// It was the next, and still is.
    pub(crate) fn put_back_ready(&mut self, next: (LogKey, Mono)) {
        self.ready.push_front(next);
    }

    /// Since when the next one waits.
    pub(crate) fn waits_since(&self) -> Option<Mono> {
        self.ready.front().map(|(_, since)| *since)
    }

    /// How many wait, at most.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The log owes the ring a record.
    pub(crate) fn add_control(&mut self, key: LogKey, log: &mut LogState) {
        if log.lines.enter(Line::Control) {
            self.control.push_back(key);
        }
    }

    /// As [`Self::next_ready`].
    pub(crate) fn next_control(&mut self, logs: &Logs) -> Option<LogKey> {
        next(&mut self.control, |key| logs.stands(*key, Line::Control))
    }

    /// It was the next, and stands last now.
    pub(crate) fn put_back_control(&mut self, key: LogKey) {
        self.control.push_back(key);
    }

    /// How many logs owe the ring something, at most.
    pub(crate) fn control(&self) -> usize {
        self.control.len()
    }

    /// What is owed stays owed: all who stood in that line.
    pub(crate) fn take_control(&mut self) -> VecDeque<LogKey> {
        std::mem::take(&mut self.control)
    }
}

fn next<T>(line: &mut VecDeque<T>, stands: impl Fn(&T) -> bool) -> Option<T> {
    loop {
        let next = line.pop_front()?;
        if stands(&next) {
            return Some(next);
        }
    }
}
