//! The command line of the `leveret` binary.
//!
//! `serve` turns flags into settings and hands them to the server; all other commands are ordinary
//! clients of a running broker, through the client crate, except `verify`, which reads a data
//! directory offline, and `config` and `check`, which need no broker.
//!
//! What this refuses to do: it holds no broker logic, opens no data file of a running broker, and
//! prints nothing on standard output but what the command is for.

mod args;
mod check;
mod config;
mod consume;
mod failure;
mod logging;
mod output;
mod produce;
mod remote;
mod rfc3339;
mod serve;
mod start;
mod status;
mod topic;
mod values;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::Failure;

/// What shells report for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Parses the process's arguments and does what they say.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::AlreadyTold) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("leveret: {failure}");
            let interrupted = matches!(failure, Failure::Interrupted(_));
            if interrupted {
                ExitCode::from(INTERRUPTED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(&args),
        Command::Topic(command) => remote::block_on(topic::run(command)),
        Command::Status(args) => remote::block_on(status::run(args)),
        Command::Produce(args) => remote::block_on(produce::run(args)),
        Command::Consume(args) => remote::block_on(consume::run(args)),
        Command::Verify(args) => verify::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Check(args) => check::run(&args),
    }
}
