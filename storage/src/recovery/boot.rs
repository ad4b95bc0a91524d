//! The superblock at start, the switch of generations at the end, and the tidying after it.

use std::collections::BTreeSet;

use super::RecoveryError;
use super::collect::OldLog;
use super::marks;
use super::plan::LogPlan;
use super::recovered::{Flaw, RecoveredCore};
use super::task::{CHUNK, Io};
use crate::format::FormatError;
use crate::format::commit::CommitHeader;
use crate::format::index::owner;
use crate::format::mark::Mark;
use crate::format::segments::{SegmentId, sort_out};
use crate::format::superblock::{Geometry, SLOTS, Superblock};
use crate::homes::Homes;
use crate::io::{BLOCK, BufPool, Dir, FileName, Op};
use crate::mutation::{Mutation, mutated};
use crate::types::{CommitSeq, CoreId, Generation, LogId, SlotId};

/// What the superblock says at start.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    /// The present truth, with its slot; `None` before the first generation was born.
    pub(crate) current: Option<(Superblock, usize)>,
    /// Whether the file exists.
    pub(crate) exists: bool,
    /// Whether both slots have been written: the file's second block exists.
    pub(crate) complete: bool,
    /// What each core of the present generation vouches for.
    pub(crate) marks: Vec<Option<Mark>>,
    /// Slots and marks that are damaged, and that a start does without.
    pub(crate) flaws: Vec<Flaw>,
}

impl Boot {
    /// The core that a slot lives on in the present generation, if there is one.
    pub(crate) fn home(&self, slot: SlotId) -> Option<CoreId> {
        let current = self.current.as_ref();
        current.map(|(block, _)| block.homes.core(slot))
    }

    /// Where slots live in a generation of so many cores that follows this one.
    pub(crate) fn next_homes(&self, cores: u16) -> Homes {
        match &self.current {
            Some((block, _)) => block.homes.moved_to(cores),
            None => Homes::interleaved(cores),
        }
    }
}

/// Reads both slots, and holds them against what else is in the directory.
///
/// # Errors
/// Corruption when there is no superblock, or not all of it, although something was journaled
/// here; when it names a generation whose journals are gone; a version that is too new.
pub(crate) async fn read_superblock<P: BufPool>(io: &Io<P>) -> Result<Boot, RecoveryError> {
    let file = FileName::Superblock;
    let len = io.len(file).await?;
    let complete = len.is_some_and(|len| len >= (SLOTS * BLOCK) as u64);
    let bytes = match len {
        Some(_) => io.read_range(file, 0, SLOTS * BLOCK).await?,
        None => Vec::new(),
    };
    let mut current: Option<(Superblock, usize)> = None;
    let mut flaws = Vec::new();
    let flaw = |position: u64, what: String| Flaw {
        file,
        position,
        what,
    };
    for (slot, block) in bytes.chunks(BLOCK).enumerate() {
        match Superblock::decode(block) {
            Ok(found) => {
                let best = current.as_ref().map(|(best, _)| best.generation);
                if best < Some(found.generation) {
                    current = Some((found, slot));
                }
            }
            Err(error @ FormatError::Version { .. }) => {
                return Err(RecoveryError::format(file, (slot * BLOCK) as u64, error));
            }
            // The slot that is not the truth was so once; only a cut-off start leaves it damaged.
            Err(error) => flaws.push(flaw((slot * BLOCK) as u64, error.to_string())),
        }
    }
    match (complete, &current) {
        (true, None) => return Err(lost_superblock("neither of its slots is intact")),
        (true, Some((block, slot))) => own_journals(io, block, *slot).await?,
        (false, _) => {
            let what = match len {
                None => "it is missing",
                Some(0) => "it is empty",
                Some(_) => "it is cut short",
            };
            unborn(io, what).await?;
        }
    }
    let marks = match &current {
        Some((block, slot)) => {
            let last = Mark::position(CoreId(block.homes.cores() - 1), *slot);
            // Marks are written before anybody is served.
            if complete && len.is_some_and(|len| len <= last) {
                unborn(io, "it is cut short").await?;
            }
            let marks = marks::read(io, block, *slot).await?;
            marks::check_lengths(io, block, &marks).await?;
            marks
        }
        None => Vec::new(),
    };
    for (core, mark) in (0..).map(CoreId).zip(&marks) {
        if let (None, Some((_, slot))) = (mark, &current) {
            let what = "the journal's mark is damaged: torn by a crash, or rotten; a start makes \
                        another";
            flaws.push(flaw(Mark::position(core, *slot), what.to_owned()));
        }
    }
    Ok(Boot {
        flaws,
        current,
        exists: len.is_some(),
        complete,
        marks,
    })
}

