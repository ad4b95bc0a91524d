//! What a store does once per turn, after all input was taken: starts what is due, in the order
//! in which one thing frees what the next one needs.

use crate::format::record::entry_len;
use crate::io::{BufPool, IoResult, Op};
use crate::store::Store;
use crate::store::api::Event;
use crate::store::journal::ring::LogKey;
use crate::store::log::Removal;
use crate::store::ops::Purpose;
use crate::types::Mono;

impl<P: BufPool> Store<P> {
    pub(crate) fn turn(&mut self) {
        if self.fatal {
            return;
        }
        self.retry_refused();
        self.go_on_writing();
        self.start_bulks();
        self.reclaim();
        self.relieve_memory();
        self.tidy();
        self.start_behinds();
        self.issue_commits();
        self.issue_journal_sync();
        self.issue_prefill();
        self.issue_mark();
        self.poll_free_space();
        self.say_short();
        self.say_space();
        self.leave_owed();
        self.say_flushed();
    }

    pub(crate) fn queue_ready(&mut self, key: LogKey) {
        self.stirred = true;
        let since = self.now.mono;
        let log = &self.logs[key];
        if log.pending_bytes >= log.class.bulk_from {
            self.want_bulk(key);
        }
        let log = &mut self.logs[key];
        if !std::mem::replace(&mut log.queued_ready, true) {
            self.ready.push_back((key, since));
        }
    }

    /// The log has an extent record, or entries, to place.
    pub(crate) fn requeue_ready(&mut self, key: LogKey) {
        self.stirred = true;
        let log = &mut self.logs[key];
        if !std::mem::replace(&mut log.queued_ready, true) {
            self.ready.push_front((key, self.now.mono));
        }
    }

    pub(crate) fn queue_control(&mut self, key: LogKey) {
        self.stirred = true;
        let log = &mut self.logs[key];
        if !std::mem::replace(&mut log.queued_control, true) {
            self.control.push_back(key);
        }
    }

    pub(crate) fn want_bulk(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if log.class.files
            && !log.bulk
            && !log.stopped
            && !std::mem::replace(&mut log.queued_bulk, true)
        {
            self.bulk.push_back(key);
            // A commit may find this out after this turn's bulk writes were begun.
            self.stirred = true;
        }
    }

