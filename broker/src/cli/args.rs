//! What can be typed: commands, flags, defaults and help. Decides nothing about what they do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leveret_broker::shown::Chosen;

use super::start::StartAt;

/// One binary: the broker, and the commands that talk to it.
#[derive(Debug, Parser)]
#[command(
    name = "leveret",
    version,
    about = "A durable message broker: topics that survive crashes and power cuts",
    long_about = "A durable message broker: topics that survive crashes and power cuts.\n\n\
                  Without a command it serves, on 127.0.0.1:7654 (and Kafka clients on 127.0.0.1:9092) with its data in ./leveret-data.",
    after_help = TOP_EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

const TOP_EXAMPLES: &str = "Try it:
  leveret                                        # serves until Ctrl-C
  echo 'hello, log' | leveret produce demo --partitions 1
  leveret consume demo --until-end";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker (this is also what happens without a command)
    #[command(after_help = super::serve::short_help(), after_long_help = super::serve::long_help())]
    Serve(ServeArgs),
    /// Create, list, describe, alter and delete topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Show topics, sizes, offsets, rates and stopped logs of a running broker
    #[command(
        after_help = "Examples:\n  leveret status\n  leveret status --topics orders,pay*\n  \
                      leveret status --json | jq .topics"
    )]
    Status(StatusArgs),
    /// Append lines of standard input to a topic, one record per line
    Produce(ProduceArgs),
    /// Print the records of a topic, one per line
    Consume(ConsumeArgs),
    /// Check every checksum and invariant of a data directory while no broker uses it
    Verify(VerifyArgs),
    /// Print every setting with its value, default, bounds and meaning
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArgs),
    /// Say what this machine lacks for full speed or durability, each with the remedy
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ConfigArgs),
}

const CONFIG_EXAMPLES: &str = "The output is a configuration file: values that are not the default stand in it, the \
others as comments.\n\nExamples:\n  \
leveret config > leveret.toml                     # everything there is to set\n  \
leveret config --config /etc/leveret/leveret.toml # what a broker with this file would use\n  \
leveret config --json | jq -r '.[].key'";

const CHECK_EXAMPLES: &str = "Checks for a broker with these settings, as the user that runs this. Exits with 1 \
only if the broker could not start.\n\nExamples:\n  leveret check\n  leveret check --config /etc/leveret/leveret.toml --json";

/// Settings to look at.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Any setting, as KEY=VALUE; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// TOML file with settings; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory [default: ./leveret-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many cores to run on [default: every CPU this process may use]
    #[arg(long, value_name = "N", conflicts_with = "cpus")]
    pub(crate) cores: Option<String>,
    /// The CPUs to run on, such as 0-3,6
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<String>,
    /// Address of the native protocol; port 0 picks a free one [default: 127.0.0.1:7654]
    #[arg(long, value_name = "ADDR")]
    pub(crate) native: Option<String>,
    /// Address of the Kafka protocol, or `off` [default: 127.0.0.1:9092]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) kafka: Option<String>,
    /// Address of health, metrics and status over HTTP, or `off` [default: 127.0.0.1:7655]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) http: Option<String>,
    /// Any setting, as KEY=VALUE; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which broker to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArg {
    /// Address of the broker
    #[arg(
        long = "server",
        value_name = "ADDR",
        default_value = "127.0.0.1:7654",
        global = true
    )]
    pub(crate) address: String,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) server: ServerArg,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// Only these topics, with what came into and went out of each partition since the start; a star
    /// stands for the rest of a name
    #[arg(long, alias = "topic", value_name = "NAME,PATTERN*")]
    pub(crate) topics: Option<Chosen>,
}

const CREATE_EXAMPLES: &str = "Examples:\n  \
leveret topic create orders --partitions 8 --retention-time '30 days'\n  \
leveret topic create audit --config message.timestamp.type=LogAppendTime";

