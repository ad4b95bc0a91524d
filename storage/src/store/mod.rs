//! One core's logs while the broker runs: entries in, frontiers and reads out.
//!
//! Each folder is a part with its own state, and tells what may be touched there: `log` (one log),
//! `journal` (the ring and its room), `commit` (what enters it), `segments` (writing behind it, or
//! in bulk), `reclaim` (its space) and `memory`, `reading`, `retention`, `space` (the file system's),
//! `tidy` (the end). [`Store`] joins them: it hands in what came and lets each take its turn.
//!
//! The way of an entry: `commit::append` (order, memory, granted space) → `commit::issue` (the
//! journal) or `segments::flush` (straight to a segment, then an extent record) → frontiers →
//! `segments::flush` behind the journal → `reclaim` (journal space) → `reading`.
//!
//! It refuses to wait, to walk over all logs before its stop (`tidy`), to look into an entry, and to write a
//! block twice that holds acknowledged bytes. It takes no decision on what clients may see beyond the
//! frontiers, and starts only from what [`crate::recovery`] hands over.

mod adopt;
mod api;
mod commit;
mod config;
mod journal;
mod log;
mod memory;
mod ops;
mod phase;
mod reading;
mod reclaim;
mod retention;
mod segments;
mod snapshot;
mod space;
mod state_file;
mod tidy;
mod turn;

pub use api::{
    AppendError, DiskSpace, Event, Frontiers, LogStats, NewEntry, Place, ReadData, ReadError,
    ReadMeta, ReadOutcome, ReadRange, ReadToken, StoreStats, TimeFound, TimeOutcome,
};
pub use config::{LogSettings, StoreConfig};
pub use log::own::SMALL_ENTRY;
pub use log::tail::ENTRY_OVERHEAD;
pub use state_file::State;

use std::collections::VecDeque;

use crate::histogram::Histogram;
use crate::io::{BLOCK, BufPool, IoResult, Op, OpId, Output};
use crate::mutation::{Mutation, mutated};
use crate::recovery::RecoveredCore;
use crate::types::{CommitSeq, LogId, LogKind, Mono, Now, Ordinal, SlotId};
use commit::Commits;
use commit::effects::Effects;
use commit::lines::Lines;
use commit::pace::Pace;
use journal::Journal;
use journal::mark::Marked;
use journal::prefill::Prefill;
use journal::ring::{LogKey, Ring};
use journal::sync::Syncs;
use log::lines::Line;
use log::{LogState, Logs};
use memory::Memory;
use ops::{Ops, Purpose};
use phase::Phase;
use reading::Reading;
use reclaim::Reclaim;
use retention::Deadlines;
use segments::Writing;
use space::{Space, is_refusal};
use turn::Turn;

/// Turns that one [`Store::poll_op`] takes without an operation coming of it. A turn that changes
/// something asks for another; two or three are usual.
const MOST_TURNS: usize = 64;

/// One core's logs and their journal.
#[derive(Debug)]
pub struct Store<P: BufPool> {
    config: StoreConfig,
    pool: P,
    turn: Turn,
    phase: Phase,
    logs: Logs,
    ops: Ops<P::Buf>,
    events: VecDeque<Event>,
    stats: StoreStats,
    journal: Journal,
    commits: Commits,
    writing: Writing,
    reclaim: Reclaim,
    memory: Memory,
    reading: Reading,
    /// When logs with limits are looked at.
    deadlines: Deadlines,
    space: Space,
}

