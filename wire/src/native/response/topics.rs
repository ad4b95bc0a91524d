//! Lists and descriptions of topics.

use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::super::Kind;
use super::super::generated::leveret::native as fb;
use super::super::items::{Items, WireItem};
use super::super::table::{DecodeError, level, offset, raw_level, root};
use super::super::types::{Level, Offset, PartitionId, TopicId};

/// One line of a list of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// One partition of a [`TopicDescription`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Which partition.
    pub partition: PartitionId,
    /// Core that owns it.
    pub core: u16,
    /// First offset that is still there.
    pub start_offset: Offset,
    /// The offset after the last record that is visible.
    pub high_watermark: Offset,
    /// Bytes of record batches that are kept.
    pub size_bytes: u64,
    /// Its log stopped after a storage error and takes nothing until the next start.
    pub stopped: bool,
    /// Stored bytes of it could not be read, or were not those that were written; what else it has
    /// is served.
    pub damaged: bool,
}

/// Where a topic's setting has its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// It was set for the topic.
    Topic,
    /// It is the broker's setting.
    Broker,
    /// It is built in.
    BuiltIn,
}

/// One setting of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigEntry<'a> {
    /// Its name.
    pub key: &'a str,
    /// The value in force.
    pub value: &'a str,
    /// Where that comes from.
    pub source: ConfigSource,
    /// What it would be if it were unset.
    pub default_value: &'a str,
    /// The broker's setting that is the default; `None` where that is built in.
    pub default_from: Option<&'a str>,
}

/// A figure of every partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionFigure<'a> {
    /// The key that it has in the broker's JSON.
    pub key: &'a str,
    /// What it is of each, in their order: a total since the broker started, or how much there is now.
    pub counts: Items<'a, u64>,
}

/// A topic in full.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicDescription<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub topic_id: TopicId,
    /// What its acknowledgements promise.
    pub level: Level,
    /// Bytes to keep per partition; `None` for all.
    pub retention_bytes: Option<u64>,
    /// Milliseconds to keep records; `None` for ever.
    pub retention_ms: Option<u64>,
    /// Its partitions, by number.
    pub partitions: Items<'a, PartitionDescription>,
    /// Its settings, by name, if it was asked for by name.
    pub config: Vec<ConfigEntry<'a>>,
    /// What its partitions count, each figure once, in the broker's order, if it was asked for by name.
    pub figures: Vec<PartitionFigure<'a>>,
}

impl WireItem for u64 {
    const LEN: usize = size_of::<Self>();

    fn read(bytes: &[u8]) -> Self {
        Self::from_le_bytes(bytes.try_into().expect("one entry"))
    }
}

impl WireItem for PartitionDescription {
    const LEN: usize = size_of::<fb::PartitionDescription>();

    fn read(bytes: &[u8]) -> Self {
        let raw = fb::PartitionDescription(bytes.try_into().expect("one entry"));
        Self {
            partition: PartitionId(raw.partition()),
            core: raw.core(),
            start_offset: Offset(raw.start_offset()),
            high_watermark: Offset(raw.high_watermark()),
            size_bytes: raw.size_bytes(),
            stopped: raw.stopped() != 0,
            damaged: raw.damaged() != 0,
        }
    }
}

pub(super) fn decode_list(header: &[u8]) -> Result<Vec<TopicSummary<'_>>, DecodeError> {
    let table = root::<fb::ListTopicsOk<'_>>(Kind::ListTopicsOk, header)?;
    Ok(table
        .topics()
        .iter()
        .map(|topic| TopicSummary {
            name: topic.name(),
            topic_id: TopicId(topic.topic_id()),
            partitions: topic.partitions(),
        })
        .collect())
}

pub(super) fn build_summary<'f>(
    summary: &TopicSummary<'_>,
    fbb: &mut FlatBufferBuilder<'f>,
) -> WIPOffset<fb::TopicSummary<'f>> {
    let args = fb::TopicSummaryArgs {
        name: Some(fbb.create_string(summary.name)),
        topic_id: summary.topic_id.0,
        partitions: summary.partitions,
    };
    fb::TopicSummary::create(fbb, &args)
}

