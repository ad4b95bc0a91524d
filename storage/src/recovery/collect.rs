//! What the old journals say of every log, joined and checked.
//!
//! Here only metadata is kept; of the bytes, [`Pieces`] keeps what will be written to the new
//! generation, within its bound. So memory is bounded by the number of live entries, not by the
//! rings' size.

use std::collections::BTreeMap;

use super::RecoveryError;
use super::boot::Boot;
use super::journal::Journal;
use super::pieces::{Pieces, Spot};
use crate::class::LogClass;
use crate::format::commit::{CommitHeader, RingPosition};
use crate::format::index::Span;
use crate::format::record::{Checkpoint, LogRecord, Record, Records, SnapshotState};
use crate::io::BufPool;
use crate::types::{CoreId, EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term};

/// A commit of an old ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitAt {
    pub(crate) core: CoreId,
    pub(crate) at: RingPosition,
    pub(crate) len: u32,
}

/// Where an entry's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In a commit's body, from byte `offset` on.
    Inline { commit: CommitAt, offset: u32 },
    /// In the extent of that number, at this byte of its segment.
    Extent { index: u32, position: u64 },
    /// Only the first bytes, in a commit's body from byte `offset` on.
    Prefix { commit: CommitAt, offset: u32 },
}

impl Source {
    /// Of two records of the same entry the one of the higher rank is read.
    fn rank(self) -> u8 {
        match self {
            Self::Prefix { .. } => 0,
            Self::Extent { .. } => 1,
            Self::Inline { .. } => 2,
        }
    }
}

/// An entry that the journals know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) meta: EntryMeta,
    pub(crate) source: Source,
    /// How many of its first bytes a replay needs.
    pub(crate) replay: u32,
}

/// An extent record, without its entries.
#[derive(Clone, Debug)]
pub(crate) struct ExtentAt {
    pub(crate) segment: Ordinal,
    pub(crate) generation: Generation,
    pub(crate) spans: Vec<Span>,
    /// From this byte of the segment on, the bytes stand in the record.
    pub(crate) boundary: u64,
    /// The commit, and where in its body the tail begins.
    pub(crate) commit: CommitAt,
    pub(crate) tail: (u32, u32),
    /// Where in that body the whole record begins; it ends with the tail.
    pub(crate) begin: u32,
}

/// Where a machine's state is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SnapshotAt {
    /// In a commit's body.
    Inline {
        commit: CommitAt,
        offset: u32,
        len: u32,
    },
    /// In a file.
    File {
        generation: Generation,
        len: u32,
        crc: u32,
    },
}

/// One log, as the old generation left it.
#[derive(Clone, Debug)]
pub(crate) struct OldLog {
    pub(crate) kind: LogKind,
    pub(crate) class: LogClass,
    pub(crate) core: CoreId,
    pub(crate) slot: SlotId,
    pub(crate) start: (Ordinal, Offset),
    /// Segments hold everything below; for a machine log, the snapshot does.
    pub(crate) checkpoint: (Ordinal, Offset),
    /// Largest timestamp below the checkpoint.
    pub(crate) checkpoint_timestamp: i64,
    pub(crate) checkpoint_term: Term,
    pub(crate) snapshot: Option<(Ordinal, SnapshotAt)>,
    /// Dense, from the older of checkpoint and snapshot on.
    pub(crate) entries: Vec<Found>,
    pub(crate) extents: Vec<ExtentAt>,
}

impl OldLog {
    /// Index of the first entry at or above `ordinal`.
    pub(crate) fn index_of(&self, ordinal: Ordinal) -> usize {
        self.entries.partition_point(|e| e.meta.ordinal < ordinal)
    }

    /// The first ordinal that the machine's replay needs.
    pub(crate) fn replay_from(&self) -> Ordinal {
        let snapshot = self.snapshot.map(|(ordinal, _)| ordinal);
        self.class.replay.from(snapshot.unwrap_or_default())
    }

    /// Whether files hold something of it that is still to be kept.
    pub(crate) fn has_files(&self) -> bool {
        let (_, above) = self.entries.split_at(self.index_of(self.checkpoint.0));
        let extent = |entry: &Found| matches!(entry.source, Source::Extent { .. });
        self.class.files && (self.start.0 < self.checkpoint.0 || above.iter().any(extent))
    }