impl<P: BufPool> Store<P> {
    /// Goes on from what recovery built. Replay is the machines' business: whoever owns them
    /// takes `RecoveredLog::replay` out first and **clones** `RecoveredLog::snapshot`, which the
    /// store needs for copying it forward. Every log starts with default settings; see
    /// [`Store::configure`].
    ///
    /// # Panics
    /// If the ring is too small for two blocks of commit (16 blocks in all), or `recovered`
    /// contradicts itself.
    pub fn open(config: StoreConfig, pool: P, recovered: RecoveredCore, now: Now) -> Self {
        let geometry = recovered.geometry;
        let file_bytes = geometry.file_bytes;
        assert!(
            geometry.ring_bytes() >= 16 * BLOCK as u64,
            "the journal ring is too small"
        );
        let most = geometry.commit_bytes().min(config.max_commit_bytes as u64);
        let max_commit = usize::try_from(most).expect("one commit") / BLOCK * BLOCK;
        assert!(max_commit >= 2 * BLOCK, "commits are too small");
        let first = recovered
            .commits
            .first()
            .map_or(recovered.next_seq, |commit| commit.seq);
        let write_at = (recovered.write_at.file, recovered.write_at.byte());
        let reserves = !mutated(config.mutation, Mutation::NoReserve);
        let mut ring = Ring::new(&geometry, write_at, first, config.mutation);
        ring.set_room(max_commit, reserves);
        for commit in &recovered.commits {
            ring.adopt((commit.at.file, commit.at.byte()), u64::from(commit.len));
        }
        assert_eq!(
            ring.next_seq(),
            recovered.next_seq,
            "recovered commits are not dense"
        );
        let in_flight = usize::from(geometry.in_flight);
        let config = StoreConfig {
            commits_in_flight: config.commits_in_flight.clamp(1, in_flight),
            ..config
        };
        let vouched = CommitSeq(recovered.next_seq.0 - 1);
        let marked = Marked {
            position: recovered.mark_at,
            vouched,
            file: recovered.commits.last().map_or(0, |commit| commit.at.file),
            bytes: recovered.prepared.iter().sum(),
            under_way: false,
            failed: false,
            ended: false,
        };
        let (prepared, set_aside) = (&recovered.prepared, recovered.set_aside);
        let prefill = Prefill::new(prepared, file_bytes, set_aside, config.prefill);
        let mut store = Self {
            turn: Turn { now, stirred: true },
            phase: Phase::Open,
            logs: Logs::default(),
            ops: Ops::new(config.reads_in_flight_bytes),
            events: VecDeque::new(),
            stats: StoreStats::default(),
            reclaim: Reclaim::new(ring.usable(), config.copy_forward_bytes as u64),
            journal: Journal {
                id: recovered.journal,
                ring,
                prefill,
                marked,
                syncs: Syncs::new(recovered.next_seq),
            },
            commits: Commits {
                lines: Lines::default(),
                pace: Pace::new(now.mono),
                effects: Effects::default(),
            },
            writing: Writing::default(),
            memory: Memory::default(),
            reading: Reading::new(config.span_cache_bytes, config.index_cache_bytes),
            deadlines: Deadlines::default(),
            space: Space::default(),
            config,
            pool,
        };
        for log in recovered.logs {
            store.adopt_log(log);
        }
        store.begin_floor(recovered.free);
        store
    }

    /// Adds a log that never was, in a slot that lives on this core. Nothing of it is journaled before its first entry.
    ///
    /// # Panics
    /// If there is a log of this id.
    pub fn create_log(&mut self, log: LogId, slot: SlotId, kind: LogKind, settings: LogSettings) {
        let class = self.config.classes.of(kind);
        self.logs
            .insert(LogState::new(log, slot, (kind, class), settings));
        self.stats.logs += 1;
    }

    /// Changes a log's settings. A log stays at level `memory`, or away from it, once it has
    /// entries. Unknown logs are ignored.
    pub fn configure(&mut self, log: LogId, settings: LogSettings) {
        let Some(key) = self.logs.key(log) else {
            return;
        };
        let state = &mut self.logs[key];
        let memory = |level| level == crate::types::Level::Memory;
        let empty = state.at.ordered.0 == Ordinal(0);
        let mut settings = settings;
        if !empty && memory(state.settings.level) != memory(settings.level) {
            settings.level = state.settings.level;
        }
        state.settings = settings;
        self.schedule_retention(key);
        self.turn.stir();
    }

    /// Where the log stands; `None` if there is no such log.
    #[must_use]
    pub fn frontiers(&self, log: LogId) -> Option<Frontiers> {
        Some(self.logs[self.logs.key(log)?].at)
    }

    /// Whether what comes back to the log finds one that is not being deleted.
    pub(crate) fn can_look_into(&self, key: LogKey) -> bool {
        let outlived = mutated(self.config.mutation, Mutation::OutlivesDeletion);
        self.logs
            .get(key)
            .is_some_and(|log| log.lives() || outlived)
    }

    /// Whether the rule that `which` names is to be broken in this run, for rules of what is built
    /// on the store; never, without the cargo feature `mutations`.
    #[must_use]
    pub fn breaks(&self, which: Mutation) -> bool {
        mutated(self.config.mutation, which)
    }

    /// The ids of all logs, in no order. For start-up, not for a turn.
    pub fn log_ids(&self) -> impl Iterator<Item = (LogId, LogKind)> {
        self.logs.iter().map(|log| (log.id, log.kind))
    }

