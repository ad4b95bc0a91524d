//! Carries the logs over, one by one: each is read whole before any of it is written.
//!
//! So when something of a log cannot be read any more, because a file of its folder was lost,
//! nothing of the log is in the new ring yet, and the log is kept as it was found instead: the same
//! records, the same names of files. Nobody can use it until the file is put back, and nothing is
//! lost with it that was not lost before.

use bytes::Bytes;

use super::RecoveryError;
use super::build::{JournalWriter, make_log_dir};
use super::collect::{Found, OldLog, SnapshotAt, Source};
use super::early::EarlyLog;
use super::plan::LogPlan;
use super::recovered::{Kept, Lost, RecoveredLog, SnapshotFile};
use super::source::Sources;
use super::spill::{Cut, Spilled, spill};
use super::task::Io;
use crate::format::crc;
use crate::format::record::{self, Checkpoint, SnapshotState};
use crate::format::snapshot::{self, SnapshotId};
use crate::io::{BufPool, Dir, FileName, Op};
use crate::mutation::{Mutation, mutated};
use crate::types::{CommitSeq, LogId, LogKind, Ordinal};

/// All that the new generation has of a log but its segments.
pub(crate) struct Loaded {
    /// What the new segments, if any, hold.
    pub(crate) spilled: Option<Spilled>,
    /// The machine's state.
    state: Option<Bytes>,
    /// Of the entries in segments those that are replayed, in order: what the machine needs.
    replayed: Vec<(Found, Bytes)>,
    /// The other entries, whole.
    tail: Vec<(Found, Bytes)>,
}

/// Reads a log, and writes its remainder into segments if that is planned.
///
/// # Errors
/// When something of it cannot be read; then no segment is left.
pub(crate) async fn load<P: BufPool>(
    io: &Io<P>,
    sources: &mut Sources<P>,
    (id, log): (LogId, &OldLog),
    (plan, cut): (LogPlan, Cut),
    mut early: EarlyLog<P>,
) -> Result<Loaded, RecoveryError> {
    early.keep_useful(io, log).await?;
    let mut begun = early.files();
    let before = io.created();
    let loaded = try_load(io, sources, (id, log), (plan, cut), early).await;
    if loaded.is_err() {
        begun.extend(io.take_created_since(before));
        if !begun.is_empty() {
            io.run_all(begun.into_iter().map(Op::Remove)).await?;
            io.run(Op::SyncDir(Dir::Log(id))).await?;
        }
    }
    loaded
}

async fn try_load<P: BufPool>(
    io: &Io<P>,
    sources: &mut Sources<P>,
    (id, log): (LogId, &OldLog),
    (plan, cut): (LogPlan, Cut),
    early: EarlyLog<P>,
) -> Result<Loaded, RecoveryError> {
    let state = match log.snapshot {
        Some((ordinal, at)) => Some(sources.snapshot(id, ordinal, at).await?),
        None => None,
    };
    let mut replayed = Vec::new();
    let (below, above) = log.entries.split_at(log.index_of(log.checkpoint.0));
    for entry in below {
        if entry.meta.ordinal >= log.replay_from() {
            replayed.push((*entry, sources.replayed(id, log, entry).await?));
        }
    }
    let mut tail = Vec::new();
    let mut spilled = None;
    if plan.spill {
        let mut written = spill(io, sources, (id, log), cut, early).await?;
        let rest = above
            .iter()
            .filter(|entry| entry.meta.ordinal >= log.replay_from());
        replayed.extend(rest.copied().zip(written.replayed.drain(..)));
        spilled = Some(written);
    } else {
        for entry in above {
            let bytes = sources.entry(id, log, entry).await?;
            tail.push((*entry, Bytes::copy_from_slice(&bytes)));
        }
    }
    Ok(Loaded {
        spilled,
        state,
        replayed,
        tail,
    })
}

/// What the log is in the new generation before anything else of it is written than its
/// checkpoint, which is.
async fn begin<P: BufPool>(
    writer: &mut JournalWriter<P>,
    (id, log): (LogId, &OldLog),
    checkpoint: Checkpoint,
) -> Result<RecoveredLog, RecoveryError> {
    let checkpoint_commit = writer
        .push(record::CHECKPOINT_LEN, |out| {
            record::put_checkpoint(out, id, log.kind, &checkpoint)
        })
        .await?;
    let newest = log.entries.last().map(|e| e.meta);
    Ok(RecoveredLog {
        id,
        kind: log.kind,
        slot: log.slot,
        start: checkpoint.start,
        lost: None,
        next: log.next(),
        checkpoint: checkpoint.upto,
        term: newest.map_or(log.checkpoint_term, |meta| meta.term),
        max_timestamp: max_timestamp(log, log.next().0),
        checkpoint_commit,
        snapshot: None,
        snapshot_commit: None,
        snapshot_file: None,
        replay: Vec::new(),
        replay_commits: None,
        tail: Vec::new(),
    })
}

