//! Writes a log's entries to its segment: in bulk before they are journaled, or behind the
//! journal.
//!
//! One job per log at a time: files, then their length, then data and directory, then sync. A job
//! writes whole blocks from the written boundary on and never a block twice. Within the length that
//! the file was given (`reserve`) its writes are durable as they complete, and nothing is left to sync. What a finished job means is
//! decided by its kind: a bulk job's entries wait for their extent record, a job behind the
//! journal makes a checkpoint possible. A failed step stops the log, and nothing else; one that was
//! refused for want of space is taken again, as it was, when there is some (`space`).

use crate::format::index::SPANS_PER_BLOCK;
use crate::format::round_down;
use crate::format::segments::SegmentId;
use crate::io::{BufPool, Dir, IoResult, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::segments::job::{Job, Kind, Stage};
use crate::store::segments::job_step::JobStep;
use crate::store::space::is_refusal;

impl<P: BufPool> Store<P> {
    pub(crate) fn job_mut(&mut self, key: LogKey) -> &mut Job {
        let files = self.logs[key].flushing_files();
        files.job.as_mut().expect("job under way")
    }

    /// The log's job is over, whatever came of it.
    fn take_job(&mut self, key: LogKey) -> Job {
        let files = self.logs[key].flushing_files();
        let job = files.job.take().expect("job under way");
        self.writing.end(job.kind);
        job
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
    pub(crate) fn advance_job(&mut self, key: LogKey) {
        let id = self.logs[key].id;
        let (base, stage) = {
            let job = self.job_mut(key);
            (job.base, job.stage)
        };
        let files = self.logs[key].flushing_files();
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
        let files = self.logs[key].flushing_files();
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
        let files = self.logs[key].segmented.files.as_ref();
        let job = files.and_then(|files| files.job.as_ref());
        let sound = |job: &Job| job.error.is_none() && job.refused.is_empty();
        if job.is_some_and(|job| job.stage == Stage::Write && sound(job)) {
            self.issue_writes(key);
        }
    }

    /// Data, index and directory are durable.
    fn finish_job(&mut self, key: LogKey) {
        let log = &self.logs[key];
        let (over, stopped) = (log.removal.is_some(), log.is_stopped());
        let job = self.job_mut(key);
        let bulk = job.kind != Kind::Behind;
        if over || (bulk && stopped) {
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
        self.take_job(key);
        self.after_job(key);
    }

    /// The job's entries are durable and vouched for: a bulk job's extent record is placed, or
    /// the journal held them all the time.
    pub(crate) fn end_job(&mut self, key: LogKey) {
        let job = self.take_job(key);
        let log = &mut self.logs[key];
        let files = log.flushing_files();
        let writer = files.writer.as_mut().expect("a job has a writer");
        writer.boundary = round_down(job.stop.min(job.end));
        if job.close {
            assert!(writer.spans.is_empty(), "a closed segment is indexed whole");
            files.writer = None;
        }
        if let Some(last) = job.index.last() {
            let upto = last.end_ordinal();
            let newest = job.index.iter().map(|span| span.max_timestamp).max();
            log.segmented.max_timestamp =
                log.segmented.max_timestamp.max(newest.unwrap_or(i64::MIN));
            log.segmented.flushed = log.position(upto);
            let id = log.id;
            let segment = SegmentId {
                base: job.base,
                generation: self.journal.id.generation,
            };
            self.reading.indexes.extend(id, segment, &job.index);
            self.memory.add_evictable(key, &self.logs);
            self.logs[key].owed.checkpoint = true;
            self.queue_control(key);
        }
        self.after_job(key);
    }

    /// Something of the job failed: the log stops. What the journal holds of it goes on living
    /// there; what was to be written in bulk was never acknowledged and is given up.
    pub(crate) fn fail_job(&mut self, key: LogKey) {
        let job = self.take_job(key);
        self.stop_log(key, job.error.unwrap_or_default());
        self.after_job(key);
    }
}
