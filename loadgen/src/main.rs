//! Load for a Leveret broker: open and closed loop, latencies from the intended time, and the
//! machine's own limits beside them.
//!
//! It measures and reports; it never decides whether a figure is good enough, and it speaks to the
//! broker only through the client crate.

mod alarm;
mod args;
mod broker;
mod consume;
mod cpus;
mod failure;
mod latency;
mod payload;
mod plan;
mod produce;
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
        Command::Raw(args) => {
            let report = raw::measure(&args.directory(), args.duration)?;
            args.json.put(&report, || report.print())
        }
    }
}
