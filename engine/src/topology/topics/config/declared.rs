//! The declarations: every topic setting, with its form, default and prose.
//!
//! All that Kafka knows are here, so that a tool which sets them can create its topics. Where
//! nothing comes of a setting its prose begins by saying so, and a value that promises what is
//! not built is refused (see `unkept` in [`super`]).

use super::{DefaultValue, TopicKey, TopicSetting, ValueForm};

/// The largest number of 32 bits, where Kafka counts with them.
const INT: i64 = i32::MAX as i64;

/// As Kafka has them; all but the first would have the broker compress anew.
const COMPRESSION: ValueForm =
    ValueForm::Words(&["producer", "gzip", "lz4", "snappy", "uncompressed", "zstd"]);

/// Every topic setting, by name.
pub static TOPIC_SETTINGS: &[TopicSetting] = &[
    TopicSetting {
        key: TopicKey::CleanupPolicy,
        name: "cleanup.policy",
        form: ValueForm::Words(&["delete"]),
        default: DefaultValue::Fixed("delete"),
        effect: true,
        prose: "How old records go: delete removes whole segments by age and size.",
    },
    kept(
        TopicKey::CompressionGzipLevel,
        "compression.gzip.level",
        ranged(1, 9, -1),
        "-1",
        "Without effect. How a broker that compresses does it with gzip; this one keeps batches as they come.",
    ),
    kept(
        TopicKey::CompressionLz4Level,
        "compression.lz4.level",
        number(1, 17),
        "9",
        "Without effect. How a broker that compresses does it with lz4; this one keeps batches as they come.",
    ),
    kept(
        TopicKey::CompressionType,
        "compression.type",
        COMPRESSION,
        "producer",
        "Without effect. The only value that is taken is producer: batches are kept as their producer compressed them.",
    ),
    kept(
        TopicKey::CompressionZstdLevel,
        "compression.zstd.level",
        number(-131_072, 22),
        "3",
        "Without effect. How a broker that compresses does it with zstd; this one keeps batches as they come.",
    ),
    kept(
        TopicKey::DeleteRetentionMs,
        "delete.retention.ms",
        number(0, i64::MAX),
        "86400000",
        "Without effect. How long compaction keeps the mark of a deleted key, milliseconds; nothing is compacted yet.",
    ),
    TopicSetting {
        key: TopicKey::Durability,
        name: "durability",
        form: ValueForm::Words(&["memory", "written", "synced"]),
        default: DefaultValue::Broker("topic.level"),
        effect: true,
        prose: "What an acknowledgement promises. synced: the device has it (survives a power \
                cut). written: handed to the device without a flush (survives a crash of the \
                broker or the system). memory: survives nothing. A topic stays at memory, or \
                away from it, for its life.",
    },
    kept(
        TopicKey::FileDeleteDelayMs,
        "file.delete.delay.ms",
        number(0, i64::MAX),
        "60000",
        "Without effect. How long a removed segment's file stays, milliseconds; here it goes as soon as nobody reads it.",
    ),
    kept(
        TopicKey::FlushMessages,
        "flush.messages",
        number(1, i64::MAX),
        "9223372036854775807",
        "Without effect. After how many records to flush; what an acknowledgement promises is said by durability.",
    ),
    kept(
        TopicKey::FlushMs,
        "flush.ms",
        number(0, i64::MAX),
        "9223372036854775807",
        "Without effect. After which time to flush, milliseconds; what an acknowledgement promises is said by durability.",
    ),
    kept(
        TopicKey::FollowerThrottled,
        "follower.replication.throttled.replicas",
        ValueForm::Replicas,
        "",
        "Without effect. Which replicas copy slowly; there is one of each partition, and nothing to copy.",
    ),
    kept(
        TopicKey::IndexIntervalBytes,
        "index.interval.bytes",
        number(0, INT),
        "4096",
        "Without effect. How dense a segment's index is, bytes; the broker chooses that itself.",
    ),
    kept(
        TopicKey::LeaderThrottled,
        "leader.replication.throttled.replicas",
        ValueForm::Replicas,
        "",
        "Without effect. Which replicas are copied from slowly; there is one of each partition, and nothing to copy.",
    ),
    kept(
        TopicKey::LocalRetentionBytes,
        "local.retention.bytes",
        number(-2, i64::MAX),
        "-2",
        "Without effect. Bytes to keep here of what is kept elsewhere too; nothing is.",
    ),
    kept(
        TopicKey::LocalRetentionMs,
        "local.retention.ms",
        number(-2, i64::MAX),
        "-2",
        "Without effect. How long to keep here what is kept elsewhere too, milliseconds; nothing is.",
    ),
    kept(
        TopicKey::MaxCompactionLagMs,
        "max.compaction.lag.ms",
        number(1, i64::MAX),
        "9223372036854775807",
        "Without effect. How soon a record must be compacted, milliseconds; nothing is compacted yet.",
    ),
    TopicSetting {
        key: TopicKey::MaxMessageBytes,
        name: "max.message.bytes",
        form: number(0, 128 << 20),
        default: DefaultValue::Broker("message.max.bytes"),
        effect: true,
        prose: "Longest record batch that is taken, bytes as on the wire; at most the broker's \
                topic.message.max.bytes.",
    },
    TopicSetting {
        key: TopicKey::TimestampAfterMaxMs,
        name: "message.timestamp.after.max.ms",
        form: number(0, i64::MAX),
        default: DefaultValue::Broker("topic.timestamp.after.max"),
        effect: true,
        prose: "How far a record's time may lie ahead of the broker's clock, milliseconds; a batch \
                with one further ahead is refused. Without effect with LogAppendTime.",
    },
    TopicSetting {
        key: TopicKey::TimestampBeforeMaxMs,
        name: "message.timestamp.before.max.ms",
        form: number(0, i64::MAX),
        default: DefaultValue::Broker("topic.timestamp.before.max"),
        effect: true,
        prose: "How far a record's time may lie behind the broker's clock, milliseconds; a batch \
                with one further behind is refused. Without effect with LogAppendTime.",
    },
    TopicSetting {
        key: TopicKey::TimestampType,
        name: "message.timestamp.type",
        form: ValueForm::Words(&["CreateTime", "LogAppendTime"]),
        default: DefaultValue::Fixed("CreateTime"),
        effect: true,
        prose: "Whose time records carry: CreateTime, what the producer wrote; LogAppendTime, \
                when the broker appended the batch.",
    },
    kept(
        TopicKey::MinCleanableDirtyRatio,
        "min.cleanable.dirty.ratio",
        ValueForm::Ratio,
        "0.5",
        "Without effect. Which share of a log must be new before it is compacted; nothing is compacted yet.",
    ),
    kept(
        TopicKey::MinCompactionLagMs,
        "min.compaction.lag.ms",
        number(0, i64::MAX),
        "0",
        "Without effect. How long a record stays before it may be compacted, milliseconds; nothing is compacted yet.",
    ),
    kept(
        TopicKey::MinInsyncReplicas,
        "min.insync.replicas",
        number(1, INT),
        "1",
        "Without effect. How many replicas must have a record; there is one of each partition, and more than 1 is refused.",
    ),
    kept(
        TopicKey::Preallocate,
        "preallocate",
        ValueForm::Flag,
        "false",
        "Without effect. Whether a segment's file has its length from the start; it always has.",
    ),
    kept(
        TopicKey::RemoteLogCopyDisable,
        "remote.log.copy.disable",
        ValueForm::Flag,
        "false",
        "Without effect. Whether to stop keeping segments elsewhere; none are.",
    ),
    kept(
        TopicKey::RemoteLogDeleteOnDisable,
        "remote.log.delete.on.disable",
        ValueForm::Flag,
        "false",
        "Without effect. Whether to remove what was kept elsewhere; nothing is.",
    ),
    kept(
        TopicKey::RemoteStorageEnable,
        "remote.storage.enable",
        ValueForm::Flag,
        "false",
        "Without effect. Whether to keep segments elsewhere too; that is not built, and true is refused.",
    ),
    TopicSetting {
        key: TopicKey::RetentionBytes,
        name: "retention.bytes",
        form: limit(i64::MAX),
        default: DefaultValue::Broker("topic.retention.bytes"),
        effect: true,
        prose: "Bytes that each partition keeps; the oldest segments go while the rest holds as \
                much. -1 keeps all.",
    },
    TopicSetting {
        key: TopicKey::RetentionMs,
        name: "retention.ms",
        form: limit(i64::MAX),
        default: DefaultValue::Broker("topic.retention.time"),
        effect: true,
        prose: "How long records are kept, milliseconds: a segment goes when its newest record is \
                older. -1 keeps them for ever.",
    },
    TopicSetting {
        key: TopicKey::SegmentBytes,
        name: "segment.bytes",
        form: number(1 << 20, 4 << 30),
        default: DefaultValue::Broker("segment.bytes"),
        effect: true,
        prose: "A segment is closed before it grows beyond this, bytes. Retention removes whole \
                segments.",
    },
    kept(
        TopicKey::SegmentIndexBytes,
        "segment.index.bytes",
        number(4, INT),
        "10485760",
        "Without effect. Largest index of a segment, bytes; the broker chooses that itself.",
    ),
    kept(
        TopicKey::SegmentJitterMs,
        "segment.jitter.ms",
        number(0, i64::MAX),
        "0",
        "Without effect. By how much to vary the age at which segments are closed, milliseconds; they are closed on time.",
    ),
    TopicSetting {
        key: TopicKey::SegmentMs,
        name: "segment.ms",
        form: number(1, i64::MAX),
        default: DefaultValue::Broker("segment.time"),
        effect: true,
        prose: "A segment is closed when it is this old, milliseconds, so that retention by time \
                can remove it.",
    },
    kept(
        TopicKey::UncleanLeaderElection,
        "unclean.leader.election.enable",
        ValueForm::Flag,
        "false",
        "Without effect. Whether a replica that lacks records may lead; there is one of each partition.",
    ),
];

const fn number(low: i64, high: i64) -> ValueForm {
    ValueForm::Number {
        low,
        high,
        special: None,
    }
}

/// A number within bounds, or one more that stands for itself.
const fn ranged(low: i64, high: i64, special: i64) -> ValueForm {
    ValueForm::Number {
        low,
        high,
        special: Some((special, "the codec's own")),
    }
}

/// A number of which -1 stands for "no limit".
const fn limit(high: i64) -> ValueForm {
    ValueForm::Number {
        low: 0,
        high,
        special: Some((-1, "no limit")),
    }
}

/// A setting that is stored and shown, and of which nothing else comes.
const fn kept(
    key: TopicKey,
    name: &'static str,
    form: ValueForm,
    default: &'static str,
    prose: &'static str,
) -> TopicSetting {
    TopicSetting {
        key,
        name,
        form,
        default: DefaultValue::Fixed(default),
        effect: false,
        prose,
    }
}
