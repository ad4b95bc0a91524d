//! Snapshots that machines hand in: into the journal if they are small, else into a file that a
//! journal record points to once it is synced with its directory.
//!
//! A file is written piece by piece, its first block last; the next piece of the state is made when
//! the one before is written.

use crate::format::snapshot::{INLINE_MAX, SnapshotId};
use crate::io::{BLOCK, BufPool, Dir, FileName, IoError, IoResult, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::api::Event;
use crate::store::journal::ring::LogKey;
use crate::store::log::snapshots::{PendingSnapshot, SnapshotBody, Writing};
use crate::store::ops::Purpose;
use crate::store::space::is_refusal;
use crate::store::state_file::State;
use crate::types::{LogId, Offset, Ordinal};

/// Steps of writing a snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Directory,
    Create,
    /// The next piece of the state.
    Piece,
    /// The first block, which tells what the others are.
    First,
    /// Both directories; so many syncs are not complete.
    SyncDirs(u8),
    /// One of them has failed, and the other is not complete.
    LastSync,
}

impl Step {
    fn is_sync(self) -> bool {
        matches!(self, Self::SyncDirs(_) | Self::LastSync)
    }
}

impl<P: BufPool> Store<P> {
    /// Hands in the state of the log's machine after all entries appended so far; it may be
    /// empty. It replaces an earlier one, and for a machine log the entries below it. With `keep`
    /// the log starts no earlier than there once the snapshot is placed: what lies below is needed by
    /// nobody then. Ignored if there is no such log, or it never had an entry.
    ///
    /// A state of 4 GiB and more stops its log.
    pub fn put_snapshot(
        &mut self,
        log: LogId,
        state: impl Into<State>,
        keep: Option<(Ordinal, Offset)>,
    ) {
        self.reclaim.renew_rescues();
        let Some(key) = self.logs.key(log) else {
            return;
        };
        let given = state.into();
        let state = &mut self.logs[key];
        let asked = std::mem::take(&mut state.snapshots.asked);
        if state.is_unborn() && state.placing.bytes() == 0 {
            return;
        }
        if state.is_lost() || state.gave_up() {
            // The machine has not applied what is lost, or has applied entries that were given up:
            // its state is nobody's.
            return;
        }
        let ordinal = state.at.ordered.0;
        let pending = state.snapshots.pending.as_deref();
        let pending = pending.filter(|pending| pending.body.is_file());
        let replaces = |old: &PendingSnapshot| asked && old.is_complete() && old.ordinal < ordinal;
        if state.removal.is_some() || pending.is_some_and(|old| !replaces(old)) {
            // The one that has a file will do; another is asked for when it is needed.
            return;
        }
        let replaced = pending.map(|old| FileName::Snapshot {
            log,
            ordinal: old.ordinal,
            generation: self.journal.id.generation,
        });
        if let Some(file) = replaced {
            // No record points to it, and none will.
            state.snapshots.pending = None;
            self.ops.remove(file);
        }
        let inline = self.config.inline_snapshot_bytes.min(INLINE_MAX);
        let most = inline.min(self.journal.ring.max_body() / 4);
        let generation = self.journal.id.generation;
        let placed = self.logs[key].snapshots.placed.as_ref();
        let (body, file, writing) = match given.within(most) {
            Ok(state) => (SnapshotBody::Inline(state), None, Writing::Complete),
            Err(_) if placed.is_some_and(|old| old.ordinal == ordinal) => {
                // Nothing was applied since: the file of this name exists already.
                return;
            }
            Err(file) => {
                let (len, crc) = (0, 0);
                let body = SnapshotBody::File {
                    generation,
                    len,
                    crc,
                };
                let file = Some(Box::new(file));
                (body, file, Writing::At(Step::Directory))
            }
        };
        let begins = file.is_some();
        self.logs[key].snapshots.pending = Some(Box::new(PendingSnapshot {
            ordinal,
            keep,
            body,
            file,
            writing,
        }));
        match begins {
            true => self.issue_snapshot_step(key, Step::Directory, false),
            false => self.queue_control(key),
        }
        self.turn.stir();
    }

    /// Takes a step before the last; `again`: it was refused before.
    fn issue_snapshot_step(&mut self, key: LogKey, step: Step, again: bool) {
        let log = &mut self.logs[key];
        let pending = log.snapshots.pending.as_mut();
        let pending = pending.expect("the caller has one");
        pending.writing = Writing::At(step);
        let name = SnapshotId {
            log: log.id,
            ordinal: pending.ordinal,
            generation: self.journal.id.generation,
        };
        let SnapshotId {
            log,
            ordinal,
            generation,
        } = name;
        let file = FileName::Snapshot {
            log,
            ordinal,
            generation,
        };
        let state = pending.file.as_ref().expect("its file is being written");
        // The fault that is switched on: only the first block is made durable.
        let early = mutated(self.config.mutation, Mutation::UnsyncedPieces);
        let mut write = |pos, len, fill: &dyn Fn(&mut [u8])| {
            let mut buf = self.pool.alloc(len);
            fill(&mut buf.as_mut()[..len]);
            let durable = step == Step::First || !early;
            Op::Write {
                file,
                pos,
                buf,
                durable,
            }
        };
        let op = match step {
            Step::Directory => Op::MakeDir(Dir::Log(log)),
            Step::Create => Op::Create { file, reserve: 0 },
            Step::Piece => {
                let (pos, piece) = state.piece();
                write(pos, piece.len(), &|out| out.copy_from_slice(piece))
            }
            Step::First => {
                let sum = state.sum().expect("checked before");
                write(0, BLOCK, &|out| state.put_first(out, &name, sum))
            }
            Step::SyncDirs(_) | Step::LastSync => unreachable!("syncs are not taken again"),
        };
        let purpose = Purpose::SnapshotFile { log: key };
        match again {
            true => self.ops.push_again(purpose, op),
            false => self.ops.push(purpose, op),
        }
    }

