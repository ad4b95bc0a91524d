//! Commits: when one is made, what goes into it in which order, and what its completion means.
//!
//! Order within a commit: records that logs owe the ring (checkpoints, snapshots, ends), copies
//! of old records, new records. What is placed is released from its old commit at once: the same
//! commit announces both by its live-from, so that either both are durable or neither.

use crate::checksum::append;
use crate::format::commit::{COMMIT_HEADER, CommitHeader, RingPosition, commit_len, seal_summed};
use crate::format::record::{
    SnapshotState, put_checkpoint, put_end, put_entry, put_prefix, put_snapshot,
};
use crate::io::{BLOCK, BufPool, IoResult, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::api::Event;
use crate::store::commit::plan::{NewRun, Plan, Planned};
use crate::store::journal::ring::{Advance, LogKey};
use crate::store::log::lines::Line;
use crate::store::log::{placing::Urgency, snapshots::SnapshotBody};
use crate::store::ops::Purpose;
use crate::store::space::Growing;
use crate::types::{CommitSeq, LogId};

/// Why a commit is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Entries were appended.
    Appends,
    /// Records that win space.
    Space,
    /// Silence: vouch for the last commit.
    Idle,
}

impl<P: BufPool> Store<P> {
    /// Issues the commits that are due.
    pub(crate) fn issue_commits(&mut self) {
        while !self.phase.is_failed()
            && self.journal.ring.in_flight() < self.config.commits_in_flight
        {
            if !self.may_enter_next() || self.space.holds_commits() || self.journal.marked.ended {
                return;
            }
            let (mut plan, mut late) = (Plan::default(), Plan::default());
            let rescue = self.plan_rescue(&mut plan);
            let due = match (rescue, self.commit_due()) {
                (true, _) => Due::Space,
                (false, Some(due)) => due,
                (false, None) => return,
            };
            // Records that win space come from what is spare, or stand in the padding of those
            // for which space was found. New ones bring what was granted to them.
            let room = self
                .journal
                .ring
                .body_room(self.journal.ring.spare())
                .max(plan.padded_body());
            self.plan_control(&mut plan, room);
            if mutated(self.config.mutation, Mutation::CopiesAfterNew) {
                self.plan_copies(&mut late, room / 2);
            } else {
                self.plan_copies(&mut plan, room);
            }
            if plan.count > 0 {
                plan.urgency = Urgency::Commit;
            }
            self.plan_appends(&mut plan);
            let bare = plan.count == 0;
            if bare && !self.vouch_due() && !self.announce_wanted() {
                return;
            }
            if due == Due::Space {
                self.reclaim.spends(self.journal.ring.next_seq());
            }
            self.issue(plan);
            if late.count > 0 {
                self.issue(late);
            }
        }
    }

    fn commit_due(&mut self) -> Option<Due> {
        if self.announce_wanted() || self.urgent() {
            return Some(Due::Space);
        }
        if self.commits.lines.ready() > 0 && self.appends_due() {
            return Some(Due::Appends);
        }
        self.idle_due().then_some(Due::Idle)
    }

    /// Whether silence asks for an empty commit, and there is room for one.
    fn vouch_due(&self) -> bool {
        self.idle_due() && !self.commits.pace.is_vouched() && self.may_vouch()
    }

    /// Whether there is room for an empty commit that vouches for the last one: a block of the
    /// reserve is kept for it, and all of the reserve when nothing else will be written.
    pub(crate) fn may_vouch(&self) -> bool {
        let kept = match self.phase.is_stopping() {
            true => 0,
            false => self.journal.ring.reserve().saturating_sub(BLOCK as u64),
        };
        self.journal.ring.has_block_beside(kept)
    }

    /// At once if none is in flight; a further one when it is worth it or time.
    fn appends_due(&self) -> bool {
        if self.journal.ring.in_flight() == 0
            || self.commits.lines.pending_inline >= self.config.parallel_commit_bytes
        {
            return true;
        }
        self.parallel_deadline()
            .is_some_and(|at| at <= self.turn.now.mono)
    }

