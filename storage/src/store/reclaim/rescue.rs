//! Keeps the ring from locking up: rewrites the oldest commits when nothing else has room.
//!
//! Why a full ring always comes free again:
//!
//! 1. What was granted to entries can be placed at any time (`grant_for`), and records that win
//!    space otherwise (`plan_control`, `plan_copies`) take only what is spare. So whenever no
//!    rescue is under way, at least the reserve is free beside all grants.
//! 2. A rescue is one commit with everything that the oldest commits still hold, in the form that
//!    it needs from now on. It announces that they are not needed, so when it is durable they are
//!    free. It is made only if it takes no more than it gives back: then 1 holds again. Only if
//!    the oldest commit alone holds more than that (it was written longer than this store writes,
//!    or a record grows on the way) it is emptied by several, which is what the second commit of
//!    the reserve is for. No two rescues are in flight, so the reserve is large enough.
//! 3. What cannot move yet waits for something that needs no rescue: a flush job (segment writes
//!    alone; while one waits for space on the disk, its log's entries move), a snapshot (the machine's answer, and entries that have their grants), the end of a
//!    log (its jobs). All of them end, and their end is heard here. A snapshot that itself waits
//!    for space, and is of too early a state to let the records go, is no such thing: a later one
//!    is asked for, and takes its place.
//! 4. A rescue moves entries only of logs with little, and only while all live entries together
//!    take less than a quarter of what the reserve leaves of the ring; else they are flushed. What
//!    logs must always have in it fits, or recovery would have made the ring larger. So twice
//!    round the ring is enough to free what can be freed: that is how far the credit goes. (A log
//!    that has stopped cannot flush: its records stay, and may leave too little of a very small
//!    ring.)

use std::collections::BTreeMap;

use crate::format::commit::commit_len;
use crate::format::record::{CHECKPOINT_LEN, END_LEN, entry_len, prefix_len};
use crate::io::BufPool;
use crate::store::Store;
use crate::store::commit::plan::Plan;
use crate::store::journal::ring::LogKey;
use crate::store::log::snapshots::PendingSnapshot;
use crate::store::log::{LogState, Owed, Removal};
use crate::types::{CommitSeq, Ordinal};

/// Commits that one rescue looks at.
const MOST_LOOKED_AT: usize = 1024;

/// What the oldest commits hold.
#[derive(Debug, Default)]
struct Found {
    /// Everything below is rewritten.
    upto: CommitSeq,
    /// Their logs, and what those place again.
    logs: BTreeMap<LogKey, Owed>,
    /// Bytes of records, at most.
    bytes: usize,
}

impl<P: BufPool> Store<P> {
    /// Plans the commit that frees the oldest ones, if one is needed and possible now.
    pub(crate) fn plan_rescue(&mut self, plan: &mut Plan) -> bool {
        if !self.needs_rescue() {
            return false;
        }
        let room = self.journal.ring.body_room(
            self.journal
                .ring
                .free()
                .saturating_sub(self.journal.ring.granted()),
        );
        let Some((found, gain)) = self.find_rescue(room) else {
            return false;
        };
        self.plan_found(plan, room, &found);
        if plan.count == 0 {
            return false;
        }
        let len = commit_len(plan.body) as u64;
        if gain <= len {
            self.reclaim.spend_rescue(len);
        }
        self.stats.rescues += 1;
        true
    }

    /// Something waits for space, and what else wins space has no room.
    fn needs_rescue(&self) -> bool {
        let appends =
            self.reclaim.is_awaited() && !self.space.is_short() && !self.phase.is_stopping();
        let owed = self.commits.lines.control() > 0
            || !(self.commits.pace.is_vouched() || self.may_vouch());
        (appends || owed)
            && self.journal.ring.spare() < self.journal.ring.max_commit() as u64
            && self.reclaim.may_rescue()
            && self.journal.ring.in_flight() == 0
    }

