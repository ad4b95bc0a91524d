//! Wins journal space back from the oldest commits.
//!
//! From half full on, the oldest commits are looked at, a window at a time, paced by what was
//! appended since. If a log has left little there, that is copied forward in the ring; if much, it
//! is written to the log's segment. Records that a log must always have in the ring are placed
//! again. One slow log cannot hold the ring, and a thousand logs with one record each cost one
//! sequential copy.

use crate::io::{BLOCK, BufPool};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::types::CommitSeq;

use crate::store::log::{LogState, Removal};

/// Logs of old commits that one pass looks at, about.
const MOST_LOOKED_AT: usize = 4096;

/// What is to become of a log's records in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing of it is left there, or something under way will see to it.
    Leave,
    /// Copied: so many bytes.
    Copy(u64),
    /// Copied, but only the starts of entries, for a replay.
    CopyPrefixes,
    /// Written to its segment.
    Flush,
}

impl<P: BufPool> Store<P> {
    /// Whether space is being won back.
    pub(crate) fn under_pressure(&self) -> bool {
        self.journal.ring.used() > self.journal.ring.usable() / 2
            || (self.reclaim.is_awaited() && !self.space.is_short())
    }

    /// Whether records that win space soon have no room.
    fn starved(&self) -> bool {
        self.journal.ring.spare() < self.journal.ring.max_commit() as u64
    }

    /// Whether records that win space must not wait for appends to carry them.
    pub(crate) fn urgent(&self) -> bool {
        // One commit for the checkpoints of all logs that are being written behind: each alone
        // would take more space than it gives back.
        let none_to_come = !self.writing.is_behind();
        let alone = self.journal.ring.in_flight() == 0 || self.starved();
        // What the last such commit gives back is seen when it is durable.
        let seen = self.journal.ring.durable() > self.reclaim.last;
        let pressed = self.under_pressure() && none_to_come && alone && seen;
        (self.reclaim.is_copying() && seen)
            || (self.commits.lines.control() > 0 && (pressed || self.phase.is_stopping()))
    }

    /// Whether a commit is to be made for its live-from alone.
    pub(crate) fn announce_wanted(&mut self) -> bool {
        self.journal.ring.in_flight() == 0
            && self.under_pressure()
            && self.journal.ring.has_block_beside(0)
            && self.journal.ring.can_announce()
    }

    /// Looks at the next window of old commits, unless the last one is still being worked on.
    pub(crate) fn reclaim(&mut self) {
        if !self.under_pressure()
            || self.phase.is_stopping()
            || self.reclaim.is_copying()
            || self.commits.lines.control() > 0
            || self.reclaim.credit == 0
        {
            return;
        }
        let moved = self.journal.ring.tail() >= self.reclaim.looked_upto;
        let under_way = !self.ops.is_idle() || self.space.is_full();
        if !std::mem::take(&mut self.reclaim.again) && !moved && under_way {
            // What the last pass began is not over, or waits for space on the disk.
            return;
        }
        if self.journal.ring.durable() != self.journal.ring.next_seq()
            && self.journal.ring.can_announce()
        {
            // A commit under way may give back more than this pass would.
            return;
        }
        self.reclaim.pass += 1;
        let pass = self.reclaim.pass;
        let window =
            (self.journal.ring.usable() / 16).max(2 * self.journal.ring.max_commit() as u64);
        let (mut bytes, mut upto, mut end) = (0, CommitSeq(0), self.journal.ring.tail());
        let mut found = Vec::new();
        for (seq, commit) in self.journal.ring.oldest() {
            if (bytes + commit.len > window && bytes > 0) || found.len() > MOST_LOOKED_AT {
                break;
            }
            bytes += commit.len;
            end = commit.at + commit.len;
            upto = seq.plus(1);
            found.extend_from_slice(&commit.logs);
        }
        self.reclaim.looked_upto = end;
        let (mut copied, mut renewed) = (0, false);
        let mut candidates = Vec::new();
        for key in found {
            let Some(log) = self.logs.get_mut(key) else {
                continue;
            };
            if !log.held.see(pass) {
                continue;
            }
            renewed |= self.renew_control(key, upto);
            match self.fate(key, upto) {
                Fate::Leave => {}
                Fate::Flush => self.flush_for_space(key),
                Fate::CopyPrefixes => self.reclaim.copy(key, &mut self.logs[key], upto),
                Fate::Copy(cost) => {
                    copied += cost;
                    candidates.push(key);
                }
            }
        }
        // A window full of remnants gives nothing back by itself, but all of them together fill
        // less than a quarter of the ring: once round it, copying frees three times what it
        // costs. Only where appends wait for space must this window give some back. (A ring that
        // holds less than a window is full of grants, not of remnants.)
        let worth_it = !self.reclaim.is_awaited() || copied * 2 <= bytes.max(window);
        for key in candidates {
            if worth_it || !self.logs[key].can_flush() {
                self.reclaim.copy(key, &mut self.logs[key], upto);
            } else {
                self.flush_for_space(key);
            }
        }
        let spent = copied + u64::from(renewed) * BLOCK as u64;
        self.reclaim.credit = self.reclaim.credit.saturating_sub(spent);
    }