fn lost_superblock(what: &str) -> RecoveryError {
    let what = format!(
        "{what}, and without it nobody can tell which journals count; put back the superblock of \
         this directory, or move the directory away and start with an empty one"
    );
    RecoveryError::corrupt(FileName::Superblock, 0, what)
}

/// A start that was cut off before its superblock was whole has served nobody, so that no log has
/// files and no journal holds a record. Anything else has lost its superblock.
async fn unborn<P: BufPool>(io: &Io<P>, what: &str) -> Result<(), RecoveryError> {
    if !io.list(Dir::Logs).await?.is_empty() {
        return Err(lost_superblock(&format!("{what}, but there are logs")));
    }
    for (file, len) in list_journals(io).await? {
        let mut pos = 0;
        while pos < len {
            let part = io.read_range(file, pos, CHUNK).await?;
            if part.chunks_exact(BLOCK).any(holds_records) {
                let what = format!("{what}, but {file} holds records");
                return Err(lost_superblock(&what));
            }
            pos += CHUNK as u64;
        }
    }
    Ok(())
}

/// Whether a block begins a commit that is not empty, of whatever run or version.
fn holds_records(block: &[u8]) -> bool {
    match CommitHeader::decode(block, |_| true) {
        Ok(header) => header.count > 0,
        Err(error) => error.is_version(),
    }
}

/// An older copy of a superblock names a generation whose journals went with the next switch.
async fn own_journals<P: BufPool>(
    io: &Io<P>,
    block: &Superblock,
    slot: usize,
) -> Result<(), RecoveryError> {
    let files = list_journals(io).await?;
    let generations: BTreeSet<_> = files
        .iter()
        .filter_map(|(file, _)| generation_of(*file))
        .collect();
    if generations.contains(&block.generation) {
        return Ok(());
    }
    let there = generations.last().map_or_else(
        || "there is no journal at all".to_owned(),
        |newest| format!("the journals here are of generation {}", newest.0),
    );
    let what = format!(
        "generation {} counts by its newest intact slot, but {there}: an older copy, or a slot or \
         journals that were lost; put back the files that belong together",
        block.generation.0
    );
    let position = (slot * BLOCK) as u64;
    Err(RecoveryError::corrupt(FileName::Superblock, position, what))
}

/// Makes `next` the truth. Everything that belongs to it is durable already.
///
/// # Errors
/// When the device refuses.
pub(crate) async fn switch<P: BufPool>(
    io: &Io<P>,
    boot: &Boot,
    next: &Superblock,
    cores: &mut [RecoveredCore],
) -> Result<(), RecoveryError> {
    let file = FileName::Superblock;
    if !boot.exists {
        let reserve = (SLOTS * BLOCK) as u64;
        io.run(Op::Create { file, reserve }).await?;
        io.run(Op::SyncDir(Dir::Root)).await?;
    }
    let slot = boot
        .current
        .as_ref()
        .map_or(0, |(_, slot)| (slot + 1) % SLOTS);
    // A file that is longer than its slots has both.
    if boot.complete {
        write_marks(io, slot, cores).await?;
    }
    // From here on the files made may be part of the truth.
    io.take_created();
    write_slot(io, slot, next).await?;
    // From now on a file without an intact slot has rotted.
    if !boot.complete && slot == 0 {
        write_slot(io, 1, next).await?;
    }
    if !boot.complete {
        write_marks(io, slot, cores).await?;
    }
    Ok(())
}

/// Each core's first mark, which the store goes on with.
async fn write_marks<P: BufPool>(
    io: &Io<P>,
    slot: usize,
    cores: &mut [RecoveredCore],
) -> Result<(), RecoveryError> {
    for core in cores {
        let mark = Mark {
            journal: core.journal,
            vouched: CommitSeq(core.next_seq.0 - 1),
            bytes: core.prepared.iter().sum(),
            ended: None,
        };
        core.mark_at = Mark::position(core.journal.core, slot);
        marks::write(io, &mark, core.mark_at).await?;
    }
    Ok(())
}

async fn write_slot<P: BufPool>(
    io: &Io<P>,
    slot: usize,
    content: &Superblock,
) -> Result<(), RecoveryError> {
    let mut buf = io.buffer(BLOCK);
    content.encode(buf.as_mut());
    let write = Op::Write {
        file: FileName::Superblock,
        pos: (slot * BLOCK) as u64,
        buf,
        durable: true,
    };
    io.run(write).await?;
    Ok(())
}

