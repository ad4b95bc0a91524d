//! The bytes that stood in the journals' commits and are still needed, kept from the one pass
//! over them.
//!
//! The commits of a ring name the logs in turn, while the new generation is written log by log. So
//! the pass keeps what a log may need of each commit, and drops what a later checkpoint or snapshot
//! makes needless. What exceeds its bound goes to the new segments early (`early`), and only the
//! beginnings of its entries stay. Memory is bounded by the limit and by the number of live
//! entries, whatever the rings' size.
//!
//! It decides nothing: a piece that is not here stands in its commit, from which it can be read
//! again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::collect::CommitAt;
use crate::class::{Classes, LogClass};
use crate::format::record::Checkpoint;
use crate::types::{LogId, LogKind, Ordinal, Term};

/// What a kept piece costs beside its bytes.
const COST: usize = 128;

/// Which part of a log's records a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The tail of the extent whose last entry it is.
    Tail,
    /// The first bytes of an entry.
    Prefix,
    /// An entry.
    Whole,
}

/// What a piece is of its log.
pub(crate) type Key = (Ordinal, Term, Part);

/// Bytes of a commit's body.
#[derive(Clone, Debug)]
struct Piece {
    commit: CommitAt,
    offset: u32,
    bytes: Bytes,
}

impl Piece {
    fn in_memory(&self) -> usize {
        self.bytes.len() + COST
    }

    /// Keeps the first `len` bytes; how many are given back.
    fn shorten(&mut self, len: usize) -> usize {
        let more = self.bytes.len().saturating_sub(len);
        if more > 0 {
            self.bytes = Bytes::copy_from_slice(&self.bytes[..len]);
        }
        more
    }
}

/// What is kept of one log.
#[derive(Debug)]
struct LogPieces {
    class: LogClass,
    pieces: BTreeMap<Key, Piece>,
    /// Entries below are not needed whole, those of a topic.
    checkpoint: Ordinal,
    /// Entries below are not replayed.
    replay_from: Ordinal,
    snapshot: Option<(CommitAt, u32, Bytes)>,
}

/// A part of a commit's body that a record holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'a> {
    pub(crate) commit: CommitAt,
    pub(crate) offset: u32,
    pub(crate) bytes: &'a [u8],
}

/// The pieces of all logs.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    classes: Classes,
    logs: BTreeMap<LogId, LogPieces>,
    held: usize,
    /// Bytes from which on some leave memory; 0: nothing is kept at all.
    limit: usize,
    /// Raised when what is left cannot leave.
    bar: usize,
}

impl Pieces {
    /// Keeps up to `limit` bytes in memory, and a little more until some of it is written.
    pub(crate) fn new(limit: usize, classes: Classes) -> Self {
        Self {
            classes,
            limit,
            bar: limit,
            ..Self::default()
        }
    }

    /// What logs of a kind are like.
    pub(crate) fn class_of(&self, kind: LogKind) -> LogClass {
        self.classes.of(kind)
    }

    fn log(&mut self, id: LogId, kind: LogKind) -> &mut LogPieces {
        let class = self.classes.of(kind);
        self.logs.entry(id).or_insert_with(|| LogPieces {
            class,
            pieces: BTreeMap::new(),
            checkpoint: Ordinal(0),
            replay_from: class.replay.from(Ordinal(0)),
            snapshot: None,
        })
    }

    fn keep(&mut self, id: LogId, kind: LogKind, key: Key, spot: Spot<'_>) {
        if self.limit == 0 {
            return;
        }
        let piece = Piece {
            commit: spot.commit,
            offset: spot.offset,
            bytes: Bytes::copy_from_slice(spot.bytes),
        };
        self.held += piece.in_memory();
        // A copy of an entry that stood further back: the newest one is read.
        let replaced = self.log(id, kind).pieces.insert(key, piece);
        self.held -= replaced.map_or(0, |old| old.in_memory());
    }

    /// An entry.
    pub(crate) fn entry(
        &mut self,
        id: LogId,
        kind: LogKind,
        (ordinal, term): (Ordinal, Term),
        spot: Spot<'_>,
    ) {
        let class = self.classes.of(kind);
        let log = self.logs.get(&id);
        let unknown = (Ordinal(0), class.replay.from(Ordinal(0)));
        let known = log.map_or(unknown, |log| (log.checkpoint, log.replay_from));
        // A copy of what a checkpoint has passed already is replayed, if at all.
        let (is_passed, is_replayed) = (class.files && ordinal < known.0, ordinal >= known.1);
        let wanted = match (is_passed, is_replayed) {
            (true, true) => class.replay.of(spot.bytes),
            (true, false) => return,
            (false, _) if class.files || is_replayed => spot.bytes,
            (false, _) => return,
        };
        let spot = Spot {
            bytes: wanted,
            ..spot
        };
        self.keep(id, kind, (ordinal, term, Part::Whole), spot);
    }

    /// The first bytes of an entry below the checkpoint.
    pub(crate) fn prefix(
        &mut self,
        id: LogId,
        kind: LogKind,
        (ordinal, term): (Ordinal, Term),
        spot: Spot<'_>,
    ) {
        self.keep(id, kind, (ordinal, term, Part::Prefix), spot);
    }

    /// The last bytes of an extent whose last entry is `last`.
    pub(crate) fn tail(
        &mut self,
        id: LogId,
        kind: LogKind,
        (last, term): (Ordinal, Term),
        spot: Spot<'_>,
    ) {
        if !spot.bytes.is_empty() {
            self.keep(id, kind, (last, term, Part::Tail), spot);
        }
    }

