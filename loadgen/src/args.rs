//! What can be typed.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use crate::output::OutputArgs;
use crate::plan::Mode;
use crate::protocol::Protocol;
use clap::{Args, Parser, Subcommand, ValueEnum};
use leveret_client::Level;

/// Load for a Leveret broker, or for Kafka, and reports of what it did under that load.
#[derive(Debug, Parser)]
#[command(
    name = "leveret-loadgen",
    version,
    disable_help_subcommand = true,
    after_help = "Without --connect, a run starts a broker of its own on a temporary directory, on other CPUs than the \
                  load's if there are enough, and removes both afterwards.\n\nExamples:\n  \
                  leveret-loadgen produce --messages 20000000 --size 100 --batch 1000 --verify\n  \
                  leveret-loadgen e2e --rate 10000 --size 1024 --duration 30s --json -\n  \
                  leveret-loadgen raw --dir /var/lib"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Append records as fast as acknowledgements allow, or at a rate
    #[command(after_help = "Examples:\n  \
        leveret-loadgen produce --messages 20000000 --size 100 --batch 1000\n  \
        leveret-loadgen produce --size 1024 --batch 1 --in-flight 64 --duration 10s\n  \
        leveret-loadgen produce --connect 127.0.0.1:7654 --rate 100000 --batch 10 --json run.json")]
    Produce(LoadArgs),
    /// Fill a topic, then read it from the beginning as fast as it comes
    #[command(
        after_help = "Example:\n  leveret-loadgen consume --messages 5000000 --size 1024 --partitions 4"
    )]
    Consume(LoadArgs),
    /// Append and read at the same time; latency counts from the intended send to the reader
    #[command(
        after_help = "Example:\n  leveret-loadgen e2e --rate 10000 --size 1024 --batch 1 --duration 30s"
    )]
    E2e(LoadArgs),
    /// Load two brokers in turn, A B A B, and print the ratio of each figure with its range
    #[command(after_help = "Examples:\n  \
        leveret-loadgen compare --a 127.0.0.1:7654 --b 127.0.0.1:7754 --rounds 7 --size 1024\n  \
        leveret-loadgen compare --mode e2e --a 127.0.0.1:9092 --protocol-a kafka --pid-a 4711 \\\n    \
        --b 127.0.0.1:19092 --protocol-b kafka --pid-b 4712 --topic-config-b flush.messages=1 --html compare.html")]
    Compare(CompareArgs),
    /// Make one page of the JSON reports of several runs, or of a comparison
    #[command(
        after_help = "Example:\n  leveret-loadgen report --html page.html before.json after.json"
    )]
    Report(ReportArgs),
    /// Measure the machine itself: loopback TCP, sequential O_DIRECT, 4 KiB durable writes
    Raw(RawArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// What to call the run in reports [default: no name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which broker is loaded.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    /// Broker to load [default: one is started]
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["broker", "cores", "dir"])]
    pub(crate) connect: Option<String>,
    /// Protocol to load it with
    #[arg(long, value_enum, value_name = "PROTOCOL", default_value = "native")]
    pub(crate) protocol: Protocol,
    /// Let any core of the broker serve a connection, not the one that owns its partitions (native)
    #[arg(long)]
    pub(crate) any_core: bool,
    /// Process of the broker at --connect, if it is on this machine, to report its CPU time and writes
    /// [default: not reported]
    #[arg(long, value_name = "PID", requires = "connect")]
    pub(crate) pid: Option<NonZeroU32>,
    /// The `leveret` binary to start [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) broker: Option<PathBuf>,
    /// Cores of the broker that is started
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) cores: NonZeroU16,
    /// Where the started broker's temporary directory goes [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A setting for the broker that is started; may be repeated [default: the broker's defaults]
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "connect")]
    pub(crate) set: Vec<String>,
}

impl BrokerArgs {
    /// A running broker.
    pub(crate) fn remote(address: String, protocol: Protocol, pid: Option<NonZeroU32>) -> Self {
        Self {
            connect: Some(address),
            protocol,
            any_core: false,
            pid,
            broker: None,
            cores: NonZeroU16::MIN,
            dir: None,
            set: Vec::new(),
        }
    }
}

