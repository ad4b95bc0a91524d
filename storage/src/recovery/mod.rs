//! From the old generation's journals to a new generation, by building beside it.
//!
//! Recovery reads the superblock's journals from live-from to their intact ends, joins what they
//! say of every log, and writes all of it once more: small remainders into one new journal per
//! core, large ones into new segments. One superblock write then makes that the truth. A crash
//! at any point before it leaves the old generation as it was, and recovery runs again.
//!
//! The journals are read once, whatever the number of logs: `pieces` keeps what is needed of them,
//! and `early` writes to the new segments what memory does not hold. A recovery that fails removes
//! what it has made; what a killed one has left is removed by the next, before that takes any space
//! itself. The new rings take over the blocks of the old ones, so that a start needs room for what
//! is live, and no second ring.
//!
//! It never edits or continues a file of the old generation, never skips over missing entries,
//! and never starts on damage that it cannot prove to be a torn end: it refuses, with the file
//! and the position. It does not read segments below their log's checkpoint, whose spans are
//! checked when they are read.

mod boot;
mod build;
mod carry;
mod collect;
mod early;
mod error;
mod journal;
mod marks;
mod pieces;
mod plan;
mod progress;
mod recovered;
mod source;
mod spill;
mod task;
mod unborn;

use std::collections::{BTreeMap, BTreeSet};

pub use error::RecoveryError;
pub use progress::{Phase, Progress, Recovery, recover};
pub use recovered::{
    Flaw, Kept, Lost, Recovered, RecoveredCommit, RecoveredCore, RecoveredLog, SnapshotFile,
    Summary,
};
pub use task::{Driven, Task, Traffic};

pub(crate) use boot::{Boot, list_journals, read_superblock};
pub(crate) use collect::{Collected, CommitAt, OldLog, SnapshotAt, Source};
pub(crate) use journal::Journal;
pub(crate) use marks::check_end;
pub(crate) use pieces::{Pieces, Spot};
pub(crate) use plan::at_most;
pub(crate) use source::Sources;
pub(crate) use task::Io;
pub(crate) use unborn::Unborn;

use build::JournalWriter;
use carry::Loaded;
use early::Early;
use plan::Plan;
use progress::Watch;
use spill::Cut;

use crate::class::Classes;
use crate::format::commit::JournalId;
use crate::format::superblock::{Geometry, Superblock};
use crate::io::{BLOCK, BufPool, Dir, FileName, IoErrorKind, Op};
use crate::mutation::{Mutation, mutated};
use crate::types::{CoreId, LogId};

/// What the new generation shall look like, and how recovery may work.
#[derive(Clone, Debug)]
pub struct RecoveryConfig {
    /// Number of cores to spread the logs over.
    pub cores: u16,
    /// Shape of each core's ring. More files are added for one generation when the old one's
    /// remainders would leave the ring more than half full.
    pub geometry: Geometry,
    /// Unpredictable to producers, new at every start.
    pub salt: u64,
    /// Remainders of a log from this many bytes on go to new segments.
    pub segment_threshold: u64,
    /// Bytes from which on a new segment ends.
    pub segment_bytes: u64,
    /// Bytes that a span of a new segment aims at.
    pub span_bytes: u32,
    /// Bytes of the old generation kept in memory while its journals are read; what does not fit is
    /// written to new segments at once.
    pub cache_bytes: usize,
    /// Bytes of the file system that are left alone: of these a start takes only what the records of the
    /// old generation need. 0: none.
    pub floor_bytes: u64,
    /// What logs of each kind are like.
    pub classes: Classes,
    /// The rule to break; only heeded with the cargo feature `mutations`.
    pub mutation: Option<Mutation>,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            cores: 1,
            geometry: Geometry {
                file_bytes: 64 << 20,
                files: 16,
                max_commit_bytes: 1 << 20,
                in_flight: 4,
            },
            salt: 0,
            segment_threshold: 256 << 10,
            segment_bytes: 1 << 30,
            span_bytes: 32 << 10,
            cache_bytes: 64 << 20,
            floor_bytes: 256 << 20,
            classes: Classes::default(),
            mutation: None,
        }
    }
}

