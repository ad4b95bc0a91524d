//! How long clients' requests wait for their answers on this core, counted once per request.

use leveret_storage::histogram::Histogram;
use leveret_storage::types::Mono;

/// Times from a request's arrival to its answer, nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// Of each batch that was to be appended, refused ones too.
    pub produce: Histogram,
    /// Of each core's part of a fetch; the time that it waited for records is in it.
    pub fetch: Histogram,
    /// Batches that were refused, or whose time-out passed.
    pub produce_failed: u64,
}

impl Latencies {
    /// A batch was appended or refused.
    pub(super) fn note_produce(&mut self, since: Mono, failed: bool, now: Mono) {
        self.produce.record(now.since(since));
        self.produce_failed += u64::from(failed);
    }

    /// One core's part of a fetch is there, or what a subscription waited for.
    pub(super) fn note_fetch(&mut self, since: Mono, now: Mono) {
        self.fetch.record(now.since(since));
    }

    /// A batch's time-out has passed. Its answer is not waited for, so it has no time.
    pub(super) fn gave_up(&mut self) {
        self.produce_failed += 1;
    }
}