/// What load.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkArgs {
    /// Leave the topic, and a started broker's data directory, where they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// Topic, created if it does not exist [default: one of its own, deleted afterwards]
    #[arg(long, value_name = "NAME", value_parser = short)]
    pub(crate) topic: Option<String>,
    /// Configuration of the topic that is created (Kafka), such as flush.messages=1; may be repeated
    /// [default: the broker's defaults]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) topic_config: Vec<(String, String)>,
    /// Messages to send [default: as many as --duration allows; consume: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<NonZeroU64>,
    /// How long to send [default: 10s unless --messages is given]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Bytes of one message, at least 16: they carry a number and a time
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(16..=16 << 20))]
    pub(crate) size: u32,
    /// Messages of one record batch [default: 1000; e2e: 1]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<NonZeroU32>,
    /// Connections that send
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) connections: NonZeroU16,
    /// Batches of one connection that wait for acknowledgement (without --rate)
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) in_flight: NonZeroU16,
    /// Partitions of the topic
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) partitions: NonZeroU16,
    /// Messages per second, whatever the broker does (open loop) [default: as fast as
    /// acknowledgements come; e2e: 10000]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<NonZeroU64>,
    /// What an acknowledgement promises [default: synced; over Kafka's protocol with --connect: what
    /// the broker is set to, since no request can ask for it]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) durability: Option<LevelArg>,
    /// Time at the beginning that does not count in the figures
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// Read everything back and count what is lost, duplicated or out of order (e2e and consume
    /// always do)
    #[arg(long)]
    pub(crate) verify: bool,
}

/// Two brokers, and what load.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Address of the first broker, with which the other is compared
    #[arg(long, value_name = "ADDR")]
    pub(crate) a: String,
    /// Address of the second broker
    #[arg(long, value_name = "ADDR")]
    pub(crate) b: String,
    /// Protocol to load A with
    #[arg(long, value_enum, value_name = "PROTOCOL", default_value = "native")]
    pub(crate) protocol_a: Protocol,
    /// Protocol to load B with
    #[arg(long, value_enum, value_name = "PROTOCOL", default_value = "native")]
    pub(crate) protocol_b: Protocol,
    /// Process of A, if it is on this machine, to compare its CPU time [default: not compared]
    #[arg(long, value_name = "PID")]
    pub(crate) pid_a: Option<NonZeroU32>,
    /// Process of B, if it is on this machine, to compare its CPU time [default: not compared]
    #[arg(long, value_name = "PID")]
    pub(crate) pid_b: Option<NonZeroU32>,
    /// What to call A [default: its address]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label_a: Option<String>,
    /// What to call B [default: its address]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label_b: Option<String>,
    /// Configuration of A's topics only, like --topic-config [default: none]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) topic_config_a: Vec<(String, String)>,
    /// Configuration of B's topics only, like --topic-config [default: none]
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) topic_config_b: Vec<(String, String)>,
    /// How often each is loaded
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) rounds: NonZeroU16,
    /// Which load
    #[arg(long, value_enum, value_name = "MODE", default_value = "produce")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Reports to show together.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The page to write
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
    /// JSON reports of runs (at most 8), or of one comparison
    #[arg(value_name = "JSON", required = true, num_args = 1..=8)]
    pub(crate) runs: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  leveret-loadgen raw --dir /var/lib/leveret --json -")]
pub(crate) struct RawArgs {
    /// Where to write files of 1 GiB, which are removed again [default: the system's directory for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long each part may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub(crate) duration: Duration,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl RawArgs {
    /// The directory that was given, or the system's for temporary files.
    pub(crate) fn directory(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// Durability levels as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// The device has it
    Synced,
    /// Handed to the device without a flush
    Written,
    /// In memory
    Memory,
}

impl LevelArg {
    /// As the protocol has it.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Synced => Level::Synced,
            Self::Written => Level::Written,
            Self::Memory => Level::Memory,
        }
    }
}

/// A time such as `500ms`, `10s`, `2min`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is a number with ms, s, min or h".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a time begins with a whole number".to_owned())?;
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

/// `KEY=VALUE`, each of a length that every protocol can carry.
fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give it as KEY=VALUE")?;
    Ok((short(key)?, short(value)?))
}

/// A text that is not longer than Kafka's strings can be.
fn short(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > i16::MAX as usize {
        return Err("it must have 1 to 32767 bytes".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_times_have_units() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert!(duration("soon").is_err() && duration("5 weeks").is_err());
        assert_eq!(pair("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(pair("ab").is_err() && pair("=b").is_err() && pair("a=").is_err());
    }
}