    /// The next operation to carry out. To be called until it gives `None`, once all input of a
    /// turn was handed in: that is what makes group commits.
    pub fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        for _ in 0..MOST_TURNS {
            if self.ops.has_output() || !std::mem::take(&mut self.turn.stirred) {
                break;
            }
            self.turn();
        }
        self.ops.poll()
    }

    /// An operation is over.
    ///
    /// # Panics
    /// If the id is not that of an operation under way.
    pub fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>, now: Now) {
        self.turn.now = now;
        self.turn.stir();
        let over = self.ops.complete(id);
        if let (true, Err(error)) = (over.shared, &result) {
            self.fail(format!("directory sync failed: {}", error.message));
        }
        let result = match result {
            // The fault that is switched on.
            Err(error)
                if is_refusal(&error)
                    && mutated(self.config.mutation, Mutation::RefusalIsSuccess) =>
            {
                Ok(Output::Done)
            }
            result => result,
        };
        match over.purpose {
            Purpose::Commit { seq, durable } => self.commit_done(seq, durable, result),
            Purpose::JournalSync { file } => self.journal_synced(file, result),
            Purpose::Prefill { file } => self.prefilled(file, result),
            Purpose::Flush { log, step } => self.flush_step(log, step, result),
            Purpose::SnapshotFile { log } => self.snapshot_step(log, result),
            Purpose::Removal { log } => self.removal_step(log, result),
            Purpose::Listing { log, id } => self.listed(log, id, result),
            Purpose::Index(load) => self.index_loaded(*load, result),
            Purpose::Spans(load) => self.spans_loaded(*load, result),
            Purpose::FreeSpace => self.free_space_known(result),
            Purpose::Mark => self.mark_written(&result),
            Purpose::CleanUp => self.space_freed(),
        }
        if over.again {
            self.tried_again();
        }
    }

    /// The next thing that the store has to say.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Frontier { log } = event
            && let Some(key) = self.logs.key(log)
        {
            self.logs[key].lines.leave(Line::Frontier);
        }
        Some(event)
    }

    /// When [`Store::handle_timeout`] is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let retention = self.deadlines.first();
        // What a turn could not do at its time waits for a completion, not for a timer.
        let missed = |at: &Mono| *at <= self.turn.now.mono && !self.turn.stirred;
        // A store that is still stirred after a whole round of turns goes on at once, but not
        // without letting its driver do something else.
        let restless = (self.turn.stirred || self.has_work()).then_some(self.turn.now.mono);
        [
            restless,
            self.parallel_deadline().filter(|at| !missed(at)),
            self.idle_deadline().filter(|at| !missed(at)),
            self.journal.syncs.deadline(),
            retention,
            self.space_deadline().filter(|at| !missed(at)),
            self.mark_deadline().filter(|at| !missed(at)),
            self.tidy_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Now) {
        self.turn.now = now;
        self.turn.stir();
        self.renew_copying();
        let next = self.journal.ring.next_seq();
        self.journal.syncs.check(now.mono, next);
        self.check_retention();
        self.poll_free_space();
    }

    /// Takes no more entries, makes all durable, vouches for it, and writes behind what only the
    /// journal holds as far as [`StoreConfig::tidy_ns`] goes; [`Event::Flushed`] follows.
    pub fn begin_stop(&mut self, now: Now) {
        self.turn.now = now;
        if self.phase.is_open() {
            self.phase = Phase::Stopping(self.begin_tidying());
        }
        self.turn.stir();
        self.stop_waiting_for_space();
    }

    /// Counters, and how full the ring is.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            ring_used: self.journal.ring.used(),
            ring_total: self.journal.ring.usable(),
            laps: self.journal.ring.laps(),
            tail_bytes: self.memory.bytes() as u64,
            logs: self.logs.len() as u64,
            disk: self.space.state(),
            ..self.stats
        }
    }

    /// Why appends are refused for want of space on the file system, if they are; for people.
    #[must_use]
    pub fn disk_shortage(&self) -> Option<&str> {
        self.space.reason()
    }

    /// How long commits took from their issue to the device's answer, nanoseconds.
    #[must_use]
    pub fn commit_times(&self) -> &Histogram {
        self.commits.pace.times()
    }

    /// What a log takes up; `None` if there is no such log.
    #[must_use]
    pub fn log_stats(&self, log: LogId) -> Option<LogStats> {
        let state = &self.logs[self.logs.key(log)?];
        let files = state.segmented.files.as_ref();
        let in_segments = files.map_or(state.tail.bytes() as u64, |files| {
            files.segments.iter().map(|segment| segment.bytes).sum()
        });
        Some(LogStats {
            bytes: in_segments,
            segments: files.map_or(0, |files| files.segments.len() as u64),
            cached_bytes: state.tail.bytes() as u64,
            journal_bytes: state.held.bytes(),
            stopped: state.is_stopped(),
        })
    }
}

#[cfg(test)]
mod tests;
