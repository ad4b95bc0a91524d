//! The figures of a shard. They are counted as things happen, never by a walk.

use leveret_storage::histogram::Histogram;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::StoreStats;
use leveret_storage::types::{LogId, Offset};

use super::Shard;
use super::log::{LogCounters, frontiers_of};
use super::reply::FetchSpec;

/// One partition, for `leveret status` and topic descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStatus {
    /// First offset that can be read.
    pub start_offset: Offset,
    /// The offset after the last that can be read.
    pub high_watermark: Offset,
    /// Bytes of its batches, as far as known without reading.
    pub bytes: u64,
    /// Segments known.
    pub segments: u64,
    /// Idempotent producers remembered.
    pub producers: usize,
    /// Why it takes no more entries, if it does not.
    pub stopped: Option<String>,
    /// Traffic since the start of the process.
    pub counters: LogCounters,
}

/// One core's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Partitions that live here.
    pub logs: usize,
    /// Fetches under way.
    pub fetches: usize,
    /// Produces, and changes of the topology, that wait for journal space.
    pub parked: usize,
    /// Batches that were repetitions.
    pub duplicates: u64,
    /// Traffic of all its partitions since the start of the process.
    pub counters: LogCounters,
    /// Its storage.
    pub store: StoreStats,
}

impl<P: BufPool> Shard<P> {
    /// How a partition stands, if it lives here.
    #[must_use]
    pub fn log_status(&self, log: LogId) -> Option<LogStatus> {
        let state = self.hosted.partition(log)?;
        let frontiers = frontiers_of(&self.store, log);
        let stats = self.store.log_stats(log).unwrap_or_default();
        Some(LogStatus {
            start_offset: frontiers.start.1,
            high_watermark: state.high_watermark(&frontiers),
            bytes: stats.bytes,
            segments: stats.segments,
            producers: state.hosted.machine.producers(),
            stopped: state.hosted.stopped.as_deref().map(str::to_owned),
            counters: state.counters,
        })
    }

    /// Whether the rule that `which` names is to be broken in this run, for rules of what is built
    /// on shards; never, without the cargo feature `mutations`.
    #[must_use]
    pub fn breaks(&self, which: Mutation) -> bool {
        self.store.breaks(which)
    }

    /// How many records lay between the offset that a fetch or a watch asked for and the high
    /// watermark when it came, for each partition of each fetch: 0 is a reader that has everything.
    #[must_use]
    pub fn fetch_lag(&self) -> &Histogram {
        &self.fetch_lag
    }

    /// How long commits of the journal took, nanoseconds.
    #[must_use]
    pub fn commit_times(&self) -> &Histogram {
        self.store.commit_times()
    }

    /// A fetch has come. An offset beyond the end counts as no lag; it is refused.
    pub(super) fn note_lag(&mut self, spec: &FetchSpec) {
        for part in &spec.partitions {
            if let Some(state) = self.hosted.partition(part.log) {
                let end = state.high_watermark(&frontiers_of(&self.store, part.log));
                self.fetch_lag.record(end.0.saturating_sub(part.offset.0));
            }
        }
    }

    /// Why producing is refused for want of space on the file system, if it is; for people.
    #[must_use]
    pub fn disk_shortage(&self) -> Option<&str> {
        self.store.disk_shortage()
    }

    /// What this core holds and has done.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            logs: self.hosted.partitions(),
            fetches: self.fetches.len() + self.watches.len(),
            parked: self.parked.len(),
            duplicates: self.duplicates,
            counters: self.counters,
            store: self.store.stats(),
        }
    }
}
