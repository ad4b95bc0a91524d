//! How much is copied to segments in a turn.
//!
//! For a write to a segment, its bytes are copied into a buffer for the device: up to a megabyte,
//! and into fresh memory where many writes are in flight. A hundred logs may want that in the same
//! turn, so there is a bound on all of them; jobs beyond it stand in line and go on in the next
//! turn. This part does not know what a job means and orders nothing: no write of another log waits
//! for these.

use std::collections::VecDeque;

use crate::io::BufPool;
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::types::{LogId, Mono};

/// What a turn may still copy, and who waits for the next one.
#[derive(Debug, Default)]
pub(crate) struct Copying {
    /// Names the turn that `left` is for: the time.
    turn: Option<Mono>,
    left: usize,
    /// Jobs that have something to write, by their logs, each once.
    line: VecDeque<(LogKey, LogId)>,
}

impl<P: BufPool> Store<P> {
    /// Whether a write may still be put together in this turn.
    pub(crate) fn may_copy(&mut self) -> bool {
        if self.writing.copying.turn != Some(self.turn.now.mono) {
            self.renew_copying();
        }
        self.writing.copying.left > 0
    }

    /// So many bytes of one were. It may pass the bound: it is not divided.
    pub(crate) fn copied(&mut self, bytes: usize) {
        self.writing.copying.left = self.writing.copying.left.saturating_sub(bytes);
    }

    /// A new turn begins, though no time may have passed.
    pub(crate) fn renew_copying(&mut self) {
        self.writing.copying.turn = Some(self.turn.now.mono);
        self.writing.copying.left = self.config.turn_copy_bytes;
    }

    /// The log's job goes on in a later turn.
    pub(crate) fn write_later(&mut self, key: LogKey) {
        let place = (key, self.logs[key].id);
        // No longer than there are jobs, which are few.
        if !self.writing.copying.line.contains(&place) {
            self.writing.copying.line.push_back(place);
        }
    }

    /// Lets those in line go on, as far as the turn has something left. Who has nothing to write any
    /// more just leaves it.
    pub(crate) fn go_on_writing(&mut self) {
        for _ in 0..self.writing.copying.line.len() {
            if !self.may_copy() {
                return;
            }
            let (key, id) = self.writing.copying.line.pop_front().expect("counted");
            if self.logs.key(id) == Some(key) {
                self.go_on_with_job(key);
            }
        }
    }

    /// Whether something takes more than one turn and goes on in [`Store::handle_timeout`].
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.writing.copying.line.is_empty() && !self.phase.is_failed()
    }
}
