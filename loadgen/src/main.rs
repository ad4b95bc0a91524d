//! Load for a Leveret broker or for Kafka: open and closed loop, latencies from the intended time,
//! and the machine's own limits to compare them with.
//!
//! It measures and reports; it never decides whether a figure is good enough, and it speaks to a
//! broker natively through the client crate only, and in Kafka's protocol by an encoder of its own.

mod about;
mod alarm;
mod args;
mod broker;
mod compare;
mod consume;
mod cpus;
mod failure;
mod html;
mod latency;
mod output;
mod payload;
mod plan;
mod produce;
mod protocol;
mod raw;
mod recorder;
mod report;
mod run;
mod tally;
mod target;
mod units;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::Failure;
use plan::Mode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("leveret-loadgen: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Produce(args) => run::run(Mode::Produce, &args),
        Command::Consume(args) => run::run(Mode::Consume, &args),
        Command::E2e(args) => run::run(Mode::EndToEnd, &args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => html::render(&args.runs, &args.html),
        Command::Raw(args) => {
            let report = raw::measure(&args.directory(), args.duration)?;
            let page = || html::limits(&report);
            args.output.put(&report, || report.print(), page)
        }
    }
}
