//! What a thread that is no core (the HTTP server) may ask of one, and what it hears.
//!
//! Every answer is bounded: what grows with the number of topics is asked for page by page, so
//! that no turn of a core walks over all of them. Nothing is changed by being asked.

use std::sync::Arc;

use leveret_engine::shard::ShardStats;
use leveret_engine::topology::{Topic, TopicName, TopicSettings};
use leveret_storage::histogram::Histogram;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Level, LogId, Now};

use super::Core;
pub use super::latencies::Latencies;
use super::places::Places;
use super::status::{CoreReport, DamagedLog, PartitionReport, StoppedLog};

/// Topics that one answer names at most.
const TOPICS: usize = 64;
/// Partitions that one answer describes at most; ask for no more.
pub const LOGS: usize = 256;
/// Stopped or damaged logs that one answer names at most.
const AILING: usize = 64;

/// Requests that wait so long for memory while none is let in are a fault of the core, nanoseconds: a
/// body that comes too slowly is given up sooner.
const STARVED: u64 = 10_000_000_000;

/// A question to one core.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whether it turns and serves.
    Alive,
    /// How it is.
    Core,
    /// What is the same on every core.
    Broker,
    /// Topics by name, after this one.
    Topics(Option<TopicName>),
    /// Where these partitions of that core stand, [`LOGS`] of them at most.
    Logs(Vec<LogId>),
    /// Its logs that stopped, after this one.
    Stopped(Option<LogId>),
    /// Its logs that are damaged, after this one.
    Damaged(Option<LogId>),
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub enum Insight {
    /// It does, and serves those who ask.
    Alive,
    /// It does, but requests have waited for memory this long and none was let in, nanoseconds.
    Starved(u64),
    /// How the core is.
    Core(Box<CoreInsight>),
    /// The broker as a whole.
    Broker(BrokerInsight),
    /// The next topics; none if there are no more.
    Topics(Vec<KnownTopic>),
    /// Partitions in the order asked.
    Logs(Vec<PartitionReport>),
    /// The next stopped logs; none if there are no more.
    Stopped(Vec<StoppedLog>),
    /// The next damaged logs; none if there are no more.
    Damaged(Vec<DamagedLog>),
}

/// One core in numbers.
#[derive(Clone, Debug)]
pub struct CoreInsight {
    /// What `leveret status` tells; without the logs that stopped or are damaged.
    pub report: CoreReport,
    /// Logs that stopped.
    pub stopped_logs: usize,
    /// Logs of which stored bytes could not be read since the start.
    pub damaged_logs: usize,
    /// Reads that met them.
    pub damaged_reads: u64,
    /// Bytes that requests under way hold.
    pub requests_used: usize,
    /// Bytes that they may hold.
    pub requests_budget: usize,
    /// Bytes that records may take in memory.
    pub cache_budget: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections that have not said hello.
    pub greeting: usize,
    /// Connections closed since the start because too many had not said hello.
    pub hello_evictions: u64,
    /// Connections closed since the start because a body came too slowly while others waited.
    pub slow_bodies: u64,
    /// Connections closed since the start because they were idle.
    pub idle_closed: u64,
    /// Connections closed since the start because they took no answers while there were too many.
    pub unread_closed: u64,
    /// Bytes of batches that cores read for fetches and that are in no answer, since the start: of
    /// fetches whose client went or that failed. What goes beyond a fetch's bounds is not read.
    pub thrown_away: u64,
    /// Bytes that answers of all connections take.
    pub answers_used: usize,
    /// Bytes that they may take.
    pub answers_budget: usize,
    /// How long requests took.
    pub latencies: Latencies,
    /// How long commits took, nanoseconds.
    pub commit_times: Histogram,
    /// How far behind fetches were, records.
    pub fetch_lag: Histogram,
    /// Its partitions and its store.
    pub stats: ShardStats,
}

/// The broker as every core knows it.
#[derive(Clone, Debug)]
pub struct BrokerInsight {
    /// Since the start, milliseconds.
    pub uptime_ms: u64,
    /// The data directory, for people.
    pub data_dir: Arc<str>,
    /// The strongest level that its file system can truly give.
    pub true_level: Level,
    /// Topics that exist.
    pub topics: usize,
    /// Partitions of all of them.
    pub partitions: u32,
}

/// A topic and the settings that are in force for it.
#[derive(Clone, Debug)]
pub struct KnownTopic {
    /// Its name, id and partitions.
    pub topic: Arc<Topic>,
    /// How its records are kept.
    pub settings: TopicSettings,
    /// Log and core of each partition.
    pub places: Vec<(LogId, CoreId)>,
}

impl<P: BufPool> Core<P> {
    pub(super) fn tell(&mut self, question: Question, now: Now) -> Insight {
        match question {
            Question::Alive => {
                let since = self.permits.still_since();
                aliveness(since.map(|since| now.mono.since(since)))
            }
            Question::Core => Insight::Core(Box::new(self.insight(now))),
            Question::Broker => Insight::Broker(BrokerInsight {
                uptime_ms: now.mono.since(self.started) / 1_000_000,
                data_dir: self.settings.data_dir.clone(),
                true_level: self.settings.true_level,
                topics: self.topology.topics().len(),
                partitions: self.topology.partitions(),
            }),
            Question::Topics(after) => {
                let topics = self.topology.topics_after(after.as_ref());
                let known = |topic: &Arc<Topic>| KnownTopic {
                    topic: topic.clone(),
                    settings: self.topology.settings_of(topic),
                    places: self.topology.places(topic).collect(),
                };
                Insight::Topics(topics.take(TOPICS).map(known).collect())
            }
            Question::Logs(logs) => {
                let described = logs.iter().take(LOGS).map(|log| self.describe(*log));
                Insight::Logs(described.collect())
            }
            Question::Stopped(after) => Insight::Stopped(self.stopped_after(after, AILING)),
            Question::Damaged(after) => Insight::Damaged(self.damaged_after(after, AILING)),
        }
    }

    fn insight(&mut self, now: Now) -> CoreInsight {
        CoreInsight {
            report: self.summary(now),
            stopped_logs: self.ailing.stopped(),
            damaged_logs: self.ailing.damaged(),
            damaged_reads: self.ailing.damaged_reads(),
            requests_used: self.permits.held(),
            requests_budget: self.permits.total(),
            cache_budget: self.settings.cache_bytes,
            accepted: self.accepted,
            greeting: self.sessions.greeting(),
            hello_evictions: self.hello_evictions,
            slow_bodies: self.slow_bodies,
            idle_closed: self.idle_closed,
            unread_closed: self.unread.dropped(),
            thrown_away: self.thrown_away,
            answers_used: self.answers.account.total(),
            answers_budget: self.answers.account.budget(),
            latencies: self.latencies.clone(),
            commit_times: self.shard.commit_times().clone(),
            fetch_lag: self.shard.fetch_lag().clone(),
            stats: self.shard.stats(),
        }
    }
}

/// Whether a core serves whose requests have waited that long while none was let in, nanoseconds.
fn aliveness(still: Option<u64>) -> Insight {
    match still {
        Some(still) if still >= STARVED => Insight::Starved(still),
        _ => Insight::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_lets_nobody_in_is_told_from_one_that_nobody_asks() {
        assert!(matches!(aliveness(None), Insight::Alive));
        assert!(matches!(aliveness(Some(STARVED - 1)), Insight::Alive));
        assert!(matches!(
            aliveness(Some(STARVED)),
            Insight::Starved(STARVED)
        ));
    }
}