/// The journal files that exist, with their lengths.
pub(crate) async fn list_journals<P: BufPool>(
    io: &Io<P>,
) -> Result<Vec<(FileName, u64)>, RecoveryError> {
    let names = io.list(Dir::Journal).await?;
    let parsed = names
        .iter()
        .filter_map(|(name, len)| Some((FileName::parse(Dir::Journal, name)?, *len)));
    Ok(parsed.collect())
}

/// The run that a journal file belongs to.
pub(crate) fn generation_of(file: FileName) -> Option<Generation> {
    match file {
        FileName::Journal { generation, .. } => Some(generation),
        _ => None,
    }
}

/// The journal files at start, and the number of the generation to come.
pub(crate) struct Present {
    pub(crate) generation: Generation,
    /// Those of the present generation, with their lengths.
    pub(crate) current: Vec<(FileName, u64)>,
    /// Those of all others.
    pub(crate) others: Vec<FileName>,
}

/// Looks which journal files there are.
pub(crate) async fn look_around<P: BufPool>(
    io: &Io<P>,
    boot: &Boot,
) -> Result<Present, RecoveryError> {
    let born = boot.current.as_ref().map(|(block, _)| block.generation);
    let files = list_journals(io).await?;
    let used = files.iter().filter_map(|(file, _)| generation_of(*file));
    let highest = used.chain(born).max().unwrap_or_default();
    let generation = Generation(highest.0.checked_add(1).expect("generations overflow"));
    let (current, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(file, _)| generation_of(*file) == born);
    Ok(Present {
        generation,
        current,
        others: others.into_iter().map(|(file, _)| file).collect(),
    })
}

/// Removes again what a try has made that ends before its generation is the truth.
///
/// The journal files last, and when all else is gone for good: they tell that there was a try. So
/// they stay where the device `failed`, for a sync that has failed is not tried again; the next
/// start removes them.
pub(crate) async fn give_back<P: BufPool>(io: &Io<P>, failed: bool) {
    let made = io.take_created();
    let is_journal = |file: &FileName| matches!(file, FileName::Journal { .. });
    let (journals, others): (Vec<_>, Vec<_>) = made.into_iter().partition(is_journal);
    for files in [others, journals] {
        let dirs: BTreeSet<_> = files.iter().map(|file| file.dir()).collect();
        let removed = io.run_all(files.into_iter().map(Op::Remove)).await;
        if failed || removed.is_err() {
            return;
        }
        if io.run_all(dirs.into_iter().map(Op::SyncDir)).await.is_err() {
            return;
        }
    }
}

/// Creates all files of the new rings, durably, before anything else bears their generation: so
/// the number of a generation is never used twice, whatever a crash leaves behind. They are empty:
/// the blocks that they will have are those of the old ring. Only a `first` one sets aside its own.
pub(crate) async fn create_rings<P: BufPool>(
    io: &Io<P>,
    generation: Generation,
    cores: u16,
    geometry: &Geometry,
    first: bool,
) -> Result<(), RecoveryError> {
    let reserve = if first { geometry.file_bytes } else { 0 };
    let creations = (0..cores).flat_map(|core| {
        (0..geometry.files).map(move |index| Op::Create {
            file: FileName::Journal {
                generation,
                core: CoreId(core),
                index,
            },
            reserve,
        })
    });
    io.run_all(creations).await?;
    io.run(Op::SyncDir(Dir::Journal)).await?;
    Ok(())
}

/// Renames old journal files over new ones that are still empty, for their blocks are written
/// already, `most` bytes of them; removes the rest. Returns how many were removed. Nothing is written
/// to a renamed file before its name is durable: a power cut could take the name back, and what was
/// written with it.
///
/// `prepared[core][file]` are the bytes written in each new file; it is brought up to date.
pub(crate) async fn recycle<P: BufPool>(
    io: &Io<P>,
    new: Generation,
    geometry: &Geometry,
    (old_files, mut most): (Vec<(FileName, u64)>, u64),
    prepared: &mut [&mut Vec<u64>],
    mutation: Option<Mutation>,
) -> Result<u64, RecoveryError> {
    let mut empty = Vec::new();
    for (core, files) in (0..).map(CoreId).zip(prepared.iter()) {
        for (index, _) in (0..).zip(files.iter()).filter(|(_, len)| **len == 0) {
            empty.push((core, index));
        }
    }
    empty.reverse();
    let mut removed = 0;
    for (from, len) in old_files {
        match empty.last() {
            Some(&(core, index)) if len == geometry.file_bytes && len <= most => {
                most -= len;
                let to = FileName::Journal {
                    generation: new,
                    core,
                    index,
                };
                io.run(Op::Rename { from, to }).await?;
                prepared[usize::from(core.0)][usize::from(index)] = len;
                empty.pop();
            }
            _ => {
                io.run(Op::Remove(from)).await?;
                removed += 1;
            }
        }
    }
    if !mutated(mutation, Mutation::UnsyncedRename) {
        io.run(Op::SyncDir(Dir::Journal)).await?;
    }
    Ok(removed)
}

