//! What can be typed.

use std::fs::File;
use std::io::{self, Write};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leveret_client::Level;
use serde::Serialize;

use crate::failure::Failure;

/// Load for a Leveret broker, and reports of how it bears it.
#[derive(Debug, Parser)]
#[command(
    name = "leveret-loadgen",
    version,
    disable_help_subcommand = true,
    after_help = "Without --connect, a run starts a broker of its own on a temporary directory, pinned apart from \
                  the load where there are CPUs enough, and removes both afterwards.\n\nExamples:\n  \
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
    /// Append and read at the same time; latency from the intended send to the reader's hands
    #[command(
        after_help = "Example:\n  leveret-loadgen e2e --rate 10000 --size 1024 --batch 1 --duration 30s"
    )]
    E2e(LoadArgs),
    /// Measure the machine itself: loopback TCP, sequential O_DIRECT, 4 KiB durable writes
    Raw(RawArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Broker to load, instead of starting one
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["broker", "cores", "dir"])]
    pub(crate) connect: Option<String>,
    /// The `leveret` binary to start [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) broker: Option<PathBuf>,
    /// Cores of the broker that is started
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) cores: NonZeroU16,
    /// Where the started broker's temporary directory goes [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A setting for the broker that is started; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "connect")]
    pub(crate) set: Vec<String>,
    /// Leave the topic, and a started broker's data directory, where they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// Topic, created if it does not exist [default: one of its own, deleted afterwards]
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
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
    /// What an acknowledgement promises
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "synced")]
    pub(crate) durability: LevelArg,
    /// Time at the beginning that does not count in the figures
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// Read everything back and count what is lost, duplicated or out of order (e2e and consume
    /// always do)
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
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
    pub(crate) json: JsonArg,
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

/// Where the report goes.
#[derive(Debug, Args)]
pub(crate) struct JsonArg {
    /// Write the report as JSON to FILE, or with - to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl JsonArg {
    /// Writes the report: the table unless JSON takes its place, JSON where it was asked for.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn put(&self, report: &impl Serialize, table: impl Fn()) -> Result<(), Failure> {
        let Some(path) = &self.json else {
            table();
            return Ok(());
        };
        let mut text = serde_json::to_string_pretty(report).expect("a report has only plain keys");
        text.push('\n');
        let written = if path.as_os_str() == "-" {
            io::stdout().write_all(text.as_bytes())
        } else {
            table();
            File::create(path).and_then(|mut file| file.write_all(text.as_bytes()))
        };
        written.map_err(|error| {
            Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "choose another file by --json",
            )
        })
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
    }
}