async fn run<P: BufPool>(
    config: RecoveryConfig,
    io: Io<P>,
    watch: Watch,
) -> Result<Recovered, RecoveryError> {
    if config.cores == 0 {
        return Err(RecoveryError::Config("no cores".to_owned()));
    }
    if let Some(rule) = config.geometry.broken_rule() {
        return Err(RecoveryError::Config(rule.to_owned()));
    }
    let error = match attempt(config, io.clone(), &watch).await {
        Ok(recovered) => return Ok(recovered),
        Err(error) => error,
    };
    let failed = matches!(&error, RecoveryError::Io(error) if error.kind != IoErrorKind::NoSpace);
    boot::give_back(&io, failed).await;
    match error {
        RecoveryError::Io(error) if error.kind == IoErrorKind::NoSpace => {
            Err(RecoveryError::NoSpace {
                need: watch.need(),
                free: io.free_space().await?,
                reason: error.message,
            })
        }
        error => Err(error),
    }
}

async fn attempt<P: BufPool>(
    config: RecoveryConfig,
    io: Io<P>,
    watch: &Watch,
) -> Result<Recovered, RecoveryError> {
    if !mutated(config.mutation, Mutation::NoFirstSync) {
        io.run(Op::SyncAll).await?;
    }
    let boot = boot::read_superblock(&io).await?;
    let present = boot::look_around(&io, &boot).await?;
    let unborn = Unborn::among(&boot, present.others.iter().copied());
    let mut summary = Summary {
        first_start: boot.current.is_none(),
        removed: unborn.remove(&io, &present.others).await?,
        ..Summary::default()
    };
    let journals = open_journals(&io, &boot, config.mutation);
    let cut = Cut {
        generation: present.generation,
        segment_bytes: config.segment_bytes,
        span_bytes: config.span_bytes,
    };
    // Most logs of a broker with very many have never had a file.
    let folders = boot::list_logs(&io).await?;
    let mut early = Early::new(io.clone(), cut);
    let kept = Pieces::new(config.cache_bytes, config.classes);
    // A first start that was cut off has nothing to be damaged.
    let mut flaws = match &boot.current {
        Some(_) => boot.flaws.clone(),
        None => Vec::new(),
    };
    let found = (&mut summary, &mut flaws);
    let read = read_journals(&journals, &boot, (kept, &mut early), found, watch);
    let (logs, kept) = read.await?;
    let lost = logs
        .iter()
        .filter(|(id, log)| log.has_files() && !folders.contains(id));
    let lost = lost.map(|(id, _)| (*id, carry::folder_lost(*id))).collect();
    let homes = boot.next_homes(config.cores);
    let plan = plan::make(&config, homes, &logs, &early.ids().collect())?;
    summary.logs = logs.len() as u64;
    let moved = logs
        .iter()
        .filter(|(id, log)| plan.logs[id].core != log.core);
    summary.moved = moved.count() as u64;
    let sources = Sources::new(io.clone(), journals, config.cache_bytes / 4);
    let builder = Builder {
        sources: sources.keeping(kept),
        early,
        cut,
        folders,
        io,
        config,
        logs: &logs,
        plan,
        lost,
        summary,
        flaws,
        watch,
    };
    builder.build(&boot, present).await
}

/// The rings of the present generation, one per core.
pub(crate) fn open_journals<P: BufPool>(
    io: &Io<P>,
    boot: &Boot,
    mutation: Option<Mutation>,
) -> Vec<Journal<P>> {
    let Some((block, _)) = &boot.current else {
        return Vec::new();
    };
    let cores = (0..block.homes.cores()).map(|core| Journal {
        io: io.clone(),
        id: JournalId {
            generation: block.generation,
            core: CoreId(core),
            salt: block.salt,
        },
        geometry: block.geometry,
        mutation,
    });
    cores.collect()
}

