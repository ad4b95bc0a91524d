//! Topics, offsets and status, as values that outlive their frames: the requests that they make
//! and what is read out of responses.
//!
//! What reads a response fails with what the broker says instead, or with [`Error::Protocol`] if
//! it says something else.
//!
//! [`Error::Protocol`]: crate::Error::Protocol

use leveret_wire::native::{
    AlterTopic, AlterTopicOk, ConfigEntry, ConfigSource, CreateTopic, CreateTopicOk, FigureValue,
    Level, ListOffsetsOk, MetadataOk, Offset, PartitionDescription, PartitionId, Request, Response,
    Shortage, StatusOk, TopicId,
};

use super::Frame;
use super::frames::unexpected;
use crate::Result;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it gets.
    pub partitions: u32,
    /// What its acknowledgements promise; the broker's default if `None`.
    pub level: Option<Level>,
    /// Bytes to keep per partition; the broker's default if `None`.
    pub retention_bytes: Option<u64>,
    /// Milliseconds to keep records; the broker's default if `None`.
    pub retention_ms: Option<u64>,
    /// Other settings by name, and their values; the broker's defaults otherwise. Not `durability`
    /// or `retention.…` together with the fields above.
    pub config: Vec<(String, String)>,
}

/// What to change of a topic; all of it happens, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicChanges {
    /// Settings by name, and their values.
    pub set: Vec<(String, String)>,
    /// Settings that go back to the broker's default.
    pub unset: Vec<String>,
    /// How many partitions it is to have, more than it has. Producers use the new ones once
    /// their `metadata_max_age` is over; a key may then go to another partition than before.
    pub partitions: Option<u32>,
}

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSetting {
    /// Its name.
    pub key: String,
    /// The value in force.
    pub value: String,
    /// Where that comes from.
    pub source: ConfigSource,
    /// What it would be if it were unset.
    pub default_value: String,
    /// The broker's setting that is the default; `None` where that is built in.
    pub default_from: Option<String>,
}

impl From<ConfigEntry<'_>> for TopicSetting {
    fn from(entry: ConfigEntry<'_>) -> Self {
        Self {
            key: entry.key.to_owned(),
            value: entry.value.to_owned(),
            source: entry.source,
            default_value: entry.default_value.to_owned(),
            default_from: entry.default_from.map(str::to_owned),
        }
    }
}

impl NewTopic {
    /// A topic with the broker's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            level: None,
            retention_bytes: None,
            retention_ms: None,
            config: Vec::new(),
        }
    }

    /// What asks for it.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request::CreateTopic(CreateTopic {
            name: &self.name,
            partitions: self.partitions,
            level: self.level,
            retention_bytes: self.retention_bytes,
            retention_ms: self.retention_ms,
            config: borrowed(&self.config),
        })
    }
}

impl TopicChanges {
    /// What asks for these changes of the topic of that name.
    #[must_use]
    pub fn request<'a>(&'a self, name: &'a str) -> Request<'a> {
        Request::AlterTopic(AlterTopic {
            name,
            set: borrowed(&self.set),
            unset: self.unset.iter().map(String::as_str).collect(),
            partitions: self.partitions,
        })
    }
}

/// What requests for a topic need to know.
pub type TopicMetadata = MetadataOk;

/// One line of a list of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A topic in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic_id: TopicId,
    /// What its acknowledgements promise.
    pub level: Level,
    /// Bytes to keep per partition; `None` for all.
    pub retention_bytes: Option<u64>,
    /// Milliseconds to keep records; `None` for ever.
    pub retention_ms: Option<u64>,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
    /// Its settings, by name, if it was asked for by name.
    pub config: Vec<TopicSetting>,
    /// What its partitions count, if it was asked for by name: under each key that
    /// `leveret status --topics --json` has, what it is of each partition, by number.
    pub figures: Vec<(String, Vec<u64>)>,
}

/// The state of the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerStatus {
    /// Its version.
    pub version: String,
    /// Milliseconds since it was ready.
    pub uptime_ms: u64,
    /// Its data directory.
    pub data_dir: String,
    /// The strongest level that the file system of that directory can truly give.
    pub true_level: Level,
    /// How many topics there are.
    pub topics: u32,
    /// How many partitions they have together.
    pub partitions: u32,
    /// Its cores, by number.
    pub cores: Vec<CoreStatus>,
    /// Logs that stopped after a storage error, the first thousand of each core.
    pub stopped_logs: Vec<StoppedLog>,
    /// Cores that take no records for want of disk space; the others have room.
    pub short_disks: Vec<ShortDisk>,
    /// Logs of which stored bytes could not be read, the first thousand of each core.
    pub damaged_logs: Vec<DamagedLog>,
}

/// One core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreStatus {
    /// Its number.
    pub core: u16,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// What it counts, under the keys that `leveret status --json` has, in the broker's order.
    pub figures: Vec<(String, FigureValue)>,
}

/// A log that takes no more records until the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedLog {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: PartitionId,
    /// Core that owns it.
    pub core: u16,
    /// What happened.
    pub reason: String,
}