    fn issue(&mut self, plan: Plan) {
        let len = commit_len(plan.body);
        let durable_through = CommitSeq(self.journal.ring.durable_through().0 - 1);
        let place = self.journal.ring.place(len as u64, self.turn.now.mono);
        for key in &plan.live {
            self.journal.ring.add_live(place.seq, *key);
        }
        let grows = !self
            .journal
            .prefill
            .covers(place.file, place.pos + len as u64);
        self.entered(place.file, place.pos + len as u64);
        let mut buf = self.pool.alloc(len);
        let body_crc = self.encode(&plan, &mut buf.as_mut()[COMMIT_HEADER..len]);
        let header = CommitHeader {
            journal: self.journal.id,
            seq: place.seq,
            live_from: place.live_from,
            live_from_at: RingPosition {
                file: place.live_from_file,
                block: u32::try_from(place.live_from_pos / BLOCK as u64).expect("block of a file"),
            },
            durable_through,
            count: plan.count,
            body_len: u32::try_from(plan.body).expect("one commit"),
            body_crc,
        };
        seal_summed(&mut buf.as_mut()[..len], &header);
        self.keep_runs(&plan, place.seq);
        // A crash of the system would take the length of a file that grows, and the commit.
        let lazy = plan.count > 0 && plan.urgency < Urgency::Commit && !grows;
        let durable = !lazy && !mutated(self.config.mutation, Mutation::SkippedSync);
        if durable || plan.urgency == Urgency::Reader {
            self.journal.syncs.hasten(self.journal.ring.next_seq());
        }
        self.stats.commits += 1;
        self.stats.empty_commits += u64::from(plan.count == 0);
        self.stats.journal_bytes += len as u64;
        self.commits.pace.issued(plan.count == 0);
        if !plan.advances.is_empty() {
            self.reclaim.earn(len as u64);
        }
        let file = self.journal.file(place.file);
        let purpose = Purpose::Commit {
            seq: place.seq,
            durable: !lazy,
        };
        let pos = place.pos;
        if grows {
            let bytes = buf.as_ref()[..len].to_vec();
            let refused = false;
            let growing = Growing {
                file,
                pos,
                bytes,
                refused,
            };
            self.space.growing.insert(place.seq, growing);
        }
        self.ops.push(
            purpose,
            Op::Write {
                file,
                pos,
                buf,
                durable,
            },
        );
        if mutated(self.config.mutation, Mutation::AckBeforeSync) {
            for advance in plan.advances {
                self.move_frontier(advance, true);
            }
        } else {
            self.commits.effects.add_moves(place.seq, plan.advances);
        }
    }

    /// The plan's runs now stand in commit `seq`.
    fn keep_runs(&mut self, plan: &Plan, seq: CommitSeq) {
        for (key, run) in &plan.runs {
            let log = &mut self.logs[*key];
            match run {
                NewRun::Append(run) => log.held.push(run.clone()),
                NewRun::Moved(first) => log.held.moved(*first, seq),
            }
        }
    }

    /// Writes the planned records; the CRC-32C of all of them.
    fn encode(&self, plan: &Plan, body: &mut [u8]) -> u32 {
        let mut at = 0;
        // The sum of what precedes `summed`; what follows is read when it must be, in one go.
        let (mut sum, mut summed) = (0, 0);
        for record in &plan.records {
            at += match record {
                Planned::Checkpoint(key, point) => {
                    let log = &self.logs[*key];
                    put_checkpoint(&mut body[at..], log.id, log.kind, point)
                }
                Planned::Snapshot(key) => self.encode_snapshot(*key, &mut body[at..]),
                Planned::End(key) => {
                    let log = &self.logs[*key];
                    put_end(&mut body[at..], log.id, log.kind, log.placing.next)
                }
                Planned::Entries { log, first, end } => {
                    let log = &self.logs[*log];
                    let mut len = 0;
                    for entry in log.tail.entries(*first, *end) {
                        let out = &mut body[at + len..];
                        len += put_entry(out, log.id, log.kind, &entry.meta, &entry.bytes);
                        if entry.sum.is_some() {
                            let header_end = at + len - entry.bytes.len();
                            let before = append(sum, &body[summed..header_end]);
                            (sum, summed) = (entry.sum_after(before), at + len);
                        }
                    }
                    len
                }
                Planned::Prefixes { log, first, end } => {
                    let log = &self.logs[*log];
                    let mut len = 0;
                    for entry in log.tail.entries(*first, *end) {
                        let out = &mut body[at + len..];
                        let replayed = log.class.replay.of(&entry.bytes);
                        len += put_prefix(out, log.id, log.kind, &entry.meta, replayed);
                    }
                    len
                }
                Planned::Extent(record) => {
                    body[at..][..record.len()].copy_from_slice(record);
                    record.len()
                }
            };
        }
        assert_eq!(at, plan.body, "a commit is as long as planned");
        append(sum, &body[summed..at])
    }