    /// The next ordinal and offset.
    pub(crate) fn next(&self) -> (Ordinal, Offset) {
        match self.entries.last() {
            Some(Found { meta, .. }) if meta.ordinal >= self.checkpoint.0 => {
                (meta.ordinal.plus(1), meta.next_offset())
            }
            _ => self.checkpoint,
        }
    }
}

/// What is read of one log before it is checked.
struct Draft {
    kind: LogKind,
    class: LogClass,
    core: CoreId,
    checkpoint: Option<Checkpoint>,
    snapshot: Option<(Ordinal, SnapshotAt)>,
    ended: bool,
    entries: Vec<Found>,
    extents: Vec<ExtentAt>,
    /// Where its newest record stands: the place to name when something is missing.
    newest: RingPosition,
}

/// Collects the records of all cores.
#[derive(Default)]
pub(crate) struct Collected {
    drafts: BTreeMap<LogId, Draft>,
    /// Bytes of what is live; by default none are kept.
    pub(crate) pieces: Pieces,
    /// Commits read.
    pub(crate) commits: u64,
    /// Extents whose last bytes stand in their record.
    pub(crate) tailed_extents: u64,
}

impl Collected {
    /// Takes in one live commit.
    ///
    /// # Errors
    /// Corruption when a record is malformed although the body's CRC holds, or contradicts what
    /// is known of its log.
    pub(crate) fn commit<P: BufPool>(
        &mut self,
        journal: &Journal<P>,
        at: RingPosition,
        header: &CommitHeader,
        body: &[u8],
    ) -> Result<(), RecoveryError> {
        let commit = CommitAt {
            core: journal.id.core,
            at,
            len: u32::try_from(header.whole_len()).expect("bounded by its file"),
        };
        self.commits += 1;
        let mut records = Records::new(body);
        let mut count = 0;
        while let Some(record) = records.next() {
            let record = record.map_err(|error| journal.corrupt(at, error.to_string()))?;
            let end = u32::try_from(records.position()).expect("bodies are below 4 GiB");
            self.record(commit, end, &record)
                .map_err(|what| journal.corrupt(at, format!("log {}: {what}", record.log.0)))?;
            count += 1;
        }
        if count != header.count {
            return Err(journal.corrupt(at, "the commit has another number of records"));
        }
        Ok(())
    }

