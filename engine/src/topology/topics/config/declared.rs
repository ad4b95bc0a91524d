//! The declarations: every topic setting, with its form, default and prose.
//!
//! All that Kafka knows are here, so that a tool which sets them can create its topics; those that
//! are only ours say so. The prose of a setting without effect begins by saying so. A value that
//! promises what is not built is refused, never stored for show.

use leveret_storage::types::Level;

use super::TimestampType;
use crate::settings::{Declaration, DefaultValue, ValueForm, ValueType, declare};

/// The largest number of 32 bits, where Kafka counts with them.
const INT: i64 = i32::MAX as i64;

/// As Kafka has them; all but the first would have the broker compress anew.
const COMPRESSION: ValueForm =
    ValueForm::Words(&["producer", "gzip", "lz4", "snappy", "uncompressed", "zstd"]);

const GZIP_LEVEL: ValueForm = ValueForm::Number {
    low: 1,
    high: 9,
    special: Some((-1, "the codec's own")),
};

/// Replicas of partitions: none, all, or some.
const REPLICAS: ValueForm = ValueForm::Text {
    looks: "*, or PARTITION:BROKER,PARTITION:BROKER",
    fits: are_replicas,
};

declare! {
    /// Names a setting in a topic's entry; a number is never given to another setting.
    keys TopicKey;

    /// How a topic's records are kept: its own choices over the defaults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    values TopicSettings {
        /// The most that any topic may choose as the largest batch, bytes: connections take no longer
        /// frame. The broker's own, the same for all topics.
        max_message_limit: u32 = 16 << 20;
    }

    /// Every topic setting, by name.
    list TOPIC_SETTINGS;

    CleanupPolicy = 8 "cleanup.policy", => Declaration::new(
        ValueForm::Words(&["delete"]),
        DefaultValue::Fixed("delete"),
        "How old records go: delete removes whole segments by age and size.",
    )
    .typed(ValueType::List)
    .refusing(compacted)
    .fixed();

    CompressionGzipLevel = 9 "compression.gzip.level", => Declaration::new(
        GZIP_LEVEL,
        DefaultValue::Fixed("-1"),
        "Without effect. How a broker that compresses does it with gzip; this one keeps batches as they come.",
    )
    .typed(ValueType::Int);

    CompressionLz4Level = 10 "compression.lz4.level", => Declaration::new(
        ValueForm::number(1, 17),
        DefaultValue::Fixed("9"),
        "Without effect. How a broker that compresses does it with lz4; this one keeps batches as they come.",
    )
    .typed(ValueType::Int);

    CompressionType = 11 "compression.type", => Declaration::new(
        COMPRESSION,
        DefaultValue::Fixed("producer"),
        "Without effect. The only value that is taken is producer: batches are kept as their producer compressed them.",
    )
    .refusing(compressed_anew);

    CompressionZstdLevel = 12 "compression.zstd.level", => Declaration::new(
        ValueForm::number(-131_072, 22),
        DefaultValue::Fixed("3"),
        "Without effect. How a broker that compresses does it with zstd; this one keeps batches as they come.",
    )
    .typed(ValueType::Int);

    DeleteRetentionMs = 13 "delete.retention.ms", => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Fixed("86400000"),
        "Without effect. How long compaction keeps the mark of a deleted key, milliseconds; nothing is compacted yet.",
    );

    Durability = 7 "durability",
    /// The strongest promise that an acknowledgement can make; a request may ask for less.
    level: Level = Level::Synced => Declaration::new(
        ValueForm::Words(&["memory", "written", "synced"]),
        DefaultValue::Broker("topic.level"),
        "What an acknowledgement promises. synced: the device has it (survives a power cut). written: handed to the device without a flush (survives a crash of the broker or the system). memory: survives nothing. A topic stays at memory, or away from it, for its life.",
    )
    .ours();

    FileDeleteDelayMs = 14 "file.delete.delay.ms", => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Fixed("60000"),
        "Without effect. How long a removed segment's file stays, milliseconds; here it goes as soon as nobody reads it.",
    );

    FlushMessages = 15 "flush.messages", => Declaration::new(
        ValueForm::number(1, i64::MAX),
        DefaultValue::Fixed("9223372036854775807"),
        "Without effect. After how many records to flush; what an acknowledgement promises is said by durability.",
    );

    FlushMs = 16 "flush.ms", => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Fixed("9223372036854775807"),
        "Without effect. After which time to flush, milliseconds; what an acknowledgement promises is said by durability.",
    );

    FollowerThrottled = 17 "follower.replication.throttled.replicas", => Declaration::new(
        REPLICAS,
        DefaultValue::Fixed(""),
        "Without effect. Which replicas copy slowly; there is one of each partition, and nothing to copy.",
    )
    .typed(ValueType::List);

    IndexIntervalBytes = 18 "index.interval.bytes", => Declaration::new(
        ValueForm::number(0, INT),
        DefaultValue::Fixed("4096"),
        "Without effect. How dense a segment's index is, bytes; the broker chooses that itself.",
    )
    .typed(ValueType::Int);

    LeaderThrottled = 19 "leader.replication.throttled.replicas", => Declaration::new(
        REPLICAS,
        DefaultValue::Fixed(""),
        "Without effect. Which replicas are copied from slowly; there is one of each partition, and nothing to copy.",
    )
    .typed(ValueType::List);

    LocalRetentionBytes = 20 "local.retention.bytes", => Declaration::new(
        ValueForm::number(-2, i64::MAX),
        DefaultValue::Fixed("-2"),
        "Without effect. Bytes to keep here of what is kept elsewhere too; nothing is.",
    );

    LocalRetentionMs = 21 "local.retention.ms", => Declaration::new(
        ValueForm::number(-2, i64::MAX),
        DefaultValue::Fixed("-2"),
        "Without effect. How long to keep here what is kept elsewhere too, milliseconds; nothing is.",
    );

    MaxCompactionLagMs = 22 "max.compaction.lag.ms", => Declaration::new(
        ValueForm::number(1, i64::MAX),
        DefaultValue::Fixed("9223372036854775807"),
        "Without effect. How soon a record must be compacted, milliseconds; nothing is compacted yet.",
    );

    MaxMessageBytes = 5 "max.message.bytes",
    /// Largest batch that is taken, bytes.
    max_message_bytes: u32 = 1 << 20 => Declaration::new(
        ValueForm::number(0, 128 << 20),
        DefaultValue::Broker("message.max.bytes"),
        "Longest record batch that is taken, bytes as on the wire; at most the broker's topic.message.max.bytes.",
    )
    .typed(ValueType::Int)
    .refusing(beyond_the_brokers);

    TimestampAfterMaxMs = 23 "message.timestamp.after.max.ms",
    /// How far a record's own time may lie ahead of the broker's, milliseconds.
    timestamp_after_max_ms: u64 = 3_600_000 => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Broker("topic.timestamp.after.max"),
        "How far a record's time may lie ahead of the broker's clock, milliseconds; a batch with one further ahead is refused. Without effect with LogAppendTime.",
    );

    TimestampBeforeMaxMs = 24 "message.timestamp.before.max.ms",
    /// How far a record's own time may lie behind the broker's, milliseconds.
    timestamp_before_max_ms: u64 = i64::MAX as u64 => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Broker("topic.timestamp.before.max"),
        "How far a record's time may lie behind the broker's clock, milliseconds; a batch with one further behind is refused. Without effect with LogAppendTime.",
    );

    TimestampType = 6 "message.timestamp.type",
    /// Whose time records carry.
    timestamps: TimestampType = TimestampType::Create => Declaration::new(
        ValueForm::Words(&["CreateTime", "LogAppendTime"]),
        DefaultValue::Fixed("CreateTime"),
        "Whose time records carry: CreateTime, what the producer wrote; LogAppendTime, when the broker appended the batch.",
    );

    MinCleanableDirtyRatio = 25 "min.cleanable.dirty.ratio", => Declaration::new(
        ValueForm::Ratio,
        DefaultValue::Fixed("0.5"),
        "Without effect. Which share of a log must be new before it is compacted; nothing is compacted yet.",
    );

    MinCompactionLagMs = 26 "min.compaction.lag.ms", => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Fixed("0"),
        "Without effect. How long a record stays before it may be compacted, milliseconds; nothing is compacted yet.",
    );

    MinInsyncReplicas = 27 "min.insync.replicas", => Declaration::new(
        ValueForm::number(1, INT),
        DefaultValue::Fixed("1"),
        "Without effect. How many replicas must have a record; there is one of each partition, and more than 1 is refused.",
    )
    .typed(ValueType::Int)
    .refusing(more_replicas);

    Preallocate = 28 "preallocate", => Declaration::new(
        ValueForm::Flag,
        DefaultValue::Fixed("false"),
        "Without effect. Whether a segment's file has its length from the start; it always has.",
    );

    RemoteLogCopyDisable = 29 "remote.log.copy.disable", => Declaration::new(
        ValueForm::Flag,
        DefaultValue::Fixed("false"),
        "Without effect. Whether to stop keeping segments elsewhere; none are.",
    );

    RemoteLogDeleteOnDisable = 30 "remote.log.delete.on.disable", => Declaration::new(
        ValueForm::Flag,
        DefaultValue::Fixed("false"),
        "Without effect. Whether to remove what was kept elsewhere; nothing is.",
    );

    RemoteStorageEnable = 31 "remote.storage.enable", => Declaration::new(
        ValueForm::Flag,
        DefaultValue::Fixed("false"),
        "Without effect. Whether to keep segments elsewhere too; that is not built, and true is refused.",
    )
    .refusing(kept_elsewhere);

    RetentionBytes = 2 "retention.bytes",
    /// Bytes per partition above which the oldest segments go; `None` keeps all.
    retention_bytes: Option<u64> = None => Declaration::new(
        ValueForm::limit(i64::MAX),
        DefaultValue::Broker("topic.retention.bytes"),
        "Bytes that each partition keeps; the oldest segments go while the rest holds as much. -1 keeps all.",
    );

    RetentionMs = 1 "retention.ms",
    /// Milliseconds after which records may go; `None` keeps all.
    retention_ms: Option<u64> = None => Declaration::new(
        ValueForm::limit(i64::MAX),
        DefaultValue::Broker("topic.retention.time"),
        "How long records are kept, milliseconds: a segment goes when its newest record is older. -1 keeps them for ever.",
    );

    SegmentBytes = 4 "segment.bytes",
    /// A segment is closed before it grows beyond this, bytes.
    segment_bytes: u64 = 1 << 30 => Declaration::new(
        ValueForm::number(1 << 20, 4 << 30),
        DefaultValue::Broker("segment.bytes"),
        "A segment is closed before it grows beyond this, bytes. Retention removes whole segments.",
    )
    .typed(ValueType::Int);

    SegmentIndexBytes = 32 "segment.index.bytes", => Declaration::new(
        ValueForm::number(4, INT),
        DefaultValue::Fixed("10485760"),
        "Without effect. Largest index of a segment, bytes; the broker chooses that itself.",
    )
    .typed(ValueType::Int);

    SegmentJitterMs = 33 "segment.jitter.ms", => Declaration::new(
        ValueForm::number(0, i64::MAX),
        DefaultValue::Fixed("0"),
        "Without effect. By how much to vary the age at which segments are closed, milliseconds; they are closed on time.",
    );

    SegmentMs = 3 "segment.ms",
    /// A segment is closed at this age, milliseconds.
    segment_ms: u64 = 7 * 24 * 3600 * 1000 => Declaration::new(
        ValueForm::number(1, i64::MAX),
        DefaultValue::Broker("segment.time"),
        "A segment is closed when it is this old, milliseconds, so that retention by time can remove it.",
    );

    UncleanLeaderElection = 34 "unclean.leader.election.enable", => Declaration::new(
        ValueForm::Flag,
        DefaultValue::Fixed("false"),
        "Without effect. Whether a replica that lacks records may lead; there is one of each partition.",
    );
}