    /// The oldest commits that can be rewritten with the most gain, and that; `None` if the oldest
    /// of all cannot be now.
    fn find_rescue(&mut self, room: usize) -> Option<(Found, u64)> {
        let mut seq = self.journal.ring.live_from();
        let mut found = Found::default();
        let mut best: Option<(u64, Found, u64)> = None;
        let mut fits: Option<Found> = None;
        let mut looked = 0;
        while seq < self.journal.ring.durable() && looked < MOST_LOOKED_AT {
            let commit = self
                .journal
                .ring
                .get(seq)
                .expect("commits from live-from on");
            if commit.live > 0 {
                looked += 1;
                let mut keys = commit.logs.clone();
                keys.sort_unstable();
                keys.dedup();
                // All of them, so that what some wait for is under way at the same time.
                let waiting = keys
                    .into_iter()
                    .filter(|key| !self.find_in(&mut found, *key, seq));
                if waiting.count() > 0 {
                    return best.map(|(_, found, gain)| (found, gain));
                }
                found.upto = seq.plus(1);
                let (gain, len) = (
                    self.journal.ring.gain(found.upto),
                    commit_len(found.bytes) as u64,
                );
                let clear = found.bytes <= room && gain >= len;
                if clear && best.as_ref().is_none_or(|(most, ..)| gain - len >= *most) {
                    best = Some((gain - len, copy_of(&found), gain));
                }
                if found.bytes > room {
                    // Those before it, even without gain: it may be the next one alone that gains.
                    // Itself alone more than a commit takes: as much of it as there is room for.
                    let without_gain = (fits.unwrap_or(found), 0);
                    return best
                        .map(|(_, found, gain)| (found, gain))
                        .or(Some(without_gain));
                }
                fits = Some(copy_of(&found));
            }
            seq = seq.plus(1);
        }
        // Without gain, but what grows does so once.
        let alone = (looked > 0).then_some((found, 0));
        best.map(|(_, found, gain)| (found, gain)).or(alone)
    }

    /// Adds what the log has in commit `seq`; false if that cannot move now.
    fn find_in(&mut self, found: &mut Found, key: LogKey, seq: CommitSeq) -> bool {
        let Some(log) = self.logs.get(key) else {
            return true;
        };
        let mut owed = found.logs.get(&key).copied().unwrap_or_default();
        let before = owed;
        if let Some(removal) = log.removal {
            let placed = match removal {
                Removal::Files { end, .. } => end == Some(seq),
                Removal::Placed(at) => at == seq,
                Removal::Wanted => false,
            };
            if !placed && !log.owed.end {
                // Its records die with its end, which waits for what is under way.
                return !log.has_live_in(seq);
            }
            owed.end = true;
        } else {
            let after = log.after_control();
            let snapshot = log.snapshots.placed.as_ref().is_some_and(|s| s.seq == seq);
            owed.checkpoint |= log.owed.checkpoint || log.checkpoint.seq == Some(seq);
            owed.snapshot |= snapshot || log.owed.snapshot || log.placeable_snapshot().is_some();
            let mut bytes = 0;
            for at in 0..self.logs[key].held.runs().len() {
                let log = &self.logs[key];
                let run = &log.held.runs()[at];
                if run.seq != seq {
                    if run.seq > seq && !run.copied {
                        break;
                    }
                    continue;
                }
                let held = run.last < after.data;
                owed.checkpoint |= run.first < after.data && log.data_floor() < after.data;
                if run.last < after.journal {
                    continue;
                }
                if let (Some(record), true) = (&run.record, log.is_lost()) {
                    bytes += record.len();
                    continue;
                }
                let first = run.first.max(after.journal);
                if run.prefix || first < log.tail_first() || (held && !log.gave_up()) {
                    // Its snapshot takes it out of the journal.
                    let last = run.last;
                    self.ask_snapshot_past(key, last);
                    return false;
                }
                if !held && self.flushes_instead(key) {
                    return false;
                }
                let log = &self.logs[key];
                let run = &log.held.runs()[at];
                let entries = log.tail.entries(first, run.last.plus(1));
                bytes += match (&run.record, held) {
                    (Some(record), false) => record.len(),
                    (None, false) => entries.map(|e| entry_len(e.bytes.len())).sum(),
                    (_, true) => {
                        let replay = log.class.replay;
                        let lens = entries.map(|e| prefix_len(replay.of(&e.bytes).len()));
                        lens.sum()
                    }
                };
            }
            found.bytes += bytes;
        }
        let log = &self.logs[key];
        found.bytes += usize::from(owed.checkpoint && !before.checkpoint) * CHECKPOINT_LEN;
        found.bytes += usize::from(owed.end && !before.end) * END_LEN;
        if owed.snapshot && !before.snapshot {
            found.bytes += log.snapshot_record_len();
        }
        found.logs.insert(key, owed);
        true
    }

