//! The length that a segment's file is given before its bytes are written.
//!
//! A write that makes a file longer has the file's lock alone, goes through one of the kernel's
//! worker threads and changes the file's length on the device: a third of the CPU of writing in
//! bulk (docs/decisions/0009). So files are made longer ahead, in steps that grow with what they
//! hold, and give back what they did not need when they are closed, when the store stops or, after
//! a crash, when their index is read.
//!
//! This is for speed alone. A length says nothing about what a file holds, nothing waits for space
//! because of it, and it takes none when space is scarce.

use crate::io::{BLOCK, BufPool, FileName, IoError, Op};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::journal::ring::LogKey;
use crate::store::ops::Purpose;
use crate::store::segments::files::Given;
use crate::store::segments::job_step::{JobStep, Part};
use crate::store::space::is_refusal;

/// At most this part of the space above the floor goes to a single step.
const SHARE_OF_ROOM: u64 = 16;
/// What an index is made longer than what is written to it, bytes.
const INDEX_AHEAD: u64 = 16 * BLOCK as u64;

impl<P: BufPool> Store<P> {
    /// Makes the files of the log's job longer if that is worth it; whether that is under way.
    pub(crate) fn reserve_ahead(&mut self, key: LogKey) -> bool {
        let most = self.config.reserve_bytes;
        let least = most.min(self.config.segment_write_bytes as u64);
        let log = &self.logs[key];
        let whole = log.segment_bytes().next_multiple_of(BLOCK as u64);
        let (files, job) = log.flushing();
        let writer = files.writer.as_ref().expect("a job has a writer");
        // What closes a segment is the end of it; it may be tiny, and one of very many.
        if job.close || most == 0 {
            return false;
        }
        let (given, stop) = (writer.given, job.stop);
        let index_end = (u64::from(writer.index_blocks) + job.index_blocks()) * BLOCK as u64;
        let mut steps = Vec::new();
        if stop > given.data {
            let len = (stop + stop.clamp(least, most)).min(whole).max(stop);
            steps.push((Part::Data, len, len - given.data));
        }
        if index_end > given.index {
            let len = index_end + INDEX_AHEAD.min(most);
            steps.push((Part::Index, len, len - given.index));
        }
        steps.retain(|&(_, _, more)| self.lends(more, SHARE_OF_ROOM));
        for &(part, len, _) in &steps {
            self.job_op(key, JobStep::Reserve { part, len }, false);
        }
        !steps.is_empty()
    }

    /// The file has this length now.
    pub(crate) fn reserved(&mut self, key: LogKey, part: Part, len: u64) {
        let files = self.logs[key].segmented.files.as_mut();
        let writer = files.and_then(|files| files.writer.as_mut());
        let given = &mut writer.expect("a job has a writer").given;
        match part {
            Part::Data => given.data = len,
            Part::Index => given.index = len,
        }
    }

    /// The file grows as it is written then: for that there may be space enough. A file system that
    /// refuses for another reason cannot do it, and is not asked again.
    pub(crate) fn not_reserved(&mut self, error: &IoError) {
        if !is_refusal(error) {
            self.config.reserve_bytes = 0;
        }
    }

    /// Gives back what the segment that the log's job closes does not need; whether that is under
    /// way.
    pub(crate) fn trim_closed(&mut self, key: LogKey) -> bool {
        let (files, job) = self.logs[key].flushing();
        let writer = files.writer.as_ref().expect("a job has a writer");
        let mut data = job.stop;
        if mutated(self.config.mutation, Mutation::TrimmedTooFar) {
            data -= data.min(BLOCK as u64);
        }
        if !job.close {
            return false;
        }
        let excess = excess(writer.given, data, writer.index_blocks);
        for &(part, len) in &excess {
            self.job_op(key, JobStep::Trim { part, len }, false);
        }
        !excess.is_empty()
    }

    /// Before the end: no segment keeps what it does not need. Whether something is under way now.
    pub(crate) fn give_back_reserves(&mut self) -> bool {
        let mut trims = Vec::new();
        for log in self.logs.iter_mut() {
            let (id, over) = (log.id, log.is_stopped() || log.removal.is_some());
            let Some(files) = log
                .segmented
                .files
                .as_mut()
                .filter(|files| files.job.is_none())
            else {
                continue;
            };
            let Some(writer) = files.writer.as_mut().filter(|_| !over) else {
                continue;
            };
            let given = std::mem::take(&mut writer.given);
            let excess = excess(given, writer.boundary, writer.index_blocks);
            let base = writer.base;
            let segment = files.segment_at(base).expect("segment being written");
            let file = |(part, len)| (segment.part_file(id, part), len);
            trims.extend(excess.into_iter().map(file));
        }
        let any = !trims.is_empty();
        for (file, len) in trims {
            self.trim_file(file, len);
        }
        any
    }

    /// Gives back what a file is longer than this, whose owner needs it no more.
    pub(crate) fn trim_file(&mut self, file: FileName, len: u64) {
        self.ops.push(Purpose::CleanUp, Op::Resize { file, len });
        self.turn.stir();
    }
}

/// Which files are longer than what is written to them, and how long they need to be.
fn excess(given: Given, data: u64, index_blocks: u32) -> Vec<(Part, u64)> {
    let index = u64::from(index_blocks) * BLOCK as u64;
    let parts = [
        (Part::Data, data, given.data),
        (Part::Index, index, given.index),
    ];
    let longer = parts.into_iter().filter(|(_, len, given)| given > len);
    longer.map(|(part, len, _)| (part, len)).collect()
}
