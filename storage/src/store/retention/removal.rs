//! The end of a log: an end record, then, once it is durable, its files.
//!
//! The end record lives on in the ring until the removal of the directory is durable, so that a
//! crash in between leaves nothing that recovery could mistake for a lost log.

use crate::io::{BufPool, Dir, FileName, IoResult, Op, Output};
use crate::store::Store;
use crate::store::api::{Event, ReadError};
use crate::store::journal::ring::LogKey;
use crate::store::log::{Removal, RemovalStep};
use crate::store::ops::Purpose;
use crate::store::segments::files::Listing;
use crate::types::{CommitSeq, LogId};

impl<P: BufPool> Store<P> {
    /// Deletes a log: nothing can be read from now on; [`Event::Dropped`] follows when it is
    /// durable. Ignored if there is no such log.
    pub fn drop_log(&mut self, log: LogId) {
        let Some(key) = self.logs.key(log) else {
            return;
        };
        if self.logs[key].removal.is_some() {
            return;
        }
        self.turn.stir();
        self.give_up_pending(key);
        self.reading.forget(log);
        let state = &mut self.logs[key];
        state.removal = Some(Removal::Wanted);
        let flushing = state.job().is_some();
        let writing = state.snapshots.is_writing();
        let job = state.job();
        if job.is_some_and(crate::store::segments::job::Job::is_idle) {
            self.abandon_job(key);
            return;
        }
        // What is under way ends first; its end comes back here.
        if !flushing && !writing {
            self.place_end(key);
        }
    }

    /// Nothing of the log is under way: its end goes into the journal.
    pub(crate) fn place_end(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let flushing = log.job().is_some();
        let writing = log.snapshots.is_writing();
        if flushing || writing || log.removal != Some(Removal::Wanted) {
            return;
        }
        log.snapshots.pending = None;
        if log.is_unborn() && log.segmented.files.is_none() {
            // Nothing of it was ever written, so there is no directory to look into: a deleted topic of
            // thousands of such partitions costs the device nothing.
            let log = self.logs.remove(key);
            self.memory.gave(log.settings.level, log.tail.bytes());
            self.events.push_back(Event::Dropped { log: log.id });
            return;
        }
        if log.is_unborn() {
            self.begin_removal(key, None);
            return;
        }
        log.owed.checkpoint = false;
        log.owed.snapshot = false;
        log.owed.end = true;
        self.reclaim.renew_rescues();
        self.queue_control(key);
    }

    /// The end record goes into commit `seq`: every other record of the log is dead.
    pub(crate) fn end_placed(&mut self, key: LogKey, seq: CommitSeq) {
        let log = &mut self.logs[key];
        match log.removal.as_mut().expect("only a removed log has an end") {
            removal @ Removal::Wanted => {
                *removal = Removal::Placed(seq);
                self.commits.effects.add_end(seq, key);
            }
            Removal::Placed(old) => {
                let old = std::mem::replace(old, seq);
                self.journal.ring.remove_live(old);
            }
            Removal::Files { end, .. } => {
                if let Some(old) = end.replace(seq) {
                    self.journal.ring.remove_live(old);
                }
            }
        }
        let log = &mut self.logs[key];
        self.reclaim.look_again();
        self.reclaim.remnants.change(&mut log.held, 0);
        for run in log.held.take() {
            self.journal.ring.remove_live(run.seq);
        }
        if let Some(old) = self.logs[key].checkpoint.seq.take() {
            self.journal.ring.remove_live(old);
        }
        if let Some(old) = self.logs[key].snapshots.placed.take() {
            self.journal.ring.remove_live(old.seq);
        }
    }

    /// The end record is durable.
    pub(crate) fn end_durable(&mut self, key: LogKey) {
        let Some(Removal::Placed(seq)) = self.logs[key].removal else {
            return;
        };
        self.begin_removal(key, Some(seq));
    }

    fn begin_removal(&mut self, key: LogKey, end: Option<CommitSeq>) {
        let log = &mut self.logs[key];
        let id = log.id;
        let freed = log.tail.clear();
        log.removal = Some(Removal::Files {
            end,
            step: RemovalStep::List,
            waits: 1,
        });
        self.memory.gave(log.settings.level, freed);
        self.events.push_back(Event::Dropped { log: id });
        self.ops
            .push(Purpose::Removal { log: key }, Op::List(Dir::Log(id)));
    }

    /// A step of removing the log's files is complete. If one fails, the end record stays, and
    /// the next recovery removes what is left.
    pub(crate) fn removal_step(&mut self, key: LogKey, result: IoResult<P::Buf>) {
        let log = &mut self.logs[key];
        let id = log.id;
        let Some(Removal::Files { end, step, waits }) = log.removal.as_mut() else {
            return;
        };
        *waits -= 1;
        let output = match result {
            Ok(output) => output,
            Err(_) => return,
        };
        if *waits > 0 {
            return;
        }
        let (mut ops, mut freed) = (Vec::new(), false);
        match *step {
            RemovalStep::List => {
                *step = RemovalStep::Files;
                if let Output::Names(names) = output {
                    let files = names.iter().filter_map(|(name, _)| {
                        FileName::parse(Dir::Log(id), name).map(Op::Remove)
                    });
                    ops.extend(files);
                }
                // A synced directory and its removal cannot be reordered.
                ops.push(Op::SyncDir(Dir::Logs));
            }
            RemovalStep::Files => {
                freed = true;
                *step = RemovalStep::Directory;
                ops.push(Op::RemoveDir(Dir::Log(id)));
            }
            RemovalStep::Directory => {
                *step = RemovalStep::SyncParent;
                ops.push(Op::SyncDir(Dir::Logs));
            }
            RemovalStep::SyncParent => {
                let end = end.take();
                if let Some(seq) = end {
                    self.journal.ring.remove_live(seq);
                }
                let files = self.logs.remove(key).segmented.files;
                // A listing that is slower than the removal has nobody left to tell them.
                if let Some(Listing::UnderWay(waiters)) = files.map(|files| files.listing) {
                    for waiter in waiters {
                        self.fail_waiter(waiter, ReadError::UnknownLog);
                    }
                }
                return;
            }
        }
        *waits = ops.len();
        for op in ops {
            self.ops.push(Purpose::Removal { log: key }, op);
        }
        if freed {
            self.space_freed();
        }
    }
}
