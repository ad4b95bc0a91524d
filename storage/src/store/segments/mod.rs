//! Writing to segments: in bulk before the journal knows of it, or behind the journal.
//!
//! Its state is who waits to be written, how many jobs there are, and what a turn may still copy.
//! The job itself belongs to its log.

pub(crate) mod copying;
pub(crate) mod files;
pub(crate) mod flush;
pub(crate) mod job;
pub(crate) mod job_step;
pub(crate) mod queues;
pub(crate) mod reserve;
pub(crate) mod spans;
pub(crate) mod start;

use std::collections::VecDeque;

use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::log::lines::Line;
use copying::Copying;
use job::Kind;

/// Logs that are written to segments, or wait for it.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    /// Logs that want a bulk write.
    bulk: VecDeque<LogKey>,
    /// Logs to write behind.
    behind: VecDeque<LogKey>,
    copying: Copying,
    /// Jobs under way.
    jobs: usize,
    /// Those of them that write behind.
    behind_jobs: usize,
}

impl Writing {
    /// Jobs under way.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Whether any log is written behind, or waits for it.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind_jobs > 0 || !self.behind.is_empty()
    }

    /// How many logs wait to be written behind.
    pub(crate) fn waiting(&self) -> usize {
        self.behind.len()
    }

    /// The log is to be written behind; `close`: to the end of a segment.
    pub(crate) fn add_behind(&mut self, key: LogKey, log: &mut LogState, close: bool) {
        if close {
            log.lines.enter(Line::Closing);
        }
        if log.lines.enter(Line::Behind) {
            self.behind.push_back(key);
        }
    }

    fn begin(&mut self, kind: Kind) {
        self.jobs += 1;
        self.behind_jobs += usize::from(kind == Kind::Behind);
    }

    fn end(&mut self, kind: Kind) {
        self.jobs -= 1;
        self.behind_jobs -= usize::from(kind == Kind::Behind);
    }
}
