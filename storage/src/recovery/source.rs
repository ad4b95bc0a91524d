//! Hands out the bytes of known entries, all of them under a checksum.
//!
//! What stood in the journals comes from the pieces that the pass over them kept. Only what they
//! do not have is read again, with the whole commit that holds it. The spans of extents are read
//! from their segments, checked, and kept for a while: a log's entries are asked for in order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::RecoveryError;
use super::collect::{CommitAt, ExtentAt, Found, OldLog, SnapshotAt, Source};
use super::journal::Journal;
use super::pieces::{Key as PieceKey, Part, Pieces};
use super::task::{CHUNK, Io};
use crate::checksum::append;
use crate::format::commit::COMMIT_HEADER;
use crate::format::index::Span;
use crate::format::snapshot::{self, SNAPSHOT_HEADER, SnapshotId, StateSum};
use crate::format::{FormatError, crc};
use crate::io::{BufPool, FileName};
use crate::mutation::{Mutation, mutated};
use crate::types::{Generation, LogId, Ordinal};

/// What a kept piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Commit(CommitAt),
    Span(LogId, Ordinal, Generation, u64),
}

/// Checked pieces of the old generation.
pub(crate) struct Sources<P: BufPool> {
    io: Io<P>,
    journals: Vec<Journal<P>>,
    kept: BTreeMap<Key, Bytes>,
    order: VecDeque<Key>,
    held: usize,
    limit: usize,
    pieces: Pieces,
}

impl<P: BufPool> Sources<P> {
    /// Over the old generation's journals, keeping up to `limit` bytes of what is read again.
    pub(crate) fn new(io: Io<P>, journals: Vec<Journal<P>>, limit: usize) -> Self {
        Self {
            pieces: Pieces::default(),
            io,
            journals,
            kept: BTreeMap::new(),
            order: VecDeque::new(),
            held: 0,
            limit,
        }
    }

    /// With what the pass over the journals kept.
    pub(crate) fn keeping(self, pieces: Pieces) -> Self {
        Self { pieces, ..self }
    }

    fn journal(&self, commit: CommitAt) -> &Journal<P> {
        &self.journals[usize::from(commit.core.0)]
    }

    fn keep(&mut self, key: Key, bytes: Vec<u8>) -> Bytes {
        let bytes = Bytes::from(bytes);
        while self.held + bytes.len() > self.limit {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let dropped = self.kept.remove(&oldest).expect("keys in order are kept");
            self.held -= dropped.len();
        }
        self.held += bytes.len();
        self.order.push_back(key);
        self.kept.insert(key, bytes.clone());
        bytes
    }

    async fn body(&mut self, commit: CommitAt) -> Result<Bytes, RecoveryError> {
        let key = Key::Commit(commit);
        if let Some(bytes) = self.kept.get(&key) {
            return Ok(bytes.clone());
        }
        let journal = self.journal(commit);
        let body = journal.reread(commit.at, commit.len as usize).await?;
        Ok(self.keep(key, body))
    }

    /// What stands at `offset` of a commit's body: the first `len` bytes of the piece `key`.
    async fn piece(
        &mut self,
        key: (LogId, PieceKey),
        commit: CommitAt,
        offset: u32,
        len: usize,
    ) -> Result<Bytes, RecoveryError> {
        let at = (commit, offset);
        match self.pieces.find(key, at, len) {
            Some(bytes) => Ok(bytes),
            None => self.slice(commit, offset, len).await,
        }
    }

    /// A part of a commit's body, read again; the commit is the one that the place was taken from.
    async fn slice(
        &mut self,
        commit: CommitAt,
        offset: u32,
        len: usize,
    ) -> Result<Bytes, RecoveryError> {
        let body = self.body(commit).await?;
        let offset = offset as usize;
        if offset + len > body.len() {
            let what = "a commit changed between two reads";
            return Err(self.journal(commit).corrupt(commit.at, what));
        }
        Ok(body.slice(offset..offset + len))
    }

    /// The log is carried over: nothing of it is asked for again.
    pub(crate) fn done(&mut self, log: LogId) {
        self.pieces.end(log);
    }

