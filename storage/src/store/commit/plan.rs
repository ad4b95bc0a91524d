//! What goes into a commit, and in which order.
//!
//! First the records that logs owe the ring (checkpoints, snapshots, ends), then copies of old
//! records, then new ones. What is planned is released from its old commit at once: the commit
//! that holds it also announces that by its live-from, so that either both are durable or
//! neither. It reads no space but what it is told to use, and writes no byte.

use bytes::Bytes;

use crate::format::commit::{COMMIT_HEADER, commit_len};
use crate::format::record::{CHECKPOINT_LEN, Checkpoint, END_LEN, entry_len, prefix_len};
use crate::io::{BufPool, FileName};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::{Advance, LogKey};
use crate::store::log::lines::Line;
use crate::store::log::placing::Way;
use crate::store::log::{
    held::Run,
    placing::Urgency,
    snapshots::{Snapshot, SnapshotBody},
};
use crate::store::retention::Trim;
use crate::types::{CommitSeq, Ordinal};

/// Records that logs owe the ring, and copies, that one commit holds at most: each costs about a microsecond, and
/// a commit is put together in one turn. Twenty thousand logs that a start has found owe one each at once.
const MOST_MOVED: usize = 1024;

/// One or more records of a commit that is being put together.
#[derive(Debug)]
pub(crate) enum Planned {
    Checkpoint(LogKey, Checkpoint),
    Snapshot(LogKey),
    End(LogKey),
    /// Entries `first..end`, in memory.
    Entries {
        log: LogKey,
        first: Ordinal,
        end: Ordinal,
    },
    /// The starts of entries that segments hold and a replay still needs.
    Prefixes {
        log: LogKey,
        first: Ordinal,
        end: Ordinal,
    },
    /// An encoded extent record.
    Extent(Bytes),
}

/// A commit that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) records: Vec<Planned>,
    pub(crate) body: usize,
    pub(crate) count: u32,
    /// Logs whose records become live with the commit, once per record or run.
    pub(crate) live: Vec<LogKey>,
    /// Runs that come to stand in it.
    pub(crate) runs: Vec<(LogKey, NewRun)>,
    pub(crate) advances: Vec<Advance>,
    /// What the most urgent of it asks for.
    pub(crate) urgency: Urgency,
}

#[derive(Debug)]
pub(crate) enum NewRun {
    Append(Run),
    /// The run that begins with this ordinal moves here.
    Moved(Ordinal),
}

impl Plan {
    /// Bytes of body that the commit has room for without growing by a block.
    pub(crate) fn padded_body(&self) -> usize {
        match self.count {
            0 => 0,
            _ => commit_len(self.body) - COMMIT_HEADER,
        }
    }

    fn add(&mut self, record: Planned, bytes: usize) {
        self.records.push(record);
        self.body += bytes;
        self.count += 1;
    }
}

impl<P: BufPool> Store<P> {
    pub(crate) fn plan_control(&mut self, plan: &mut Plan, room: usize) {
        for _ in 0..self.commits.lines.control() {
            if plan.records.len() >= MOST_MOVED {
                return;
            }
            let Some(key) = self.commits.lines.next_control(&self.logs) else {
                return;
            };
            if self.plan_log_control(plan, room, key) {
                self.logs[key].lines.leave(Line::Control);
            } else {
                self.commits.lines.put_back_control(key);
                if room.saturating_sub(plan.body) < CHECKPOINT_LEN {
                    return;
                }
            }
        }
    }

    /// Plans what a log owes; `true` when it owes nothing more.
    pub(crate) fn plan_log_control(&mut self, plan: &mut Plan, room: usize, key: LogKey) -> bool {
        let log = &mut self.logs[key];
        let fits = |plan: &Plan, bytes: usize| plan.body + bytes <= room;
        if log.removal.is_some() {
            // Its end takes all its other records with it.
            log.owed.checkpoint = false;
            log.owed.snapshot = false;
        }
        if log.owed.checkpoint {
            if !fits(plan, CHECKPOINT_LEN) {
                return false;
            }
            self.plan_checkpoint(plan, key);
        }
        let log = &mut self.logs[key];
        if let Some(pending) = log.placeable_snapshot() {
            if !fits(plan, pending.body.record_len()) {
                return false;
            }
            self.plan_new_snapshot(plan, key);
            if self.logs[key].owed.checkpoint {
                // Of where the log starts now: for the next commit.
                return false;
            }
        } else if log.owed.snapshot {
            let Some(snapshot) = &log.snapshots.placed else {
                log.owed.snapshot = false;
                return true;
            };
            if !fits(plan, snapshot.body.record_len()) {
                return false;
            }
            let old = snapshot.seq;
            self.journal.ring.remove_live(old);
            self.plan_snapshot(plan, key);
        }
        let log = &mut self.logs[key];
        if log.owed.end {
            if !fits(plan, END_LEN) {
                return false;
            }
            log.owed.end = false;
            let seq = self.journal.ring.next_seq();
            self.end_placed(key, seq);
            plan.add(Planned::End(key), END_LEN);
            plan.live.push(key);
        }
        true
    }

