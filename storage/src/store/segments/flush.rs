//! Writes a log's entries to its segment: in bulk before they are journaled, or behind the
//! journal.
//!
//! One job per log at a time: files, then their length, then data and directory, then sync. A job
//! writes whole blocks from the written boundary on and never a block twice. Within the length that
//! the file was given (`reserve`) its writes are durable as they complete, and nothing is left to sync. What a finished job means is
//! decided by its kind: a bulk job's entries wait for their extent record, a job behind the
//! journal makes a checkpoint possible. A failed step stops the log, and nothing else; one that was
//! refused for want of space is taken again, as it was, when there is some (`space`).

use bytes::Bytes;

use crate::format::index::{SPANS_PER_BLOCK, Span};
use crate::format::record::{NewExtent, extent_len, put_extent};
use crate::format::segments::SegmentId;
use crate::format::{round_down, round_up};
use crate::io::{BLOCK, BufPool, Dir, IoResult, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::segments::files::{Files, Given, Segment, Writer};
use crate::store::segments::job_step::JobStep;
use crate::store::segments::spans;
use crate::store::space::is_refusal;
use crate::types::{EntryMeta, Ordinal};

/// Pending spans from which a bulk job writes the index too.
const SPANS_TO_FLUSH: usize = SPANS_PER_BLOCK;

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Entries that no commit holds yet, from this ordinal on.
    Bulk(Ordinal),
    /// Entries that the journal holds.
    Behind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Directory,
    Create,
    Reserve,
    Write,
    Sync,
    Trim,
    /// Bulk: all is durable but the extent record, which is ready to be placed.
    Extent,
}

/// A write to a log's segment under way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    stage: Stage,
    /// The segment's first ordinal.
    pub(crate) base: Ordinal,
    /// First entry that it does not cover.
    pub(crate) to: Ordinal,
    /// Byte position after the last entry covered.
    pub(crate) end: u64,
    /// Next byte to be written, and where to stop: block boundaries.
    cursor: u64,
    stop: u64,
    /// Pads the last block and closes the segment.
    close: bool,
    /// All of it lies within the length that the file was given.
    pub(crate) in_place: bool,
    /// Spans that become part of the index with this job.
    pub(crate) index: Vec<Span>,
    /// Operations of the present stage that are not complete.
    pub(crate) waits: usize,
    pub(crate) error: Option<String>,
    /// Steps of the present stage that were refused for want of space.
    pub(crate) refused: Vec<JobStep>,
    /// It waits for space: nothing of it is under way.
    pub(crate) parked: bool,
    /// Bulk: the encoded extent record, with the first and last ordinal.
    pub(crate) extent: Option<Bytes>,
    has_tail: bool,
}

impl Job {
    pub(crate) fn is_extent_ready(&self) -> bool {
        self.stage == Stage::Extent
    }

    /// Nothing of it is under way: it waits for a commit, or for space on the file system.
    pub(crate) fn is_idle(&self) -> bool {
        self.parked || self.is_extent_ready()
    }

    /// The byte position before which its segment is written: a block boundary.
    pub(crate) fn stop(&self) -> u64 {
        self.stop
    }

    /// Blocks that its spans take in the index.
    pub(crate) fn index_blocks(&self) -> u64 {
        self.index.len().div_ceil(SPANS_PER_BLOCK) as u64
    }

    /// Whether it ends its segment.
    pub(crate) fn is_last(&self) -> bool {
        self.close
    }

    /// First ordinal after those that the job covers.
    pub(crate) fn to(&self) -> Ordinal {
        self.to
    }

    pub(crate) fn has_tail(&self) -> bool {
        self.has_tail
    }
}

