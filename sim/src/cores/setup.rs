//! How a simulated broker is set up, and opened over what its disk holds.

use std::sync::Arc;

use leveret_broker::core::{Core, CoreSettings, KafkaSettings, Ports};
use leveret_engine::shard::{Shard, ShardSettings};
use leveret_engine::topology::{Topology, TopologySettings};
use leveret_storage::format::superblock::Geometry;
use leveret_storage::recovery::{Recovered, RecoveredCore, RecoveryConfig};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{CoreId, Level, Now};

use super::one_broker;
use crate::disk::SimPool;
use crate::violation::{Kind, Violation};

/// What a broker is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides every order of events.
    pub seed: u64,
    /// How many cores there are.
    pub cores: u16,
    /// Longest record batch that is taken, bytes.
    pub max_batch_bytes: u32,
    /// Bytes that requests under way may hold on a core.
    pub request_bytes: usize,
    /// Bytes of answers that one connection may have unsent.
    pub response_bytes: usize,
    /// How long a new connection may take to say hello, nanoseconds.
    pub hello_ns: u64,
    /// How long a connection may be idle, nanoseconds.
    pub idle_ns: u64,
    /// How long what one core tells another is under way at most, nanoseconds.
    pub mesh_ns: u64,
    /// Bounds of every shard, and what topics get that do not say otherwise.
    pub shard: ShardSettings,
    /// Every store's thresholds.
    pub store: StoreConfig,
    /// How a start works, and every ring's shape; but for what is said here otherwise.
    pub recovery: RecoveryConfig,
}

impl Setup {
    /// A small broker of `cores` cores: batches of 64 KiB at most, 256 KiB of answers, 4 MiB of
    /// requests and of journal.
    #[must_use]
    pub fn new(seed: u64, cores: u16) -> Self {
        Self {
            seed,
            cores,
            max_batch_bytes: 64 << 10,
            request_bytes: 4 << 20,
            response_bytes: 256 << 10,
            hello_ns: 10_000_000_000,
            idle_ns: 600_000_000_000,
            mesh_ns: 0,
            shard: ShardSettings::default(),
            store: StoreConfig {
                max_commit_bytes: 256 << 10,
                prefill: false,
                ..StoreConfig::default()
            },
            recovery: RecoveryConfig {
                geometry: Geometry {
                    file_bytes: 1 << 20,
                    files: 4,
                    max_commit_bytes: 256 << 10,
                    ..RecoveryConfig::default().geometry
                },
                ..RecoveryConfig::default()
            },
        }
    }

    fn core_settings(&self) -> CoreSettings {
        CoreSettings {
            cores: self.cores,
            cpu: 0,
            max_batch_bytes: self.max_batch_bytes,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            answers_bytes: 8 * self.response_bytes,
            // Little, so that peers often stand in line.
            slice: 4 << 10,
            cache_bytes: 1 << 20,
            hello_ns: self.hello_ns,
            idle_ns: self.idle_ns,
            hello_max: 1000,
            kafka: KafkaSettings {
                brokers: one_broker(),
                auto_create: false,
                auto_create_limit: 16,
                partitions: 1,
                request_bytes: 2 * self.max_batch_bytes,
                config: Arc::from([]),
            },
            ports: Ports::default(),
            data_dir: Arc::from("simulated"),
            true_level: Level::Synced,
        }
    }

    /// How recovery is told to work.
    pub(super) fn recovery(&self, salt: u64) -> RecoveryConfig {
        RecoveryConfig {
            cores: self.cores,
            salt,
            mutation: self.store.mutation,
            ..self.recovery.clone()
        }
    }

    /// Opens every core over what recovery gave.
    ///
    /// # Errors
    /// When that is not what a broker can open.
    pub(super) fn open(
        &self,
        recovered: Recovered,
        now: Now,
    ) -> Result<Vec<Core<SimPool>>, Violation> {
        let broken = |kind, error: &dyn std::fmt::Display| Violation::new(kind, error.to_string());
        let topics = TopologySettings {
            defaults: self.shard.topics,
            ..TopologySettings::default()
        };
        let topology = Topology::recovered(&recovered, topics);
        let topology = topology.map_err(|error| broken(Kind::Lost, &error))?;
        let open = |(id, core): (u16, RecoveredCore)| {
            let (store, pool) = (self.store.clone(), SimPool::default());
            let shard = Shard::open(self.shard, store, pool, core, &topology, now);
            let shard = shard.map_err(|error| broken(Kind::MachineState, &error))?;
            let settings = self.core_settings();
            let topology = topology.clone();
            Ok(Core::new(CoreId(id), settings, shard, topology, now))
        };
        (0..self.cores).zip(recovered.cores).map(open).collect()
    }
}
