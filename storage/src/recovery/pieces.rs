//! The bytes that stood in the journals' commits and are still needed, kept from the one pass
//! over them.
//!
//! The commits of a ring name the logs in turn, while the new generation is written log by log.
//! So the pass keeps what a log may need of each commit, lets go what a later checkpoint or
//! snapshot makes needless, and moves what exceeds its bound to a spool file, log by log: it is
//! read back in that order. Memory is bounded by the limit and by the number of live entries,
//! whatever the rings' size.
//!
//! It decides nothing: a piece that is not here stands in its commit, from which it can be read
//! again.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::RecoveryError;
use super::gather::CommitAt;
use super::task::{CHUNK, Io};
use crate::format::crc;
use crate::format::record::{Checkpoint, PREFIX_MAX};
use crate::io::{BLOCK, BufPool, Dir, FileName, Op};
use crate::types::{CoreId, Generation, LogId, LogKind, Ordinal, Term};

/// What a kept piece costs beside its bytes.
const COST: usize = 128;

/// Pieces below this gain nothing by leaving memory.
const SPOOLED_FROM: usize = 4 * PREFIX_MAX;

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
    bytes: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Bytes),
    Spool { pos: u64, len: usize, crc: u32 },
}

impl Place {
    fn in_memory(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len() + COST,
            Self::Spool { .. } => COST,
        }
    }
}

/// What is kept of one log.
#[derive(Debug)]
struct LogPieces {
    kind: LogKind,
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
    logs: BTreeMap<LogId, LogPieces>,
    held: usize,
    /// Bytes from which on some leave memory; 0: nothing is kept at all.
    limit: usize,
    /// Raised when what is left cannot leave.
    bar: usize,
}

