//! The declarations. A new setting is one entry here and its use somewhere else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use leveret_storage::types::Level;

use leveret_wire::kafka::ConfigType::{Boolean, Int, Long, String as Text};

use super::kafka::KafkaName;
use super::value::{
    Advertise, AutoSize, ByteSize, CpuList, Listen, LogFilter, LogFormat, SettingValue, checked,
};

/// One setting, as it was declared.
#[derive(Debug)]
pub struct Setting {
    /// Its dotted name in the file and with `--set`.
    pub key: &'static str,
    /// The field of [`Settings`] that holds it.
    pub field: &'static str,
    /// What values look like.
    pub form: &'static str,
    /// Its default, as it would be written.
    pub default: &'static str,
    /// Smallest and largest value, as they would be written.
    pub bounds: Option<(&'static str, &'static str)>,
    /// What Kafka's tools call it, if they know such a thing.
    pub(super) kafka: Option<KafkaName>,
    /// What it does and what to weigh.
    pub prose: &'static str,
    /// Parses, checks the bounds and stores; the error says what would be right.
    pub(super) assign: fn(&mut Settings, &str) -> Result<(), String>,
    /// Its value among these, as it would be written.
    pub shown: fn(&Settings) -> String,
    /// Its value as a plain number, if it is one: see [`SettingValue::magnitude`].
    pub(super) magnitude: fn(&Settings) -> Option<u128>,
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! settings {
    ($(
        $key:literal: $field:ident: $type:ty = $default:literal $(in $low:literal to $high:literal)?,
        $(kafka $kafka:expr,)?
        $prose:literal;
    )*) => {
        /// The value of every setting.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $(
                #[doc = $prose]
                #[doc = concat!("\n\n`", $key, "`, default `", $default, "`.")]
                pub $field: $type,
            )*
            /// The names of those that somebody has set, to whatever value.
            pub configured: BTreeSet<&'static str>,
        }

        /// Every setting, in the order of the documentation.
        pub static SETTINGS: &[Setting] = &[$(
            Setting {
                key: $key,
                field: stringify!($field),
                form: <$type as SettingValue>::FORM,
                default: $default,
                bounds: optional!($(($low, $high))?),
                kafka: optional!($($kafka)?),
                prose: $prose,
                assign: |settings, text| {
                    settings.$field = checked::<$type>(text, optional!($(($low, $high))?))?;
                    Ok(())
                },
                shown: |settings| settings.$field.written(),
                magnitude: |settings| settings.$field.magnitude(),
            },
        )*];

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($field: checked::<$type>($default, optional!($(($low, $high))?))
                        .expect("the declared default is a valid value"),)*
                    configured: BTreeSet::new(),
                }
            }
        }
    };
}