fn are_replicas(text: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u32>().is_ok();
    let pair = |pair: &str| {
        let parts = pair.split_once(':');
        parts.is_some_and(|(partition, broker)| number(partition) && number(broker))
    };
    matches!(text, "" | "*") || text.split(',').all(pair)
}

fn compacted(text: &str, _: &TopicSettings) -> Option<String> {
    let reason = "compaction is not built yet; the only policy is delete";
    text.contains("compact").then(|| reason.to_owned())
}

fn compressed_anew(text: &str, _: &TopicSettings) -> Option<String> {
    let reason = "batches are kept as their producer compressed them; use producer";
    let kept = text == "producer" || COMPRESSION.parse(text).is_none();
    (!kept).then(|| reason.to_owned())
}

fn more_replicas(text: &str, _: &TopicSettings) -> Option<String> {
    let reason = "there is one replica of each record, and replication is not built yet";
    let number: Option<i64> = text.parse().ok();
    number.filter(|number| (2..=INT).contains(number))?;
    Some(reason.to_owned())
}

fn kept_elsewhere(text: &str, _: &TopicSettings) -> Option<String> {
    let reason = "records are kept on this machine only; tiered storage is not built yet";
    text.eq_ignore_ascii_case("true").then(|| reason.to_owned())
}

fn beyond_the_brokers(text: &str, defaults: &TopicSettings) -> Option<String> {
    let most = i64::from(defaults.max_message_limit);
    let number: Option<i64> = text.parse().ok();
    number.filter(|number| *number > most)?;
    Some(format!(
        "the broker's topic.message.max.bytes is {most}, and no topic can go above it"
    ))
}
