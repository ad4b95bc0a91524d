//! How a client behaves: every bound and wait, with its default.

use std::time::Duration;

use super::{Backoff, ConsumerSettings, ProducerSettings, SessionOptions};

/// How a producer behaves.
pub type ProducerOptions = ProducerSettings;

/// How a consumer behaves.
pub type ConsumerOptions = ConsumerSettings;

/// Settings of a client and of all connections that it opens.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// `host:port` of any core of the broker.
    pub address: String,
    /// The client's name in the broker's log. Default `leveret-client`.
    pub client_name: String,
    /// Longest time for connecting and the handshake. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for one response. Default 30 s.
    pub request_timeout: Duration,
    /// How long an operation is tried again while it fails in ways that may pass. Default 30 s.
    pub retry_timeout: Duration,
    /// Least wait before trying again. Default 20 ms.
    pub backoff_least: Duration,
    /// Most wait before trying again. Default 1 s.
    pub backoff_most: Duration,
    /// Seed of the jitter in those waits. The default is the process's id.
    pub seed: u64,
    /// Most requests of one connection without a response. Default 16,384.
    pub max_in_flight: usize,
    /// Most bytes of one connection that wait to be written; callers wait beyond it. A request
    /// that is longer than this passes alone. Default 16 MiB.
    pub max_queued_bytes: usize,
    /// Longest payload of one response. Default 192 MiB.
    pub max_response_bytes: u32,
    /// Whether a producer opens a connection to each core of the broker that owns a partition it
    /// sends to, and a consumer its connection to the core that owns all that it reads, so that
    /// requests need no hop inside the broker. Without it each has one connection, to any core.
    /// Default true.
    pub connection_per_core: bool,
}

impl ClientOptions {
    /// The defaults, for the broker at `address`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            client_name: SessionOptions::default().client_name,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retry_timeout: Duration::from_secs(30),
            backoff_least: Duration::from_millis(20),
            backoff_most: Duration::from_secs(1),
            seed: u64::from(std::process::id()),
            max_in_flight: SessionOptions::default().max_in_flight,
            max_queued_bytes: 16 << 20,
            max_response_bytes: 192 << 20,
            connection_per_core: true,
        }
    }

    /// What a session of its connections needs to know.
    #[must_use]
    pub fn session(&self) -> SessionOptions {
        SessionOptions {
            client_name: self.client_name.clone(),
            max_in_flight: self.max_in_flight,
        }
    }

    /// Waits for the `number`th user of this client: each has a sequence of its own.
    #[must_use]
    pub fn backoff(&self, number: u64) -> Backoff {
        let seed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Backoff::new(self.backoff_least, self.backoff_most, seed)
    }
}