    /// There may be space now: the snapshot's file goes on where it was refused.
    pub(crate) fn retry_snapshot(&mut self, key: LogKey) {
        let pending = self.logs[key].snapshots.pending.as_ref();
        if let Some(Writing::Refused(step)) = pending.map(|pending| pending.writing) {
            self.issue_snapshot_step(key, step, true);
        }
    }

    /// A step of writing a snapshot file is complete.
    pub(crate) fn snapshot_step(&mut self, key: LogKey, result: IoResult<P::Buf>) {
        let log = &mut self.logs[key];
        let id = log.id;
        let pending = log.snapshots.pending.as_mut();
        let pending = pending.expect("a snapshot is being written");
        let Writing::At(step) = pending.writing else {
            unreachable!("its file is being written")
        };
        if let Err(error) = result {
            return self.snapshot_step_failed(key, step, error);
        }
        let file = pending.file.as_mut();
        match step {
            Step::Directory => self.issue_snapshot_step(key, Step::Create, false),
            Step::Create | Step::Piece => {
                let file = file.expect("its file is being written");
                let more = file.next(self.config.segment_write_bytes);
                if file.is_too_long() {
                    let reason = "the state of its machine is longer than a snapshot can be";
                    if log.lives() {
                        self.stop_log(key, reason.to_owned());
                    }
                    return self.drop_snapshot(key);
                }
                let step = if more { Step::Piece } else { Step::First };
                self.issue_snapshot_step(key, step, false);
            }
            Step::First => {
                let sum = file.and_then(|file| file.sum());
                let sum = sum.expect("it was written");
                pending.body = SnapshotBody::File {
                    generation: self.journal.id.generation,
                    len: sum.len,
                    crc: sum.crc,
                };
                pending.file = None;
                pending.writing = Writing::At(Step::SyncDirs(2));
                for dir in [Dir::Log(id), Dir::Logs] {
                    let purpose = Purpose::SnapshotFile { log: key };
                    self.ops.push(purpose, Op::SyncDir(dir));
                }
            }
            Step::LastSync => self.drop_snapshot(key),
            Step::SyncDirs(2) => pending.writing = Writing::At(Step::SyncDirs(1)),
            Step::SyncDirs(_) => {
                pending.writing = Writing::Complete;
                self.reclaim.renew_rescues();
                match log.lives() {
                    true => self.queue_control(key),
                    false => self.drop_snapshot(key),
                }
            }
        }
    }

    fn snapshot_step_failed(&mut self, key: LogKey, step: Step, error: IoError) {
        let log = &mut self.logs[key];
        let again = is_refusal(&error) && !step.is_sync();
        if again && log.removal.is_none() && !self.phase.is_stopping() {
            return self.refuse_snapshot(key, step, error.message);
        }
        if log.lives() && !again {
            self.stop_log(key, error.message);
        }
        let pending = self.logs[key].snapshots.pending.as_mut();
        match pending.filter(|_| step == Step::SyncDirs(2)) {
            Some(pending) => pending.writing = Writing::At(Step::LastSync),
            None => self.drop_snapshot(key),
        }
    }

    /// There will be no record of the snapshot, of which nothing is under way.
    fn drop_snapshot(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        log.snapshots.pending = None;
        if !log.lives() {
            self.place_end(key);
        }
    }

    /// Asks the log's machine for a snapshot, unless one is on its way.
    pub(crate) fn ask_snapshot(&mut self, key: LogKey) {
        if self.logs[key].snapshots.pending.is_none() {
            self.ask_newer_snapshot(key);
        }
    }

    /// Asks for a snapshot that holds the entry `last`. One that is complete, and only waits for
    /// space in the journal, does not do if it does not hold it: what it waits for may be the
    /// space that the entry takes.
    pub(crate) fn ask_snapshot_past(&mut self, key: LogKey, last: Ordinal) {
        let pending = self.logs[key].snapshots.pending.as_ref();
        if pending.is_none_or(|pending| pending.is_complete() && pending.ordinal <= last) {
            self.ask_newer_snapshot(key);
        }
    }

    fn ask_newer_snapshot(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let cannot = log.gave_up() || log.is_lost() || log.removal.is_some();
        if !cannot && !std::mem::replace(&mut log.snapshots.asked, true) {
            let log = log.id;
            self.events.push_back(Event::SnapshotWanted { log });
        }
    }

    /// The snapshot replaces the entries below it: they leave memory.
    pub(crate) fn drop_below_snapshot(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let floor = log.data_floor();
        let freed = log.tail.drop_below(floor);
        log.at.start.0 = log.at.start.0.max(floor);
        self.memory.gave(log.settings.level, freed);
    }
}
