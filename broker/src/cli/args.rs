//! What can be typed: commands, flags, defaults and help. Decides nothing about what they do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leveret_broker::shown::Chosen;

use super::start::StartAt;

/// One binary: the broker, and the commands for a running one.
#[derive(Debug, Parser)]
#[command(
    name = "leveret",
    version,
    about = "A durable message broker: topics that survive crashes and power cuts",
    long_about = "A durable message broker: topics that survive crashes and power cuts.\n\n\
                  Without a command it runs the broker: on 127.0.0.1:7654, for Kafka clients on 127.0.0.1:9092, \
                  with its data in ./leveret-data.",
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
  leveret                                        # runs the broker until Ctrl-C
  echo 'hello, log' | leveret produce demo --partitions 1
  leveret consume demo --until-end";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker (the same as no command)
    #[command(after_help = super::serve::short_help(), after_long_help = super::serve::long_help())]
    Serve(ServeArgs),
    /// Create, list, describe, alter and delete topics
    #[command(subcommand, after_help = TOPIC_EXAMPLES)]
    Topic(TopicCommand),
    /// Show cores, topics, sizes, offsets and rates of a running broker, and what is amiss
    #[command(
        after_help = "Examples:\n  leveret status\n  leveret status --topics orders,pay*\n  \
                      leveret status --json | jq .topics"
    )]
    Status(StatusArgs),
    /// Append lines of standard input to a topic, one record per line
    Produce(ProduceArgs),
    /// Print the records of a topic, one per line
    Consume(ConsumeArgs),
    /// Check every checksum and invariant of a stopped broker's data directory
    Verify(VerifyArgs),
    /// Print every setting with its value, default, bounds and meaning
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArgs),
    /// Say what this machine lacks for full speed or durability, with the remedies
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ConfigArgs),
}

const CONFIG_EXAMPLES: &str = "The output is a configuration file, in which settings that have their default are comments.\n\nExamples:\n  \
leveret config > leveret.toml                     # all that can be set\n  \
leveret config --config /etc/leveret/leveret.toml # what a broker with this file would use\n  \
leveret config --json | jq -r '.[].key'";

const CHECK_EXAMPLES: &str = "Checks whether this user could run a broker with these settings here. Exits with 1 \
only if the broker could not start.\n\nExamples:\n  leveret check\n  leveret check --config /etc/leveret/leveret.toml --json";

/// Settings to look at.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file with settings [default: none, every setting has a default]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Any setting, as KEY=VALUE; wins over the file; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// TOML file with settings, which flags win over [default: none, every setting has a default]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory [default: ./leveret-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many cores to run on [default: every CPU this process may use]
    #[arg(long, value_name = "N", conflicts_with = "cpus")]
    pub(crate) cores: Option<String>,
    /// The CPUs to run on, one core each, such as 0-3,6 [default: as many as
    /// --cores says, of those that this process may use]
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<String>,
    /// Address for the native protocol; port 0 picks a free one [default: 127.0.0.1:7654]
    #[arg(long, value_name = "ADDR")]
    pub(crate) native: Option<String>,
    /// Address for Kafka clients, or `off` [default: 127.0.0.1:9092]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) kafka: Option<String>,
    /// Address for health, metrics and status over HTTP, or `off` [default: 127.0.0.1:7655]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) http: Option<String>,
    /// Any setting, as KEY=VALUE; wins over the file, but not over another flag; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which broker is asked.
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
    /// stands for the rest of a name [default: all, without that traffic]
    #[arg(long, alias = "topic", value_name = "NAME,PATTERN*")]
    pub(crate) topics: Option<Chosen>,
}

const TOPIC_EXAMPLES: &str = "Examples:\n  \
leveret topic create orders --partitions 8\n  \
leveret topic describe orders\n\n\
`leveret topic COMMAND --help` has more of each.";

const LIST_EXAMPLES: &str = "Examples:\n  \
leveret topic list\n  \
leveret topic list --json | jq -r '.topics[].name'";

const CREATE_EXAMPLES: &str = "Examples:\n  \
leveret topic create orders --partitions 8 --retention-time '30 days'\n  \
leveret topic create audit --config message.timestamp.type=LogAppendTime";

const ALTER_EXAMPLES: &str = "All of it is done or nothing. With more partitions, a key may go to another partition than \
before. Settings are those of `topic describe`.\n\nExamples:\n  \
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
    #[command(after_help = LIST_EXAMPLES)]
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
    /// Any setting of `topic describe`, as KEY=VALUE; may be repeated [default: the broker's settings]
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) config: Vec<(String, String)>,
}

/// `KEY=VALUE`, cut at the first `=`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("give KEY=VALUE, such as retention.ms=86400000".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct TopicAlterArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    /// A setting and its new value; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// A setting that goes back to the broker's default; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) unset: Vec<String>,
    /// How many partitions it is to have, more than now [default: as many as now]
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
    after_help = "A line ends with a line feed, and its bytes are the record: a carriage return belongs to it, an empty \
                        line is an empty record, and a last line without a line feed counts, too. Each record is \
                        appended exactly once, also when the broker restarts in between.\n\nExamples:\n  \
                        leveret produce demo                      # type lines, Ctrl-D ends\n  \
                        leveret produce demo --partitions 8 < lines.txt\n  \
                        printf 'user7:signed in\\n' | leveret produce events --key-separator : --json"
)]
pub(crate) struct ProduceArgs {
    /// Topic to append to
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The first S in a line divides it into key and value; a line without S has no key [default:
    /// no line has a key]
    #[arg(long, value_name = "S")]
    pub(crate) key_separator: Option<String>,
    /// Create the topic with N partitions if it does not exist [default: the topic must exist]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) partitions: Option<u32>,
    /// How long a record may wait for its acknowledgement, restarts of the broker included
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = super::values::period_seconds)]
    pub(crate) timeout: Duration,
    /// Most bytes of records that are not acknowledged yet; a longer record is refused
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
    /// Read only this partition [default: all]
    #[arg(long, value_name = "P")]
    pub(crate) partition: Option<u32>,
    /// Stop after N records [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Stop at the end that each partition had at the start, instead of waiting for more
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
    after_help = "Names file and position of each error. Exits with 0 if there is none and with 1 otherwise.\n\n\
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