/// The checkpoint as it was.
fn old_checkpoint(log: &OldLog) -> Checkpoint {
    Checkpoint {
        slot: log.slot,
        start: log.start,
        upto: log.checkpoint,
        max_timestamp: log.checkpoint_timestamp,
        term: log.checkpoint_term,
    }
}

/// Writes the records of a log into its new journal.
///
/// # Errors
/// When they cannot be written.
pub(crate) async fn write<P: BufPool>(
    writer: &mut JournalWriter<P>,
    (id, log): (LogId, &OldLog),
    loaded: Loaded,
    mutation: Option<Mutation>,
) -> Result<RecoveredLog, RecoveryError> {
    let checkpoint = match (&loaded.spilled, log.entries.last()) {
        (Some(_), newest) => Checkpoint {
            upto: log.next(),
            max_timestamp: max_timestamp(log, log.next().0),
            term: newest.map_or(log.checkpoint_term, |entry| entry.meta.term),
            ..old_checkpoint(log)
        },
        (None, _) => old_checkpoint(log),
    };
    let mut recovered = begin(writer, (id, log), checkpoint).await?;
    if let (Some((ordinal, at)), Some(mut state)) = (log.snapshot, loaded.state) {
        if log.class.files && mutated(mutation, Mutation::LostProducerState) {
            state = Bytes::new();
        }
        put_snapshot(writer, (id, log.kind), (ordinal, at), state, &mut recovered).await?;
    }
    for (entry, bytes) in loaded.replayed {
        let meta = &entry.meta;
        let put = |out: &mut [u8]| record::put_prefix(out, id, log.kind, meta, &bytes);
        let seq = writer.push(record::prefix_len(bytes.len()), put).await?;
        let first = recovered.replay_commits.map_or(seq, |(first, _)| first);
        recovered.replay_commits = Some((first, seq));
        recovered.replay.push((entry.meta, bytes));
    }
    for (entry, bytes) in loaded.tail {
        let meta = &entry.meta;
        let put = |out: &mut [u8]| record::put_entry(out, id, log.kind, meta, &bytes);
        let seq = writer.push(record::entry_len(bytes.len()), put).await?;
        if entry.meta.ordinal >= log.replay_from() {
            let replayed = bytes.slice(..entry.replay as usize);
            recovered.replay.push((entry.meta, replayed));
        }
        recovered.tail.push((entry.meta, bytes, seq));
    }
    Ok(recovered)
}

/// Why the log cannot be read, if it is for a file of its own that is not what it was: then it can
/// be kept as it is. The journal's damage is another matter, and so is a machine log, without which
/// nobody knows what the others are.
pub(crate) fn loss(id: LogId, log: &OldLog, error: &RecoveryError) -> Option<String> {
    match error {
        RecoveryError::Corruption {
            file,
            position,
            what,
        } if log.class.files && file.dir() == Dir::Log(id) => Some(format!(
            "{file} at byte {position}: {what}; it counts, and what it held is nowhere else. Put \
             the file back as it was and start again, or delete the topic. Until then nothing \
             of the partition is changed"
        )),
        _ => None,
    }
}

/// What is said of a log whose folder is gone.
pub(crate) fn folder_lost(id: LogId) -> String {
    format!(
        "{} is gone, with what the log has in files. Put it back as it was and start again, or \
         delete the topic. Until then nothing of the partition is changed",
        Dir::Log(id).path()
    )
}