    /// Whether the log's entries go to its segment, and its records wait for that.
    fn flushes_instead(&mut self, key: LogKey) -> bool {
        let log = &self.logs[key];
        // Once round the ring without success, less may stay: in a very small one the reserve is
        // much of it.
        let usable = self.journal.ring.usable();
        let open = match self.reclaim.is_round_once() {
            true => usable.saturating_sub(self.journal.ring.reserve()),
            false => self.journal.ring.capacity(),
        };
        let little = self.reclaim.remnants.counts(log.held.bytes())
            && self.reclaim.remnants.all() < open / 4;
        if little || !log.can_flush() || log.job_waits_for_space() {
            return false;
        }
        let busy = log.job().is_some();
        if busy || self.writing.jobs() >= self.config.flush_jobs {
            return true;
        }
        let close = self.closes_for_space(key);
        self.start_behind(key, close) || (!close && self.start_behind(key, true))
    }

    fn plan_found(&mut self, plan: &mut Plan, room: usize, found: &Found) {
        for (&key, owed) in &found.logs {
            let log = &mut self.logs[key];
            if log.removal.is_some() {
                log.owed.end |= owed.end;
            } else {
                log.owed.checkpoint |= owed.checkpoint;
                log.owed.snapshot |= owed.snapshot && log.snapshots.placed.is_some();
            }
            if !self.plan_log_control(plan, room, key) {
                // Without asking for another turn, which would find no more room.
                self.commits.lines.add_control(key, &mut self.logs[key]);
                return;
            }
        }
        for &key in found.logs.keys() {
            if !self.plan_log_copies(plan, room, key, found.upto) {
                return;
            }
        }
    }
}

fn copy_of(found: &Found) -> Found {
    Found {
        upto: found.upto,
        logs: found.logs.clone(),
        bytes: found.bytes,
    }
}

/// Below which ordinals a log's entries are in segments, and need no journal.
struct After {
    data: Ordinal,
    journal: Ordinal,
}

impl LogState {
    /// Where the log's floors are once what it could place now is placed.
    fn after_control(&self) -> After {
        let pending = self.placeable_snapshot().map(|pending| pending.ordinal);
        let snapshot = pending.unwrap_or_default().max(self.snapshots.ordinal());
        let replay = self.class.replay.from(snapshot);
        let data = match (self.is_lost(), self.class.files) {
            (true, _) => Ordinal(0),
            (false, true) => self
                .data_floor()
                .max(self.segmented.flushed.0)
                .max(self.at.start.0),
            (false, false) => snapshot,
        };
        After {
            data,
            journal: replay.min(data),
        }
    }

    pub(crate) fn placeable_snapshot(&self) -> Option<&PendingSnapshot> {
        let placeable = self.snapshots.placeable(self.placing.next);
        placeable.filter(|_| !self.is_unborn())
    }

    /// Bytes of the snapshot record that it would place.
    fn snapshot_record_len(&self) -> usize {
        let pending = self.placeable_snapshot();
        pending.map_or(self.snapshots.record_len(), |p| p.body.record_len())
    }

    fn has_live_in(&self, seq: CommitSeq) -> bool {
        self.checkpoint.seq == Some(seq)
            || self.snapshots.seq() == Some(seq)
            || self.held.runs().iter().any(|run| run.seq == seq)
    }
}
