//! What a thread that is no core (the HTTP server) may ask of one, and what it hears.
//!
//! Every answer is bounded: what grows with the number of topics is asked for page by page, so
//! that no turn of a core walks over all of them. Nothing is changed by being asked.

use std::ops::Bound;
use std::sync::Arc;

use leveret_engine::topology::{Topic, TopicName, TopicSettings};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Level, LogId, Now};

use super::Core;
pub use super::chosen::{Chosen, InvalidChoice, MOST_PARTITIONS, Pattern};
use super::figures::Wanted;
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
    /// Topics by name that are meant so, after this one.
    Topics(Pattern, Option<TopicName>),
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
    /// How the core is, with all figures; it names no logs.
    Core(Box<CoreReport>),
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
            Question::Core => Insight::Core(Box::new(self.summary(Wanted::All, now))),
            Question::Broker => Insight::Broker(BrokerInsight {
                uptime_ms: now.mono.since(self.started) / 1_000_000,
                data_dir: self.settings.data_dir.clone(),
                true_level: self.settings.true_level,
                topics: self.topology.topics().len(),
                partitions: self.topology.partitions(),
            }),
            Question::Topics(pattern, after) => {
                let after = after.as_ref().map(|name| Bound::Excluded(name.as_str()));
                let topics = self.topology.topics_from(after.unwrap_or(pattern.start()));
                let topics = topics.take_while(|topic| pattern.has(topic.name.as_str()));
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
