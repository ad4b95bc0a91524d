//! From the old generation's journals to a new generation, by building beside it.
//!
//! Recovery reads the superblock's journals from live-from to their intact ends, joins what they
//! say of every log, and writes all of it once more: small remainders into one new journal per
//! core, large ones into new segments. One superblock write then makes that the truth. A crash
//! at any point before it leaves the old generation as it was, and recovery runs again.
//!
//! It never edits or continues a file of the old generation, never skips over missing entries,
//! and never starts on damage that it cannot prove to be a torn end: it refuses, with the file
//! and the position. It does not read segments below their log's checkpoint, whose spans are
//! checked when they are read.

mod boot;
mod build;
mod error;
mod gather;
mod journal;
mod marks;
mod plan;
mod recovered;
mod source;
mod spill;
mod task;

use std::collections::{BTreeMap, BTreeSet};

pub use error::RecoveryError;
pub use recovered::{Recovered, RecoveredCommit, RecoveredCore, RecoveredLog, Summary};
pub use task::{Driven, Task};

pub(crate) use boot::read_superblock;
pub(crate) use gather::{Gather, OldLog};
pub(crate) use journal::Journal;
pub(crate) use marks::check_end;
pub(crate) use source::Sources;
pub(crate) use task::Io;

use boot::Boot;
use build::{Carried, JournalWriter};
use plan::Plan;
use spill::Cut;

use crate::format::commit::JournalId;
use crate::format::mark::Mark;
use crate::format::record::Checkpoint;
use crate::format::superblock::{Geometry, Superblock};
use crate::io::{BufPool, Dir, FileName, Op};
use crate::mutation::{Mutation, mutated};
use crate::types::{CoreId, Generation, LogId};

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
    /// Bytes of the old generation kept in memory while they are carried over.
    pub cache_bytes: usize,
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
            mutation: None,
        }
    }
}

/// Recovery as a task that a driver turns until it has its result.
pub type Recovery<P> = Task<P, Result<Recovered, RecoveryError>>;

/// Starts recovery of a data directory, which may be empty.
pub fn recover<P: BufPool + 'static>(config: RecoveryConfig, pool: P) -> Recovery<P> {
    Task::new(pool, move |io| run(config, io))
}

async fn run<P: BufPool>(config: RecoveryConfig, io: Io<P>) -> Result<Recovered, RecoveryError> {
    if config.cores == 0 {
        return Err(RecoveryError::Config("no cores".to_owned()));
    }
    if let Some(rule) = config.geometry.broken_rule() {
        return Err(RecoveryError::Config(rule.to_owned()));
    }
    if !mutated(config.mutation, Mutation::NoFirstSync) {
        io.run(Op::SyncAll).await?;
    }
    let boot = boot::read_superblock(&io).await?;
    let mut summary = Summary {
        first_start: boot.current.is_none(),
        ..Summary::default()
    };
    let journals = open_journals(&io, &boot, config.mutation);
    let logs = read_journals(&journals, &boot.marks, &mut summary).await?;
    let old_cores = boot.current.map_or(config.cores, |(block, _)| block.cores);
    // Most logs of a broker with very many have never had a file.
    let folders = boot::list_logs(&io).await?;
    let lost = logs
        .iter()
        .filter(|(id, log)| log.has_segments() && !folders.contains(id));
    let lost = lost.map(|(id, _)| *id).collect();
    let plan = plan::make(&config, old_cores, &logs)?;
    summary.logs = logs.len() as u64;
    let moved = logs
        .iter()
        .filter(|(id, log)| plan.logs[id].core != log.core);
    summary.moved = moved.count() as u64;
    let builder = Builder {
        sources: Sources::new(io.clone(), journals, config.cache_bytes),
        io,
        config,
        logs: &logs,
        plan,
        lost,
        summary,
    };
    builder.build(&boot).await
}

