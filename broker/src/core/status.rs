//! What a core tells of itself and its partitions, and the settings that it runs by.

use std::sync::Arc;

use leveret_engine::shard::LogCounters;
use leveret_engine::topology::LogOwner;
use leveret_storage::io::BufPool;
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, Level, LogId, Now, Offset};

use super::Core;
pub use super::ailing::{DamagedLog, StoppedLog, TOPOLOGY};
use super::figures::{self, Reading, Told, Wanted};
use super::kafka::KafkaSettings;
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
    /// What came in and went out since the start.
    pub traffic: LogCounters,
}

/// How a core is.
#[derive(Clone, Debug)]
pub struct CoreReport {
    /// Which.
    pub core: CoreId,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// What it counts: all, or what a status has.
    pub figures: Vec<Told>,
    /// Whether its file system has space.
    pub disk: DiskSpace,
    /// Why producing is refused, if it has none.
    pub disk_shortage: Option<String>,
    /// Its logs that stopped, [`NAMED`] of them at most, where they were asked for.
    pub stopped: Vec<StoppedLog>,
    /// Its logs that are damaged, [`NAMED`] of them at most, where they were asked for.
    pub damaged: Vec<DamagedLog>,
}

/// Logs of each kind of trouble that one report names at most.
pub const NAMED: usize = 1000;

impl<P: BufPool> Core<P> {
    pub(super) fn describe(&self, log: LogId) -> PartitionReport {
        let Some(status) = self.shard.log_status(log) else {
            return PartitionReport::absent(log);
        };
        PartitionReport {
            log,
            start_offset: status.start_offset,
            high_watermark: status.high_watermark,
            bytes: status.bytes,
            damaged: self.ailing.is_damaged(log, status.start_offset),
            stopped: status.stopped,
            traffic: status.counters,
        }
    }

    /// What the native protocol's status says of the core.
    pub(super) fn report(&mut self, now: Now) -> CoreReport {
        CoreReport {
            stopped: self.stopped_after(None, NAMED),
            damaged: self.damaged_after(None, NAMED),
            ..self.summary(Wanted::Keyed, now)
        }
    }

    /// A report that names no logs.
    pub(super) fn summary(&mut self, wanted: Wanted, now: Now) -> CoreReport {
        CoreReport {
            core: self.id,
            cpu: self.settings.cpu,
            figures: self.figures(wanted, now),
            disk: self.shard.stats().store.disk,
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
            Some(LogOwner::Coordinator { number, .. }) => {
                format!("the broker's own log {number} of consumer groups")
            }
            None => format!("log {log}"),
        }
    }
}

impl PartitionReport {
    /// What is told of a log that its core does not have, or has no more.
    pub(crate) fn absent(log: LogId) -> Self {
        Self {
            log,
            start_offset: Offset(0),
            high_watermark: Offset(0),
            bytes: 0,
            stopped: None,
            damaged: false,
            traffic: LogCounters::default(),
        }
    }
}

impl CoreReport {
    /// The figures that have a key, which are counts or rates.
    pub fn keyed(&self) -> impl Iterator<Item = (&'static str, &Reading)> {
        figures::keyed(&self.figures)
    }

    /// The count of this metric, of this pool if it has pools; `None` if there is none.
    #[must_use]
    pub fn count(&self, metric: &str, pool: Option<&str>) -> Option<u64> {
        let is_it = |(figure, reading): &Told| match (&figure.metric, reading) {
            (Some(of), Reading::Count(count)) if (of.name, of.pool) == (metric, pool) => {
                Some(*count)
            }
            _ => None,
        };
        self.figures.iter().find_map(is_it)
    }
}