/// A log of which stored bytes could not be read, or were not those that were written. Readers are
/// refused these; the rest of it is served, and it takes more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedLog {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: PartitionId,
    /// Core that owns it.
    pub core: u16,
    /// Where the read began that met them last.
    pub offset: Offset,
    /// Reads that met such bytes since the broker started.
    pub reads: u64,
    /// The file, the place in it, and what does not fit.
    pub reason: String,
}

/// A core that takes no records for want of space on its file system. Reading and deleting go on,
/// and producing resumes by itself when there is space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortDisk {
    /// Which core.
    pub core: u16,
    /// What is short.
    pub shortage: Shortage,
    /// What was refused, or how little is free.
    pub reason: String,
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    let settings = settings.iter();
    settings
        .map(|(key, value)| (&key[..], &value[..]))
        .collect()
}

/// A topic was created.
///
/// # Errors
/// See the module.
pub fn created(frame: &Frame) -> Result<CreateTopicOk> {
    match frame.response()? {
        Response::CreateTopic(created) => Ok(created),
        other => Err(unexpected(&other)),
    }
}

/// A topic was altered.
///
/// # Errors
/// See the module.
pub fn altered(frame: &Frame) -> Result<AlterTopicOk> {
    match frame.response()? {
        Response::AlterTopic(altered) => Ok(altered),
        other => Err(unexpected(&other)),
    }
}

/// A topic was deleted.
///
/// # Errors
/// See the module.
pub fn deleted(frame: &Frame) -> Result<TopicId> {
    match frame.response()? {
        Response::DeleteTopic(topic_id) => Ok(topic_id),
        other => Err(unexpected(&other)),
    }
}

/// A topic's metadata.
///
/// # Errors
/// See the module.
pub fn metadata(frame: &Frame) -> Result<TopicMetadata> {
    match frame.response()? {
        Response::Metadata(metadata) => Ok(metadata),
        other => Err(unexpected(&other)),
    }
}

/// An offset that was looked up.
///
/// # Errors
/// See the module.
pub fn offset(frame: &Frame) -> Result<ListOffsetsOk> {
    match frame.response()? {
        Response::ListOffsets(found) => Ok(found),
        other => Err(unexpected(&other)),
    }
}

/// All topics.
///
/// # Errors
/// See the module.
pub fn listed(frame: &Frame) -> Result<Vec<TopicListing>> {
    match frame.response()? {
        Response::ListTopics(topics) => Ok(topics
            .into_iter()
            .map(|topic| TopicListing {
                name: topic.name.to_owned(),
                topic_id: topic.topic_id,
                partitions: topic.partitions,
            })
            .collect()),
        other => Err(unexpected(&other)),
    }
}

/// Topics in full.
///
/// # Errors
/// See the module.
pub fn described(frame: &Frame) -> Result<Vec<TopicDescription>> {
    match frame.response()? {
        Response::DescribeTopics(topics) => Ok(topics
            .into_iter()
            .map(|topic| TopicDescription {
                name: topic.name.to_owned(),
                topic_id: topic.topic_id,
                level: topic.level,
                retention_bytes: topic.retention_bytes,
                retention_ms: topic.retention_ms,
                partitions: topic.partitions.iter().collect(),
                config: topic.config.into_iter().map(TopicSetting::from).collect(),
                figures: topic
                    .figures
                    .into_iter()
                    .map(|figure| (figure.key.to_owned(), figure.counts.iter().collect()))
                    .collect(),
            })
            .collect()),
        other => Err(unexpected(&other)),
    }
}

/// How the broker is.
///
/// # Errors
/// See the module.
pub fn status(frame: &Frame) -> Result<BrokerStatus> {
    match frame.response()? {
        Response::Status(status) => Ok(BrokerStatus::from(status)),
        other => Err(unexpected(&other)),
    }
}

impl From<leveret_wire::native::CoreStatus<'_>> for CoreStatus {
    fn from(status: leveret_wire::native::CoreStatus<'_>) -> Self {
        let figures = status.figures.into_iter();
        Self {
            core: status.core,
            cpu: status.cpu,
            figures: figures
                .map(|figure| (figure.key.to_owned(), figure.value))
                .collect(),
        }
    }
}

impl From<StatusOk<'_>> for BrokerStatus {
    fn from(status: StatusOk<'_>) -> Self {
        let stopped = status.stopped_logs.into_iter().map(|log| StoppedLog {
            topic: log.topic.to_owned(),
            partition: log.partition,
            core: log.core,
            reason: log.reason.to_owned(),
        });
        let short = status.short_disks.into_iter().map(|disk| ShortDisk {
            core: disk.core,
            shortage: disk.shortage,
            reason: disk.reason.to_owned(),
        });
        let damaged = status.damaged_logs.into_iter().map(|log| DamagedLog {
            topic: log.topic.to_owned(),
            partition: log.partition,
            core: log.core,
            offset: log.offset,
            reads: log.reads,
            reason: log.reason.to_owned(),
        });
        Self {
            version: status.version.to_owned(),
            uptime_ms: status.uptime_ms,
            data_dir: status.data_dir.to_owned(),
            true_level: status.true_level,
            topics: status.topics,
            partitions: status.partitions,
            cores: status.cores.into_iter().map(CoreStatus::from).collect(),
            stopped_logs: stopped.collect(),
            short_disks: short.collect(),
            damaged_logs: damaged.collect(),
        }
    }
}