    /// A checkpoint of where the log's segments are now; entries below it leave the journal.
    fn plan_checkpoint(&mut self, plan: &mut Plan, key: LogKey) {
        let log = &mut self.logs[key];
        log.owed.checkpoint = false;
        if let Some(old) = log.checkpoint.seq.take() {
            self.journal.ring.remove_live(old);
        }
        let log = &mut self.logs[key];
        let start_moved = log.checkpoint.start != log.at.start;
        log.checkpoint.upto = log.segmented.flushed.0;
        log.checkpoint.start = log.at.start;
        log.checkpoint.seq = Some(self.journal.ring.next_seq());
        let point = log.checkpoint_now();
        plan.add(Planned::Checkpoint(key, point), CHECKPOINT_LEN);
        plan.live.push(key);
        if start_moved {
            let seq = self.journal.ring.next_seq();
            let log = &self.logs[key];
            self.commits.effects.add_trim(Trim {
                seq,
                key,
                log: log.id,
                start: log.at.start,
            });
        }
        self.reclaim.look_again();
        self.release_runs(key);
    }

    fn plan_new_snapshot(&mut self, plan: &mut Plan, key: LogKey) {
        let log = &mut self.logs[key];
        let pending = log.snapshots.pending.take().expect("checked by the caller");
        let seq = self.journal.ring.next_seq();
        let new = Box::new(Snapshot {
            ordinal: pending.ordinal,
            body: pending.body,
            seq,
        });
        let (id, class) = (log.id, log.class);
        if let Some(old) = log.snapshots.placed.replace(new) {
            self.journal.ring.remove_live(old.seq);
            if let SnapshotBody::File { generation, .. } = old.body {
                let file = FileName::Snapshot {
                    log: id,
                    ordinal: old.ordinal,
                    generation,
                };
                self.commits.effects.add_obsolete(seq, file);
            }
        }
        if !class.files {
            self.drop_below_snapshot(key);
        }
        self.plan_snapshot(plan, key);
        self.reclaim.look_again();
        self.release_runs(key);
        self.remove_below_start(key);
        if let Some(keep) = pending.keep {
            self.keep_from(key, keep);
        }
    }

    fn plan_snapshot(&mut self, plan: &mut Plan, key: LogKey) {
        let log = &mut self.logs[key];
        log.owed.snapshot = false;
        let snapshot = log
            .snapshots
            .placed
            .as_mut()
            .expect("checked by the caller");
        snapshot.seq = self.journal.ring.next_seq();
        let bytes = snapshot.body.record_len();
        plan.add(Planned::Snapshot(key), bytes);
        plan.live.push(key);
    }

    /// Copies of what logs left in the oldest commits.
    pub(crate) fn plan_copies(&mut self, plan: &mut Plan, room: usize) {
        while plan.records.len() < MOST_MOVED
            && let Some(key) = self.reclaim.next_copy()
        {
            let Some(log) = self.logs.get(key) else {
                continue;
            };
            let Some(below) = log.held.copy_below() else {
                continue;
            };
            let planned = plan.count;
            if !self.plan_log_copies(plan, room, key, below) {
                self.reclaim.put_back_copy(key);
                return;
            }
            self.logs[key].held.copied();
            if plan.count > planned {
                self.reclaim.look_again();
            }
        }
    }