/// The rings of the present generation, one per core.
pub(crate) fn open_journals<P: BufPool>(
    io: &Io<P>,
    boot: &Boot,
    mutation: Option<Mutation>,
) -> Vec<Journal<P>> {
    let Some((block, _)) = boot.current else {
        return Vec::new();
    };
    let cores = (0..block.cores).map(|core| Journal {
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

/// Everything live in all rings, joined and checked.
pub(crate) async fn read_journals<P: BufPool>(
    journals: &[Journal<P>],
    marks: &[Option<Mark>],
    summary: &mut Summary,
) -> Result<BTreeMap<LogId, OldLog>, RecoveryError> {
    let mut gather = Gather::default();
    for (journal, mark) in journals.iter().zip(marks) {
        let end = journal.find_end().await?;
        marks::check_end(journal, &end, mark.as_ref())?;
        summary.torn_ends += u64::from(end.torn);
        journal
            .read_live(&end, |at, header, body, _| {
                gather.commit(journal, at, header, body)
            })
            .await?;
    }
    summary.commits = gather.commits;
    summary.tailed_extents = gather.tailed_extents;
    let logs = gather.finish(journals)?;
    summary.entries = logs.values().map(|log| log.entries.len() as u64).sum();
    Ok(logs)
}

/// Writes the new generation.
struct Builder<'a, P: BufPool> {
    io: Io<P>,
    config: RecoveryConfig,
    sources: Sources<P>,
    logs: &'a BTreeMap<LogId, OldLog>,
    plan: Plan,
    /// Logs whose folders are gone, though segments held some of them.
    lost: BTreeSet<LogId>,
    summary: Summary,
}

impl<P: BufPool> Builder<'_, P> {
    async fn build(mut self, boot: &Boot) -> Result<Recovered, RecoveryError> {
        let (generation, old_files) = self.begin_generation(boot).await?;
        let next = Superblock {
            generation,
            cores: self.config.cores,
            geometry: self.plan.geometry,
            salt: boot::salt(self.config.salt, generation),
        };
        let early = mutated(self.config.mutation, Mutation::SuperblockFirst);
        let cut = Cut {
            generation,
            segment_bytes: self.config.segment_bytes,
            span_bytes: self.config.span_bytes,
            sync: !early,
        };
        self.spill_remainders(cut).await?;
        let mut cores = Vec::with_capacity(usize::from(next.cores));
        for core in 0..next.cores {
            cores.push(self.write_journal(CoreId(core), &next, !early).await?);
        }
        for log in cores
            .iter_mut()
            .flat_map(|core: &mut RecoveredCore| &mut core.logs)
        {
            log.lost = self.lost.contains(&log.id);
        }
        boot::switch(&self.io, boot, &next, &mut cores).await?;
        self.tidy(&next, old_files, &mut cores).await?;
        Ok(Recovered {
            generation,
            geometry: next.geometry,
            cores,
            summary: self.summary,
        })
    }

    /// Makes room for the new generation: its number, its ring files. Returns with them the
    /// present generation's journal files; those of any other run are removed here.
    async fn begin_generation(
        &mut self,
        boot: &Boot,
    ) -> Result<(Generation, Vec<(FileName, u64)>), RecoveryError> {
        for dir in [Dir::Journal, Dir::Logs] {
            self.io.run(Op::MakeDir(dir)).await?;
        }
        self.io.run(Op::SyncDir(Dir::Root)).await?;
        let current = boot.current.map(|(block, _)| block.generation);
        let files = boot::list_journals(&self.io).await?;
        let used = files
            .iter()
            .filter_map(|(file, _)| boot::generation_of(*file));
        let highest = used.chain(current).max().unwrap_or_default();
        let generation = Generation(highest.0.checked_add(1).expect("generations overflow"));
        boot::create_rings(&self.io, generation, self.config.cores, &self.plan.geometry).await?;
        let (kept, unborn): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|(file, _)| boot::generation_of(*file) == current);
        for (file, _) in unborn {
            self.io.run(Op::Remove(file)).await?;
            self.summary.removed += 1;
        }
        Ok((generation, kept))
    }

    async fn spill_remainders(&mut self, cut: Cut) -> Result<(), RecoveryError> {
        for (&id, log) in self.logs {
            if self.plan.logs[&id].spill {
                self.summary.segments_written +=
                    spill::spill(&self.io, &mut self.sources, id, log, cut).await?;
            }
        }
        Ok(())
    }

    async fn write_journal(
        &mut self,
        core: CoreId,
        next: &Superblock,
        sync: bool,
    ) -> Result<RecoveredCore, RecoveryError> {
        let id = JournalId {
            generation: next.generation,
            core,
            salt: next.salt,
        };
        let mut writer = JournalWriter::new(self.io.clone(), id, next.geometry);
        let mut recovered = Vec::new();
        for (&id, log) in self.logs {
            let plan = self.plan.logs[&id];
            if plan.core != core {
                continue;
            }
            let upto = if plan.spill {
                log.next()
            } else {
                log.checkpoint
            };
            let term = match log.entries.last() {
                Some(entry) if plan.spill => entry.meta.term,
                _ => log.checkpoint_term,
            };
            let carried = Carried {
                id,
                log,
                checkpoint: Checkpoint {
                    start: log.start,
                    upto,
                    max_timestamp: build::max_timestamp(log, upto.0),
                    term,
                },
            };
            let mutation = self.config.mutation;
            let log = build::carry(&mut writer, &mut self.sources, &carried, mutation).await?;
            recovered.push(log);
        }
        writer.finish(sync, recovered).await
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
            if dirty && with_files.contains(&log.id) {
                let kept = log.snapshot_file;
                removed += boot::remove_superseded(io, log.id, old, plan, kept).await?;
            }
        }
        // A folder that no log has may be the one that is missing elsewhere, under another name.
        if self.lost.is_empty() {
            let unknown = with_files.into_iter();
            let unknown = unknown.filter(|log| !self.logs.contains_key(log));
            removed += boot::remove_logs(io, unknown).await?;
        }
        let mut prepared: Vec<_> = cores.iter_mut().map(|core| &mut core.prepared).collect();
        let (generation, geometry) = (next.generation, &next.geometry);
        removed += boot::recycle(io, generation, geometry, old_files, &mut prepared).await?;
        self.summary.removed += removed;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
