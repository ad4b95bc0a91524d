//! Writes a log's large remainder into new segments with their indexes.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::RecoveryError;
use super::build::write_padded;
use super::collect::OldLog;
use super::early::EarlyLog;
use super::source::Sources;
use super::task::{CHUNK, Io};
use crate::checksum::append;
use crate::class::LogClass;
use crate::format::index::{IndexBlock, SPANS_PER_BLOCK, Span, encode_block};
use crate::format::{crc, round_down};
use crate::io::{BLOCK, BufPool, Dir, FileName, Op};
use crate::types::{EntryMeta, Generation, LogId, Offset, Ordinal, Term};

/// How segments are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Run that writes.
    pub(crate) generation: Generation,
    /// Bytes from which on a segment ends.
    pub(crate) segment_bytes: u64,
    /// Bytes that a span aims at.
    pub(crate) span_bytes: u32,
}

impl Cut {
    /// How those of logs of this class are cut.
    pub(crate) fn within(self, class: &LogClass) -> Self {
        let segment_bytes = self.segment_bytes.min(class.segment_bytes);
        Self {
            segment_bytes,
            ..self
        }
    }
}

/// What a spilled log leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Spilled {
    /// The files written, to be synced, with their directory and its own.
    pub(crate) files: Vec<FileName>,
    /// Segments among them.
    pub(crate) segments: u64,
    /// What the log's machine needs of the entries that are replayed, in order.
    pub(crate) replayed: VecDeque<Bytes>,
}

/// Writes all entries from the checkpoint on that `early` does not hold.
///
/// # Errors
/// When the old bytes cannot be read again, or the new ones not be written.
pub(crate) async fn spill<P: BufPool>(
    io: &Io<P>,
    sources: &mut Sources<P>,
    (id, log): (LogId, &OldLog),
    cut: Cut,
    mut early: EarlyLog<P>,
) -> Result<Spilled, RecoveryError> {
    let cut = cut.within(&log.class);
    io.run(Op::MakeDir(Dir::Log(id))).await?;
    let mut spilled = Spilled {
        segments: early.count(),
        files: early.closed_files().collect(),
        ..Spilled::default()
    };
    let mut writer: Option<SegmentWriter<P>> = None;
    for entry in &log.entries[log.index_of(log.checkpoint.0)..] {
        if !early.holds(entry.meta.ordinal) {
            if writer.as_ref().is_some_and(|w| !w.takes(&entry.meta))
                && let Some(full) = writer.take()
            {
                spilled.files.extend(full.close().await?.0);
            }
            if writer.is_none() {
                writer = early.open.take_if(|open| open.takes(&entry.meta));
            }
            let segment = match &mut writer {
                Some(segment) => segment,
                None => {
                    spilled.segments += 1;
                    let begun = SegmentWriter::begin(io.clone(), id, &entry.meta, cut).await?;
                    writer.insert(begun)
                }
            };
            let bytes = match early.again(io, &entry.meta).await? {
                Some(bytes) => bytes,
                None => sources.entry(id, log, entry).await?,
            };
            segment.add(&entry.meta, &bytes).await?;
        }
        if entry.meta.ordinal >= log.replay_from() {
            let prefix = sources.replayed(id, log, entry).await?;
            spilled.replayed.push_back(prefix);
        }
    }
    for last in writer.into_iter().chain(early.open.take()) {
        spilled.files.extend(last.close().await?.0);
    }
    early.drop_cut(io).await?;
    Ok(spilled)
}

/// One new segment under construction.
pub(crate) struct SegmentWriter<P: BufPool> {
    io: Io<P>,
    log: LogId,
    base: Ordinal,
    cut: Cut,
    term: Term,
    /// Where the next entry has to begin.
    next: (Ordinal, Offset),
    /// Bytes from `end - pending.len()` (a block boundary) to `end`.
    pending: Vec<u8>,
    end: u64,
    spans: Vec<Span>,
}

