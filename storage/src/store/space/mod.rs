//! Space on the file system: what the system itself refuses, beside the `floor` that was set.
//!
//! A refusal for want of space is no failed sync. What was refused had been promised to nobody,
//! and nothing that was promised is in doubt: so the same file is made again, or the same bytes
//! are written to the same place again, and what waited for it goes on. Meanwhile appends of topic
//! logs are refused; reads, deletions and retention go on, for they need the journal alone.
//!
//! It tries again when files were removed and at an interval, a few steps first and the others
//! once those succeed, never in a loop. It never repeats a sync, whatever it failed for, nor a
//! commit over blocks that were written before: the journal's files are reserved whole and filled
//! ahead, so that a commit is refused only where a file system keeps no reservation.

pub(crate) mod floor;

use std::collections::{BTreeMap, VecDeque};

use crate::io::{BLOCK, BufPool, FileName, IoError, IoErrorKind, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::api::{DiskSpace, Event};
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::log::snapshots::Writing;
use crate::store::ops::Purpose;
use crate::store::segments::job::{Job, Kind};
use crate::store::snapshot::Step;
use crate::store::space::floor::Floor;
use crate::types::{CommitSeq, LogId, Mono};

/// Refused steps that are tried to find out whether there is space again.
const PROBES: usize = 4;

/// Something that was refused and is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Steps of a log's flush job.
    Job(LogKey, LogId),
    /// A step of writing a log's snapshot file.
    Snapshot(LogKey, LogId),
    /// A fill of a journal file.
    Fill,
    /// A commit that makes its file longer.
    Commit(CommitSeq),
}

/// A commit that makes its file longer: kept until it is written, for it may be refused.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) file: FileName,
    pub(crate) pos: u64,
    pub(crate) bytes: Vec<u8>,
    /// It waits for space.
    pub(crate) refused: bool,
}

/// What is known of the file system's space.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// How much is free above the floor.
    pub(crate) floor: Floor,
    /// Something was refused, and not everything that was is done: what was refused first, for
    /// people.
    full: Option<String>,
    /// What waits to be tried again, in order.
    waiting: VecDeque<Refused>,
    /// Something was refused since the last round of trying.
    refused: bool,
    /// When the next round is.
    retry_at: Option<Mono>,
    /// What the last event said.
    said: DiskSpace,
    /// At most as many as there are commits in flight.
    pub(crate) growing: BTreeMap<CommitSeq, Growing>,
}

impl Space {
    /// Whether appends are refused for want of space on the file system.
    pub(crate) fn is_short(&self) -> bool {
        self.state().is_short()
    }

    /// What is known.
    pub(crate) fn state(&self) -> DiskSpace {
        match (&self.full, self.floor.reason()) {
            (Some(_), _) => DiskSpace::Full,
            (None, Some(_)) => DiskSpace::AtFloor,
            (None, None) => DiskSpace::HasRoom,
        }
    }

    /// Why appends are refused, if they are.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.full.as_deref().or(self.floor.reason())
    }

    /// Whether the file system itself has refused something that is not done yet.
    pub(crate) fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Whether a commit waits for space: later ones are not to leave it behind.
    pub(crate) fn holds_commits(&self) -> bool {
        self.growing.values().any(|commit| commit.refused)
    }
}

/// Whether it is a refusal for want of space, which leaves nothing in doubt unless it was a sync.
pub(crate) fn is_refusal(error: &IoError) -> bool {
    error.kind == IoErrorKind::NoSpace
}

impl<P: BufPool> Store<P> {
    /// When free space is asked for, or refused steps are tried, though nothing else happens.
    pub(crate) fn space_deadline(&self) -> Option<Mono> {
        let retry = self.space.retry_at;
        let retry = retry.filter(|_| !self.phase.is_stopping() && !self.phase.is_failed());
        self.floor_deadline().into_iter().chain(retry).min()
    }

    // --- refusals ---

    /// The file system has no space for this: it is tried again later.
    pub(crate) fn refuse(&mut self, what: Refused, reason: String) {
        self.stats.space_refusals += 1;
        let space = &mut self.space;
        space.waiting.push_back(what);
        space.refused = true;
        space.full.get_or_insert(reason);
        if space.retry_at.is_none_or(|at| at <= self.turn.now.mono) {
            space.retry_at = Some(self.turn.now.mono.after(self.config.free_space_check_ns));
        }
        self.turn.stir();
    }

    /// Files were removed: what was refused is tried at once.
    pub(crate) fn space_freed(&mut self) {
        if self.space.is_full() {
            self.space.retry_at = Some(self.turn.now.mono);
            self.turn.stir();
        }
    }

    /// An operation that was tried again has ended; if all have and none was refused, the next
    /// ones need not wait.
    pub(crate) fn tried_again(&mut self) {
        if self.ops.tried_again() == 0 && !self.space.refused {
            self.space_freed();
        }
    }

    /// Tries again what was refused, when it is time.
    pub(crate) fn retry_refused(&mut self) {
        let due = self
            .space
            .retry_at
            .is_some_and(|at| at <= self.turn.now.mono);
        if !due || self.phase.is_stopping() || mutated(self.config.mutation, Mutation::FullForEver)
        {
            return;
        }
        let next = self.turn.now.mono.after(self.config.free_space_check_ns);
        self.space.retry_at = Some(next);
        if self.ops.tried_again() > 0 {
            return;
        }
        let well = !std::mem::take(&mut self.space.refused);
        let waiting = self.space.waiting.len();
        if well && waiting == 0 {
            self.space.full = None;
            self.space.retry_at = None;
            self.reclaim.look_again();
            self.turn.stir();
            return;
        }
        let tried = if well { waiting } else { waiting.min(PROBES) };
        for refused in self.space.waiting.drain(..tried).collect::<Vec<_>>() {
            match refused {
                Refused::Job(key, id) => {
                    if self.logs.key(id) == Some(key) {
                        self.retry_job(key);
                    }
                }
                Refused::Snapshot(key, id) => {
                    if self.logs.key(id) == Some(key) {
                        self.retry_snapshot(key);
                    }
                }
                Refused::Fill => self.retry_fill(),
                Refused::Commit(seq) => self.retry_commit(seq),
            }
        }
        if self.ops.tried_again() == 0 {
            // Nobody needs what was refused any more.
            self.tried_again();
        }
    }

