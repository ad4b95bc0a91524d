//! Checks the segments of a log with their indexes: every span, up to the log's checkpoint.

use std::collections::BTreeMap;

use super::{Checker, Inspect};
use crate::format::index::{IndexBlock, Span, decode_block};
use crate::format::segments::{SegmentId, sort_out};
use crate::format::{FormatError, crc};
use crate::io::{BLOCK, BufPool, Dir, FileName};
use crate::recovery::{Io, OldLog, RecoveryError, Unborn};
use crate::types::{Generation, LogId, LogKind, Ordinal};

/// Bytes read at once.
const READ: usize = 1 << 20;

impl<P: BufPool, I: Inspect> Checker<P, I> {
    /// Every span of the live segments up to the checkpoint.
    pub(super) async fn check_segments(
        &mut self,
        id: LogId,
        log: &OldLog,
        unborn: &Unborn,
    ) -> Result<(), RecoveryError> {
        let names = self.io.list(Dir::Log(id)).await?;
        let files = names
            .iter()
            .filter_map(|(name, _)| FileName::parse(Dir::Log(id), name));
        let files: Vec<_> = files.filter(|file| !unborn.made(file)).collect();
        // They are named by their segments, or by the index where the segment is gone.
        let mut segments: BTreeMap<SegmentId, Present> = BTreeMap::new();
        for &file in &files {
            match file {
                FileName::Segment {
                    base, generation, ..
                } => {
                    let segment = segments.entry(SegmentId { base, generation });
                    segment.or_default().data = true;
                }
                FileName::Index {
                    base,
                    generation,
                    written,
                    ..
                } => {
                    let segment = segments.entry(SegmentId { base, generation });
                    let newest = &mut segment.or_default().index;
                    *newest = (*newest).max(Some(written));
                }
                _ => {}
            }
        }
        let live = sort_out(segments.keys().copied(), log.checkpoint.0).live;
        let begin = live.first().map_or(log.checkpoint.0, |(id, _)| id.base);
        if begin > log.start.0 {
            let file = FileName::Segment {
                log: id,
                base: log.start.0,
                generation: Generation(0),
            };
            let what = match files.is_empty() {
                true => "the log's folder is gone or empty",
                false => "the log's first segments are gone",
            };
            let range = format!("entries {} to {}", log.start.0, Ordinal(begin.0 - 1));
            self.found(file, 0, format!("{what}: no segment holds {range}"));
        }
        for (segment, range) in live {
            if range.end <= log.start.0 {
                continue;
            }
            let spans = SegmentSpans {
                log: id,
                kind: log.kind,
                segment,
                written: segments[&segment].index,
                end: range.end,
            };
            if !segments[&segment].data {
                self.found(spans.file(), 0, "the segment is missing");
                continue;
            }
            let held = self.check_segment(&spans).await.unwrap_or_else(|error| {
                self.refused(error);
                0
            });
            self.count(2, held);
        }
        Ok(())
    }

    /// Returns how many bytes it holds: its file may be longer.
    async fn check_segment(&mut self, segment: &SegmentSpans) -> Result<u64, RecoveryError> {
        let spans = segment.read_index(&self.io).await?;
        let file = segment.file();
        let mut held: Vec<u8> = Vec::new();
        let mut held_from = 0;
        for span in &spans {
            let len = span.length as usize;
            if span.position < held_from || span.end_position() > held_from + held.len() as u64 {
                held_from = span.position;
                held = self.io.read_range(file, held_from, len.max(READ)).await?;
            }
            let skip = usize::try_from(span.position - held_from).expect("within what is held");
            let bytes = held.get(skip..skip + len);
            let Some(bytes) = bytes.filter(|bytes| crc(bytes) == span.crc) else {
                let what = format!("the span of entry {} is damaged", span.first_ordinal);
                self.found(file, span.position, what);
                continue;
            };
            let shown = self
                .inspect
                .entries(segment.log, segment.kind, span.first_offset, bytes);
            if let Err((skip, what)) = &shown {
                self.found(file, span.position + *skip as u64, what.clone());
            }
            self.shown(u64::from(span.entries), shown.unwrap_or(0));
        }
        Ok(spans.last().map_or(0, Span::end_position))
    }
}

/// Which files of a segment are there.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    data: bool,
    /// The newest run that wrote an index of it.
    index: Option<Generation>,
}

/// A live segment and the index that speaks for it.
struct SegmentSpans {
    log: LogId,
    kind: LogKind,
    segment: SegmentId,
    written: Option<Generation>,
    /// The first ordinal that it is not trusted for.
    end: Ordinal,
}

impl SegmentSpans {
    fn file(&self) -> FileName {
        FileName::Segment {
            log: self.log,
            base: self.segment.base,
            generation: self.segment.generation,
        }
    }

    /// An index that ends before the next segment begins was cut, or there was another segment in
    /// between.
    fn ends_early(
        &self,
        file: FileName,
        at: u64,
        spans: &[Span],
        error: FormatError,
    ) -> RecoveryError {
        match (error, spans.last()) {
            (FormatError::Absent(_), Some(last)) => {
                let what = format!(
                    "it ends before entry {}, and entry {} is the next that is held: it was cut, or the \
                     segment that begins with entry {0} is missing",
                    last.end_ordinal(),
                    self.end
                );
                RecoveryError::corrupt(file, at, what)
            }
            _ => RecoveryError::format(file, at, error),
        }
    }

    /// All spans below `end`, dense from the segment's base on.
    async fn read_index<P: BufPool>(&self, io: &Io<P>) -> Result<Vec<Span>, RecoveryError> {
        let written = self.written.unwrap_or(self.segment.generation);
        let file = FileName::Index {
            log: self.log,
            base: self.segment.base,
            generation: self.segment.generation,
            written,
        };
        if self.written.is_none() {
            return Err(RecoveryError::corrupt(file, 0, "the index is missing"));
        }
        let mut spans: Vec<Span> = Vec::new();
        let mut expected = (self.segment.base, 0);
        for number in 0.. {
            if expected.0 >= self.end {
                break;
            }
            let at = u64::from(number) * BLOCK as u64;
            let block = io.read_range(file, at, BLOCK).await?;
            let id = IndexBlock {
                log: self.log,
                base: self.segment.base,
                generation: self.segment.generation,
                written,
                number,
            };
            let before = spans.len();
            decode_block(&block, &id, &mut spans)
                .map_err(|error| self.ends_early(file, at, &spans, error))?;
            for span in &spans[before..] {
                if (span.first_ordinal, span.position) != expected {
                    let what = format!("spans jump at entry {}", expected.0);
                    return Err(RecoveryError::corrupt(file, at, what));
                }
                expected = (span.end_ordinal(), span.end_position());
            }
        }
        spans.retain(|span| span.first_ordinal < self.end);
        if spans
            .last()
            .is_some_and(|last| last.end_ordinal() > self.end)
        {
            let what = format!(
                "a span straddles entry {}, where the segment ends",
                self.end
            );
            return Err(RecoveryError::corrupt(file, 0, what));
        }
        Ok(spans)
    }
}
