//! Reads and look-ups: what is asked for, what is cached, and what is on its way from segments.
//!
//! Nothing here changes a log, except that more is known of its segments afterwards.

pub(crate) mod cache;
pub(crate) mod index;
pub(crate) mod loading;
pub(crate) mod read;
pub(crate) mod time;

use crate::types::LogId;
use cache::{IndexCache, SpanCache};
use read::Reads;

/// What is being read, and what was.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) spans: SpanCache,
    pub(crate) indexes: IndexCache,
    pub(crate) reads: Reads,
}

impl Reading {
    /// Nothing yet, with so many bytes for each cache.
    pub(crate) fn new(span_bytes: usize, index_bytes: usize) -> Self {
        Self {
            spans: SpanCache::new(span_bytes),
            indexes: IndexCache::new(index_bytes),
            reads: Reads::default(),
        }
    }

    /// The log is being deleted: nothing of it is kept.
    pub(crate) fn forget(&mut self, log: LogId) {
        self.spans.forget(log);
        self.indexes.forget(log);
    }
}
