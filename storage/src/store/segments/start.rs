//! Begins writes to a log's segment: which entries a job covers, which spans become known with it, and
//! what its extent record says.

use bytes::Bytes;

use crate::format::index::SPANS_PER_BLOCK;
use crate::format::record::{NewExtent, extent_len, put_extent};
use crate::format::{round_down, round_up};
use crate::io::{BLOCK, BufPool};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::log::placing::Way;
use crate::store::log::tail::TailEntry;
use crate::store::segments::files::{Files, Given, Segment, Writer};
use crate::store::segments::job::{Job, Kind, Stage};
use crate::store::segments::job_step::JobStep;
use crate::store::segments::spans;
use crate::types::Ordinal;

/// Pending spans from which a bulk job writes the index too.
const SPANS_TO_FLUSH: usize = SPANS_PER_BLOCK;

impl<P: BufPool> Store<P> {
    /// Starts a bulk write of the log's pending entries, if it may.
    pub(crate) fn start_bulk(&mut self, key: LogKey) -> bool {
        let limit = self.journal.ring.record_limit();
        self.logs[key].drop_finished_writer();
        let log = &self.logs[key];
        let files = log
            .segmented
            .files
            .as_ref()
            .expect("a log with entries has files");
        if files.job.is_some() {
            return false;
        }
        let segment = &files.segments[files
            .segment_of(log.placing.next)
            .expect("segment of an entry")];
        if files
            .writer
            .as_ref()
            .map_or(log.segmented.flushed.0, |writer| writer.base)
            != segment.id.base
        {
            // An earlier segment is still to be finished.
            return false;
        }
        let segment_end = segment.end.map_or(log.at.ordered.0, |(end, _)| end);
        let term = log.tail.entry(log.placing.next).meta.term;
        let (mut to, mut record, mut open) = (log.placing.next, extent_len(0, 0, BLOCK), 0usize);
        for entry in log.tail.entries(log.placing.next, segment_end) {
            let spans = usize::from(open == 0);
            let more = extent_len(1, spans, 0) - extent_len(0, 0, 0);
            if entry.meta.term != term || record + more > limit {
                break;
            }
            record += more;
            open += entry.bytes.len();
            if open >= self.config.span_bytes {
                open = 0;
            }
            to = to.plus(1);
        }
        assert!(to > log.placing.next, "one entry fits an extent record");
        let close = segment.end.is_some_and(|(end, _)| end == to);
        let end = log.tail.end_of(to);
        let first_pos = log.tail.entry(log.placing.next).pos;
        if end - first_pos < BLOCK as u64 && !close {
            return false;
        }
        let kind = Kind::Bulk(log.placing.next);
        self.start_job(key, kind, to, close);
        self.logs[key].placing.way = Way::Bulk;
        true
    }

    /// Starts to write journaled entries behind. `close`: all of them, in a padded block that
    /// ends the segment. `false`: there is nothing to gain, or the log cannot.
    pub(crate) fn start_behind(&mut self, key: LogKey, close: bool) -> bool {
        if self.phase.is_stopping() && self.space.is_full() {
            // The journal holds it, and there is no time to wait.
            return false;
        }
        let log = &mut self.logs[key];
        log.drop_finished_writer();
        let written = log.at.written.0;
        let Some(files) = log.segmented.files.as_deref() else {
            return false;
        };
        if log.is_stopped()
            || log.removal.is_some()
            || files.job.is_some()
            || log.segmented.flushed.0 >= written
        {
            return false;
        }
        let at = files
            .segment_of(log.segmented.flushed.0)
            .expect("segment of an entry");
        let segment_end = files.segments[at].end.map(|(end, _)| end);
        let to = segment_end.map_or(written, |end| end.min(written));
        let close = close || segment_end == Some(to);
        let writer = files.writer.as_ref();
        if close && writer.is_some_and(|writer| to < writer.span_from) {
            // What a bulk write put there is not written in the journal yet: closing before it
            // would write its first block again.
            return false;
        }
        if !close {
            let span_from = writer.map_or(log.segmented.flushed.0, |writer| writer.span_from);
            let boundary = writer.map_or(0, |writer| writer.boundary);
            let stop = round_down(log.tail.end_of(to));
            let flushable = writer
                .and_then(|writer| writer.spans.front())
                .is_some_and(|span| span.end_position() <= stop);
            let completes = span_from < to && {
                let first = log.tail.entry(span_from);
                first.pos + u64::from(first.meta.len) <= stop
            };
            if stop < boundary || !(flushable || completes) {
                return false;
            }
        }
        if close && segment_end != Some(to) {
            self.split_segment(key, to);
            self.stats.padded_closes += 1;
        }
        self.stats.write_behinds += 1;
        self.start_job(key, Kind::Behind, to, close);
        true
    }