    /// `false`: no room for all of the log's copies.
    pub(crate) fn plan_log_copies(
        &mut self,
        plan: &mut Plan,
        room: usize,
        key: LogKey,
        below: CommitSeq,
    ) -> bool {
        let log = &mut self.logs[key];
        let (floor, data_floor) = (log.journal_floor(), log.data_floor());
        for at in 0..log.held.runs().len() {
            let run = &log.held.runs()[at];
            if run.seq >= below {
                if run.copied { continue } else { break }
            }
            if run.prefix {
                continue;
            }
            let (first, last) = (run.first.max(floor), run.last);
            let (seq, old_bytes) = (run.seq, run.bytes);
            let end = last.plus(1);
            let entries = u32::try_from(end.0 - first.0).expect("entries of one commit");
            let held = last < data_floor;
            let (record, bytes, count) = match &run.record {
                Some(record) if !held => (Planned::Extent(record.clone()), record.len(), 1),
                // Entries that a replay needs do not leave memory, but for those that recovery
                // never held: a snapshot of theirs is under way.
                _ if first < log.tail_first() => continue,
                _ if held => {
                    let replay = log.class.replay;
                    let lens = log
                        .tail
                        .entries(first, end)
                        .map(|e| prefix_len(replay.of(&e.bytes).len()));
                    let log = key;
                    (Planned::Prefixes { log, first, end }, lens.sum(), entries)
                }
                _ => {
                    let lens = log
                        .tail
                        .entries(first, end)
                        .map(|e| entry_len(e.bytes.len()));
                    let log = key;
                    (Planned::Entries { log, first, end }, lens.sum(), entries)
                }
            };
            if plan.body + bytes > room {
                return false;
            }
            let run = log.held.run_mut(at);
            if held {
                run.record = None;
            }
            if run.record.is_none() {
                run.first = first;
            }
            run.bytes = bytes as u64;
            run.copied = true;
            // From now on: a commit may be planned in several goes.
            run.seq = self.journal.ring.next_seq();
            let moved = run.first;
            let run_bytes = log.held.bytes() + bytes as u64 - old_bytes;
            self.reclaim.remnants.change(&mut log.held, run_bytes);
            self.journal.ring.remove_live(seq);
            plan.add(record, bytes);
            plan.count += count - 1;
            plan.live.push(key);
            plan.runs.push((key, NewRun::Moved(moved)));
            self.stats.copy_forwards += 1;
        }
        true
    }

    /// New records, as far as one commit takes them. The ring has room for them: it was granted
    /// when they were appended.
    pub(crate) fn plan_appends(&mut self, plan: &mut Plan) {
        let room = self.journal.ring.max_body();
        for _ in 0..self.commits.lines.ready() {
            let Some((key, since)) = self.commits.lines.next_ready(&self.logs) else {
                return;
            };
            if self.plan_log_appends(plan, room, key) {
                self.logs[key].lines.leave(Line::Ready);
            } else {
                self.commits.lines.put_back_ready((key, since));
                return;
            }
        }
    }

    /// `false`: the commit is full.
    fn plan_log_appends(&mut self, plan: &mut Plan, room: usize, key: LogKey) -> bool {
        let overtake = mutated(self.config.mutation, Mutation::InlineOvertakesBulk);
        let log = &self.logs[key];
        if log.is_unborn()
            && let Some(first) = self.first_record_len(key)
        {
            // Both or neither: the checkpoint takes what was granted to the entry.
            if plan.body + CHECKPOINT_LEN + first > room {
                return false;
            }
            self.plan_checkpoint(plan, key);
        }
        let log = &self.logs[key];
        if log.placing.is_bulk() {
            let job = log.job();
            let job = job.expect("a bulk write is under way");
            if job.is_extent_ready() {
                let record = job.extent.clone().expect("an extent job has its record");
                if plan.body + record.len() > room {
                    return false;
                }
                self.plan_extent(plan, key, record);
                if self.logs[key].placing.bytes() >= self.logs[key].class.bulk_from {
                    self.want_bulk(key);
                    return true;
                }
            } else if !overtake {
                return true;
            }
        }
        if self.logs[key].placing.way == Way::AfterJob && !overtake {
            return true;
        }
        self.plan_inline(plan, room, key)
    }

    /// Length of the first record of new entries that can be placed; `None` if it must wait for a
    /// bulk write.
    fn first_record_len(&self, key: LogKey) -> Option<usize> {
        let log = &self.logs[key];
        if log.placing.is_bulk() {
            let job = log.job();
            let ready = job.filter(|job| job.is_extent_ready());
            return ready.and_then(|job| Some(job.extent.as_ref()?.len()));
        }
        if log.placing.next >= log.at.ordered.0 {
            return None;
        }
        let len = entry_len(log.tail.entry(log.placing.next).bytes.len());
        (len <= self.journal.ring.record_limit()).then_some(len)
    }