/// The logs that have a directory.
pub(crate) async fn list_logs<P: BufPool>(io: &Io<P>) -> Result<BTreeSet<LogId>, RecoveryError> {
    let names = io.list(Dir::Logs).await?;
    let logs = names.iter().filter_map(|(name, _)| Dir::parse_log(name));
    Ok(logs.collect())
}

/// Removes the directories of `logs`, which the new generation does not know: deleted ones, and
/// those whose first extent never became durable. Returns the number of files.
pub(crate) async fn remove_logs<P: BufPool>(
    io: &Io<P>,
    logs: impl Iterator<Item = LogId>,
) -> Result<u64, RecoveryError> {
    let mut removed = 0;
    for log in logs {
        for (name, _) in io.list(Dir::Log(log)).await? {
            if let Some(file) = FileName::parse(Dir::Log(log), &name) {
                io.run(Op::Remove(file)).await?;
                removed += 1;
            }
        }
        io.run(Op::RemoveDir(Dir::Log(log))).await?;
    }
    io.run(Op::SyncDir(Dir::Logs)).await?;
    Ok(removed)
}

/// Removes what the new generation supersedes in one log's directory. Returns the number.
pub(crate) async fn remove_superseded<P: BufPool>(
    io: &Io<P>,
    id: LogId,
    log: &OldLog,
    plan: LogPlan,
    snapshot_file: Option<Generation>,
) -> Result<u64, RecoveryError> {
    let names = io.list(Dir::Log(id)).await?;
    let files: Vec<_> = names
        .iter()
        .filter_map(|(name, _)| FileName::parse(Dir::Log(id), name))
        .collect();
    let upto = if plan.spill {
        log.next().0
    } else {
        log.checkpoint.0
    };
    let segments = files.iter().filter_map(|&file| match file {
        FileName::Segment {
            base, generation, ..
        } => Some(SegmentId { base, generation }),
        _ => None,
    });
    let dead: BTreeSet<_> = sort_out(segments, upto).dead.into_iter().collect();
    if !dead.is_empty() && is_foreign(io, id, &files).await? {
        return Ok(0);
    }
    let mut removed = 0;
    for file in files {
        let superseded = match file {
            FileName::Segment {
                base, generation, ..
            }
            | FileName::Index {
                base, generation, ..
            } => dead.contains(&SegmentId { base, generation }),
            FileName::Snapshot {
                ordinal,
                generation,
                ..
            } => {
                let current = log.snapshot.map(|(ordinal, _)| ordinal);
                current != Some(ordinal) || snapshot_file != Some(generation)
            }
            _ => false,
        };
        if superseded {
            io.run(Op::Remove(file)).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether an index in a log's folder is of another log, or none at all: folders were swapped, and what
/// looks dead there is that log's. One block of each of the newest few is read.
async fn is_foreign<P: BufPool>(
    io: &Io<P>,
    id: LogId,
    files: &[FileName],
) -> Result<bool, RecoveryError> {
    let indexes = files.iter().rev();
    let indexes = indexes.filter(|file| matches!(file, FileName::Index { .. }));
    for &file in indexes.take(8) {
        let foreign = match io.read_range(file, 0, BLOCK).await {
            Ok(block) => owner(&block).is_some_and(|owner| owner != id),
            // What stands there is no file, and proves nothing.
            Err(RecoveryError::Corruption { .. }) => true,
            Err(error) => return Err(error),
        };
        if foreign {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The salt of a new generation: unlike any before, and not to be guessed from outside if the
/// configured one is not.
pub(crate) fn salt(configured: u64, generation: Generation) -> u64 {
    let mixed = configured ^ u64::from(generation.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed.rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ (mixed >> 31)
}
