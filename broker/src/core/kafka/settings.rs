//! What Kafka clients are told of the broker, of its configuration and of its surroundings.

use std::sync::Arc;

use leveret_storage::types::CoreId;

/// One broker as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaBroker {
    /// Where they reach it.
    pub host: String,
    /// Where they reach it.
    pub port: u16,
}

/// What a core needs to know to serve Kafka clients.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The brokers to present, numbered from 1: a single one that stands for all cores, or one for
    /// each core.
    pub brokers: Arc<[KafkaBroker]>,
    /// Whether asking for a topic makes it.
    pub auto_create: bool,
    /// Topics beyond which asking makes none.
    pub auto_create_limit: u32,
    /// Partitions of a topic whose creator does not say how many.
    pub partitions: u32,
    /// Longest request, bytes, its length prefix not counted.
    pub request_bytes: u32,
}

impl KafkaSettings {
    /// The broker that presents itself as the owner of what lives on that core.
    pub(super) fn node_of(&self, core: CoreId) -> i32 {
        match self.brokers.len() {
            1 => 1,
            _ => i32::from(core.0) + 1,
        }
    }

    /// Every broker's number.
    pub(super) fn nodes(&self) -> impl Iterator<Item = i32> + use<> {
        let count = i32::try_from(self.brokers.len()).expect("as many as cores at most");
        1..=count
    }
}
