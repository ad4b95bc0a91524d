//! What a consumer can be told: its bounds and waits, and where to read.

use std::time::Duration;

use leveret_wire::native::Offset;

/// How a consumer behaves: every bound and wait, with its default.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// Most bytes that the broker pushes of one partition at a time, but for a first batch that
    /// is longer. Default 2 MiB.
    pub max_partition_bytes: u32,
    /// Bytes that may be on their way or wait to be handed out, given to the broker as credit;
    /// it may pass them by one batch for each of its subscriptions. Default 32 MiB.
    pub buffer_bytes: usize,
    /// The broker is asked whether it is there when it has said nothing for so long. Default 10 s.
    pub ping_after: Duration,
    /// What to do when the log no longer has the position. Default: fail.
    pub out_of_range: OutOfRange,
    /// Least wait before a partition is subscribed to again after a failure. Default 20 ms.
    pub backoff_least: Duration,
    /// Most wait before a partition is subscribed to again after a failure. Default 1 s.
    pub backoff_most: Duration,
    /// Seed of the jitter in those waits.
    pub seed: u64,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            max_partition_bytes: 2 << 20,
            buffer_bytes: 32 << 20,
            ping_after: Duration::from_secs(10),
            out_of_range: OutOfRange::Fail,
            backoff_least: Duration::from_millis(20),
            backoff_most: Duration::from_secs(1),
            seed: 0,
        }
    }
}

/// What to do when the log no longer has the position (or does not have it yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// Report `OffsetOutOfRange` and stop reading the partition.
    Fail,
    /// Go on at the first offset that is still there.
    Earliest,
    /// Go on at the high watermark.
    Latest,
}

/// Where to start reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this offset.
    Offset(Offset),
    /// At the first offset that is still there.
    Beginning,
    /// At the high watermark: only what comes from now on.
    End,
    /// At the first record whose timestamp (milliseconds since the Unix epoch) is at or after
    /// this; at the end if there is none.
    Timestamp(i64),
}
