//! Writes a log's large remainder into new segments with their indexes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::RecoveryError;
use super::build::write_padded;
use super::gather::OldLog;
use super::source::{Sources, prefix_of};
use super::task::{CHUNK, Io};
use crate::checksum::append;
use crate::format::index::{IndexBlock, SPANS_PER_BLOCK, Span, encode_block};
use crate::format::{crc, round_down};
use crate::io::{BLOCK, BufPool, Dir, FileName, Op};
use crate::types::{EntryMeta, Generation, LogId, Ordinal};

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

/// Writes all entries from the checkpoint on.
///
/// # Errors
/// When the old bytes cannot be read again, or the new ones not be written.
pub(crate) async fn spill<P: BufPool>(
    io: &Io<P>,
    sources: &mut Sources<P>,
    id: LogId,
    log: &OldLog,
    cut: Cut,
) -> Result<Spilled, RecoveryError> {
    io.run(Op::MakeDir(Dir::Log(id))).await?;
    let mut spilled = Spilled::default();
    let mut writer: Option<SegmentWriter<P>> = None;
    for entry in &log.entries[log.index_of(log.checkpoint.0)..] {
        if writer.as_ref().is_some_and(|w| w.end >= cut.segment_bytes)
            && let Some(full) = writer.take()
        {
            spilled.files.extend(full.close().await?);
        }
        let segment = match &mut writer {
            Some(segment) => segment,
            None => {
                spilled.segments += 1;
                let begun = SegmentWriter::begin(io.clone(), id, entry.meta.ordinal, cut).await?;
                writer.insert(begun)
            }
        };
        let bytes = sources.entry(id, log, entry).await?;
        segment.add(&entry.meta, &bytes).await?;
        if entry.meta.ordinal >= log.replay_from() {
            let prefix = &bytes[..prefix_of(&entry.meta)];
            spilled.replayed.push_back(Bytes::copy_from_slice(prefix));
        }
    }
    if let Some(last) = writer {
        spilled.files.extend(last.close().await?);
    }
    Ok(spilled)
}

/// One new segment under construction.
struct SegmentWriter<P: BufPool> {
    io: Io<P>,
    log: LogId,
    base: Ordinal,
    cut: Cut,
    /// Bytes from `end - pending.len()` (a block boundary) to `end`.
    pending: Vec<u8>,
    end: u64,
    spans: Vec<Span>,
}

impl<P: BufPool> SegmentWriter<P> {
    async fn begin(io: Io<P>, log: LogId, base: Ordinal, cut: Cut) -> Result<Self, RecoveryError> {
        let writer = Self {
            io,
            log,
            base,
            cut,
            pending: Vec::new(),
            end: 0,
            spans: Vec::new(),
        };
        for file in [writer.segment(), writer.index()] {
            writer.io.run(Op::Create { file, reserve: 0 }).await?;
        }
        Ok(writer)
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

    async fn add(&mut self, meta: &EntryMeta, bytes: &[u8]) -> Result<(), RecoveryError> {
        let grows = self.spans.last().is_some_and(|span| {
            span.term == meta.term
                && u64::from(span.length) + u64::from(meta.len) <= u64::from(self.cut.span_bytes)
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
            let whole = usize::try_from(round_down(self.pending.len() as u64)).expect("a length");
            self.write(whole).await?;
        }
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

    /// Writes the padded end and the index, which are to be made durable.
    async fn close(mut self) -> Result<[FileName; 2], RecoveryError> {
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
        Ok([self.segment(), self.index()])
    }
}
