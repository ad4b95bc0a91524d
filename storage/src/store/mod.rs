//! One core's logs while the broker runs: entries in, frontiers and reads out.
//!
//! The tree tells the way of an entry: `append` (order, memory, granted space) → `commit` (the
//! journal) or `flush` (straight to a segment, then an extent record) → frontiers → `flush`
//! behind the journal → `reclaim` (journal space) → `read`. `ring` does the accounting, `files`
//! and `log` are the state.
//!
//! It refuses to wait, to walk over all logs, to look into an entry, and to write a block twice
//! that holds acknowledged bytes. It takes no decision on what clients may see beyond the
//! frontiers, and starts only from what [`crate::recovery`] hands over.

mod adopt;
mod api;
mod commit;
mod config;
mod journal;
mod log;
mod ops;
mod reading;
mod reclaim;
mod retention;
mod segments;
mod snapshot;
mod space;
mod tidy;
mod turn;

use std::collections::{BTreeMap, VecDeque};

pub use api::{
    AppendError, DiskSpace, Event, Frontiers, LogStats, NewEntry, ReadData, ReadError, ReadOutcome,
    ReadToken, StoreStats, TimeFound, TimeOutcome,
};
pub use config::{LogSettings, StoreConfig};

use crate::format::commit::JournalId;
use crate::format::record::CHECKPOINT_LEN;
use crate::histogram::Histogram;
use crate::io::{BLOCK, BufPool, FileName, IoResult, Op, OpId, Output};
use crate::mutation::{Mutation, mutated};
use crate::recovery::RecoveredCore;
use crate::types::{CommitSeq, LogId, LogKind, Mono, Now, Ordinal, SlotId};
use journal::mark::Marked;
use journal::prefill::Prefill;
use journal::ring::{Advance, LogKey, Ring};
use log::{LogState, Logs};
use ops::{Ops, Purpose};
use reading::cache::{IndexCache, SpanCache};
use reclaim::Remnants;
use space::{Space, is_refusal};

/// Turns that one [`Store::poll_op`] takes without an operation coming of it. A turn that changes
/// something asks for another; two or three are usual.
const MOST_TURNS: usize = 64;

/// One core's logs and their journal.
#[derive(Debug)]
pub struct Store<P: BufPool> {
    config: StoreConfig,
    pool: P,
    journal: JournalId,
    ring: Ring,
    /// Largest commit, bytes with header and padding.
    max_commit: usize,
    logs: Logs,
    ops: Ops<P::Buf>,
    events: VecDeque<Event>,
    /// The time of the call that is being handled.
    now: Now,
    /// Something happened since the last turn.
    stirred: bool,

    /// Logs with entries to place, and since when.
    ready: VecDeque<(LogKey, Mono)>,
    /// Bytes of entries that wait for a commit.
    pending_inline: usize,
    /// Logs that want a bulk write.
    bulk: VecDeque<LogKey>,
    /// Logs with checkpoints, snapshots or ends to place.
    control: VecDeque<LogKey>,
    /// Logs whose old records are to be copied.
    copies: VecDeque<LogKey>,
    /// Logs to write behind.
    behind: VecDeque<LogKey>,
    /// What is copied to segments in a turn.
    copying: segments::copying::Copying,
    /// Flush jobs under way.
    jobs: usize,
    /// Those of them that write behind.
    behind_jobs: usize,
    /// Journal space granted to entries that are not placed.
    granted: u64,
    /// What logs with little in the journal have there together.
    remnants: Remnants,
    /// What commits under way will move, in sequence.
    moves: VecDeque<(CommitSeq, Vec<Advance>)>,
    /// So many of them have moved `written`.
    moves_written: usize,
    /// Written commits below this are to be synced at once.
    sync_through: CommitSeq,
    sync_under_way: bool,
    lazy_sync_at: Option<Mono>,
    commit_ns: u64,
    commit_times: Histogram,
    last_commit_at: Mono,
    last_commit_empty: bool,
    reclaim_pass: u64,
    /// Something happened that a pass of reclaim may build on.
    reclaim_again: bool,
    /// The last commit that was made to win space.
    last_space: CommitSeq,
    /// Journal bytes that reclaim may still spend before more is appended: what cannot leave
    /// the ring is not carried round it for nothing.
    reclaim_credit: u64,
    /// Journal bytes that rescues may still spend before something else happens that could let
    /// more go: twice round the ring without a change is once too often.
    rescue_credit: u64,
    /// Ring address up to which the last pass looked.
    reclaim_upto: u64,
    /// Start moves whose checkpoint stands in a commit that is not durable.
    trims: VecDeque<retention::Trim>,
    /// Files that nothing needs once a commit is durable.
    obsolete: VecDeque<(CommitSeq, FileName)>,
    /// Ends whose commit is not durable.
    ends: VecDeque<(CommitSeq, LogKey)>,