/// Everything live in all rings, joined and checked, with the bytes that were kept of it.
async fn read_journals<P: BufPool>(
    journals: &[Journal<P>],
    boot: &Boot,
    (pieces, early): (Pieces, &mut Early<P>),
    (summary, flaws): (&mut Summary, &mut Vec<Flaw>),
    watch: &Watch,
) -> Result<(BTreeMap<LogId, OldLog>, Pieces), RecoveryError> {
    let mut collected = Collected::default();
    collected.pieces = pieces;
    for (number, (journal, mark)) in (1..).zip(journals.iter().zip(&boot.marks)) {
        watch.begin(Phase::Finding, number - 1, journals.len() as u64);
        let end = journal.end(mark.as_ref()).await?;
        marks::check_end(journal, &end, mark.as_ref())?;
        summary.torn_ends += u64::from(end.torn);
        flaws.extend(journal.flaw_at(&end).await?);
        summary.live_bytes += journal.live_bytes(&end);
        watch.set_need(summary.live_bytes);
        watch.begin(Phase::Reading, 0, journal.live_bytes(&end));
        let mut live = journal.live(&end)?;
        while let Some(commit) = live.next().await? {
            collected.commit(journal, commit.at, &commit.header, commit.body)?;
            watch.advance(commit.header.whole_len() as u64);
            if collected.pieces.is_full() {
                watch.set_need(at_most(summary.live_bytes, collected.logs()));
                early.relieve(&mut collected).await?;
            }
        }
    }
    summary.commits = collected.commits;
    summary.tailed_extents = collected.tailed_extents;
    let pieces = std::mem::take(&mut collected.pieces);
    let logs = collected.finish(journals, boot)?;
    summary.entries = logs.values().map(|log| log.entries.len() as u64).sum();
    Ok((logs, pieces))
}

/// Writes the new generation.
struct Builder<'a, P: BufPool> {
    io: Io<P>,
    config: RecoveryConfig,
    sources: Sources<P>,
    early: Early<P>,
    cut: Cut,
    /// Logs that have had a folder before.
    folders: BTreeSet<LogId>,
    logs: &'a BTreeMap<LogId, OldLog>,
    plan: Plan,
    /// Logs of which files are gone, and what is to be said of them.
    lost: BTreeMap<LogId, String>,
    summary: Summary,
    flaws: Vec<Flaw>,
    watch: &'a Watch,
}

