//! How a simulated broker is set up, and its start on an empty disk.

use std::sync::Arc;

use leveret_broker::core::{Core, CoreSettings, KafkaSettings, Ports};
use leveret_engine::shard::{Shard, ShardSettings};
use leveret_engine::topology::{Topology, TopologySettings};
use leveret_storage::format::superblock::Geometry;
use leveret_storage::recovery::{RecoveryConfig, recover};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{CoreId, Level, Mono};

use super::{at, one_broker};
use crate::disk::{Client, Disk, SimPool};

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
    /// Every store's thresholds.
    pub store: StoreConfig,
    /// Every ring's shape.
    pub geometry: Geometry,
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
            store: StoreConfig {
                max_commit_bytes: 256 << 10,
                prefill: false,
                ..StoreConfig::default()
            },
            geometry: Geometry {
                file_bytes: 1 << 20,
                files: 4,
                max_commit_bytes: 256 << 10,
                ..RecoveryConfig::default().geometry
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

    /// Recovers from an empty disk, and opens every core over what that gives.
    pub(super) fn start(&self, disk: &mut Disk, now: &mut Mono) -> Vec<Core<SimPool>> {
        let config = RecoveryConfig {
            cores: self.cores,
            geometry: self.geometry,
            ..RecoveryConfig::default()
        };
        let mut recovery = recover(config, SimPool::default());
        let recovered = loop {
            while let Some((id, op)) = recovery.poll_op() {
                disk.submit(*now, Client(0), id, op);
            }
            if let Some(result) = recovery.poll_result() {
                break result.expect("an empty disk can be started on");
            }
            *now = disk
                .next_completion()
                .expect("it waits for the disk")
                .max(*now);
            let done = disk.complete().expect("due");
            recovery.handle_completion(done.id, done.result);
        };
        let topics = TopologySettings::default();
        let topology = Topology::recovered(&recovered, topics).expect("empty");
        let open = |(id, core): (u16, leveret_storage::recovery::RecoveredCore)| {
            let (settings, pool) = (ShardSettings::default(), SimPool::default());
            let shard = Shard::open(
                settings,
                self.store.clone(),
                pool,
                core,
                &topology,
                at(*now),
            );
            let shard = shard.expect("an empty shard opens");
            let settings = self.core_settings();
            Core::new(CoreId(id), settings, shard, topology.clone(), at(*now))
        };
        (0..self.cores).zip(recovered.cores).map(open).collect()
    }
}