impl<P: BufPool> SegmentWriter<P> {
    /// Makes the files of one that begins with the entry `first`.
    pub(crate) async fn begin(
        io: Io<P>,
        log: LogId,
        first: &EntryMeta,
        cut: Cut,
    ) -> Result<Self, RecoveryError> {
        let writer = Self {
            io,
            log,
            base: first.ordinal,
            cut,
            term: first.term,
            next: (first.ordinal, first.first_offset),
            pending: Vec::new(),
            end: 0,
            spans: Vec::new(),
        };
        for file in writer.files() {
            writer.io.run(Op::Create { file, reserve: 0 }).await?;
        }
        Ok(writer)
    }

    /// Its files.
    pub(crate) fn files(&self) -> [FileName; 2] {
        [self.segment(), self.index()]
    }

    /// The entries that it holds.
    pub(crate) fn entries(&self) -> Range<Ordinal> {
        self.base..self.next.0
    }

    /// The term of all of them.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Whether the entry is the next one of it.
    pub(crate) fn takes(&self, meta: &EntryMeta) -> bool {
        self.end < self.cut.segment_bytes
            && (meta.ordinal, meta.first_offset, meta.term) == (self.next.0, self.next.1, self.term)
    }

    fn segment(&self) -> FileName {
        FileName::Segment {
            log: self.log,
            base: self.base,
            generation: self.cut.generation,
        }
    }

    fn index(&self) -> FileName {
        FileName::Index {
            log: self.log,
            base: self.base,
            generation: self.cut.generation,
            written: self.cut.generation,
        }
    }

    /// Adds an entry that it takes.
    pub(crate) async fn add(
        &mut self,
        meta: &EntryMeta,
        bytes: &[u8],
    ) -> Result<(), RecoveryError> {
        self.next = (meta.ordinal.plus(1), meta.next_offset());
        let grows = self.spans.last().is_some_and(|span| {
            u64::from(span.length) + u64::from(meta.len) <= u64::from(self.cut.span_bytes)
        });
        if grows {
            let span = self.spans.last_mut().expect("it grows");
            span.max_timestamp = span.max_timestamp.max(meta.max_timestamp);
            span.length += meta.len;
            span.entries += 1;
            span.crc = append(span.crc, bytes);
        } else {
            self.spans.push(Span {
                first_ordinal: meta.ordinal,
                first_offset: meta.first_offset,
                max_timestamp: meta.max_timestamp,
                position: self.end,
                term: meta.term,
                length: meta.len,
                entries: 1,
                crc: crc(bytes),
            });
        }
        self.pending.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        if self.pending.len() >= CHUNK {
            self.write_blocks().await?;
        }
        Ok(())
    }

    /// Writes what fills blocks.
    pub(crate) async fn write_blocks(&mut self) -> Result<(), RecoveryError> {
        let whole = usize::try_from(round_down(self.pending.len() as u64)).expect("a length");
        self.write(whole).await?;
        self.pending.shrink_to_fit();
        Ok(())
    }

    /// Writes the first `len` pending bytes.
    async fn write(&mut self, len: usize) -> Result<(), RecoveryError> {
        let pos = self.end - self.pending.len() as u64;
        let mut done = 0;
        while done < len {
            let part = (len - done).min(CHUNK);
            let bytes = &self.pending[done..done + part];
            write_padded(&self.io, self.segment(), pos + done as u64, bytes).await?;
            done += part;
        }
        self.pending.drain(..len);
        Ok(())
    }

    /// Writes the padded end and the index: the files, which are to be made durable, and what the
    /// index says.
    pub(crate) async fn close(mut self) -> Result<([FileName; 2], Vec<Span>), RecoveryError> {
        let rest = self.pending.len();
        self.write(rest).await?;
        let mut blocks = vec![0; self.spans.len().div_ceil(SPANS_PER_BLOCK) * BLOCK];
        let parts = self.spans.chunks(SPANS_PER_BLOCK);
        for ((number, spans), block) in (0..).zip(parts).zip(blocks.chunks_mut(BLOCK)) {
            let id = IndexBlock {
                log: self.log,
                base: self.base,
                generation: self.cut.generation,
                written: self.cut.generation,
                number,
            };
            encode_block(block, &id, spans);
        }
        let mut pos = 0;
        for part in blocks.chunks(CHUNK) {
            write_padded(&self.io, self.index(), pos, part).await?;
            pos += part.len() as u64;
        }
        Ok((self.files(), self.spans))
    }
}
