//! What a producer can be told: its bounds and waits.

use std::time::Duration;

use leveret_record::Compression;
use leveret_wire::native::Level;

/// How a producer behaves: every bound and wait, with its default.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// How long an open batch waits for more records. Default 5 ms.
    pub linger: Duration,
    /// Bytes at which a batch is full; one record longer than this makes a batch of its own.
    /// Default 256 KiB.
    pub max_batch_bytes: usize,
    /// Batches of one partition without a response, 1 to 5: the broker recognises repetitions
    /// among the last five. Default 5.
    pub max_in_flight: usize,
    /// Bytes of records that are not acknowledged. Default 32 MiB.
    pub buffer_bytes: usize,
    /// How long after its first record a batch is given up. Default 120 s.
    pub delivery_timeout: Duration,
    /// How long the broker may take for one request before it answers `Timeout`. Default 30 s.
    pub request_timeout: Duration,
    /// Least wait before a partition sends again after a failure. Default 20 ms.
    pub backoff_least: Duration,
    /// Most wait before a partition sends again after a failure. Default 1 s.
    pub backoff_most: Duration,
    /// Age at which a topic's metadata is asked for again by whoever sends to it: how soon new
    /// partitions are used. Default 30 s.
    pub metadata_max_age: Duration,
    /// Compression of batches. Default none.
    pub compression: Compression,
    /// Level of the acknowledgements; the topic's own if `None`, the default.
    pub level: Option<Level>,
    /// Seed of the jitter in waits and of the first partition for records without a key.
    pub seed: u64,
}

/// The broker recognises repetitions among this many batches of a producer in a partition.
pub const MAX_IN_FLIGHT: usize = 5;

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            max_batch_bytes: 256 << 10,
            max_in_flight: MAX_IN_FLIGHT,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            backoff_least: Duration::from_millis(20),
            backoff_most: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(30),
            compression: Compression::None,
            level: None,
            seed: 0,
        }
    }
}