const ALTER_EXAMPLES: &str = "A key may go to another partition once there are more. Settings are those of \
`topic describe`.\n\nExamples:\n  \
leveret topic alter orders --set retention.ms=86400000 --unset segment.bytes\n  \
leveret topic alter orders --partitions 16";

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic
    #[command(
        after_help = CREATE_EXAMPLES,
        after_long_help = super::topic::long_help(CREATE_EXAMPLES)
    )]
    Create(TopicCreateArgs),
    /// Name all topics
    List(QueryArgs),
    /// Show settings, offsets and sizes of one topic
    #[command(after_help = "Example:\n  leveret topic describe orders")]
    Describe(TopicArgs),
    /// Set and unset a topic's settings, or add partitions
    #[command(
        after_help = ALTER_EXAMPLES,
        after_long_help = super::topic::long_help(ALTER_EXAMPLES)
    )]
    Alter(TopicAlterArgs),
    /// Delete a topic and all its records
    #[command(after_help = "Example:\n  leveret topic delete orders")]
    Delete(TopicArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TopicArgs {
    /// Name of the topic
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) query: QueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TopicCreateArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// How many partitions it gets; `topic alter` adds more
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) partitions: u32,
    /// What its acknowledgements promise [default: the broker's topic.level]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) level: Option<LevelArg>,
    /// Bytes that each partition keeps, such as 10GiB [default: the broker's topic.retention.bytes]
    #[arg(long, value_name = "SIZE", value_parser = super::values::byte_size)]
    pub(crate) retention_bytes: Option<u64>,
    /// How long records are kept, such as '7 days' [default: the broker's topic.retention.time]
    #[arg(long, value_name = "TIME", value_parser = super::values::period)]
    pub(crate) retention_time: Option<Duration>,
    /// Any setting of `topic describe`, as KEY=VALUE; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) config: Vec<(String, String)>,
}

/// `KEY=VALUE`, cut at the first `=`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("it is KEY=VALUE, such as retention.ms=86400000".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct TopicAlterArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// A setting and its value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// A setting that goes back to the broker's default; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) unset: Vec<String>,
    /// How many partitions it is to have, more than it has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) partitions: Option<u32>,
}

/// Durability levels as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// The device has it: survives a power cut
    Synced,
    /// Handed to the device without a flush: survives a crash of broker or system
    Written,
    /// Survives nothing
    Memory,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A line is what stands before a line feed, as bytes: a carriage return belongs to the record, an \
                        empty line is an empty record, and a last line without a line feed counts too. Records are \
                        appended exactly once, also when the broker restarts in between.\n\nExamples:\n  \
                        leveret produce demo                      # type lines, Ctrl-D ends\n  \
                        leveret produce demo --partitions 8 < lines.txt\n  \
                        printf 'user7:signed in\\n' | leveret produce events --key-separator : --json"
)]
pub(crate) struct ProduceArgs {
    /// Topic to append to
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The first occurrence of S divides a line into key and value; a line without it has no key
    #[arg(long, value_name = "S")]
    pub(crate) key_separator: Option<String>,
    /// Create the topic with N partitions if it does not exist
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) partitions: Option<u32>,
    /// How long a record may wait for its acknowledgement, over restarts of the broker
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = super::values::period_seconds)]
    pub(crate) timeout: Duration,
    /// Most bytes of records without acknowledgement; a longer record is refused
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = super::values::byte_size)]
    pub(crate) buffer: u64,
    /// Print {"partition":…,"offset":…} for each acknowledged record, in the order of the input
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Records go to standard output, everything else to standard error. Within a partition, records come \
                        in order.\n\nWhere to start (--from):\n  \
                        beginning               the first record that is still there\n  \
                        end                     only what is appended from now on\n  \
                        42                      digits are an offset (name the partition if there are several)\n  \
                        2026-11-21T09:30:00Z    an RFC 3339 time: records of that time and later\n  \
                        @1700000000000          the same, as milliseconds since 1970\n\nExamples:\n  \
                        leveret consume demo                      # everything, then what comes; Ctrl-C ends\n  \
                        leveret consume demo --until-end --json | jq -r .value\n  \
                        leveret consume demo --partition 3 --from 1200 --count 10"
)]
pub(crate) struct ConsumeArgs {
    /// Topic to read
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// beginning, end, an offset, or a time (see below)
    #[arg(long, value_name = "WHERE", default_value = "beginning", value_parser = StartAt::parse)]
    pub(crate) from: StartAt,
    /// Read only this partition
    #[arg(long, value_name = "P")]
    pub(crate) partition: Option<u32>,
    /// Stop after N records
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Stop at the end that each partition had at the start, instead of following
    #[arg(long)]
    pub(crate) until_end: bool,
    /// Print each record as {"partition","offset","timestamp","key","value"}; bytes that are not
    /// UTF-8 come as key_base64 and value_base64
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArg,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exits with 0 if everything is sound and with 1 otherwise, naming file and position of each error.\n\n\
                        Example:\n  leveret verify ./leveret-data --json"
)]
pub(crate) struct VerifyArgs {
    /// Data directory
    #[arg(value_name = "DIR", default_value = "./leveret-data")]
    pub(crate) dir: PathBuf,
    /// Print counts and errors as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ServerArg {
    /// The address, with the default port where none was typed and names resolved later.
    pub(crate) fn with_port(&self) -> String {
        if self.address.parse::<SocketAddr>().is_ok() || self.address.contains(':') {
            self.address.clone()
        } else {
            format!("{}:7654", self.address)
        }
    }
}