    fn record(
        &mut self,
        commit: CommitAt,
        end: u32,
        record: &LogRecord<'_>,
    ) -> Result<(), &'static str> {
        let class = self.pieces.class_of(record.kind);
        let draft = self.drafts.entry(record.log).or_insert_with(|| Draft {
            kind: record.kind,
            class,
            core: commit.core,
            checkpoint: None,
            snapshot: None,
            ended: false,
            entries: Vec::new(),
            extents: Vec::new(),
            newest: commit.at,
        });
        if draft.kind != record.kind {
            return Err("it changes its kind");
        }
        if draft.core != commit.core {
            return Err("two cores own it");
        }
        draft.newest = commit.at;
        let back = |len: usize| end - u32::try_from(len).expect("part of the body");
        let spot = |bytes| Spot {
            commit,
            offset: back(<[u8]>::len(bytes)),
            bytes,
        };
        let (id, kind, pieces) = (record.log, record.kind, &mut self.pieces);
        match &record.record {
            Record::Entry { meta, bytes } => {
                pieces.entry(id, kind, (meta.ordinal, meta.term), spot(bytes));
                let offset = back(bytes.len());
                let source = Source::Inline { commit, offset };
                draft.entries.push(Found {
                    meta: *meta,
                    source,
                    replay: of_entry(class.replay.of(bytes).len()),
                });
            }
            Record::Prefix { meta, prefix } => {
                pieces.prefix(id, kind, (meta.ordinal, meta.term), spot(prefix));
                let offset = back(prefix.len());
                let source = Source::Prefix { commit, offset };
                if class.replay.len_of(prefix, meta.len as usize) != prefix.len() {
                    return Err(
                        "of the beginning of an entry there is more or less than is replayed",
                    );
                }
                draft.entries.push(Found {
                    meta: *meta,
                    source,
                    replay: of_entry(prefix.len()),
                });
            }
            Record::Extent(extent) => {
                let index = u32::try_from(draft.extents.len()).expect("fewer than commits' bytes");
                let mut position = extent.position;
                for (meta, replay) in extent.entries(record.ordinal) {
                    let source = Source::Extent { index, position };
                    position += u64::from(meta.len);
                    draft.entries.push(Found {
                        meta,
                        source,
                        replay,
                    });
                }
                self.tailed_extents += u64::from(!extent.tail.is_empty());
                let last = record.ordinal.plus(extent.entry_count() as u64 - 1);
                pieces.tail(id, kind, (last, extent.term), spot(extent.tail));
                draft.extents.push(ExtentAt {
                    segment: extent.segment,
                    generation: extent.generation,
                    spans: extent.spans().collect(),
                    boundary: extent.boundary(),
                    commit,
                    tail: (back(extent.tail.len()), end),
                    begin: back(extent.record_len()),
                });
            }
            Record::Checkpoint(point) => {
                if draft
                    .checkpoint
                    .is_some_and(|known| known.slot != point.slot)
                {
                    return Err("it changes its slot");
                }
                pieces.checkpoint(id, point);
                draft.checkpoint = Some(*point);
            }
            Record::Snapshot(state) => {
                let at = match *state {
                    SnapshotState::Inline(bytes) => SnapshotAt::Inline {
                        commit,
                        offset: back(bytes.len()),
                        len: u32::try_from(bytes.len()).expect("part of the body"),
                    },
                    SnapshotState::File {
                        generation,
                        len,
                        crc,
                    } => SnapshotAt::File {
                        generation,
                        len,
                        crc,
                    },
                };
                if draft.snapshot.is_none_or(|(old, _)| old <= record.ordinal) {
                    pieces.snapshot(id, kind, record.ordinal);
                    if let SnapshotState::Inline(bytes) = *state {
                        pieces.state(id, kind, spot(bytes));
                    }
                    draft.snapshot = Some((record.ordinal, at));
                }
            }
            Record::End => {
                pieces.end(id);
                draft.ended = true;
            }
        }
        Ok(())
    }

    /// Logs that were met so far.
    pub(crate) fn logs(&self) -> u64 {
        self.drafts.len() as u64
    }

    /// The entries of a log that stood in the journal so far, in order, each once; none below what
    /// is known to be in segments. Its class, if it is known.
    pub(crate) fn inline(&self, id: LogId) -> (Option<LogClass>, Vec<EntryMeta>) {
        let Some(draft) = self.drafts.get(&id) else {
            return (None, Vec::new());
        };
        let passed = draft
            .checkpoint
            .map(|point| point.upto.0.max(point.start.0));
        let passed = passed.unwrap_or_default();
        let inline = draft.entries.iter().filter(|entry| {
            matches!(entry.source, Source::Inline { .. }) && entry.meta.ordinal >= passed
        });
        let mut metas: Vec<EntryMeta> = inline.map(|entry| entry.meta).collect();
        metas.sort_by_key(|meta| (meta.ordinal, std::cmp::Reverse(meta.term)));
        metas.dedup_by_key(|meta| meta.ordinal);
        (Some(draft.class), metas)
    }

    /// Checks every log and sorts its entries. Deleted logs are left out
    ///
    /// # Errors
    /// Corruption, at the place of the log's newest record, when something durable is missing.
    pub(crate) fn finish<P: BufPool>(
        self,
        journals: &[Journal<P>],
        boot: &Boot,
    ) -> Result<BTreeMap<LogId, OldLog>, RecoveryError> {
        let mut logs = BTreeMap::new();
        for (id, draft) in self.drafts {
            if draft.ended {
                continue;
            }
            let (core, newest) = (draft.core, draft.newest);
            let joined = join(draft).and_then(|log| match boot.home(log.slot) {
                home if home == Some(core) => Ok(log),
                _ => Err(format!("its slot {} is another core's", log.slot.0)),
            });
            let log = joined.map_err(|what| {
                let what = format!("log {}: {what}", id.0);
                journals[usize::from(core.0)].corrupt(newest, what)
            })?;
            logs.insert(id, log);
        }
        Ok(logs)
    }
}