impl<P: BufPool> Store<P> {
    /// Starts a bulk write of the log's pending entries, if it may.
    pub(crate) fn start_bulk(&mut self, key: LogKey) -> bool {
        let limit = self.journal.ring.record_limit();
        self.logs[key].drop_finished_writer();
        let log = &self.logs[key];
        let files = log.files.as_ref().expect("a log with entries has files");
        if files.job.is_some() {
            return false;
        }
        let segment = &files.segments[files.segment_of(log.placed).expect("segment of an entry")];
        if files
            .writer
            .as_ref()
            .map_or(log.flushed.0, |writer| writer.base)
            != segment.id.base
        {
            // An earlier segment is still to be finished.
            return false;
        }
        let segment_end = segment.end.map_or(log.next.0, |(end, _)| end);
        let term = log.entry(log.placed).meta.term;
        let (mut to, mut record, mut open) = (log.placed, extent_len(0, 0, BLOCK), 0usize);
        for entry in log.entries(log.placed, segment_end) {
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
        assert!(to > log.placed, "one entry fits an extent record");
        let close = segment.end.is_some_and(|(end, _)| end == to);
        let end = log.end_of(to);
        let first_pos = log.entry(log.placed).pos;
        if end - first_pos < BLOCK as u64 && !close {
            return false;
        }
        let kind = Kind::Bulk(log.placed);
        self.start_job(key, kind, to, close);
        self.logs[key].bulk = true;
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
        let written = log.written.0;
        let Some(files) = log.files.as_deref() else {
            return false;
        };
        if log.stopped || log.removal.is_some() || files.job.is_some() || log.flushed.0 >= written {
            return false;
        }
        let at = files
            .segment_of(log.flushed.0)
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
            let span_from = writer.map_or(log.flushed.0, |writer| writer.span_from);
            let boundary = writer.map_or(0, |writer| writer.boundary);
            let stop = round_down(log.end_of(to));
            let flushable = writer
                .and_then(|writer| writer.spans.front())
                .is_some_and(|span| span.end_position() <= stop);
            let completes = span_from < to && {
                let first = log.entry(span_from);
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
        let end = self.logs[key].end_of(to);
        let log = &mut self.logs[key];
        let position = log.position(to);
        let next = log.next.0;
        let files = log.files.as_mut().expect("checked by the caller");
        let at = files
            .segment_of(Ordinal(to.0 - 1))
            .expect("segment of an entry");
        let old = &mut files.segments[at];
        let old_end = old.end.replace((position.0, Some(position.1)));
        let upto = old_end.map_or(next, |(end, _)| end);
        assert!(to <= upto, "a segment is split within itself");
        if to == upto {
            log.roll |= old_end.is_none();
            return;
        }
        let mut segment = Segment::new(position, self.journal.id.generation, old.opened);
        segment.end = old_end;
        segment.bytes = old.bytes - end;
        old.bytes = end;
        let first = log.tail.front().map_or(next, |entry| entry.meta.ordinal);
        let index = |ordinal: Ordinal| usize::try_from(ordinal.0 - first.0).expect("tail index");
        for entry in log.tail.range_mut(index(to)..index(upto)) {
            entry.pos -= end;
            segment.max_timestamp = segment.max_timestamp.max(Some(entry.meta.max_timestamp));
        }
        if old_end.is_none() {
            log.next_pos -= end;
        }
        files.segments.insert(at + 1, segment);
    }

    fn start_job(&mut self, key: LogKey, kind: Kind, to: Ordinal, close: bool) {
        let span_target = self.config.span_bytes;
        let generation = self.journal.id.generation;
        let log = &mut self.logs[key];
        let mut files = log.files.take().expect("checked by the caller");
        let flushed = log.flushed.0;
        let writer = files.writer.get_or_insert_with(|| Writer {
            base: flushed,
            boundary: 0,
            given: Given::default(),
            span_from: flushed,
            index_blocks: 0,
            spans: Default::default(),
        });
        let base = writer.base;
        let end = log.end_of(to);
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
                    .entries(from, to)
                    .filter(|entry| entry.pos + u64::from(entry.meta.len) <= stop)
                    .count();
                let upto = from.plus(whole as u64);
                spans::cut(log.entries(from, upto), span_target, |span| {
                    writer.spans.push_back(span);
                });
                writer.span_from = upto;
            }
            Kind::Bulk(from) => {
                spans::cut(log.entries(writer.span_from, from), span_target, |span| {
                    writer.spans.push_back(span);
                });
                let mut own = Vec::new();
                spans::cut(log.entries(from, to), span_target, |span| own.push(span));
                let metas: Vec<EntryMeta> = log.entries(from, to).map(|e| e.meta).collect();
                let tail = log.bytes_between(stop.min(end), end, (base, to));
                has_tail = !tail.is_empty();
                let mut record = vec![0; extent_len(metas.len(), own.len(), tail.len())];
                let new = NewExtent {
                    segment: base,
                    generation,
                    position: log.entry(from).pos,
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
        log.files = Some(files);
        self.writing.begin(kind);
        if made {
            self.advance_job(key);
        } else {
            self.job_op(key, JobStep::Directory, false);
        }
    }

    pub(crate) fn job_mut(&mut self, key: LogKey) -> &mut Job {
        let files = self.logs[key]
            .files
            .as_mut()
            .expect("a flushing log has files");
        files.job.as_mut().expect("job under way")
    }

    /// A step of the log's job is complete.
    pub(crate) fn flush_step(&mut self, key: LogKey, step: JobStep, result: IoResult<P::Buf>) {
        self.job_mut(key).waits -= 1;
        match result {
            Err(error) if matches!(step, JobStep::Reserve { .. }) => self.not_reserved(&error),
            Err(error) if is_refusal(&error) && self.may_be_refused(key, step) => {
                let job = self.job_mut(key);
                job.refused.push(step);
                if job.waits == 0 && job.error.is_none() {
                    return self.refuse_job(key, error.message);
                }
            }
            Err(error) => {
                self.job_mut(key).error.get_or_insert(error.message);
            }
            Ok(_) => {
                if let JobStep::Reserve { part, len } = step {
                    self.reserved(key, part, len);
                }
            }
        }
        let job = self.job_mut(key);
        if job.error.is_some() {
            if job.waits == 0 {
                self.fail_job(key);
            }
            return;
        }
        if !job.refused.is_empty() {
            if job.waits == 0 {
                self.refuse_job(key, "no space is left for a segment".to_owned());
            }
            return;
        }
        match job.stage {
            Stage::Write if job.cursor < job.stop => self.issue_writes(key),
            _ if job.waits == 0 => self.advance_job(key),
            _ => {}
        }
    }

    /// The present stage is complete: begins the next.
    fn advance_job(&mut self, key: LogKey) {
        let id = self.logs[key].id;
        let (base, stage) = {
            let job = self.job_mut(key);
            (job.base, job.stage)
        };
        let files = self.logs[key]
            .files
            .as_mut()
            .expect("a flushing log has files");
        let given = files.writer.as_ref().map_or(0, |writer| writer.given.data);
        let segment = files.segment_at_mut(base).expect("segment being written");
        match stage {
            Stage::Directory => {
                let created = segment.created;
                self.job_mut(key).stage = Stage::Create;
                if created {
                    return self.advance_job(key);
                }
                self.job_op(key, JobStep::Segment, false);
                self.job_op(key, JobStep::Index, false);
            }
            Stage::Create => {
                self.job_mut(key).stage = Stage::Reserve;
                if !self.reserve_ahead(key) {
                    self.advance_job(key);
                }
            }
            Stage::Reserve => {
                let fresh = !std::mem::replace(&mut segment.created, true);
                let new_dir = !std::mem::replace(&mut files.dir_made, true);
                let job = self.job_mut(key);
                job.stage = Stage::Write;
                job.in_place = job.stop <= given;
                let early = mutated(self.config.mutation, Mutation::ExtentBeforeDirectory);
                if new_dir && !early {
                    self.push_step(key, JobStep::Sync, Op::SyncDir(Dir::Logs), false);
                }
                if fresh && !early {
                    self.push_step(key, JobStep::Sync, Op::SyncDir(Dir::Log(id)), false);
                }
                self.write_index(key);
                self.issue_writes(key);
                let job = self.job_mut(key);
                if job.waits == 0 && job.cursor == job.stop {
                    self.advance_job(key);
                }
            }
            Stage::Write => {
                let job = self.job_mut(key);
                job.stage = Stage::Sync;
                if job.in_place || mutated(self.config.mutation, Mutation::SkippedSync) {
                    return self.advance_job(key);
                }
                self.job_op(key, JobStep::Sync, false);
            }
            Stage::Sync => {
                self.job_mut(key).stage = Stage::Trim;
                if !self.trim_closed(key) {
                    self.advance_job(key);
                }
            }
            Stage::Trim => self.finish_job(key),
            Stage::Extent => {}
        }
    }

    fn write_index(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let files = log.files.as_mut().expect("a flushing log has files");
        let job = files.job.as_ref().expect("job under way");
        if job.index.is_empty() {
            return;
        }
        let writer = files.writer.as_mut().expect("a job has a writer");
        let blocks = job.index.len().div_ceil(SPANS_PER_BLOCK);
        let first = writer.index_blocks;
        writer.index_blocks += u32::try_from(blocks).expect("index blocks of one job");
        self.job_op(key, JobStep::Spans { first }, false);
    }

    fn issue_writes(&mut self, key: LogKey) {
        let most = self.config.segment_writes_in_flight.max(1);
        let size = self.config.segment_write_bytes as u64;
        loop {
            let job = self.job_mut(key);
            if job.cursor >= job.stop || job.waits >= most {
                return;
            }
            let pos = job.cursor;
            let len = size.min(job.stop - pos);
            if !self.may_copy() {
                return self.write_later(key);
            }
            self.copied(usize::try_from(len).expect("one segment write"));
            self.job_mut(key).cursor += len;
            self.stats.segment_bytes += len;
            self.job_op(key, JobStep::Data { pos, len }, false);
        }
    }

    /// The log's job, if it has one, writes what it could not in an earlier turn.
    pub(crate) fn go_on_with_job(&mut self, key: LogKey) {
        let files = self.logs[key].files.as_ref();
        let job = files.and_then(|files| files.job.as_ref());
        let sound = |job: &Job| job.error.is_none() && job.refused.is_empty();
        if job.is_some_and(|job| job.stage == Stage::Write && sound(job)) {
            self.issue_writes(key);
        }
    }

    /// Data, index and directory are durable.
    fn finish_job(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let files = log.files.as_mut().expect("a flushing log has files");
        let job = files.job.as_mut().expect("job under way");
        let bulk = job.kind != Kind::Behind;
        if log.removal.is_some() || (bulk && log.stopped) {
            self.abandon_job(key);
            return;
        }
        if bulk {
            job.stage = Stage::Extent;
            self.requeue_ready(key);
            return;
        }
        self.end_job(key);
    }

    /// Nobody needs what the job has written: its log is being deleted, or takes no more.
    pub(crate) fn abandon_job(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let files = log.files.as_mut().expect("a flushing log has files");
        let job = files.job.take().expect("job under way");
        self.writing.end(job.kind);
        self.after_job(key);
    }

    /// The job's entries are durable and vouched for: a bulk job's extent record is placed, or
    /// the journal held them all the time.
    pub(crate) fn end_job(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let files = log.files.as_mut().expect("a flushing log has files");
        let job = files.job.take().expect("job under way");
        self.writing.end(job.kind);
        let writer = files.writer.as_mut().expect("a job has a writer");
        writer.boundary = round_down(job.stop.min(job.end));
        if job.close {
            assert!(writer.spans.is_empty(), "a closed segment is indexed whole");
            files.writer = None;
        }
        if let Some(last) = job.index.last() {
            let upto = last.end_ordinal();
            let newest = job.index.iter().map(|span| span.max_timestamp).max();
            log.max_timestamp = log.max_timestamp.max(newest.unwrap_or(i64::MIN));
            log.flushed = log.position(upto);
            let id = log.id;
            let segment = SegmentId {
                base: job.base,
                generation: self.journal.id.generation,
            };
            self.reading.indexes.extend(id, segment, &job.index);
            self.memory.add_evictable(key, id);
            self.logs[key].wants_checkpoint = true;
            self.queue_control(key);
        }
        self.after_job(key);
    }

    /// Something of the job failed: the log stops. What the journal holds of it goes on living
    /// there; what was to be written in bulk was never acknowledged and is given up.
    pub(crate) fn fail_job(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let files = log.files.as_mut().expect("a flushing log has files");
        let job = files.job.take().expect("job under way");
        self.writing.end(job.kind);
        self.stop_log(key, job.error.unwrap_or_default());
        self.after_job(key);
    }
}

/// The files of a log that has none yet.
pub(crate) fn fresh_files(log: &LogState) -> Files {
    Files::new(log.flushed, log.flushed.0 > log.start.0)
}