    tail_bytes: usize,
    /// Logs with entries that may be evicted, oldest first.
    evictable: VecDeque<(LogKey, LogId)>,
    /// Logs with unflushed entries, oldest first: what memory pressure writes behind.
    dirty: VecDeque<(LogKey, LogId)>,
    span_cache: SpanCache,
    index_cache: IndexCache,
    reads: reading::read::Reads,

    prefill: Prefill,
    marked: Marked,
    retention: BTreeMap<(Mono, LogId), LogKey>,
    /// An append was refused: say when space is available.
    space_wanted: bool,
    /// The journal space that the last refused append asked for.
    refused_grant: u64,
    space: Space,
    stopping: bool,
    tidying: tidy::Tidying,
    flushed_said: bool,
    fatal: bool,
    stats: StoreStats,
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
        let mut ring = Ring::new(&geometry, write_at, first, config.mutation);
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
            max_commit,
            journal: recovered.journal,
            logs: Logs::default(),
            ops: Ops::new(config.reads_in_flight_bytes),
            events: VecDeque::new(),
            now,
            stirred: true,
            ready: VecDeque::new(),
            pending_inline: 0,
            bulk: VecDeque::new(),
            control: VecDeque::new(),
            copies: VecDeque::new(),
            behind: VecDeque::new(),
            copying: segments::copying::Copying::default(),
            jobs: 0,
            behind_jobs: 0,
            granted: 0,
            remnants: Remnants::new(config.copy_forward_bytes as u64),
            moves: VecDeque::new(),
            moves_written: 0,
            sync_through: recovered.next_seq,
            sync_under_way: false,
            lazy_sync_at: None,
            commit_ns: 200_000,
            commit_times: Histogram::default(),
            last_commit_at: now.mono,
            last_commit_empty: false,
            reclaim_pass: 0,
            reclaim_again: true,
            reclaim_upto: 0,
            last_space: CommitSeq(0),
            reclaim_credit: ring.usable(),
            rescue_credit: 2 * ring.usable(),
            trims: VecDeque::new(),
            obsolete: VecDeque::new(),
            ends: VecDeque::new(),
            tail_bytes: 0,
            evictable: VecDeque::new(),
            dirty: VecDeque::new(),
            span_cache: SpanCache::new(config.span_cache_bytes),
            index_cache: IndexCache::new(config.index_cache_bytes),
            reads: reading::read::Reads::default(),
            prefill,
            marked,
            retention: BTreeMap::new(),
            space_wanted: false,
            refused_grant: 0,
            space: Space::default(),
            stopping: false,
            tidying: tidy::Tidying::default(),
            flushed_said: false,
            fatal: false,
            stats: StoreStats::default(),
            config,
            pool,
            ring,
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
        let empty = state.next.0 == Ordinal(0);
        let mut settings = settings;
        if !empty && memory(state.settings.level) != memory(settings.level) {
            settings.level = state.settings.level;
        }
        state.settings = settings;
        self.schedule_retention(key);
        self.stirred = true;
    }

    /// Where the log stands; `None` if there is no such log.
    #[must_use]
    pub fn frontiers(&self, log: LogId) -> Option<Frontiers> {
        Some(self.logs[self.logs.key(log)?].frontiers())
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
            if self.ops.has_output() || !std::mem::take(&mut self.stirred) {
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
        self.now = now;
        self.stirred = true;
        let over = self.ops.complete(id);
        if let (true, Err(error)) = (over.shared, &result) {
            self.fail_store(format!("directory sync failed: {}", error.message));
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
            self.logs[key].queued_frontier = false;
        }
        Some(event)
    }

    /// When [`Store::handle_timeout`] is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let retention = self.retention.first_key_value().map(|((at, _), _)| *at);
        // What a turn could not do at its time waits for a completion, not for a timer.
        let missed = |at: &Mono| *at <= self.now.mono && !self.stirred;
        // A store that is still stirred after a whole round of turns goes on at once, but not
        // without letting its driver do something else.
        let restless = (self.stirred || self.has_work()).then_some(self.now.mono);
        [
            restless,
            self.parallel_deadline().filter(|at| !missed(at)),
            self.idle_deadline().filter(|at| !missed(at)),
            self.lazy_sync_at,
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
        self.now = now;
        self.stirred = true;
        self.renew_copying();
        if self.lazy_sync_at.is_some_and(|at| at <= now.mono) {
            self.lazy_sync_at = None;
            self.sync_through = self.ring.next_seq();
        }
        self.check_retention();
        self.poll_free_space();
    }

    /// Takes no more entries, makes all durable, vouches for it, and writes behind what only the
    /// journal holds as far as [`StoreConfig::tidy_ns`] goes; [`Event::Flushed`] follows.
    pub fn begin_stop(&mut self, now: Now) {
        self.now = now;
        if !std::mem::replace(&mut self.stopping, true) {
            self.begin_tidying();
        }
        self.stirred = true;
        self.stop_waiting_for_space();
    }

    /// Counters, and how full the ring is.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            ring_used: self.ring.used(),
            ring_total: self.ring.usable(),
            laps: self.ring.laps(),
            tail_bytes: self.tail_bytes as u64,
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
        &self.commit_times
    }

    /// What a log takes up; `None` if there is no such log.
    #[must_use]
    pub fn log_stats(&self, log: LogId) -> Option<LogStats> {
        let state = &self.logs[self.logs.key(log)?];
        let files = state.files.as_ref();
        let in_segments = files.map_or(state.tail_bytes as u64, |files| {
            files.segments.iter().map(|segment| segment.bytes).sum()
        });
        Some(LogStats {
            bytes: in_segments,
            segments: files.map_or(0, |files| files.segments.len() as u64),
            cached_bytes: state.tail_bytes as u64,
            journal_bytes: state.run_bytes,
            stopped: state.stopped,
        })
    }

    /// Bytes of records that a commit holds at most.
    fn max_body(&self) -> usize {
        self.max_commit - crate::format::commit::COMMIT_HEADER
    }

    /// Largest entry record that goes into a commit, beside the log's first checkpoint.
    fn inline_limit(&self) -> usize {
        self.max_body() - CHECKPOINT_LEN
    }

    /// Largest extent record.
    fn extent_limit(&self) -> usize {
        self.max_body() - CHECKPOINT_LEN
    }

    /// Ring bytes that only rescues may take, so that the ring never locks up: see
    /// [`Geometry::reserve_bytes`] for how many, and `rescue` for why that is enough.
    ///
    /// [`Geometry::reserve_bytes`]: crate::format::superblock::Geometry::reserve_bytes
    fn reserve(&self) -> u64 {
        if mutated(self.config.mutation, Mutation::NoReserve) {
            return 0;
        }
        2 * self.max_commit as u64 + BLOCK as u64
    }

    /// Ring bytes beyond the reserve and beyond what was granted to entries.
    fn spare(&self) -> u64 {
        let kept = self.granted + self.reserve();
        self.ring.free().saturating_sub(kept)
    }

    fn journal_file(&self, index: u16) -> FileName {
        FileName::Journal {
            generation: self.journal.generation,
            core: self.journal.core,
            index,
        }
    }
}

#[cfg(test)]
mod tests;