    fn encode_snapshot(&self, key: LogKey, out: &mut [u8]) -> usize {
        let log = &self.logs[key];
        let snapshot = log.snapshots.placed.as_ref().expect("a planned snapshot");
        let state = match &snapshot.body {
            SnapshotBody::Inline(bytes) => SnapshotState::Inline(bytes),
            SnapshotBody::File {
                generation,
                len,
                crc,
            } => SnapshotState::File {
                generation: *generation,
                len: *len,
                crc: *crc,
            },
        };
        put_snapshot(out, log.id, log.kind, snapshot.ordinal, &state)
    }

    /// A reader waits for what the log holds: what is not durable is synced as soon as it is
    /// written, rather than with the next of the leisurely syncs. However many ask, one sync is
    /// under way at a time, and takes all that was written before it. Ignored if there is no such
    /// log, or nothing to wait for.
    pub fn hasten(&mut self, log: LogId) {
        let Some(key) = self.logs.key(log) else {
            return;
        };
        let log = &mut self.logs[key];
        if !log.lives() || log.at.durable == log.at.ordered {
            return;
        }
        if log.placing.next < log.at.ordered.0 {
            log.placing.urgency = log.placing.urgency.max(Urgency::Reader);
        }
        if log.at.durable.0 < log.placing.next {
            self.journal.syncs.hasten(self.journal.ring.next_seq());
        }
        self.turn.stir();
    }

    /// The device has answered for a commit.
    pub(crate) fn commit_done(&mut self, seq: CommitSeq, durable: bool, result: IoResult<P::Buf>) {
        if let Err(error) = result {
            if !self.refuse_commit(seq, &error) {
                self.fail(format!("journal write failed: {}", error.message));
            }
            return;
        }
        self.space.growing.remove(&seq);
        let now = self.turn.now.mono;
        let commit = self.journal.ring.get(seq);
        let took = commit.map(|commit| now.since(commit.issued));
        self.commits.pace.done(now, took);
        self.journal.ring.complete(seq, durable);
        self.after_progress();
    }

    /// Moves frontiers after commits became written or durable.
    pub(crate) fn after_progress(&mut self) {
        let durable = self.journal.ring.durable();
        while let Some(advances) = self.commits.effects.durable_moves(durable) {
            for advance in advances {
                self.move_frontier(advance, true);
            }
        }
        let written = self.journal.ring.written();
        while let Some(advances) = self.commits.effects.written_moves(written) {
            for advance in advances {
                self.move_frontier(advance, false);
            }
        }
        self.after_durable();
    }

    fn move_frontier(&mut self, advance: Advance, durable: bool) {
        let Some(log) = self.logs.get_mut(advance.log) else {
            return;
        };
        let before = (log.at.written, log.at.durable);
        log.at.written = log.at.written.max(advance.next);
        if durable {
            log.at.durable = log.at.durable.max(advance.next);
        }
        if (log.at.written, log.at.durable) != before {
            self.reclaim.renew_rescues();
            self.queue_frontier(advance.log);
            self.consider_behind(advance.log);
        }
    }

    pub(crate) fn queue_frontier(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if log.lines.enter(Line::Frontier) {
            let log = log.id;
            self.events.push_back(Event::Frontier { log });
        }
    }
}