    /// No time is left to wait for space: what is refused from now on, or was, is given up.
    pub(crate) fn stop_waiting_for_space(&mut self) {
        for refused in std::mem::take(&mut self.space.waiting) {
            match refused {
                Refused::Job(key, id) if self.logs.key(id) == Some(key) => self.give_up_job(key),
                Refused::Snapshot(key, id) if self.logs.key(id) == Some(key) => {
                    self.give_up_snapshot(key);
                }
                // Once more, and then it is an error.
                Refused::Commit(seq) => self.retry_commit(seq),
                Refused::Job(..) | Refused::Snapshot(..) | Refused::Fill => {}
            }
        }
    }

    /// A commit was refused: the same bytes go to the same place when there is space, and nothing
    /// after it is acknowledged before. False if it cannot be repeated.
    pub(crate) fn refuse_commit(&mut self, seq: CommitSeq, error: &IoError) -> bool {
        if !is_refusal(error) || self.phase.is_stopping() {
            return false;
        }
        let Some(commit) = self.space.growing.get_mut(&seq) else {
            return false;
        };
        commit.refused = true;
        self.refuse(Refused::Commit(seq), error.message.clone());
        true
    }

    fn retry_commit(&mut self, seq: CommitSeq) {
        let commit = self.space.growing.get_mut(&seq);
        let commit = commit.expect("a refused commit is kept");
        commit.refused = false;
        let len = commit.bytes.len();
        assert!(len.is_multiple_of(BLOCK), "commits are whole blocks");
        let mut buf = self.pool.alloc(len);
        buf.as_mut()[..len].copy_from_slice(&commit.bytes);
        let op = Op::Write {
            file: commit.file,
            pos: commit.pos,
            buf,
            durable: true,
        };
        let durable = true;
        self.ops.push_again(Purpose::Commit { seq, durable }, op);
    }

    // --- what it means to whoever was refused ---

    /// All that is left of the log's flush job was refused for want of space.
    pub(crate) fn refuse_job(&mut self, key: LogKey, reason: String) {
        let log = &self.logs[key];
        // A job that is given up leaves its segment as it is: no other may begin when stopping.
        if self.phase.is_stopping() {
            self.space.full.get_or_insert(reason.clone());
        }
        if log.removal.is_some() || log.is_stopped() || self.phase.is_stopping() {
            return self.give_up_job(key);
        }
        let id = log.id;
        self.job_mut(key).parked = true;
        self.refuse(Refused::Job(key, id), reason);
    }

    /// There may be space now: the job goes on where it was refused.
    fn retry_job(&mut self, key: LogKey) {
        if !self.logs[key].job_waits_for_space() {
            return;
        }
        let job = self.job_mut(key);
        job.parked = false;
        for step in std::mem::take(&mut job.refused) {
            self.job_op(key, step, true);
        }
    }

    /// The job, of which nothing is under way, does not get the space that it needs. What the
    /// journal holds loses nothing by it; what was to be written in bulk does, and stops the log.
    fn give_up_job(&mut self, key: LogKey) {
        let files = self.logs[key].segmented.files.as_ref();
        let Some(job) = files.and_then(|files| files.job.as_ref()) else {
            return;
        };
        if job.waits > 0 || job.refused.is_empty() {
            return;
        }
        if job.kind == Kind::Behind || self.logs[key].removal.is_some() {
            return self.abandon_job(key);
        }
        self.job_mut(key).error = Some("no space was left when the broker stopped".to_owned());
        self.fail_job(key);
    }

    /// The log stops: a job of it that only waits, for space or for the next commit, is over.
    pub(crate) fn drop_idle_job(&mut self, key: LogKey) {
        if self.logs[key].job().is_some_and(Job::is_idle) {
            self.abandon_job(key);
        }
    }

    /// A step of writing the log's snapshot file was refused.
    pub(crate) fn refuse_snapshot(&mut self, key: LogKey, step: Step, reason: String) {
        let log = &mut self.logs[key];
        let id = log.id;
        let pending = log.snapshots.pending.as_mut();
        pending.expect("a snapshot is being written").writing = Writing::Refused(step);
        self.refuse(Refused::Snapshot(key, id), reason);
    }

    /// The snapshot does not get the space that it needs; the records that it was to replace stay.
    fn give_up_snapshot(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let pending = log.snapshots.pending.as_ref();
        if pending.is_some_and(|pending| matches!(pending.writing, Writing::Refused(_))) {
            log.snapshots.pending = None;
        }
    }

    // --- what is said ---

    /// Says once when appends begin to be refused, or are for another reason, and once when that is
    /// over.
    pub(crate) fn say_short(&mut self) {
        let space = self.space.state();
        if std::mem::replace(&mut self.space.said, space) == space {
            return;
        }
        self.events.push_back(match self.space.reason() {
            Some(reason) => Event::DiskShort {
                space,
                reason: reason.to_owned(),
            },
            None => Event::DiskHasRoom,
        });
    }
}

impl LogState {
    /// Its flush job was refused for want of space, and waits.
    pub(crate) fn job_waits_for_space(&self) -> bool {
        let job = self.job();
        job.is_some_and(|job| job.parked)
    }
}
