//! What a core tells of itself and its partitions, and the settings that it runs by.

use std::sync::Arc;

use leveret_engine::topology::LogOwner;
use leveret_storage::io::BufPool;
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, Level, LogId, Now, Offset};

use super::Core;
pub use super::ailing::{DamagedLog, StoppedLog, TOPOLOGY};
use super::kafka::KafkaSettings;
use super::meter::{Rates, Totals};
use super::strangers::Ports;

/// What a core needs to know of the configuration and of its surroundings.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// How many cores there are.
    pub cores: u16,
    /// The CPU that this one is pinned to.
    pub cpu: u32,
    /// Longest record batch that is taken, bytes.
    pub max_batch_bytes: u32,
    /// Bytes that requests under way may hold.
    pub request_bytes: usize,
    /// Bytes of answers that one connection may have waiting to be sent; also the most that one
    /// fetch gives.
    pub response_bytes: usize,
    /// Bytes of answers that all connections of the core together may have waiting.
    pub answers_bytes: usize,
    /// How much work one event may lead to before others are looked at: [`SLICE`](super::SLICE), less
    /// where that is to be shown.
    pub slice: usize,
    /// How long a new connection may take to say hello, nanoseconds.
    pub hello_ns: u64,
    /// How long a connection may be idle, nanoseconds.
    pub idle_ns: u64,
    /// Connections of this core that may have said no hello yet.
    pub hello_max: usize,
    /// Bytes of records that are kept in memory.
    pub cache_bytes: usize,
    /// What Kafka clients are told.
    pub kafka: KafkaSettings,
    /// Where protocols are served, for people.
    pub ports: Ports,
    /// The data directory, for people.
    pub data_dir: Arc<str>,
    /// The strongest level that its file system can truly give.
    pub true_level: Level,
}

/// Where a partition stands.
#[derive(Clone, Debug)]
pub struct PartitionReport {
    /// Its log.
    pub log: LogId,
    /// First offset that can be read.
    pub start_offset: Offset,
    /// The offset after the last that can be read.
    pub high_watermark: Offset,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Why it takes no more records, if it does not.
    pub stopped: Option<String>,
    /// Stored bytes of it could not be read, or are not those that were written; what else it has is
    /// served.
    pub damaged: bool,
}

/// How a core is.
#[derive(Clone, Debug)]
pub struct CoreReport {
    /// Which.
    pub core: CoreId,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// Open connections.
    pub connections: u32,
    /// Partitions that live there.
    pub partitions: u32,
    /// Bytes of requests under way and of cached records.
    pub memory_used: u64,
    /// What both may come to.
    pub memory_budget: u64,
    /// Bytes of its journal that are still needed.
    pub journal_used: u64,
    /// Bytes of its journal.
    pub journal_size: u64,
    /// Since the start.
    pub totals: Totals,
    /// Over the last seconds.
    pub rates: Rates,
    /// The most CPU time that one turn of its loop took, microseconds; 0 if none took a millisecond.
    pub longest_turn_us: u64,
    /// Whether its file system has space.
    pub disk: DiskSpace,
    /// Why producing is refused, if it has none.
    pub disk_shortage: Option<String>,
    /// Its logs that stopped, [`NAMED`] of them at most.
    pub stopped: Vec<StoppedLog>,
    /// Its logs that are damaged, [`NAMED`] of them at most.
    pub damaged: Vec<DamagedLog>,
}

/// Logs of each kind of trouble that one report names at most.
pub const NAMED: usize = 1000;

impl<P: BufPool> Core<P> {
    pub(super) fn describe(&self, log: LogId) -> PartitionReport {
        let status = self.shard.log_status(log);
        PartitionReport {
            log,
            start_offset: status
                .as_ref()
                .map_or(Offset(0), |status| status.start_offset),
            high_watermark: status
                .as_ref()
                .map_or(Offset(0), |status| status.high_watermark),
            bytes: status.as_ref().map_or(0, |status| status.bytes),
            damaged: status
                .as_ref()
                .is_some_and(|status| self.ailing.is_damaged(log, status.start_offset)),
            stopped: status.and_then(|status| status.stopped),
        }
    }

    pub(super) fn report(&mut self, now: Now) -> CoreReport {
        CoreReport {
            stopped: self.stopped_after(None, NAMED),
            damaged: self.damaged_after(None, NAMED),
            ..self.summary(now)
        }
    }

    /// A report that names no logs.
    pub(super) fn summary(&mut self, now: Now) -> CoreReport {
        let stats = self.shard.stats();
        let totals = Totals::of(&stats);
        CoreReport {
            core: self.id,
            cpu: self.settings.cpu,
            connections: count(self.sessions.len()),
            partitions: count(stats.logs),
            memory_used: self.permits.held() as u64 + stats.store.tail_bytes,
            memory_budget: (self.permits.total() + self.settings.cache_bytes) as u64,
            journal_used: stats.store.ring_used,
            journal_size: stats.store.ring_total,
            totals,
            rates: self.meter.rates(totals, now.mono),
            longest_turn_us: self.longest_turn / 1000,
            disk: stats.store.disk,
            disk_shortage: self.shard.disk_shortage().map(str::to_owned),
            stopped: Vec::new(),
            damaged: Vec::new(),
        }
    }

    /// A log in words that an operator knows.
    pub(super) fn place_of(&self, log: LogId) -> String {
        match self.topology.owner_of(log) {
            Some(LogOwner::Topology) => "the broker's own log of topics".to_owned(),
            Some(LogOwner::Partition { topic, index }) => {
                format!("topic `{}` partition {index}", topic.name)
            }
            None => format!("log {log}"),
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("bounded by settings")
}
