//! What a run does, with every default filled in.

use std::time::Duration;

use clap::ValueEnum;
use leveret_client::Level;

use crate::args::{BrokerArgs, WorkArgs};
use crate::failure::Failure;
use crate::protocol::Protocol;

/// Which of the runs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Append, and wait for acknowledgements
    Produce,
    /// Fill, then read
    Consume,
    /// Append and read at once
    #[value(name = "e2e")]
    EndToEnd,
}

impl Mode {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
            Self::EndToEnd => "e2e",
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) protocol: Protocol,
    /// Messages to send; no limit if `None`.
    pub(crate) messages: Option<u64>,
    /// How long to send; no limit if `None`, which `messages` then has.
    pub(crate) duration: Option<Duration>,
    /// Bytes of one message.
    pub(crate) size: usize,
    /// Messages of one batch.
    pub(crate) batch: u32,
    pub(crate) connections: u16,
    /// Batches of one connection in flight, in a closed loop.
    pub(crate) in_flight: u16,
    pub(crate) partitions: u16,
    /// Messages per second of all connections together; a closed loop if `None`.
    pub(crate) rate: Option<u64>,
    /// What acknowledgements promise; what the broker is set to if `None`.
    pub(crate) level: Option<Level>,
    pub(crate) warmup: Duration,
    pub(crate) verify: bool,
    pub(crate) topic_config: Vec<(String, String)>,
    /// What to call the run.
    pub(crate) label: Option<String>,
}

/// Messages of a consume run that names no number.
const CONSUME_MESSAGES: u64 = 1_000_000;
/// Messages per second of an e2e run that names no rate.
const E2E_RATE: u64 = 10_000;

impl Plan {
    /// The run that these arguments ask for.
    ///
    /// # Errors
    /// If they ask for a durability level that cannot be asked for.
    pub(crate) fn new(
        mode: Mode,
        broker: &BrokerArgs,
        args: &WorkArgs,
        label: Option<String>,
    ) -> Result<Self, Failure> {
        let consume = (mode == Mode::Consume).then_some(CONSUME_MESSAGES);
        let messages = args.messages.map(|n| n.get()).or(consume);
        let unlimited = messages.is_none().then_some(Duration::from_secs(10));
        let e2e = mode == Mode::EndToEnd;
        Ok(Self {
            mode,
            protocol: broker.protocol,
            messages,
            duration: args.duration.or(unlimited),
            size: args.size as usize,
            batch: args.batch.map_or(if e2e { 1 } else { 1000 }, |n| n.get()),
            connections: args.connections.get(),
            in_flight: args.in_flight.get(),
            partitions: args.partitions.get(),
            rate: args.rate.map(|n| n.get()).or(e2e.then_some(E2E_RATE)),
            level: level(broker, args)?,
            warmup: args.warmup,
            verify: args.verify || e2e || mode == Mode::Consume,
            topic_config: args.topic_config.clone(),
            label,
        })
    }

    /// Name of the level, for reports.
    pub(crate) fn durability(&self) -> &'static str {
        self.level.map_or("unknown", Level::name)
    }

    /// The same run as a mere filling of the topic: nothing of it is measured.
    pub(crate) fn filling(&self) -> Self {
        Self {
            rate: None,
            duration: None,
            warmup: Duration::ZERO,
            ..self.clone()
        }
    }
}

/// The level that a run can ask for: over Kafka's protocol only a broker that is started for it.
///
/// # Errors
/// If one was asked for that cannot be.
fn level(broker: &BrokerArgs, work: &WorkArgs) -> Result<Option<Level>, Failure> {
    let asked = work.durability.map(|level| level.level());
    match (broker.protocol, &broker.connect, asked) {
        (Protocol::Kafka, Some(_), Some(_)) => Err(Failure::new(
            "Kafka's protocol cannot ask a broker for a durability level",
            "leave --durability out and set the broker itself, or give --topic-config what that broker knows",
        )),
        (Protocol::Kafka, Some(_), None) => Ok(None),
        (_, _, asked) => Ok(Some(asked.unwrap_or(Level::Synced))),
    }
}
