//! Which core each log is on by its slot, and whether its remainder goes to the journal or to segments.
//!
//! Arithmetic only, and deterministic: a recovery that is run again decides the same.

use std::collections::{BTreeMap, BTreeSet};

use super::RecoveryConfig;
use super::collect::{OldLog, SnapshotAt};
use super::error::RecoveryError;
use crate::format::commit::COMMIT_HEADER;
use crate::format::record::{CHECKPOINT_LEN, SNAPSHOT_RECORD_HEADER, entry_len, prefix_len};
use crate::format::superblock::Geometry;
use crate::homes::Homes;
use crate::io::BLOCK;
use crate::types::{CoreId, LogId};

/// What becomes of one log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPlan {
    pub(crate) core: CoreId,
    /// Its entries from the checkpoint on go to new segments instead of the new journal.
    pub(crate) spill: bool,
}

/// What becomes of everything.
pub(crate) struct Plan {
    pub(crate) geometry: Geometry,
    pub(crate) homes: Homes,
    pub(crate) logs: BTreeMap<LogId, LogPlan>,
}

/// Decides, where slots have these `homes`. Logs that are `begun` have new segments already, so that the rest goes there too.
///
/// # Errors
/// A configuration that a machine log's entry does not fit.
pub(crate) fn make(
    config: &RecoveryConfig,
    homes: Homes,
    logs: &BTreeMap<LogId, OldLog>,
    begun: &BTreeSet<LogId>,
) -> Result<Plan, RecoveryError> {
    let mut geometry = config.geometry;
    grow_for_machines(&mut geometry, logs);
    let largest = usize::try_from(geometry.commit_bytes()).expect("32 bits") - COMMIT_HEADER;
    let mut plan = BTreeMap::new();
    for (&id, log) in logs {
        let core = homes.core(log.slot);
        let spill = match must_spill(log, largest, config.segment_threshold) {
            Ok(spill) => spill || begun.contains(&id),
            Err(ordinal) => {
                return Err(RecoveryError::Config(format!(
                    "entry {ordinal} of log {} does not fit a commit of {} bytes",
                    id.0, geometry.max_commit_bytes
                )));
            }
        };
        plan.insert(id, LogPlan { core, spill });
    }
    for core in 0..config.cores {
        let need = relieve(CoreId(core), geometry.usable_bytes() / 4, logs, &mut plan);
        grow_for(&mut geometry, need);
    }
    Ok(Plan {
        geometry,
        homes,
        logs: plan,
    })
}

/// More files, until a ring with `need` bytes of records is not more than half full, and leaves
/// the store its reserve and a commit for appends even if none of that can ever leave it.
fn grow_for(geometry: &mut Geometry, need: u64) {
    loop {
        // What a commit loses to its header and to a record that does not fit any more is counted
        // as a half; two blocks are for the last one's padding and the one that vouches.
        let taken = need * 3 / 2 + 2 * BLOCK as u64;
        let least = geometry.reserve_bytes() + geometry.commit_bytes();
        let enough = (2 * taken).max(taken + least);
        if geometry.usable_bytes() >= enough || geometry.files == u16::MAX {
            return;
        }
        geometry.files += 1;
    }
}

/// More files, until the largest entry of a machine log, which has no segments to go to, fits a
/// commit, if the declared bound allows it.
fn grow_for_machines(geometry: &mut Geometry, logs: &BTreeMap<LogId, OldLog>) {
    let without_files = logs.values().filter(|log| !log.class.files);
    let entries = without_files.flat_map(|log| &log.entries);
    let largest = entries
        .map(|entry| entry_len(entry.meta.len as usize))
        .max();
    let largest = (COMMIT_HEADER + largest.unwrap_or(0)) as u64;
    let most = u64::from(geometry.max_commit_bytes).min(geometry.file_bytes / 2);
    while geometry.commit_bytes() < largest.min(most) && geometry.files < u16::MAX {
        geometry.files += 1;
    }
}

/// Whether the remainder is large, or holds an entry that fits no commit; for a machine log, which
/// has no segments, the ordinal of such an entry is the error.
fn must_spill(log: &OldLog, largest: usize, threshold: u64) -> Result<bool, u64> {
    let tail = &log.entries[log.index_of(log.checkpoint.0)..];
    let misfit = tail
        .iter()
        .find(|e| entry_len(e.meta.len as usize) > largest);
    match (log.class.files, misfit) {
        (false, Some(entry)) => Err(entry.meta.ordinal.0),
        (false, None) => Ok(false),
        (true, misfit) => {
            let bytes: u64 = tail.iter().map(|e| u64::from(e.meta.len)).sum();
            Ok(misfit.is_some() || (bytes >= threshold && bytes > 0))
        }
    }
}

/// Bytes that a log takes of the new generation, at most: all that is not in segments.
pub(crate) fn remainder(log: &OldLog) -> u64 {
    at_most(journal_bytes(log, false), 1)
}

/// What so many bytes of records of so many logs take of the new generation: commits lose some to
/// headers and padding, and a segment to its padding and its index.
pub(crate) fn at_most(bytes: u64, logs: u64) -> u64 {
    bytes + bytes / 4 + 2 * BLOCK as u64 * logs
}

/// Spills the largest remainders of a core until the rest takes at most `budget` bytes of its
/// ring; the bytes that it takes then.
fn relieve(
    core: CoreId,
    budget: u64,
    logs: &BTreeMap<LogId, OldLog>,
    plan: &mut BTreeMap<LogId, LogPlan>,
) -> u64 {
    let mut need = 0;
    let mut candidates = Vec::new();
    for (id, planned) in plan.iter().filter(|(_, planned)| planned.core == core) {
        let (log, spill) = (&logs[id], planned.spill);
        let now = journal_bytes(log, spill);
        need += now;
        let after = journal_bytes(log, true);
        if !spill && log.class.files && now >= after + BLOCK as u64 {
            candidates.push((now - after, *id));
        }
    }
    candidates.sort_unstable();
    while need > budget {
        let Some((gain, id)) = candidates.pop() else {
            break;
        };
        plan.get_mut(&id).expect("candidates are planned").spill = true;
        need -= gain;
    }
    need
}

/// Upper bound of what a log takes in the new journal: its records, and what commits lose to
/// headers and padding (a commit is at least two blocks, so less than its content again).
fn journal_bytes(log: &OldLog, spill: bool) -> u64 {
    let checkpoint = log.index_of(log.checkpoint.0);
    let replay = log.index_of(log.replay_from());
    let snapshot = match log.snapshot {
        Some((_, SnapshotAt::Inline { len, .. })) => SNAPSHOT_RECORD_HEADER + len as usize,
        Some((_, SnapshotAt::File { .. })) => SNAPSHOT_RECORD_HEADER,
        None => 0,
    };
    let mut bytes = CHECKPOINT_LEN + snapshot;
    let below = if spill { log.entries.len() } else { checkpoint };
    for entry in log.entries.get(replay..below).unwrap_or_default() {
        bytes += prefix_len(entry.replay as usize);
    }
    for entry in &log.entries[below.max(checkpoint).min(log.entries.len())..] {
        bytes += entry_len(entry.meta.len as usize);
    }
    bytes as u64
}