pub(super) fn build_list(summaries: &[TopicSummary<'_>], fbb: &mut FlatBufferBuilder<'_>) {
    let topics: Vec<_> = summaries
        .iter()
        .map(|summary| build_summary(summary, fbb))
        .collect();
    let topics = Some(fbb.create_vector(&topics));
    let root = fb::ListTopicsOk::create(fbb, &fb::ListTopicsOkArgs { topics });
    fbb.finish_minimal(root);
}

pub(super) fn decode_descriptions(header: &[u8]) -> Result<Vec<TopicDescription<'_>>, DecodeError> {
    let kind = Kind::DescribeTopicsOk;
    let table = root::<fb::DescribeTopicsOk<'_>>(kind, header)?;
    table
        .topics()
        .iter()
        .map(|topic| {
            let partitions: Items<'_, PartitionDescription> =
                Items::from_wire(topic.partitions().bytes());
            for partition in partitions.iter() {
                offset(kind, "start_offset", partition.start_offset.0)?;
                offset(kind, "high_watermark", partition.high_watermark.0)?;
            }
            let figures = topic.figures().into_iter().flatten();
            let figures = figures.map(|figure| decode_figure(figure, partitions.len()));
            Ok(TopicDescription {
                name: topic.name(),
                topic_id: TopicId(topic.topic_id()),
                level: level(kind, topic.level())?,
                retention_bytes: topic.retention_bytes(),
                retention_ms: topic.retention_ms(),
                partitions,
                config: topic
                    .config()
                    .into_iter()
                    .flat_map(|entries| entries.iter())
                    .map(decode_entry)
                    .collect::<Result<_, _>>()?,
                figures: figures.collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

fn decode_figure<'a>(
    figure: fb::PartitionFigure<'a>,
    partitions: usize,
) -> Result<PartitionFigure<'a>, DecodeError> {
    let counts: Items<'_, u64> = Items::from_wire(figure.counts().bytes());
    if counts.len() != partitions {
        return Err(DecodeError::Field {
            kind: Kind::DescribeTopicsOk,
            field: "counts",
        });
    }
    Ok(PartitionFigure {
        key: figure.key(),
        counts,
    })
}

fn build_figure<'f>(
    figure: &PartitionFigure<'_>,
    fbb: &mut FlatBufferBuilder<'f>,
) -> WIPOffset<fb::PartitionFigure<'f>> {
    let args = fb::PartitionFigureArgs {
        key: Some(fbb.create_string(figure.key)),
        counts: Some(fbb.create_vector_from_iter(figure.counts.iter())),
    };
    fb::PartitionFigure::create(fbb, &args)
}

fn decode_entry<'a>(entry: fb::ConfigEntry<'a>) -> Result<ConfigEntry<'a>, DecodeError> {
    Ok(ConfigEntry {
        key: entry.key(),
        value: entry.value(),
        source: match entry.source() {
            fb::ConfigSource::Topic => ConfigSource::Topic,
            fb::ConfigSource::Broker => ConfigSource::Broker,
            fb::ConfigSource::BuiltIn => ConfigSource::BuiltIn,
            _ => {
                return Err(DecodeError::Field {
                    kind: Kind::DescribeTopicsOk,
                    field: "source",
                });
            }
        },
        default_value: entry.default_value(),
        default_from: entry.default_from(),
    })
}

fn build_entry<'f>(
    entry: &ConfigEntry<'_>,
    fbb: &mut FlatBufferBuilder<'f>,
) -> WIPOffset<fb::ConfigEntry<'f>> {
    let args = fb::ConfigEntryArgs {
        key: Some(fbb.create_string(entry.key)),
        value: Some(fbb.create_string(entry.value)),
        source: match entry.source {
            ConfigSource::Topic => fb::ConfigSource::Topic,
            ConfigSource::Broker => fb::ConfigSource::Broker,
            ConfigSource::BuiltIn => fb::ConfigSource::BuiltIn,
        },
        default_value: Some(fbb.create_string(entry.default_value)),
        default_from: entry.default_from.map(|from| fbb.create_string(from)),
    };
    fb::ConfigEntry::create(fbb, &args)
}

pub(super) fn build_description<'f>(
    topic: &TopicDescription<'_>,
    fbb: &mut FlatBufferBuilder<'f>,
) -> WIPOffset<fb::TopicDescription<'f>> {
    let partitions = fbb.create_vector_from_iter(topic.partitions.iter().map(|partition| {
        fb::PartitionDescription::new(
            partition.start_offset.0,
            partition.high_watermark.0,
            partition.size_bytes,
            partition.partition.0,
            partition.core,
            u8::from(partition.stopped),
            u8::from(partition.damaged),
        )
    }));
    let config: Vec<_> = topic
        .config
        .iter()
        .map(|entry| build_entry(entry, fbb))
        .collect();
    let config = (!config.is_empty()).then(|| fbb.create_vector(&config));
    let figures: Vec<_> = topic
        .figures
        .iter()
        .map(|figure| build_figure(figure, fbb))
        .collect();
    let figures = (!figures.is_empty()).then(|| fbb.create_vector(&figures));
    let args = fb::TopicDescriptionArgs {
        name: Some(fbb.create_string(topic.name)),
        topic_id: topic.topic_id.0,
        level: raw_level(Some(topic.level)),
        retention_bytes: topic.retention_bytes,
        retention_ms: topic.retention_ms,
        partitions: Some(partitions),
        config,
        figures,
    };
    fb::TopicDescription::create(fbb, &args)
}

pub(super) fn build_descriptions(
    descriptions: &[TopicDescription<'_>],
    fbb: &mut FlatBufferBuilder<'_>,
) {
    let topics: Vec<_> = descriptions
        .iter()
        .map(|topic| build_description(topic, fbb))
        .collect();
    let topics = Some(fbb.create_vector(&topics));
    let root = fb::DescribeTopicsOk::create(fbb, &fb::DescribeTopicsOkArgs { topics });
    fbb.finish_minimal(root);
}