settings! {
    "data": data: PathBuf = "./leveret-data",
    kafka KafkaName::new("log.dirs", Text),
    "Directory of everything that the broker keeps; created if missing. One broker at a time. \
     The same as --data.";

    "node.id": node_id: u32 = "1" in "1" to "2000000",
    "The number of this broker among others. Kafka clients know the broker by it. With `kafka.advertise = \
     \"core\"` they know each core as a broker of its own, by `node.id` times 1000 plus the core's number.";

    "cores": cores: Option<NonZeroU16> = "none" in "1" to "64",
    "How many cores to run on; none means every CPU that the process may use. May change between \
     starts. The same as --cores.";

    "cpus": cpus: Option<CpuList> = "none",
    "The CPUs to pin the cores to, one core each, instead of `cores`. The same as --cpus.";

    "native.listen": native_listen: SocketAddr = "127.0.0.1:7654",
    "Where the native protocol listens; port 0 picks a free one. There is no authentication yet: \
     open it beyond this machine only where everybody may read and write. The same as --native.";

    "kafka.listen": kafka_listen: Listen = "127.0.0.1:9092",
    "Where Kafka clients are served; port 0 picks a free one, off serves none. There is no \
     authentication yet, as with `native.listen`. The same as --kafka.";

    "kafka.advertise": kafka_advertise: Advertise = "listen",
    "What Kafka clients are told to connect to, which has to be reachable from where they are. \
     listen: the address of `kafka.listen`. core: each core is a broker of its own, on the port of \
     `kafka.listen` and those after it, so that every client goes straight to the core that owns a \
     partition.";

    "kafka.auto_create": kafka_auto_create: bool = "true",
    kafka KafkaName::new("auto.create.topics.enable", Boolean),
    "Whether a topic that does not exist is made when a Kafka client asks for it, if the client allows \
     that.";

    "kafka.auto_create_limit": kafka_auto_create_limit: u32 = "1000" in "1" to "100000",
    "When there are this many topics, `kafka.auto_create` makes no more, so that misspelt names cannot \
     fill the broker.";

    "kafka.partitions": kafka_partitions: u32 = "1" in "1" to "10000",
    kafka KafkaName::new("num.partitions", Int),
    "Partitions of a topic that a Kafka client creates without saying how many.";

    "kafka.request.bytes": kafka_request_bytes: ByteSize = "32 MiB" in "64 KiB" to "256 MiB",
    kafka KafkaName::new("socket.request.max.bytes", Int),
    "Longest Produce request of a Kafka client. It may hold batches for many partitions, and names 16,384 \
     topics and partitions at most. Other requests may have 1 MiB. A connection on which a longer request \
     is announced is closed.";

    "http.listen": http_listen: Listen = "127.0.0.1:7655",
    "Where health, metrics and status are served over HTTP, read-only; port 0 picks a free one, off \
     serves none. Whoever reaches it sees topic names and figures. The same as --http.";

    "connections.max": connections_max: u32 = "10000" in "1" to "1000000",
    kafka KafkaName::new("max.connections", Int),
    "Most connections at a time, of all cores together; any more are closed as they come. The limit on \
     open files may allow fewer: the log's own files count against it, too.";

    "connections.hello.max": connections_hello_max: u32 = "2500" in "1" to "1000000",
    "Most connections at a time, of all cores together, that have not completed their first request (the \
     native Hello, or any of Kafka's). When there are more, the one that has been silent longest is \
     closed, so that silent ones keep nobody out.";

    "connections.hello.timeout": connections_hello_timeout: Duration = "10 s" in "100 ms" to "5 min",
    "How long a new connection may take to complete its first request before it is closed.";

    "connections.idle.timeout": connections_idle_timeout: Duration = "10 min" in "1 s" to "1 day",
    kafka KafkaName::new("connections.max.idle.ms", Long),
    "How long a connection may be idle before it is closed. It is idle while nothing comes from it, it \
     takes nothing, and it waits for nothing; also when it is silent in the middle of a request. A \
     connection that waits for records or for an acknowledgement, or that has a subscription, is not \
     idle. Clients connect again when they have something to ask.";

    "message.max.bytes": message_max_bytes: ByteSize = "1048588 B" in "1 KiB" to "128 MiB",
    kafka KafkaName::new("message.max.bytes", Int),
    "Longest record batch that a producer may send, header included, as it is on the wire \
     (compressed, if it is), in every topic that does not say otherwise as `max.message.bytes`.";

    "topic.message.max.bytes": topic_message_max_bytes: ByteSize = "16 MiB" in "1 KiB" to "128 MiB",
    "The most that a topic may choose as its `max.message.bytes`; `message.max.bytes`, where that \
     is more.";

    "memory.requests.bytes": memory_requests_bytes: ByteSize = "64 MiB" in "1 MiB" to "64 GiB",
    "Memory, per core, for requests that have arrived and are not answered yet. When it is taken, the \
     core reads no more from sockets until some is free, so that producers wait. While they wait, \
     connections whose requests stand still or come slowly are closed; their clients send them again. \"Memory\" in \
     docs/operations.md has the rules.";

    "memory.cache.bytes": memory_cache_bytes: AutoSize = "auto" in "1 MiB" to "1 TiB",
    "Memory, per core, for the newest records of its partitions, which are read from there and not from \
     the disk. auto: a quarter of the memory that the process may use (the machine's, or less where a \
     control group or a limit says so), over its cores.";

    "memory.response.bytes": memory_response_bytes: ByteSize = "8 MiB" in "64 KiB" to "1 GiB",
    "Most bytes of answers that one connection may have waiting to be sent. Its further requests wait.";

    "memory.responses.bytes": memory_responses_bytes: ByteSize = "256 MiB" in "1 MiB" to "64 GiB",
    "Most bytes of answers, per core, that all connections together may have waiting to be sent. Records \
     are read only as far as it goes: fetches and subscriptions beyond it wait in line. While they wait, \
     connections that take less than 32 KiB/s of their answers are closed, as many as have to be. \
     \"Memory\" in docs/operations.md has the rules.";

    "journal.bytes": journal_bytes: ByteSize = "1 GiB" in "16 MiB" to "64 GiB",
    "Size of one core's journal. With a larger one, records of slow partitions stay in the journal longer \
     before they are moved to segments, and recovery after a crash reads more.";

    "segment.bytes": segment_bytes: ByteSize = "256 MiB" in "1 MiB" to "4 GiB",
    kafka KafkaName::new("log.segment.bytes", Int),
    "A segment of a partition is closed at this size, unless its topic says otherwise. Retention \
     removes whole segments.";

    "segment.time": segment_time: Duration = "7 days" in "1 s" to "3650 days",
    kafka KafkaName::new("log.roll.ms", Long),
    "A segment is closed when it is this old, unless its topic says otherwise, so that retention \
     by time can remove it.";

    "topic.level": topic_level: Level = "synced",
    "What acknowledgements promise in every topic that does not say so itself. synced: the device \
     has it (survives a power cut). written: handed to the device without a flush (survives a \
     crash of the broker or the system). memory: survives nothing.";

    "topic.retention.bytes": topic_retention_bytes: Option<ByteSize> = "none" in "1 MiB" to "1024 TiB",
    kafka KafkaName::new("log.retention.bytes", Long).none("-1"),
    "Bytes that each partition keeps, in every topic that does not say so itself; none keeps all.";

    "topic.retention.time": topic_retention_time: Option<Duration> = "7 days" in "1 s" to "36500 days",
    kafka KafkaName::new("log.retention.ms", Long).none("-1"),
    "How long records are kept, in every topic that does not say so itself; none keeps them for \
     ever.";

    "topic.timestamp.before.max": topic_timestamp_before_max: Option<Duration> = "none" in "0 ms" to "36500 days",
    kafka KafkaName::new("log.message.timestamp.before.max.ms", Long).none("9223372036854775807"),
    "How far a record's time may lie behind the broker's clock, in every topic that does not say so \
     itself as `message.timestamp.before.max.ms`; none takes any time. A batch with a record further \
     behind is refused.";

    "topic.timestamp.after.max": topic_timestamp_after_max: Option<Duration> = "1 h" in "0 ms" to "36500 days",
    kafka KafkaName::new("log.message.timestamp.after.max.ms", Long).none("9223372036854775807"),
    "How far a record's time may lie ahead of the broker's clock, in every topic that does not say so \
     itself as `message.timestamp.after.max.ms`; none takes any time. A batch with a record further ahead \
     is refused: retention by time would never let it go.";

    "producer.expiry": producer_expiry: Duration = "24 h" in "1 min" to "3650 days",
    "An idempotent producer that has sent nothing to a partition for this long is forgotten there: \
     repetitions of its batches are not recognised any more. A partition remembers at most 4096 \
     producers, those that sent last.";

    "disk.floor.bytes": disk_floor_bytes: ByteSize = "1 GiB" in "0 B" to "1024 TiB",
    "When the file system has less than this free, producing stops with an error that can be retried; \
     consuming and deleting go on. However small the floor is, what the next start needs is kept free, \
     too: once more what the journals hold, and the blocks that the journals have not got yet (when there \
     are more cores or larger journals than before). 0 keeps nothing free.";

    "disk.require_direct": disk_require_direct: bool = "false",
    "Refuse to start where acknowledgements cannot be seen to be durable (tmpfs, an overlay on it, \
     FUSE or NFS), instead of warning that they promise less than their level says.";

    "log.filter": log_filter: LogFilter = "info",
    "What is logged to stderr: error, warn, info, debug or trace, or per module, such as \
     `info,leveret_storage=debug`. After a change in the file, SIGHUP makes a running broker read \
     it again.";

    "log.format": log_format: LogFormat = "text",
    "How log lines look: text for people, json for programs (an object a line).";
}