fn of_entry(len: usize) -> u32 {
    u32::try_from(len).expect("no more of an entry than its length")
}

/// One log from its records.
fn join(draft: Draft) -> Result<OldLog, String> {
    let point = draft.checkpoint.ok_or("its checkpoint record is missing")?;
    let starts_behind = point.start.0 > point.upto.0;
    let mut checkpoint = if starts_behind {
        point.start
    } else {
        point.upto
    };
    if let (false, Some((ordinal, _))) = (draft.class.files, draft.snapshot) {
        checkpoint.0 = checkpoint.0.max(ordinal);
    }
    let mut log = OldLog {
        kind: draft.kind,
        class: draft.class,
        core: draft.core,
        slot: point.slot,
        start: point.start,
        checkpoint,
        checkpoint_timestamp: point.max_timestamp,
        checkpoint_term: point.term,
        snapshot: draft.snapshot,
        entries: Vec::new(),
        extents: draft.extents,
    };
    let from = log.replay_from().min(log.checkpoint.0);
    log.entries = one_per_ordinal(draft.entries, from)?;
    // A start may lie amid the offsets of its entry; the checkpoint stands where that begins.
    let first = log
        .entries
        .iter()
        .find(|e| e.meta.ordinal == log.checkpoint.0);
    if let Some(Found { meta, .. }) = first
        && starts_behind
        && (meta.first_offset..meta.next_offset()).contains(&log.start.1)
    {
        log.checkpoint.1 = meta.first_offset;
    }
    check_dense(&log, from)?;
    Ok(log)
}

/// One record per ordinal from `from` on: the higher term wins, and ends all lower-term records
/// above it; of equal ones the fullest, and of those the newest.
fn one_per_ordinal(mut entries: Vec<Found>, from: Ordinal) -> Result<Vec<Found>, String> {
    entries.retain(|entry| entry.meta.ordinal >= from);
    // Stable: records of equal key stay in the order of their commits.
    entries.sort_by_key(|e| (e.meta.ordinal, e.meta.term, e.source.rank()));
    let mut kept: Vec<Found> = Vec::with_capacity(entries.len());
    for entry in entries {
        match kept.last_mut() {
            Some(last) if last.meta.ordinal == entry.meta.ordinal => {
                if last.meta.term == entry.meta.term && last.meta != entry.meta {
                    return Err(format!("two different entries {}", entry.meta.ordinal));
                }
                *last = entry;
            }
            _ => kept.push(entry),
        }
    }
    let mut term = Term(0);
    let dead = kept.iter().position(|entry| {
        let superseded = entry.meta.term < term;
        term = term.max(entry.meta.term);
        superseded
    });
    kept.truncate(dead.unwrap_or(kept.len()));
    Ok(kept)
}

/// Ordinals without holes, offsets that follow each other, nothing missing below what is known.
fn check_dense(log: &OldLog, from: Ordinal) -> Result<(), String> {
    let mut expected = from;
    let mut offset: Option<Offset> = None;
    for Found { meta, source, .. } in &log.entries {
        if meta.ordinal != expected {
            return Err(format!("entry {expected} is missing"));
        }
        if offset.is_some_and(|offset| offset != meta.first_offset) {
            return Err(format!("offsets jump at entry {expected}"));
        }
        if expected == log.checkpoint.0 && meta.first_offset != log.checkpoint.1 {
            return Err(format!("offsets jump at the checkpoint, entry {expected}"));
        }
        if expected >= log.checkpoint.0 && matches!(source, Source::Prefix { .. }) {
            return Err(format!("the bytes of entry {expected} are missing"));
        }
        expected = expected.plus(1);
        offset = Some(meta.next_offset());
    }
    let snapshot = log.snapshot.map(|(ordinal, _)| ordinal);
    let known = log.checkpoint.0.max(snapshot.unwrap_or_default());
    if expected < known {
        return Err(format!("entry {expected} is missing"));
    }
    Ok(())
}