    /// The checked bytes of one span of an extent.
    pub(crate) async fn span(
        &mut self,
        log: LogId,
        extent: &ExtentAt,
        span: &Span,
    ) -> Result<Bytes, RecoveryError> {
        let key = Key::Span(log, extent.segment, extent.generation, span.position);
        if let Some(bytes) = self.kept.get(&key) {
            return Ok(bytes.clone());
        }
        let file = FileName::Segment {
            log,
            base: extent.segment,
            generation: extent.generation,
        };
        let in_file = span.end_position().min(extent.boundary);
        let in_file = usize::try_from(in_file.saturating_sub(span.position)).expect("a length");
        let mut bytes = self.io.read_range(file, span.position, in_file).await?;
        if span.end_position() > extent.boundary {
            let skip = span.position.saturating_sub(extent.boundary);
            let skip = usize::try_from(skip).expect("within the tail");
            let missing = span.length as usize - in_file;
            let tail = self.tail(log, extent).await?;
            let part = tail.get(skip..).and_then(|tail| tail.get(..missing));
            bytes.extend_from_slice(part.unwrap_or_default());
        }
        let intact = bytes.len() == span.length as usize && crc(&bytes) == span.crc;
        let mutation = self.journal(extent.commit).mutation;
        if !intact && !mutated(mutation, Mutation::AcceptedBadCrc) {
            let what = format!("the span of entry {} is damaged", span.first_ordinal);
            return Err(RecoveryError::corrupt(file, span.position, what));
        }
        bytes.resize(span.length as usize, 0);
        Ok(self.keep(key, bytes))
    }

    /// The whole record of an extent, read again.
    pub(crate) async fn record(&mut self, extent: &ExtentAt) -> Result<Bytes, RecoveryError> {
        let len = (extent.tail.1 - extent.begin) as usize;
        let record = self.slice(extent.commit, extent.begin, len).await?;
        Ok(Bytes::copy_from_slice(&record))
    }

    /// The last bytes of an extent, which stand in its record.
    async fn tail(&mut self, id: LogId, extent: &ExtentAt) -> Result<Bytes, RecoveryError> {
        let (begin, end) = extent.tail;
        let last = extent.spans.last().expect("an extent has spans");
        let key = (Ordinal(last.end_ordinal().0 - 1), last.term, Part::Tail);
        let len = (end - begin) as usize;
        self.piece((id, key), extent.commit, begin, len).await
    }

    /// The whole bytes of an entry at or above its log's checkpoint.
    pub(crate) async fn entry(
        &mut self,
        id: LogId,
        log: &OldLog,
        entry: &Found,
    ) -> Result<Bytes, RecoveryError> {
        let len = entry.meta.len as usize;
        match entry.source {
            Source::Inline { commit, offset } => {
                let key = (entry.meta.ordinal, entry.meta.term, Part::Whole);
                self.piece((id, key), commit, offset, len).await
            }
            Source::Prefix { commit, .. } => {
                let what = format!("the bytes of entry {} are missing", entry.meta.ordinal);
                Err(self.journal(commit).corrupt(commit.at, what))
            }
            Source::Extent { index, position } => {
                let extent = &log.extents[index as usize];
                let after = extent
                    .spans
                    .partition_point(|span| span.end_position() <= position);
                let span = &extent.spans[after];
                let bytes = self.span(id, extent, span).await?;
                let begin = usize::try_from(position - span.position).expect("within the span");
                Ok(bytes.slice(begin..begin + len))
            }
        }
    }

    /// What the log's machine needs of an entry at replay, in memory of its own.
    pub(crate) async fn replayed(
        &mut self,
        id: LogId,
        log: &OldLog,
        entry: &Found,
    ) -> Result<Bytes, RecoveryError> {
        let wanted = entry.replay as usize;
        let bytes = match entry.source {
            Source::Prefix { commit, offset } => {
                let key = (entry.meta.ordinal, entry.meta.term, Part::Prefix);
                self.piece((id, key), commit, offset, wanted).await?
            }
            Source::Inline { commit, offset } => {
                let key = (entry.meta.ordinal, entry.meta.term, Part::Whole);
                self.piece((id, key), commit, offset, wanted).await?
            }
            Source::Extent { .. } => self.entry(id, log, entry).await?.slice(..wanted),
        };
        Ok(Bytes::copy_from_slice(&bytes))
    }

