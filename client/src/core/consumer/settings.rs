//! What a consumer can be told: its bounds and waits, and where to read.

use std::time::Duration;

use leveret_record::DecompressLimit;
use leveret_wire::native::Offset;

/// How a consumer behaves: every bound and wait, with its default.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// Most bytes of one response, but for a first batch that is longer. Default 8 MiB.
    pub max_bytes: u32,
    /// Most bytes of one partition in a response. Default 2 MiB.
    pub max_partition_bytes: u32,
    /// The broker waits for that many bytes ... Default 1.
    pub min_bytes: u32,
    /// ... for at most that long. Default 500 ms.
    pub max_wait: Duration,
    /// Nothing more is fetched while that many bytes wait to be handed out. Default 32 MiB.
    pub buffer_bytes: usize,
    /// What to do when the log no longer has the position. Default: fail.
    pub out_of_range: OutOfRange,
    /// How far compressed batches may grow.
    pub decompress: DecompressLimit,
    /// Least wait before a partition is fetched again after a failure. Default 20 ms.
    pub backoff_least: Duration,
    /// Most wait before a partition is fetched again after a failure. Default 1 s.
    pub backoff_most: Duration,
    /// Seed of the jitter in those waits.
    pub seed: u64,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 20,
            max_partition_bytes: 2 << 20,
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
            buffer_bytes: 32 << 20,
            out_of_range: OutOfRange::Fail,
            decompress: DecompressLimit::default(),
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