impl Pieces {
    /// Keeps up to `limit` bytes in memory, and a little more until they are spooled.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            bar: limit,
            ..Self::default()
        }
    }

    fn log(&mut self, id: LogId, kind: LogKind) -> &mut LogPieces {
        self.logs.entry(id).or_insert_with(|| LogPieces {
            kind,
            pieces: BTreeMap::new(),
            checkpoint: Ordinal(0),
            replay_from: Ordinal(0),
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
            bytes: Place::Memory(Bytes::copy_from_slice(spot.bytes)),
        };
        self.held += piece.bytes.in_memory();
        // A copy of an entry that stood further back: the newest one is read.
        let replaced = self.log(id, kind).pieces.insert(key, piece);
        self.held -= replaced.map_or(0, |old| old.bytes.in_memory());
    }

    /// An entry.
    pub(crate) fn entry(
        &mut self,
        id: LogId,
        kind: LogKind,
        (ordinal, term): (Ordinal, Term),
        spot: Spot<'_>,
    ) {
        let log = self.logs.get(&id);
        let known = log.map_or((Ordinal(0), Ordinal(0)), |log| {
            (log.checkpoint, log.replay_from)
        });
        match kind {
            LogKind::Topic if ordinal < known.0 => {
                // A copy of what a checkpoint has passed already.
                if ordinal >= known.1 {
                    let bytes = &spot.bytes[..spot.bytes.len().min(PREFIX_MAX)];
                    let spot = Spot { bytes, ..spot };
                    self.keep(id, kind, (ordinal, term, Part::Whole), spot);
                }
            }
            LogKind::Machine if ordinal < known.1 => {}
            _ => self.keep(id, kind, (ordinal, term, Part::Whole), spot),
        }
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
        if log.kind == LogKind::Machine || upto <= log.checkpoint {
            return;
        }
        let from = std::mem::replace(&mut log.checkpoint, upto);
        let passed = (from, Term(0), Part::Tail)..(upto, Term(0), Part::Tail);
        let mut needless = Vec::new();
        for (&key, piece) in log.pieces.range_mut(passed) {
            let wanted = match key.2 {
                Part::Tail => 0,
                Part::Prefix | Part::Whole if key.0 >= log.replay_from => PREFIX_MAX,
                Part::Prefix | Part::Whole => 0,
            };
            match &mut piece.bytes {
                _ if wanted == 0 => needless.push(key),
                Place::Memory(bytes) if bytes.len() > wanted => {
                    self.held -= bytes.len() - wanted;
                    *bytes = Bytes::copy_from_slice(&bytes[..wanted]);
                }
                Place::Memory(_) | Place::Spool { .. } => {}
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
        let below = match kind {
            LogKind::Topic => log.checkpoint.min(log.replay_from),
            LogKind::Machine => log.replay_from,
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

    /// Whether it is time for [`Spool::take`].
    pub(crate) fn is_full(&self) -> bool {
        self.held > self.bar
    }
}

impl LogPieces {
    /// Returns how many bytes of memory that gives back.
    fn forget(&mut self, keys: Vec<Key>) -> usize {
        let mut freed = 0;
        for key in keys {
            let piece = self.pieces.remove(&key).expect("a key of this log");
            freed += piece.bytes.in_memory();
        }
        freed
    }
}

/// A file of the generation to come that takes what memory does not hold. It is no journal file:
/// no core has its number, and it is gone before that generation is the truth.
pub(crate) struct Spool<P: BufPool> {
    io: Io<P>,
    file: FileName,
    made: bool,
    len: u64,
    /// What was read last of each round, for the pieces that follow.
    windows: BTreeMap<u64, (u64, Bytes)>,
    /// Where each round began.
    rounds: Vec<u64>,
}

impl<P: BufPool> Spool<P> {
    /// One that is made when it is first needed.
    pub(crate) fn new(io: Io<P>, generation: Generation) -> Self {
        Self {
            io,
            file: FileName::Journal {
                generation,
                core: CoreId(u16::MAX),
                index: 0,
            },
            made: false,
            len: 0,
            windows: BTreeMap::new(),
            rounds: Vec::new(),
        }
    }

    /// Bytes that it holds.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Moves what is large of `pieces` into the file.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn take(&mut self, pieces: &mut Pieces) -> Result<(), RecoveryError> {
        if !self.made {
            let (file, reserve) = (self.file, 0);
            self.io.run(Op::MakeDir(Dir::Journal)).await?;
            self.io.run(Op::Create { file, reserve }).await?;
            self.made = true;
        }
        self.rounds.push(self.len);
        let mut pending = BytesMut::with_capacity(2 * CHUNK);
        for piece in pieces
            .logs
            .values_mut()
            .flat_map(|log| log.pieces.values_mut())
        {
            let Place::Memory(bytes) = &piece.bytes else {
                continue;
            };
            if bytes.len() < SPOOLED_FROM {
                continue;
            }
            pieces.held -= bytes.len();
            pending.extend_from_slice(bytes);
            let place = Place::Spool {
                pos: self.len + (pending.len() - bytes.len()) as u64,
                len: bytes.len(),
                crc: crc(bytes),
            };
            piece.bytes = place;
            while pending.len() >= CHUNK {
                self.write(&pending.split_to(CHUNK)).await?;
            }
        }
        let whole = crate::format::round_up(pending.len());
        pending.resize(whole, 0);
        for part in pending.chunks(CHUNK) {
            self.write(part).await?;
        }
        pieces.bar = pieces.limit.max(pieces.held + pieces.limit / 2);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), RecoveryError> {
        assert!(
            bytes.len().is_multiple_of(BLOCK),
            "the spool is whole blocks"
        );
        super::build::write_padded(&self.io, self.file, self.len, bytes).await?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Reads a piece back. Those of a round are asked for in their order.
    async fn read(&mut self, pos: u64, len: usize, sum: u32) -> Result<Bytes, RecoveryError> {
        let after = self.rounds.partition_point(|begin| *begin <= pos);
        let round = self.rounds[after - 1];
        let round_end = self.rounds.get(after).copied().unwrap_or(self.len);
        let (begin, window) = self.windows.entry(round).or_default();
        let skip = usize::try_from(pos.wrapping_sub(*begin)).unwrap_or(usize::MAX);
        let have = window.get(skip..).unwrap_or_default();
        if have.len() < len {
            let from = pos + have.len() as u64;
            let want = (len - have.len()).max(CHUNK / 4) as u64;
            let until = (from + want).next_multiple_of(BLOCK as u64).min(round_end);
            let more = usize::try_from(until - from).expect("a chunk");
            let mut bytes = BytesMut::from(have);
            bytes.extend_from_slice(&self.io.read_range(self.file, from, more).await?);
            (*begin, *window) = (pos, bytes.freeze());
        }
        let skip = usize::try_from(pos - *begin).expect("within the window");
        match window.get(skip..skip + len) {
            Some(bytes) if crc(bytes) == sum => Ok(Bytes::copy_from_slice(bytes)),
            _ => {
                let what = "what recovery wrote aside reads differently";
                Err(RecoveryError::corrupt(self.file, pos, what))
            }
        }
    }

    /// The first `len` bytes of the piece `key`, if they were kept of what stands at `offset` of
    /// the commit.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub(crate) async fn find(
        &mut self,
        pieces: &Pieces,
        (id, key): (LogId, Key),
        (commit, offset): (CommitAt, u32),
        len: usize,
    ) -> Result<Option<Bytes>, RecoveryError> {
        let log = pieces.logs.get(&id);
        let Some(piece) = log.and_then(|log| log.pieces.get(&key)) else {
            return Ok(None);
        };
        if (piece.commit, piece.offset) != (commit, offset) {
            return Ok(None);
        }
        Ok(match piece.bytes {
            Place::Memory(ref bytes) => (bytes.len() >= len).then(|| bytes.slice(..len)),
            Place::Spool { len: whole, .. } if whole < len => None,
            Place::Spool {
                pos,
                len: whole,
                crc,
            } => Some(self.read(pos, whole, crc).await?.slice(..len)),
        })
    }

    /// Nothing of it is needed any more.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn remove(&mut self) -> Result<(), RecoveryError> {
        if std::mem::take(&mut self.made) {
            self.io.run(Op::Remove(self.file)).await?;
        }
        Ok(())
    }
}