impl<P: BufPool> Builder<'_, P> {
    async fn build(
        mut self,
        boot: &Boot,
        present: boot::Present,
    ) -> Result<Recovered, RecoveryError> {
        let generation = present.generation;
        let next = Superblock {
            generation,
            homes: self.plan.homes.clone(),
            geometry: self.plan.geometry,
            salt: boot::salt(self.config.salt, generation),
        };
        self.make_rings(boot, &next).await?;
        let sync = !mutated(self.config.mutation, Mutation::SuperblockFirst);
        let mut cores = self.carry_over(&next, sync).await?;
        self.early.finish(&self.folders).await?;
        boot::switch(&self.io, boot, &next, &mut cores).await?;
        self.tidy(&next, present.current, &mut cores).await?;
        let traffic = self.io.traffic();
        Ok(Recovered {
            generation,
            geometry: next.geometry,
            homes: next.homes,
            cores,
            flaws: self.flaws,
            summary: Summary {
                bytes_read: traffic.read,
                bytes_written: traffic.written,
                ..self.summary
            },
        })
    }

    async fn make_rings(&self, boot: &Boot, next: &Superblock) -> Result<(), RecoveryError> {
        let first = boot.current.is_none();
        let rings = next.geometry.ring_bytes() * u64::from(next.homes.cores());
        let live: u64 = self.logs.values().map(plan::remainder).sum();
        // The superblock, and the marks beside it.
        let marks = (2 * BLOCK) as u64 * (u64::from(next.homes.cores()) + 1);
        let rest = match first {
            true => rings,
            false => live,
        };
        self.watch.set_need(rest + marks);
        for dir in [Dir::Journal, Dir::Logs] {
            self.io.run(Op::MakeDir(dir)).await?;
        }
        self.io.run(Op::SyncDir(Dir::Root)).await?;
        let cores = next.homes.cores();
        boot::create_rings(&self.io, next.generation, cores, &next.geometry, first).await
    }

    /// Writes all logs, in the order of their ids.
    async fn carry_over(
        &mut self,
        next: &Superblock,
        sync: bool,
    ) -> Result<Vec<RecoveredCore>, RecoveryError> {
        let ids = (0..next.homes.cores()).map(|core| JournalId {
            generation: next.generation,
            core: CoreId(core),
            salt: next.salt,
        });
        let mut writers: Vec<_> = ids
            .map(|id| {
                let writer = JournalWriter::new(self.io.clone(), id, next.geometry);
                (writer, Vec::new())
            })
            .collect();
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        self.watch.begin(Phase::Writing, 0, self.logs.len() as u64);
        for (&id, log) in self.logs {
            let plan = self.plan.logs[&id];
            let loaded = self.load(id).await?;
            let (writer, recovered) = &mut writers[usize::from(plan.core.0)];
            recovered.push(match loaded {
                Ok(mut loaded) => {
                    if let Some(spilled) = &mut loaded.spilled {
                        files.append(&mut spilled.files);
                        dirs.push(Dir::Log(id));
                        self.summary.segments_written += spilled.segments;
                    }
                    carry::write(writer, (id, log), loaded, self.config.mutation).await?
                }
                Err(reason) => carry::keep(writer, &mut self.sources, (id, log), reason).await?,
            });
            self.sources.done(id);
            self.watch.advance(1);
        }
        if sync && !files.is_empty() {
            self.io.run_all(files.into_iter().map(Op::Sync)).await?;
            dirs.push(Dir::Logs);
            self.io.run_all(dirs.into_iter().map(Op::SyncDir)).await?;
        }
        let mut cores = Vec::with_capacity(writers.len());
        for (writer, recovered) in writers {
            cores.push(writer.finish(sync, recovered).await?);
        }
        Ok(cores)
    }

    /// Reads a log, and writes its remainder into segments if that is planned; or says what of it is
    /// lost.
    async fn load(&mut self, id: LogId) -> Result<Result<Loaded, String>, RecoveryError> {
        let (log, plan, cut) = (&self.logs[&id], self.plan.logs[&id], self.cut);
        if let Some(reason) = self.lost.get(&id) {
            return Ok(Err(reason.clone()));
        }
        let (sources, early) = (&mut self.sources, self.early.take(id));
        let error = match carry::load(&self.io, sources, (id, log), (plan, cut), early).await {
            Ok(loaded) => return Ok(Ok(loaded)),
            Err(error) => error,
        };
        let Some(reason) = carry::loss(id, log, &error) else {
            return Err(error);
        };
        self.lost.insert(id, reason.clone());
        Ok(Err(reason))
    }

    /// After the switch: nothing here is needed for the truth, and a crash only leaves litter.
    async fn tidy(
        &mut self,
        next: &Superblock,
        old_files: Vec<(FileName, u64)>,
        cores: &mut [RecoveredCore],
    ) -> Result<(), RecoveryError> {
        let io = &self.io;
        let mut removed = 0;
        let with_files = boot::list_logs(io).await?;
        for log in cores.iter().flat_map(|core| &core.logs) {
            let (old, plan) = (&self.logs[&log.id], self.plan.logs[&log.id]);
            let dirty = plan.spill || !log.tail.is_empty() || !old.extents.is_empty();
            if dirty && log.lost.is_none() && with_files.contains(&log.id) {
                let kept = log.snapshot_file.map(|file| file.generation);
                removed += boot::remove_superseded(io, log.id, old, plan, kept).await?;
            }
        }
        // A folder that no log has may be the one that is missing elsewhere, under another name.
        if self.lost.is_empty() {
            let unknown = with_files.into_iter();
            let unknown = unknown.filter(|log| !self.logs.contains_key(log));
            removed += boot::remove_logs(io, unknown).await?;
        }
        // Rings that have not got all of their blocks get more of them above the floor, and what the next
        // start needs, only: else every start would take some.
        let given: u64 = old_files.iter().map(|(_, len)| len).sum();
        let mut room = match self.config.floor_bytes {
            0 => u64::MAX,
            floor => {
                let live: u64 = self.logs.values().map(plan::remainder).sum();
                let free = io.free_space().await.unwrap_or(0);
                given + free.saturating_sub(floor.max(live))
            }
        };
        if self.summary.first_start {
            // All blocks are set aside.
            room = u64::MAX;
        }
        let (generation, geometry) = (next.generation, &next.geometry);
        let begun = geometry.file_bytes * cores.len() as u64;
        let old_files = (old_files, room.saturating_sub(begun));
        let mut prepared: Vec<_> = cores.iter_mut().map(|core| &mut core.prepared).collect();
        let mutation = self.config.mutation;
        removed +=
            boot::recycle(io, generation, geometry, old_files, &mut prepared, mutation).await?;
        self.summary.removed += removed;
        let taken: u64 = cores.iter().flat_map(|core| &core.prepared).sum();
        room = room.saturating_sub(taken);
        for core in &mut *cores {
            room -= build::fill(io, core, room).await?;
        }
        let free = io.free_space().await.ok();
        for core in cores {
            (core.free, core.set_aside) = (free, self.summary.first_start);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
