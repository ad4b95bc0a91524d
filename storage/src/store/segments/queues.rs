//! Who is written to a segment next: in bulk, or behind the journal, as far as there are jobs.

use crate::class::Behind;
use crate::format::record::entry_len;
use crate::io::BufPool;
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::Removal;
use crate::store::log::lines::Line;
use crate::store::log::placing::Way;

impl<P: BufPool> Store<P> {
    pub(crate) fn want_bulk(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if log.class.files
            && !log.placing.is_bulk()
            && !log.is_stopped()
            && log.lines.enter(Line::Bulk)
        {
            self.writing.bulk.push_back(key);
            // A commit may find this out after this turn's bulk writes were begun.
            self.turn.stir();
        }
    }

    pub(crate) fn start_bulks(&mut self) {
        for _ in 0..self.writing.bulk.len() {
            if self.writing.jobs() >= 2 * self.config.flush_jobs {
                return;
            }
            let key = self.writing.bulk.pop_front().expect("counted");
            let Some(log) = self.logs.get_mut(key) else {
                continue;
            };
            if !log.lines.leave(Line::Bulk)
                || log.placing.is_bulk()
                || log.is_stopped()
                || log.placing.bytes() == 0
            {
                continue;
            }
            let pending = log.placing.bytes();
            if self.start_bulk(key) {
                self.commits.lines.pending_inline -= pending;
            } else {
                // An earlier segment is to be finished first, or another job is under way.
                self.start_behind(key, true);
                if self.may_pass_job(key) {
                    self.add_ready(key);
                } else {
                    self.logs[key].placing.way = Way::AfterJob;
                }
            }
        }
    }

    /// Whether pending entries of a log that cannot be written in bulk now go through the journal
    /// instead of waiting: all are written twice then, so large ones do not, nor do any while more
    /// is journaled than is written behind.
    fn may_pass_job(&self, key: LogKey) -> bool {
        let log = &self.logs[key];
        let next = log.tail.entry(log.placing.next).bytes.len();
        let files = log.segmented.files.as_ref();
        let busy = files.is_some_and(|files| files.job.is_some());
        let heavy = next >= log.class.bulk_from || log.held.bytes() >= self.config.backlog_bytes;
        entry_len(next) <= self.journal.ring.record_limit() && !(busy && heavy)
    }

    /// A flush job of the log has ended: what waited for it goes on.
    pub(crate) fn after_job(&mut self, key: LogKey) {
        self.turn.stir();
        self.reclaim.renew_rescues();
        let log = &mut self.logs[key];
        if log.removal == Some(Removal::Wanted) {
            self.place_end(key);
            return;
        }
        if log.placing.way == Way::AfterJob {
            log.placing.way = Way::Inline;
            self.want_bulk(key);
        }
        let log = &mut self.logs[key];
        if log.segmented.flushed.0 < log.at.ordered.0 {
            self.memory.add_dirty(key, &mut self.logs);
        }
        self.reclaim.look_again();
        self.consider_behind(key);
    }

    /// Queues the log for writing behind once enough of it is unflushed.
    pub(crate) fn consider_behind(&mut self, key: LogKey) {
        let least = self.config.write_behind_bytes;
        let log = &mut self.logs[key];
        if !log.class.files
            || log.segmented.files.is_none()
            || log.segmented.flushed.0 >= log.at.written.0
        {
            return;
        }
        if log.placing.way == Way::AfterJob {
            // An entry that is too large for a commit waits for the segment before its own.
            self.want_behind(key, true);
            return;
        }
        if log.class.behind == Behind::Asked {
            return;
        }
        let (flushed, written) = (log.segmented.flushed.0, log.at.written.0);
        let files = log.segmented.files.as_ref().expect("just checked");
        let segment = files.segment_of(flushed).map(|at| &files.segments[at]);
        let to_finish = segment
            .and_then(|segment| segment.end)
            .is_some_and(|(end, _)| end < written);
        let position = |ordinal: u64| log.tail.entry(crate::types::Ordinal(ordinal)).pos;
        let enough = || position(written.0 - 1) - position(flushed.0) >= least as u64;
        if to_finish || enough() {
            self.want_behind(key, false);
        }
    }

    pub(crate) fn want_behind(&mut self, key: LogKey, close: bool) {
        self.queue_behind(key, close);
        self.turn.stir();
    }

    /// As [`Self::want_behind`], from within a turn that starts it, if it can start at all:
    /// asking for another turn would repeat this one for ever while a job is under way.
    pub(crate) fn queue_behind(&mut self, key: LogKey, close: bool) {
        self.writing.add_behind(key, &mut self.logs[key], close);
    }

    pub(crate) fn start_behinds(&mut self) {
        for _ in 0..self.writing.behind.len() {
            if self.writing.jobs() >= self.config.flush_jobs {
                return;
            }
            let key = self.writing.behind.pop_front().expect("counted");
            let Some(log) = self.logs.get_mut(key) else {
                continue;
            };
            if !log.lines.leave(Line::Behind) {
                continue;
            }
            let close = log.lines.leave(Line::Closing);
            self.start_behind(key, close);
        }
    }
}