    fn start_bulks(&mut self) {
        for _ in 0..self.bulk.len() {
            if self.jobs >= 2 * self.config.flush_jobs {
                return;
            }
            let key = self.bulk.pop_front().expect("counted");
            let Some(log) = self.logs.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut log.queued_bulk)
                || log.bulk
                || log.stopped
                || log.pending_bytes == 0
            {
                continue;
            }
            let pending = log.pending_bytes;
            if self.start_bulk(key) {
                self.pending_inline -= pending;
            } else {
                // An earlier segment is to be finished first, or another job is under way.
                self.start_behind(key, true);
                if self.may_pass_job(key) {
                    self.queue_ready_only(key);
                } else {
                    self.logs[key].waits_for_job = true;
                }
            }
        }
    }

    /// Whether pending entries of a log that cannot be written in bulk now go through the journal
    /// instead of waiting: all are written twice then, so large ones do not, nor do any while more
    /// is journaled than is written behind.
    fn may_pass_job(&self, key: LogKey) -> bool {
        let log = &self.logs[key];
        let next = log.entry(log.placed).bytes.len();
        let files = log.files.as_ref();
        let busy = files.is_some_and(|files| files.job.is_some());
        let heavy = next >= log.class.bulk_from || log.run_bytes >= self.config.backlog_bytes;
        entry_len(next) <= self.inline_limit() && !(busy && heavy)
    }

    fn queue_ready_only(&mut self, key: LogKey) {
        let since = self.now.mono;
        let log = &mut self.logs[key];
        if !std::mem::replace(&mut log.queued_ready, true) {
            self.ready.push_back((key, since));
        }
    }

    /// A flush job of the log has ended: what waited for it goes on.
    pub(crate) fn after_job(&mut self, key: LogKey) {
        self.stirred = true;
        self.rescue_credit = 2 * self.ring.usable();
        let log = &mut self.logs[key];
        if log.removal == Some(Removal::Wanted) {
            self.place_end(key);
            return;
        }
        if std::mem::take(&mut log.waits_for_job) {
            self.want_bulk(key);
        }
        let log = &mut self.logs[key];
        if log.flushed.0 < log.next.0 && !std::mem::replace(&mut log.queued_dirty, true) {
            self.dirty.push_back((key, log.id));
        }
        self.reclaim_again = true;
        self.consider_behind(key);
    }

    /// Queues the log for writing behind once enough of it is unflushed.
    pub(crate) fn consider_behind(&mut self, key: LogKey) {
        let least = self.config.write_behind_bytes;
        let log = &mut self.logs[key];
        if !log.class.files || log.files.is_none() || log.flushed.0 >= log.written.0 {
            return;
        }
        if log.waits_for_job {
            // An entry that is too large for a commit waits for the segment before its own.
            self.want_behind(key, true);
            return;
        }
        let (flushed, written) = (log.flushed.0, log.written.0);
        let files = log.files.as_ref().expect("just checked");
        let segment = files.segment_of(flushed).map(|at| &files.segments[at]);
        let to_finish = segment
            .and_then(|segment| segment.end)
            .is_some_and(|(end, _)| end < written);
        let position = |ordinal: u64| log.entry(crate::types::Ordinal(ordinal)).pos;
        let enough = || position(written.0 - 1) - position(flushed.0) >= least as u64;
        if to_finish || enough() {
            self.want_behind(key, false);
        }
    }

    pub(crate) fn want_behind(&mut self, key: LogKey, close: bool) {
        self.queue_behind(key, close);
        self.stirred = true;
    }

    /// As [`Self::want_behind`], from within a turn that starts it, if it can start at all:
    /// asking for another turn would repeat this one for ever while a job is under way.
    pub(crate) fn queue_behind(&mut self, key: LogKey, close: bool) {
        let log = &mut self.logs[key];
        log.behind_closes |= close;
        if !std::mem::replace(&mut log.queued_behind, true) {
            self.behind.push_back(key);
        }
    }

    fn start_behinds(&mut self) {
        for _ in 0..self.behind.len() {
            if self.jobs >= self.config.flush_jobs {
                return;
            }
            let key = self.behind.pop_front().expect("counted");
            let Some(log) = self.logs.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut log.queued_behind) {
                continue;
            }
            let close = std::mem::take(&mut log.behind_closes);
            self.start_behind(key, close);
        }
    }

    // --- commit timing ---

    /// When entries have waited long enough for a commit beside those in flight.
    pub(crate) fn parallel_deadline(&self) -> Option<Mono> {
        let (_, since) = self.ready.front()?;
        let busy = self.ring.in_flight();
        (busy > 0 && busy < self.config.commits_in_flight).then(|| since.after(self.commit_ns / 2))
    }

    /// When the last commit is to be vouched for by an empty one.
    pub(crate) fn idle_deadline(&self) -> Option<Mono> {
        let quiet = self.ring.in_flight() == 0 && self.ready.is_empty() && !self.fatal;
        let owed = !self.last_commit_empty && self.stats.commits > 0 || !self.control.is_empty();
        (quiet && owed).then(|| self.last_commit_at.after(self.config.idle_commit_ns))
    }

    pub(crate) fn idle_due(&self) -> bool {
        self.idle_deadline()
            .is_some_and(|at| at <= self.now.mono || (self.stopping && self.is_tidy()))
    }

    /// Syncs journal files whose commits were written without, when something waits for it.
    fn issue_journal_sync(&mut self) {
        if self.sync_under_way {
            return;
        }
        let Some((seq, file)) = self.ring.first_unsynced() else {
            self.lazy_sync_at = None;
            return;
        };
        if seq >= self.sync_through && !self.stopping && !self.under_pressure() {
            if self.lazy_sync_at.is_none() {
                self.lazy_sync_at = Some(self.now.mono.after(self.config.lazy_sync_ns));
            }
            return;
        }
        self.ring.begin_sync(file);
        self.sync_under_way = true;
        let op = Op::Sync(self.journal_file(file));
        self.ops.push(Purpose::JournalSync { file }, op);
    }

    pub(crate) fn journal_synced(&mut self, file: u16, result: IoResult<P::Buf>) {
        self.sync_under_way = false;
        if let Err(error) = result {
            self.fail_store(format!("journal sync failed: {}", error.message));
            return;
        }
        self.ring.end_sync(file);
        self.after_progress();
    }

    /// Commits became durable: what waited for them happens.
    pub(crate) fn after_durable(&mut self) {
        let durable = self.ring.durable();
        while self.trims.front().is_some_and(|trim| trim.seq < durable) {
            let trim = self.trims.pop_front().expect("just seen");
            if self.logs.key(trim.log) == Some(trim.key) {
                self.trim_durable(trim.key, trim.start);
            }
        }
        while self.obsolete.front().is_some_and(|(seq, _)| *seq < durable) {
            let (_, file) = self.obsolete.pop_front().expect("just seen");
            self.ops.remove(file);
        }
        while self.ends.front().is_some_and(|(seq, _)| *seq < durable) {
            let (_, key) = self.ends.pop_front().expect("just seen");
            self.end_durable(key);
        }
    }

    // --- what is said ---

    fn say_space(&mut self) {
        // Room for more than the one that was refused, unless there will not be more.
        let room = self.refused_grant.max(self.max_commit as u64);
        let enough = self.may_grant(room)
            || self.ring.used() <= self.ring.usable() / 2
            || self.rescue_credit == 0;
        let wanted = self.space_wanted && !self.space.is_short();
        if wanted && self.may_grant(self.refused_grant) && enough {
            self.space_wanted = false;
            self.events.push_back(Event::SpaceAvailable);
        }
    }

    fn say_flushed(&mut self) {
        if self.stopping
            && !self.flushed_said
            && self.is_tidy()
            && self.ops.is_idle()
            && self.ready.is_empty()
            && self.control.is_empty()
            && !self.ring.has_unsynced()
            && (self.last_commit_empty || self.stats.commits == 0)
            && !self.mark_due()
            && !self.give_back_reserves()
            && !self.mark_end()
        {
            self.flushed_said = true;
            self.events.push_back(Event::Flushed);
        }
    }

    /// The journal cannot be trusted any more.
    pub(crate) fn fail_store(&mut self, reason: String) {
        if !std::mem::replace(&mut self.fatal, true) {
            self.events.push_back(Event::Fatal(reason));
        }
    }

    /// The log takes no more entries. What no commit holds was not acknowledged and is given up,
    /// so that it cannot come back after a client saw it fail.
    pub(crate) fn stop_log(&mut self, key: LogKey, reason: String) {
        let log = &mut self.logs[key];
        if std::mem::replace(&mut log.stopped, true) {
            return;
        }
        let log = log.id;
        self.drop_idle_job(key);
        self.give_up_pending(key);
        self.events.push_back(Event::Stopped { log, reason });
    }

    /// Forgets the entries that no commit holds.
    pub(crate) fn give_up_pending(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if !log.bulk {
            self.pending_inline -= log.pending_bytes;
        }
        log.bulk = false;
        log.pending_bytes = 0;
        log.queued_ready = false;
        log.queued_bulk = false;
        let (granted, placed) = (std::mem::take(&mut log.granted), log.placed);
        if log
            .pending_snapshot
            .as_ref()
            .is_some_and(|pending| pending.writing.is_none() && pending.ordinal > placed)
        {
            // It has applied what is given up.
            log.pending_snapshot = None;
        }
        let mut freed = 0;
        // A flush job that is still under way copies from them.
        let flushing = log.files.as_ref().is_some_and(|files| files.job.is_some());
        while !flushing
            && log
                .tail
                .back()
                .is_some_and(|entry| entry.meta.ordinal >= placed)
        {
            let entry = log.tail.pop_back().expect("just seen");
            let size = entry.bytes.len() + crate::store::log::ENTRY_OVERHEAD;
            log.tail_bytes -= size;
            freed += size;
        }
        self.granted -= granted;
        self.tail_bytes -= freed;
    }
}
