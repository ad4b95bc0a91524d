//! What a store does once per turn, after all input was taken: it starts what is due, in such an
//! order that each step frees what the next one needs.

use crate::io::BufPool;
use crate::store::Store;
use crate::store::api::Event;
use crate::store::journal::ring::LogKey;
use crate::store::log::Health;
use crate::store::log::lines::Line;
use crate::store::phase::Phase;
use crate::store::tidy::Tidying;
use crate::types::{Mono, Now};

/// The call that is being handled.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Its time.
    pub(crate) now: Now,
    /// Something happened since the last turn.
    pub(crate) stirred: bool,
}

impl Turn {
    /// Something happened that a turn has to look at.
    pub(crate) fn stir(&mut self) {
        self.stirred = true;
    }
}

impl<P: BufPool> Store<P> {
    pub(crate) fn turn(&mut self) {
        if self.phase.is_failed() {
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
        self.turn.stir();
        let log = &self.logs[key];
        if log.placing.bytes() >= log.class.bulk_from {
            self.want_bulk(key);
        }
        self.add_ready(key);
    }

    pub(crate) fn add_ready(&mut self, key: LogKey) {
        let since = self.turn.now.mono;
        let lines = &mut self.commits.lines;
        lines.add_ready(key, &mut self.logs[key], since);
    }

    /// The log has an extent record, or entries, to place.
    pub(crate) fn requeue_ready(&mut self, key: LogKey) {
        self.turn.stir();
        let since = self.turn.now.mono;
        let lines = &mut self.commits.lines;
        lines.add_ready_first(key, &mut self.logs[key], since);
    }

    pub(crate) fn queue_control(&mut self, key: LogKey) {
        self.turn.stir();
        let lines = &mut self.commits.lines;
        lines.add_control(key, &mut self.logs[key]);
    }

    /// When entries have waited long enough for a commit beside those in flight.
    pub(crate) fn parallel_deadline(&self) -> Option<Mono> {
        let since = self.commits.lines.waits_since()?;
        let busy = self.journal.ring.in_flight();
        (busy > 0 && busy < self.config.commits_in_flight)
            .then(|| self.commits.pace.parallel_at(since))
    }

    /// When the last commit is to be vouched for by an empty one.
    pub(crate) fn idle_deadline(&self) -> Option<Mono> {
        let quiet = self.journal.ring.in_flight() == 0
            && self.commits.lines.ready() == 0
            && !self.phase.is_failed();
        let owed = self.commits.pace.wants_voucher() || self.commits.lines.control() > 0;
        (quiet && owed).then(|| {
            self.commits
                .pace
                .last_at()
                .after(self.config.idle_commit_ns)
        })
    }

    pub(crate) fn idle_due(&self) -> bool {
        self.idle_deadline().is_some_and(|at| {
            at <= self.turn.now.mono || (self.phase.is_stopping() && self.is_tidy())
        })
    }

    /// Commits became durable: what waited for them happens.
    pub(crate) fn after_durable(&mut self) {
        let durable = self.journal.ring.durable();
        while let Some(trim) = self.commits.effects.durable_trim(durable) {
            if self.logs.key(trim.log) == Some(trim.key) {
                self.trim_durable(trim.key, trim.start);
            }
        }
        while let Some(file) = self.commits.effects.durable_obsolete(durable) {
            self.ops.remove(file);
        }
        while let Some(key) = self.commits.effects.durable_end(durable) {
            self.end_durable(key);
        }
    }

    fn say_space(&mut self) {
        // Room for more than the one that was refused, unless there will not be more.
        let refused = self.reclaim.refused_grant();
        let room = refused.max(self.journal.ring.max_commit() as u64);
        let enough = self.journal.ring.may_grant(room)
            || self.journal.ring.used() <= self.journal.ring.usable() / 2
            || !self.reclaim.may_rescue();
        let wanted = self.reclaim.is_awaited() && !self.space.is_short();
        if wanted && self.journal.ring.may_grant(refused) && enough {
            self.reclaim.said();
            self.events.push_back(Event::SpaceAvailable);
        }
    }

    fn say_flushed(&mut self) {
        if matches!(self.phase, Phase::Stopping(Tidying::Over))
            && self.writing.jobs() == 0
            && self.ops.is_idle()
            && self.commits.lines.ready() == 0
            && self.commits.lines.control() == 0
            && !self.journal.ring.has_unsynced()
            && !self.commits.pace.wants_voucher()
            && !self.mark_due()
            && !self.give_back_reserves()
            && !self.mark_end()
        {
            self.phase = Phase::Flushed;
            self.events.push_back(Event::Flushed);
        }
    }

    /// The journal cannot be trusted any more.
    pub(crate) fn fail(&mut self, reason: String) {
        if self.phase.fail() {
            self.events.push_back(Event::Fatal(reason));
        }
    }

    /// The log takes no more entries. What no commit holds was not acknowledged and is given up,
    /// so that it cannot come back after a client saw it fail.
    pub(crate) fn stop_log(&mut self, key: LogKey, reason: String) {
        let log = &mut self.logs[key];
        if log.is_stopped() {
            return;
        }
        log.health = Health::Stopped;
        let log = log.id;
        self.drop_idle_job(key);
        self.give_up_pending(key);
        self.events.push_back(Event::Stopped { log, reason });
    }

    /// Forgets the entries that no commit holds.
    pub(crate) fn give_up_pending(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        self.commits.lines.pending_inline -= log.placing.inline_bytes();
        self.journal.ring.ungrant(log.placing.give_up());
        log.lines.leave(Line::Ready);
        log.lines.leave(Line::Bulk);
        let placed = log.placing.next;
        let pending = log.snapshots.pending.as_ref();
        if pending.is_some_and(|pending| pending.is_complete() && pending.ordinal > placed) {
            // It has applied what is given up.
            log.snapshots.pending = None;
        }
        // A flush job that is still under way copies from them.
        if log.job().is_none() {
            let freed = log.tail.drop_from(placed);
            self.memory.gave(log.settings.level, freed);
        }
    }
}