    /// The machine's state.
    pub(crate) async fn snapshot(
        &mut self,
        id: LogId,
        ordinal: Ordinal,
        at: SnapshotAt,
    ) -> Result<Bytes, RecoveryError> {
        match at {
            SnapshotAt::Inline {
                commit,
                offset,
                len,
            } => {
                if let Some(state) = self.pieces.find_state(id, (commit, offset)) {
                    return Ok(state);
                }
                let state = self.slice(commit, offset, len as usize).await?;
                Ok(Bytes::copy_from_slice(&state))
            }
            SnapshotAt::File {
                generation,
                len,
                crc,
            } => read_snapshot_file(&self.io, id, ordinal, (generation, len, crc)).await,
        }
    }
}

impl<P: BufPool> Sources<P> {
    /// File and byte position of an entry, for a report.
    pub(crate) fn place_of(&self, id: LogId, log: &OldLog, entry: &Found) -> (FileName, u64) {
        match entry.source {
            Source::Inline { commit, offset } | Source::Prefix { commit, offset } => {
                self.place_in(commit, offset)
            }
            Source::Extent { index, position } => {
                let extent = &log.extents[index as usize];
                let file = FileName::Segment {
                    log: id,
                    base: extent.segment,
                    generation: extent.generation,
                };
                (file, position)
            }
        }
    }

    /// File and byte position of a machine's state, for a report.
    pub(crate) fn place_of_snapshot(
        &self,
        log: LogId,
        ordinal: Ordinal,
        at: SnapshotAt,
    ) -> (FileName, u64) {
        match at {
            SnapshotAt::Inline { commit, offset, .. } => self.place_in(commit, offset),
            SnapshotAt::File { generation, .. } => {
                let file = FileName::Snapshot {
                    log,
                    ordinal,
                    generation,
                };
                (file, 0)
            }
        }
    }

    fn place_in(&self, commit: CommitAt, offset: u32) -> (FileName, u64) {
        let begin = commit.at.byte() + COMMIT_HEADER as u64;
        let file = self.journal(commit).file(commit.at.file);
        (file, begin + u64::from(offset))
    }
}

/// Reads a snapshot file piece by piece and checks that its state is as long and has the sum that its
/// record says: no more memory is taken than there is of it.
pub(crate) async fn read_snapshot_file<P: BufPool>(
    io: &Io<P>,
    log: LogId,
    ordinal: Ordinal,
    (generation, len, crc): (Generation, u32, u32),
) -> Result<Bytes, RecoveryError> {
    let file = FileName::Snapshot {
        log,
        ordinal,
        generation,
    };
    let corrupt = |what: &str| RecoveryError::corrupt(file, 0, what);
    let Some(there) = io.len(file).await? else {
        return Err(corrupt("the snapshot file is missing"));
    };
    let id = SnapshotId {
        log,
        ordinal,
        generation,
    };
    let sum = StateSum { len, crc };
    let (mut pos, end) = (0, SNAPSHOT_HEADER + len as usize);
    let (mut state, mut found) = (Vec::new(), 0);
    while pos < end {
        let part = io
            .read_range(file, pos as u64, CHUNK.min(end - pos))
            .await?;
        let body = match pos {
            0 => {
                let head = snapshot::decode_head(&part, &id);
                let head = head.map_err(|error| RecoveryError::format(file, 0, error))?;
                if head != sum {
                    return Err(corrupt("its state is not the one that the journal means"));
                }
                if there < end as u64 {
                    return Err(corrupt("the snapshot file is shorter than it says"));
                }
                state.reserve_exact(len as usize);
                &part[SNAPSHOT_HEADER..]
            }
            _ => &part[..],
        };
        if part.is_empty() {
            return Err(corrupt("the snapshot file is shorter than it says"));
        }
        found = append(found, body);
        state.extend_from_slice(body);
        pos += part.len();
    }
    if found != crc {
        let error = FormatError::Crc("snapshot file");
        return Err(RecoveryError::format(file, 0, error));
    }
    Ok(Bytes::from(state))
}