/// Writes the records of a log into its new journal as they are.
///
/// # Errors
/// When the journal cannot be read again, or the new one not be written.
pub(crate) async fn keep<P: BufPool>(
    writer: &mut JournalWriter<P>,
    sources: &mut Sources<P>,
    (id, log): (LogId, &OldLog),
    reason: String,
) -> Result<RecoveredLog, RecoveryError> {
    let mut recovered = begin(writer, (id, log), old_checkpoint(log)).await?;
    if let Some((ordinal, at)) = log.snapshot {
        // The state in a file stays where it is, or is to be put back.
        let state = match at {
            SnapshotAt::Inline { .. } => sources.snapshot(id, ordinal, at).await?,
            SnapshotAt::File { .. } => Bytes::new(),
        };
        put_snapshot(writer, (id, log.kind), (ordinal, at), state, &mut recovered).await?;
    }
    let mut kept: Vec<Kept> = Vec::new();
    // Where in `kept` the record of each extent is.
    let mut extents = vec![None; log.extents.len()];
    for entry in &log.entries {
        let ordinal = entry.meta.ordinal;
        let record = match entry.source {
            Source::Extent { index, .. } => {
                let at = index as usize;
                if let Some(at) = extents[at] {
                    let extent: &mut Kept = &mut kept[at];
                    extent.last = ordinal;
                    continue;
                }
                extents[at] = Some(kept.len());
                sources.record(&log.extents[at]).await?
            }
            Source::Inline { .. } if ordinal >= log.checkpoint.0 => {
                let bytes = sources.entry(id, log, entry).await?;
                let mut record = vec![0; record::entry_len(bytes.len())];
                record::put_entry(&mut record, id, log.kind, &entry.meta, &bytes);
                Bytes::from(record)
            }
            Source::Inline { .. } | Source::Prefix { .. } => {
                let bytes = sources.replayed(id, log, entry).await?;
                let mut record = vec![0; record::prefix_len(bytes.len())];
                record::put_prefix(&mut record, id, log.kind, &entry.meta, &bytes);
                Bytes::from(record)
            }
        };
        let commit = put_raw(writer, &record).await?;
        kept.push(Kept {
            first: ordinal,
            last: ordinal,
            commit,
            record,
        });
    }
    recovered.lost = Some(Lost { reason, kept });
    Ok(recovered)
}

/// Largest timestamp of any entry below `until`.
fn max_timestamp(log: &OldLog, until: Ordinal) -> i64 {
    let above = &log.entries[log.index_of(log.checkpoint.0)..log.index_of(until)];
    let newest = above.iter().map(|e| e.meta.max_timestamp).max();
    log.checkpoint_timestamp.max(newest.unwrap_or(i64::MIN))
}

async fn put_snapshot<P: BufPool>(
    writer: &mut JournalWriter<P>,
    (id, kind): (LogId, LogKind),
    (ordinal, at): (Ordinal, SnapshotAt),
    state: Bytes,
    recovered: &mut RecoveredLog,
) -> Result<(), RecoveryError> {
    let inline = SnapshotState::Inline(&state);
    let file = match at {
        SnapshotAt::File {
            generation,
            len,
            crc,
        } => Some(SnapshotFile {
            generation,
            len,
            crc,
        }),
        SnapshotAt::Inline { .. } if record::snapshot_len(&inline) <= writer.largest() => None,
        SnapshotAt::Inline { .. } => Some(write_snapshot_file(writer, id, ordinal, &state).await?),
    };
    let form = match file {
        None => inline,
        Some(SnapshotFile {
            generation,
            len,
            crc,
        }) => SnapshotState::File {
            generation,
            len,
            crc,
        },
    };
    let commit = writer
        .push(record::snapshot_len(&form), |out| {
            record::put_snapshot(out, id, kind, ordinal, &form)
        })
        .await?;
    recovered.snapshot_file = file;
    recovered.snapshot_commit = Some(commit);
    recovered.snapshot = Some((ordinal, state));
    Ok(())
}

async fn write_snapshot_file<P: BufPool>(
    writer: &JournalWriter<P>,
    log: LogId,
    ordinal: Ordinal,
    state: &Bytes,
) -> Result<SnapshotFile, RecoveryError> {
    let (io, generation) = (writer.io(), writer.id.generation);
    let id = SnapshotId {
        log,
        ordinal,
        generation,
    };
    let file = FileName::Snapshot {
        log,
        ordinal,
        generation,
    };
    make_log_dir(io, log).await?;
    let len = snapshot::file_len(state.len());
    let mut buf = io.buffer(len);
    snapshot::encode(buf.as_mut(), &id, state);
    let reserve = len as u64;
    io.run(Op::Create { file, reserve }).await?;
    let write = Op::Write {
        file,
        pos: 0,
        buf,
        durable: false,
    };
    io.run(write).await?;
    io.run(Op::Sync(file)).await?;
    io.run(Op::SyncDir(Dir::Log(log))).await?;
    Ok(SnapshotFile {
        generation,
        len: u32::try_from(state.len()).expect("it was inline"),
        crc: crc(state),
    })
}

/// A record that is encoded already.
async fn put_raw<P: BufPool>(
    writer: &mut JournalWriter<P>,
    record: &Bytes,
) -> Result<CommitSeq, RecoveryError> {
    if record.len() > writer.largest() {
        let what =
            "a record of a log with a lost file does not fit a commit: make the journal larger";
        return Err(RecoveryError::Config(what.to_owned()));
    }
    writer
        .push(record.len(), |out| {
            out[..record.len()].copy_from_slice(record);
            record.len()
        })
        .await
}
