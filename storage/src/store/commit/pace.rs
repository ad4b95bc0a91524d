//! How long commits take, and when the last one was.

use crate::histogram::Histogram;
use crate::types::Mono;

/// What the last commit held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// None was issued.
    None,
    Records,
    /// Nothing: it vouches for those before it.
    Empty,
}

/// What is known of the last commits.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How long one takes of late, nanoseconds.
    usual_ns: u64,
    times: Histogram,
    last_at: Mono,
    last: Last,
}

impl Pace {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            usual_ns: 200_000,
            times: Histogram::default(),
            last_at: now,
            last: Last::None,
        }
    }

    /// A commit was handed to the device.
    pub(crate) fn issued(&mut self, is_empty: bool) {
        self.last = match is_empty {
            true => Last::Empty,
            false => Last::Records,
        };
    }

    /// The device has answered for one that took so long, if that is known.
    pub(crate) fn done(&mut self, now: Mono, took_ns: Option<u64>) {
        if let Some(took) = took_ns {
            self.usual_ns = (self.usual_ns * 7 + took) / 8;
            self.times.record(took);
        }
        self.last_at = now;
    }

    /// When entries that wait since then have waited long enough for a commit beside others.
    pub(crate) fn parallel_at(&self, since: Mono) -> Mono {
        since.after(self.usual_ns / 2)
    }

    /// When the device answered last.
    pub(crate) fn last_at(&self) -> Mono {
        self.last_at
    }

    /// Whether a commit waits for another to vouch for it.
    pub(crate) fn wants_voucher(&self) -> bool {
        self.last == Last::Records
    }

    /// Whether the last commit was made to vouch for those before it.
    pub(crate) fn is_vouched(&self) -> bool {
        self.last == Last::Empty
    }

    /// How long commits took from their issue to the device's answer, nanoseconds.
    pub(crate) fn times(&self) -> &Histogram {
        &self.times
    }
}