    /// Records that must always stand in the ring are placed again.
    pub(crate) fn renew_control(&mut self, key: LogKey, upto: CommitSeq) -> bool {
        let log = &mut self.logs[key];
        let mut any = false;
        // The end of a log takes all its other records with it.
        let ends = log.removal.is_some();
        if !ends && log.checkpoint.seq.is_some_and(|seq| seq < upto) {
            log.owed.checkpoint = true;
            any = true;
        }
        let snapshot = log.snapshots.placed.as_ref();
        if !ends && snapshot.is_some_and(|snapshot| snapshot.seq < upto) {
            log.owed.snapshot = true;
            any = true;
        }
        let end = match log.removal {
            Some(Removal::Placed(seq)) if seq < self.journal.ring.durable() => Some(seq),
            Some(Removal::Files { end, .. }) => end,
            _ => None,
        };
        if end.is_some_and(|seq| seq < upto) {
            log.owed.end = true;
            any = true;
        }
        if any {
            self.queue_control(key);
        }
        any
    }

    fn fate(&mut self, key: LogKey, upto: CommitSeq) -> Fate {
        let log = &self.logs[key];
        let Some(left) = log.left_below(upto) else {
            return Fate::Leave;
        };
        if log.removal.is_some() || log.job_waits_for_space() {
            return Fate::Leave;
        }
        let replay = log.replay_floor();
        if !log.class.files || replay < log.data_floor() || left.held {
            self.ask_snapshot(key);
        }
        let log = &self.logs[key];
        if !left.data {
            // Its snapshot will do, unless that must wait for entries that wait for this space.
            let can_come = log.placing.next == log.at.ordered.0 && !log.is_stopped();
            return if can_come || left.bytes == 0 {
                Fate::Leave
            } else {
                Fate::CopyPrefixes
            };
        }
        if self.is_little(key) || !log.can_flush() {
            return Fate::Copy(left.bytes);
        }
        Fate::Flush
    }

    /// Writes the log's entries behind, all of them if less would not empty the oldest commits.
    fn flush_for_space(&mut self, key: LogKey) {
        if mutated(self.config.mutation, Mutation::FreedBeforeSync) {
            let log = &mut self.logs[key];
            log.checkpoint.upto = log.checkpoint.upto.max(log.placing.next);
            let asked = log.snapshots.placed.as_ref().is_some();
            if asked {
                self.release_runs(key);
            }
        }
        let close = self.closes_for_space(key);
        self.queue_behind(key, close);
    }

    /// Whether what the log has in the ring is rather moved than written to a segment of its own:
    /// it is little, so is what all such logs have, and the ring is not full of what lives.
    fn is_little(&self, key: LogKey) -> bool {
        let ring = self.journal.ring.capacity();
        let most = ring / if self.reclaim.is_awaited() { 4 } else { 2 };
        self.reclaim.remnants.counts(self.logs[key].held.bytes())
            && self.reclaim.remnants.bytes() < ring / 4
            && self.reclaim.remnants.all() < most
    }

    /// Whether a flush for space pads and closes the segment: a long remainder goes in whole
    /// blocks; what then is left is little, and is copied.
    pub(crate) fn closes_for_space(&self, key: LogKey) -> bool {
        let least = self.config.write_behind_bytes as u64;
        let log = &self.logs[key];
        log.held.bytes() < least.max(4 * BLOCK as u64) || !log.gains_by_blocks()
    }

    /// Runs that nothing needs any more leave the journal.
    pub(crate) fn release_runs(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let floor = log.journal_floor();
        let mut freed = 0;
        while let Some(run) = log.held.pop_below(floor) {
            freed += run.bytes;
            self.journal.ring.remove_live(run.seq);
        }
        let left = log.held.bytes() - freed;
        self.reclaim.remnants.change(&mut log.held, left);
        self.turn.stir();
    }
}

/// What a log has in a window of old commits.
struct Left {
    /// Bytes that a copy would take.
    bytes: u64,
    /// Something there is held by a replay only.
    held: bool,
    /// Something there is nowhere else.
    data: bool,
}

impl LogState {
    /// What stands in commits below `upto`; `None` for nothing.
    fn left_below(&self, upto: CommitSeq) -> Option<Left> {
        let floor = self.data_floor();
        let mut left = Left {
            bytes: 0,
            held: false,
            data: false,
        };
        let mut any = false;
        for run in self.held.runs() {
            if run.seq >= upto {
                if run.copied { continue } else { break }
            }
            any = true;
            if run.prefix || run.last < floor {
                left.held = true;
            } else {
                left.data = true;
            }
            if !run.prefix {
                left.bytes += run.bytes;
            }
        }
        any.then_some(left)
    }

    /// Whether its entries can be written to a segment.
    pub(crate) fn can_flush(&self) -> bool {
        self.class.files && !self.is_stopped() && self.segmented.flushed.0 < self.at.written.0
    }

    /// Whether writing whole blocks, without a closing pad, would cover an entry.
    pub(crate) fn gains_by_blocks(&self) -> bool {
        if self.segmented.flushed.0 >= self.at.written.0 {
            return false;
        }
        let first = self.tail.entry(self.segmented.flushed.0);
        let last = self
            .tail
            .entry(crate::types::Ordinal(self.at.written.0.0 - 1));
        let end = last.pos + u64::from(last.meta.len);
        let first_end = first.pos + u64::from(first.meta.len);
        last.pos < first.pos || first_end <= crate::format::round_down(end)
    }
}
