//! The operations of a flush job, each as something that can be made again from what the job and
//! its log hold: for a step that was refused for want of space.

use crate::format::index::{IndexBlock, SPANS_PER_BLOCK, encode_block};
use crate::io::{BLOCK, BufPool, Dir, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::ops::Purpose;

/// One operation of a job, as it can be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobStep {
    /// Makes the log's directory.
    Directory,
    /// Makes the segment's file.
    Segment,
    /// Makes the index's file.
    Index,
    /// Makes a file so long, ahead of what is written to it.
    Reserve { part: Part, len: u64 },
    /// Writes the job's spans to the index from this block on.
    Spans { first: u32 },
    /// Writes these bytes of the segment.
    Data { pos: u64, len: u64 },
    /// Gives back what a file is longer than this.
    Trim { part: Part, len: u64 },
    /// Syncs a file or a directory: never again, whatever it fails for.
    Sync,
}

/// A file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    Index,
}

impl<P: BufPool> Store<P> {
    /// Whether the step leaves nothing in doubt if the file system has no space for it. A sync does,
    /// and so does a write to bytes that the file has already, which is durable as it completes: it
    /// needs no space, so it is the sync within it that failed.
    pub(crate) fn may_be_refused(&self, key: LogKey, step: JobStep) -> bool {
        let (files, job) = self.logs[key].flushing();
        let given = files.writer.as_ref().expect("a job has a writer").given;
        match step {
            JobStep::Sync => false,
            JobStep::Data { .. } => !job.in_place,
            JobStep::Spans { first } => {
                (u64::from(first) + job.index_blocks()) * BLOCK as u64 > given.index
            }
            _ => true,
        }
    }

    /// Takes a step of the job; `again`: it was refused before.
    pub(crate) fn job_op(&mut self, key: LogKey, step: JobStep, again: bool) {
        let id = self.logs[key].id;
        let (files, job) = self.logs[key].flushing();
        let segment = files.segment_at(job.base).expect("segment being written");
        let (file, index) = (segment.file(id), segment.index_file(id));
        let op = match step {
            JobStep::Directory => Op::MakeDir(Dir::Log(id)),
            JobStep::Segment => Op::Create { file, reserve: 0 },
            JobStep::Index => Op::Create {
                file: index,
                reserve: 0,
            },
            JobStep::Spans { first } => self.spans_op(key, first),
            JobStep::Data { pos, len } => self.data_op(key, pos, len),
            JobStep::Reserve { part, len } | JobStep::Trim { part, len } => {
                let file = segment.part_file(id, part);
                Op::Resize { file, len }
            }
            JobStep::Sync => Op::Sync(file),
        };
        self.push_step(key, step, op, again);
    }

    pub(crate) fn push_step(&mut self, key: LogKey, step: JobStep, op: Op<P::Buf>, again: bool) {
        self.job_mut(key).waits += 1;
        let purpose = Purpose::Flush { log: key, step };
        match again {
            true => self.ops.push_again(purpose, op),
            false => self.ops.push(purpose, op),
        }
    }

    fn spans_op(&mut self, key: LogKey, first: u32) -> Op<P::Buf> {
        let no_sync = mutated(self.config.mutation, Mutation::SkippedSync);
        let log = &self.logs[key];
        let (files, job) = log.flushing();
        let blocks = job.index.len().div_ceil(SPANS_PER_BLOCK);
        let mut buf = self.pool.alloc(blocks * BLOCK);
        let segment = files.segment_at(job.base).expect("segment being written");
        let file = segment.index_file(log.id);
        let out = buf.as_mut()[..blocks * BLOCK].chunks_exact_mut(BLOCK);
        for (number, (block, spans)) in (first..).zip(out.zip(job.index.chunks(SPANS_PER_BLOCK))) {
            let id = IndexBlock {
                log: log.id,
                base: segment.id.base,
                generation: segment.id.generation,
                written: segment.written,
                number,
            };
            encode_block(block, &id, spans);
        }
        let pos = u64::from(first) * BLOCK as u64;
        Op::Write {
            file,
            pos,
            buf,
            durable: !no_sync,
        }
    }

    fn data_op(&mut self, key: LogKey, pos: u64, len: u64) -> Op<P::Buf> {
        let no_sync = mutated(self.config.mutation, Mutation::SkippedSync);
        let log = &self.logs[key];
        let (files, job) = log.flushing();
        let (end, entries, in_place) = (job.end, (job.base, job.to), job.in_place);
        let segment = files.segment_at(job.base).expect("segment being written");
        let file = segment.file(log.id);
        let len = usize::try_from(len).expect("one segment write");
        let mut buf = self.pool.alloc(len);
        log.tail
            .copy_out(pos, end, entries, &mut buf.as_mut()[..len]);
        Op::Write {
            file,
            pos,
            buf,
            durable: in_place && !no_sync,
        }
    }
}