    fn plan_inline(&mut self, plan: &mut Plan, room: usize, key: LogKey) -> bool {
        let inline_limit = self.journal.ring.record_limit();
        let log = &mut self.logs[key];
        let overtaken = log.placing.is_bulk().then(|| {
            let job = log.job();
            job.expect("a bulk write is under way").to
        });
        let first = overtaken.map_or(log.placing.next, |to| to.max(log.placing.next));
        let (mut end, mut bytes, mut payload) = (first, 0, 0);
        let mut too_large = false;
        for entry in log.tail.entries(first, log.at.ordered.0) {
            let more = entry_len(entry.bytes.len());
            too_large = more > inline_limit;
            if too_large || plan.body + bytes + more > room {
                break;
            }
            bytes += more;
            payload += entry.bytes.len();
            end = end.plus(1);
        }
        if end > first {
            let count = u32::try_from(end.0 - first.0).expect("entries of one commit");
            let next = log.position(end);
            let entries = Planned::Entries {
                log: key,
                first,
                end,
            };
            plan.add(entries, bytes);
            plan.count += count - 1;
            plan.advances.push(Advance { log: key, next });
            if overtaken.is_some() {
                // The fault that is switched on: entries are acknowledged before those below them.
                return true;
            }
            plan.urgency = plan.urgency.max(log.placing.urgency);
            log.placing.place(end, payload);
            self.commits.lines.pending_inline -= payload;
            self.plan_run(plan, key, (first, end), bytes, None);
            self.use_grant(key, bytes as u64);
        }
        let log = &self.logs[key];
        if end == log.at.ordered.0 {
            return true;
        }
        if too_large {
            self.want_bulk(key);
        }
        too_large
    }

    fn plan_extent(&mut self, plan: &mut Plan, key: LogKey, record: Bytes) {
        let log = &mut self.logs[key];
        let job = log.job();
        let job = job.expect("a bulk write is under way");
        let (first, end, has_tail) = (log.placing.next, job.to, job.has_tail);
        let payload: usize = log
            .tail
            .entries(first, end)
            .map(|entry| entry.bytes.len())
            .sum();
        plan.urgency = plan.urgency.max(log.placing.urgency);
        log.placing.place(end, payload);
        log.placing.way = Way::Inline;
        self.commits.lines.pending_inline += log.placing.bytes();
        let next = log.position(end);
        let bytes = record.len();
        plan.add(Planned::Extent(record.clone()), bytes);
        self.plan_run(plan, key, (first, end), bytes, Some(record));
        plan.advances.push(Advance { log: key, next });
        let granted = (first.0..end.0).map(|at| {
            self.journal
                .ring
                .grant_for(self.logs[key].tail.entry(Ordinal(at)).bytes.len())
        });
        let granted = granted.sum();
        self.use_grant(key, granted);
        self.stats.extents += 1;
        self.stats.extents_with_tail += u64::from(has_tail);
        self.end_job(key);
    }

    fn plan_run(
        &mut self,
        plan: &mut Plan,
        key: LogKey,
        (first, end): (Ordinal, Ordinal),
        bytes: usize,
        record: Option<Bytes>,
    ) {
        let log = &mut self.logs[key];
        self.reclaim.remnants.add(&mut log.held, bytes as u64);
        plan.live.push(key);
        let run = Run {
            first,
            last: Ordinal(end.0 - 1),
            seq: self.journal.ring.next_seq(),
            bytes: bytes as u64,
            record,
            prefix: false,
            copied: false,
        };
        plan.runs.push((key, NewRun::Append(run)));
        if log.placing.next == log.at.ordered.0 {
            log.placing.urgency = Urgency::Leisure;
        }
        let snapshot_due = log.snapshots.pending.is_some();
        let when = log.class.snapshot;
        let overlong =
            when.is_some_and(|when| log.held.bytes() > when.enough(log.snapshots.bytes()));
        if snapshot_due {
            self.queue_control(key);
        }
        if overlong {
            self.ask_snapshot(key);
        }
    }

    /// What was granted to entries is replaced by the blocks of their commit.
    fn use_grant(&mut self, key: LogKey, granted: u64) {
        let log = &mut self.logs[key];
        let none_left = log.is_placed();
        let granted = log.placing.use_grant(granted, none_left);
        self.journal.ring.ungrant(granted);
    }
}