    /// Entries below are in segments: of those not replayed nothing is needed, of others, the
    /// first bytes.
    pub(crate) fn checkpoint(&mut self, id: LogId, point: &Checkpoint) {
        let upto = point.upto.0.max(point.start.0);
        let Some(log) = self.logs.get_mut(&id) else {
            return;
        };
        if !log.class.files || upto <= log.checkpoint {
            return;
        }
        let from = std::mem::replace(&mut log.checkpoint, upto);
        let passed = (from, Term(0), Part::Tail)..(upto, Term(0), Part::Tail);
        let mut needless = Vec::new();
        for (&key, piece) in log.pieces.range_mut(passed) {
            let wanted = match key.2 {
                Part::Tail => 0,
                Part::Prefix | Part::Whole if key.0 >= log.replay_from => {
                    log.class.replay.of(&piece.bytes).len()
                }
                Part::Prefix | Part::Whole => 0,
            };
            match wanted {
                0 => needless.push(key),
                _ => self.held -= piece.shorten(wanted),
            }
        }
        self.held -= log.forget(needless);
    }

    /// The machine's state, and from where on it is replayed.
    pub(crate) fn snapshot(&mut self, id: LogId, kind: LogKind, ordinal: Ordinal) {
        if self.limit == 0 {
            return;
        }
        let log = self.log(id, kind);
        let gone = log.snapshot.take();
        log.replay_from = log.replay_from.max(ordinal);
        let below = match log.class.files {
            true => log.checkpoint.min(log.replay_from),
            false => log.replay_from,
        };
        let needless = ..(below, Term(0), Part::Tail);
        let keys = log.pieces.range(needless).map(|(key, _)| *key).collect();
        let freed = log.forget(keys);
        self.held -= freed + gone.map_or(0, |(.., bytes)| bytes.len() + COST);
    }

    /// The bytes of the newest snapshot, which stand in the journal.
    pub(crate) fn state(&mut self, id: LogId, kind: LogKind, spot: Spot<'_>) {
        if self.limit > 0 {
            self.held += spot.bytes.len() + COST;
            let bytes = Bytes::copy_from_slice(spot.bytes);
            self.log(id, kind).snapshot = Some((spot.commit, spot.offset, bytes));
        }
    }

    /// The log was deleted, or carried over.
    pub(crate) fn end(&mut self, id: LogId) {
        if let Some(mut log) = self.logs.remove(&id) {
            let keys = log.pieces.keys().copied().collect();
            self.held -= log.forget(keys);
            self.held -= log.snapshot.map_or(0, |(.., bytes)| bytes.len() + COST);
        }
    }

    /// The bytes of the machine's state, if they were kept of what stands there.
    pub(crate) fn find_state(&self, id: LogId, at: (CommitAt, u32)) -> Option<Bytes> {
        let (commit, offset, bytes) = self.logs.get(&id)?.snapshot.as_ref()?;
        ((*commit, *offset) == at).then(|| bytes.clone())
    }

    /// The first `len` bytes of the piece `key`, if they were kept of what stands at `offset` of the
    /// commit.
    pub(crate) fn find(
        &self,
        (id, key): (LogId, Key),
        (commit, offset): (CommitAt, u32),
        len: usize,
    ) -> Option<Bytes> {
        let piece = self.logs.get(&id)?.pieces.get(&key)?;
        let same = (piece.commit, piece.offset) == (commit, offset);
        (same && piece.bytes.len() >= len).then(|| piece.bytes.slice(..len))
    }

    /// Whether more is held than should be.
    pub(crate) fn is_full(&self) -> bool {
        self.held > self.bar
    }

    /// Whether half of what may be held is free.
    pub(crate) fn is_relieved(&self) -> bool {
        self.held <= self.limit / 2
    }

    /// What could leave did: more has to come before that is worth trying again.
    pub(crate) fn relieved(&mut self) {
        self.bar = self.limit.max(self.held + self.limit / 2);
    }

    /// The logs with files and with entries whose bytes could leave memory, those with most first.
    pub(crate) fn largest(&self) -> Vec<LogId> {
        let with_files = self.logs.iter().filter(|(_, log)| log.class.files);
        let gains = with_files.map(|(id, log)| {
            let replay = log.class.replay;
            let longer = |piece: &Piece| piece.bytes.len() - replay.of(&piece.bytes).len();
            let gain: usize = log.pieces.values().map(longer).sum();
            (std::cmp::Reverse(gain), *id)
        });
        let mut gains: Vec<_> = gains.filter(|(gain, _)| gain.0 > 0).collect();
        gains.sort_unstable();
        gains.into_iter().map(|(_, id)| id).collect()
    }

    /// The whole bytes of an entry, of which the first stay if they may be replayed.
    pub(crate) fn take_whole(
        &mut self,
        id: LogId,
        (ordinal, term): (Ordinal, Term),
        len: usize,
    ) -> Option<Bytes> {
        let log = self.logs.get_mut(&id)?;
        let key = (ordinal, term, Part::Whole);
        let piece = log.pieces.get_mut(&key)?;
        if piece.bytes.len() != len {
            return None;
        }
        let whole = piece.bytes.clone();
        self.held -= match ordinal < log.replay_from {
            true => log.forget(vec![key]),
            false => piece.shorten(log.class.replay.of(&whole).len()),
        };
        Some(whole)
    }
}

impl LogPieces {
    /// Returns how many bytes of memory that gives back.
    fn forget(&mut self, keys: Vec<Key>) -> usize {
        let mut freed = 0;
        for key in keys {
            let piece = self.pieces.remove(&key).expect("a key of this log");
            freed += piece.in_memory();
        }
        freed
    }
}
