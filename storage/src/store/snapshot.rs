//! Snapshots that machines hand in: into the journal if they are small, else into a file that a
//! journal record points to once it is synced with its directory.

use bytes::Bytes;

use crate::checksum::crc;
use crate::format::snapshot::{INLINE_MAX, SNAPSHOT_MAX, SnapshotId, encode, file_len};
use crate::io::{BufPool, Dir, FileName, IoResult, Op};
use crate::store::Store;
use crate::store::api::Event;
use crate::store::journal::ring::LogKey;
use crate::store::log::snapshots::{PendingSnapshot, SnapshotBody, Writing};
use crate::store::ops::Purpose;
use crate::store::space::is_refusal;
use crate::types::{LogId, Ordinal};

/// Steps of writing a snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Directory,
    Create,
    Write,
    SyncDirs(u8),
}

impl<P: BufPool> Store<P> {
    /// Hands in the state of the log's machine after all entries appended so far; it may be
    /// empty. It replaces an earlier one, and for a machine log the entries below it.
    /// Ignored if there is no such log, or it never had an entry.
    ///
    /// # Panics
    /// If `bytes` exceeds [`SNAPSHOT_MAX`].
    pub fn put_snapshot(&mut self, log: LogId, bytes: Bytes) {
        assert!(bytes.len() <= SNAPSHOT_MAX as usize, "snapshot too large");
        self.reclaim.renew_rescues();
        let Some(key) = self.logs.key(log) else {
            return;
        };
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
        if bytes.len() <= inline.min(self.journal.ring.max_body() / 4) {
            let body = SnapshotBody::Inline(bytes);
            let state = &mut self.logs[key];
            state.snapshots.pending = Some(Box::new(PendingSnapshot {
                ordinal,
                body,
                bytes: Bytes::new(),
                writing: Writing::Complete,
            }));
            self.queue_control(key);
            return;
        }
        let body = SnapshotBody::File {
            generation: self.journal.id.generation,
            len: u32::try_from(bytes.len()).expect("bounded above"),
            crc: crc(&bytes),
        };
        let state = &mut self.logs[key];
        if state
            .snapshots
            .placed
            .as_ref()
            .is_some_and(|old| old.ordinal == ordinal)
        {
            // Nothing was applied since: the file of this name exists already.
            return;
        }
        state.snapshots.pending = Some(Box::new(PendingSnapshot {
            ordinal,
            body,
            bytes,
            writing: Writing::At(Step::Directory),
        }));
        let op = self.snapshot_op(key, Step::Directory);
        self.ops.push(Purpose::SnapshotFile { log: key }, op);
        self.turn.stir();
    }

    /// The operation of a step before the last, which may be refused and taken again.
    fn snapshot_op(&mut self, key: LogKey, step: Step) -> Op<P::Buf> {
        let log = &self.logs[key];
        let pending = log.snapshots.pending.as_ref().expect("the caller has one");
        let (id, ordinal, generation) = (log.id, pending.ordinal, self.journal.id.generation);
        let file = FileName::Snapshot {
            log: id,
            ordinal,
            generation,
        };
        match step {
            Step::Directory => Op::MakeDir(Dir::Log(id)),
            Step::Create => Op::Create { file, reserve: 0 },
            Step::Write => {
                let len = file_len(pending.bytes.len());
                let mut buf = self.pool.alloc(len);
                let name = SnapshotId {
                    log: id,
                    ordinal,
                    generation,
                };
                encode(&mut buf.as_mut()[..len], &name, &pending.bytes);
                Op::Write {
                    file,
                    pos: 0,
                    buf,
                    durable: true,
                }
            }
            Step::SyncDirs(_) => unreachable!("syncs are not taken again"),
        }
    }

    /// There may be space now: the snapshot's file goes on where it was refused.
    pub(crate) fn retry_snapshot(&mut self, key: LogKey) {
        let pending = self.logs[key].snapshots.pending.as_mut();
        let Some(pending) = pending else {
            return;
        };
        let Writing::Refused(step) = pending.writing else {
            return;
        };
        pending.writing = Writing::At(step);
        let op = self.snapshot_op(key, step);
        self.ops.push_again(Purpose::SnapshotFile { log: key }, op);
    }

    /// A step of writing a snapshot file is complete.
    pub(crate) fn snapshot_step(&mut self, key: LogKey, result: IoResult<P::Buf>) {
        let log = &mut self.logs[key];
        let id = log.id;
        let pending = log
            .snapshots
            .pending
            .as_mut()
            .expect("a snapshot is being written");
        let Writing::At(step) = pending.writing else {
            unreachable!("its file is being written")
        };
        if let Err(error) = result {
            let again = is_refusal(&error) && !matches!(step, Step::SyncDirs(_));
            if again && log.removal.is_none() && !self.phase.is_stopping() {
                return self.refuse_snapshot(key, step, error.message);
            }
            log.snapshots.pending = None;
            if log.removal.is_some() {
                self.place_end(key);
            } else if !again {
                self.stop_log(key, error.message);
            }
            return;
        }
        let purpose = || Purpose::SnapshotFile { log: key };
        match step {
            Step::Directory => {
                pending.writing = Writing::At(Step::Create);
                let op = self.snapshot_op(key, Step::Create);
                self.ops.push(purpose(), op);
            }
            Step::Create => {
                pending.writing = Writing::At(Step::Write);
                let op = self.snapshot_op(key, Step::Write);
                self.ops.push(purpose(), op);
            }
            Step::Write => {
                pending.writing = Writing::At(Step::SyncDirs(2));
                self.ops.push(purpose(), Op::SyncDir(Dir::Log(id)));
                self.ops.push(purpose(), Op::SyncDir(Dir::Logs));
            }
            Step::SyncDirs(2) => pending.writing = Writing::At(Step::SyncDirs(1)),
            Step::SyncDirs(_) => {
                pending.writing = Writing::Complete;
                pending.bytes = Bytes::new();
                self.reclaim.renew_rescues();
                if log.removal.is_some() {
                    log.snapshots.pending = None;
                    self.place_end(key);
                } else {
                    self.queue_control(key);
                }
            }
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
        self.memory.gave(freed);
    }
}