    /// Ends the segment that is being written before `to`; what is appended already from there
    /// on moves to a new one.
    fn split_segment(&mut self, key: LogKey, to: Ordinal) {
        let end = self.logs[key].tail.end_of(to);
        let log = &mut self.logs[key];
        let position = log.position(to);
        let next = log.at.ordered.0;
        let files = log.segmented.files.as_mut().expect("checked by the caller");
        let at = files
            .segment_of(Ordinal(to.0 - 1))
            .expect("segment of an entry");
        let old = &mut files.segments[at];
        let old_end = old.end.replace((position.0, Some(position.1)));
        let upto = old_end.map_or(next, |(end, _)| end);
        assert!(to <= upto, "a segment is split within itself");
        if to == upto {
            log.segmented.roll |= old_end.is_none();
            return;
        }
        let mut segment = Segment::new(position, self.journal.id.generation, old.opened);
        segment.end = old_end;
        segment.bytes = old.bytes - end;
        old.bytes = end;
        let newest = log.tail.move_back(to, upto, end);
        segment.max_timestamp = segment.max_timestamp.max(newest);
        if old_end.is_none() {
            log.segmented.next_pos -= end;
        }
        files.segments.insert(at + 1, segment);
    }

    fn start_job(&mut self, key: LogKey, kind: Kind, to: Ordinal, close: bool) {
        let span_target = self.config.span_bytes;
        let generation = self.journal.id.generation;
        let log = &mut self.logs[key];
        let mut files = log.segmented.files.take().expect("checked by the caller");
        let flushed = log.segmented.flushed.0;
        let writer = files.writer.get_or_insert_with(|| Writer {
            base: flushed,
            boundary: 0,
            given: Given::default(),
            span_from: flushed,
            index_blocks: 0,
            spans: Default::default(),
        });
        let base = writer.base;
        let end = log.tail.end_of(to);
        let mut stop = round_down(end);
        // The fault that is switched on: the last block counts as written, and the next job, which
        // begins at the boundary, writes it again.
        if close || mutated(self.config.mutation, Mutation::RewrittenBlock) {
            stop = round_up(usize::try_from(end).expect("segment position")) as u64;
        }
        let mut extent = None;
        let mut has_tail = false;
        match kind {
            Kind::Behind => {
                let from = writer.span_from;
                let whole = log
                    .tail
                    .entries(from, to)
                    .filter(|entry| entry.pos + u64::from(entry.meta.len) <= stop)
                    .count();
                let upto = from.plus(whole as u64);
                spans::cut(log.tail.entries(from, upto), span_target, |span| {
                    writer.spans.push_back(span);
                });
                writer.span_from = upto;
            }
            Kind::Bulk(from) => {
                spans::cut(
                    log.tail.entries(writer.span_from, from),
                    span_target,
                    |span| {
                        writer.spans.push_back(span);
                    },
                );
                let mut own = Vec::new();
                spans::cut(log.tail.entries(from, to), span_target, |span| {
                    own.push(span)
                });
                let replay = log.class.replay;
                let untold = mutated(self.config.mutation, Mutation::UntoldReplay);
                let told = |entry: &TailEntry| {
                    let replayed = match untold {
                        true => 0,
                        false => replay.of(&entry.bytes).len(),
                    };
                    (entry.meta, u32::try_from(replayed).expect("part of it"))
                };
                let metas: Vec<_> = log.tail.entries(from, to).map(told).collect();
                let tail = log.tail.bytes_between(stop.min(end), end, (base, to));
                has_tail = !tail.is_empty();
                let mut record = vec![0; extent_len(metas.len(), own.len(), tail.len())];
                let new = NewExtent {
                    segment: base,
                    generation,
                    position: log.tail.entry(from).pos,
                    entries: &metas,
                    spans: &own,
                    tail: &tail,
                };
                put_extent(&mut record, log.id, log.kind, &new);
                extent = Some(Bytes::from(record));
                writer.spans.extend(own);
                writer.span_from = to;
            }
        }
        let flushable = writer
            .spans
            .iter()
            .take_while(|span| span.end_position() <= stop)
            .count();
        let index = if kind == Kind::Behind || close || flushable >= SPANS_TO_FLUSH {
            writer.spans.drain(..flushable).collect()
        } else {
            Vec::new()
        };
        let cursor = writer.boundary;
        assert!(
            stop >= cursor,
            "a block would be written twice: {kind:?} up to {to} ends at {end} of segment {base}, \
             written to {cursor}"
        );
        files.job = Some(Job {
            kind,
            stage: Stage::Directory,
            base,
            to,
            end,
            cursor,
            stop,
            close,
            in_place: false,
            index,
            waits: 0,
            error: None,
            refused: Vec::new(),
            parked: false,
            extent,
            has_tail,
        });
        let made = files.dir_made;
        log.segmented.files = Some(files);
        self.writing.begin(kind);
        if made {
            self.advance_job(key);
        } else {
            self.job_op(key, JobStep::Directory, false);
        }
    }
}

/// The files of a log that has none yet.
pub(crate) fn fresh_files(log: &LogState) -> Files {
    Files::new(
        log.segmented.flushed,
        log.segmented.flushed.0 > log.at.start.0,
    )
}
