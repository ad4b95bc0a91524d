//! `leveret-loadgen compare`: two brokers in turn, A B A B, so that what disturbs the machine
//! disturbs both.
//!
//! It quotes ratios of rounds with their range and medians; it never averages, and it does not say
//! which broker to choose.

mod figures;

use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use figures::of as figures_of;
pub(crate) use figures::{Better, Figure};

use crate::about::About;
use crate::args::{BrokerArgs, CompareArgs, WorkArgs};
use crate::failure::Failure;
use crate::html;
use crate::latency::{Latencies, Percentiles, Point};
use crate::protocol::Protocol;
use crate::report::Report;
use crate::run::{once, sound};

/// One of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) label: String,
    /// A run of each round.
    pub(crate) runs: Vec<Report>,
    /// Of all rounds together: merged, not averaged.
    pub(crate) latency_us: Option<Percentiles>,
    pub(crate) latency_points: Vec<Point>,
}

/// The result of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) rounds: u16,
    pub(crate) figures: Vec<Figure>,
    pub(crate) a: Side,
    pub(crate) b: Side,
    #[serde(flatten)]
    pub(crate) about: About,
}

/// A side while it is measured.
struct Measuring {
    broker: BrokerArgs,
    work: WorkArgs,
    label: String,
    runs: Vec<Report>,
    latencies: Latencies,
}

/// Compares, prints, cleans up.
///
/// # Errors
/// The first run that failed, or that read back something else than was acknowledged.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Failure> {
    let about = About::now();
    let (mut a, mut b) = sides(args);
    for round in 1..=args.rounds.get() {
        for side in [&mut a, &mut b] {
            eprintln!("round {round} of {}: {}", args.rounds, side.label);
            side.measure(args)?;
        }
    }
    for name in figures::left_out(&a.runs, &b.runs) {
        eprintln!(
            "warning: {name} is not compared: too little of it in some round; let rounds last longer"
        );
    }
    let comparison = Comparison {
        rounds: args.rounds.get(),
        figures: figures::of(&a.runs, &b.runs),
        a: a.side(),
        b: b.side(),
        about,
    };
    let page = || html::comparison(&comparison);
    args.output.put(&comparison, || comparison.print(), page)?;
    let mut runs = comparison.a.runs.iter().chain(&comparison.b.runs);
    runs.try_for_each(sound)
}

fn sides(args: &CompareArgs) -> (Measuring, Measuring) {
    let side = |address: &String, protocol, pid, label: &Option<String>, config: &[_]| {
        let mut work = args.work.clone();
        work.topic_config.extend_from_slice(config);
        if protocol == Protocol::Kafka {
            // No request can ask for it.
            work.durability = None;
        }
        Measuring {
            broker: BrokerArgs::remote(address.clone(), protocol, pid),
            work,
            label: label.clone().unwrap_or_else(|| address.clone()),
            runs: Vec::new(),
            latencies: Latencies::default(),
        }
    };
    (
        side(
            &args.a,
            args.protocol_a,
            args.pid_a,
            &args.label_a,
            &args.topic_config_a,
        ),
        side(
            &args.b,
            args.protocol_b,
            args.pid_b,
            &args.label_b,
            &args.topic_config_b,
        ),
    )
}

impl Measuring {
    fn measure(&mut self, args: &CompareArgs) -> Result<(), Failure> {
        let label = Some(self.label.clone());
        let outcome = once(args.mode, &self.broker, &self.work, label, About::now())?;
        self.runs.push(outcome.report);
        self.latencies.add(&outcome.latencies);
        Ok(())
    }

    fn side(self) -> Side {
        Side {
            label: self.label,
            runs: self.runs,
            latency_us: self.latencies.percentiles(),
            latency_points: self.latencies.points(),
        }
    }
}

impl Comparison {
    /// The table for people.
    fn print(&self) {
        println!("A  {}\nB  {}", self.a.label, self.b.label);
        if let Some(run) = self.a.runs.first() {
            println!(
                "{}: {} B x {}, {} connection(s), {}, {} partition(s), {} round(s) A B A B",
                run.mode,
                run.size,
                run.batch,
                run.connections,
                run.pace(),
                run.partitions,
                self.rounds
            );
        }
        println!(
            "{:<24}{:>12}{:>12}  {:>8}  {:>16}",
            "", "median A", "median B", "B / A", "range"
        );
        for figure in &self.figures {
            println!(
                "{:<24}{:>12}{:>12}  {:>8}  {:>16}  {}",
                format!("{}, {}", figure.name, figure.unit),
                figure.shown(figure.a_median),
                figure.shown(figure.b_median),
                format!("{:.3}", figure.ratio_median),
                format!("{:.3} to {:.3}", figure.ratio_min, figure.ratio_max),
                figure.verdict(),
            );
        }
    }
}
