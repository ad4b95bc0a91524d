//! `leveret-sim`: runs seeds, replays one, or hunts the mutations.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use leveret_sim::counters::Counters;
use leveret_sim::mutants::{self, Hunt};
use leveret_sim::plan::Mode;
use leveret_sim::run::{Outcome, run};
use leveret_storage::mutation::Mutation;
use serde::Serialize;

/// Runs the real storage, engine and cores on a simulated disk that crashes, and checks every promise.
#[derive(Debug, Parser)]
#[command(
    after_help = "Exits with 0 if every promise held (with --mutate: if every mutation was caught), else with 1.\n\n\
                        Examples:\n  \
                        leveret-sim --seeds 1000 --json -     # what every commit runs\n  \
                        leveret-sim --seed 17                 # one seed, with its whole course on stderr\n  \
                        leveret-sim --mutate all              # the simulator notices every broken rule"
)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run only this seed and print its course [default: --seeds of them]
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Break this rule on purpose (a name, or all) [default: none]
    #[arg(long, value_name = "NAME")]
    mutate: Option<String>,
    /// What is run, and what goes wrong beside crashes
    #[arg(long, value_enum, default_value = "all")]
    mode: ModeArg,
    /// Write the numbers as JSON to a file, or to stdout with - [default: not written]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many seeds run at the same time
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    /// Storage, with crashes alone
    Crashes,
    /// Storage, with I/O errors and a full disk, too
    Faults,
    /// The engine's shards over storage, with producers and readers
    Shards,
    /// Whole brokers under clients of both protocols; with one, two and four cores they answer the same
    Cores,
    /// Storage, with logs that are altered and deleted all the time
    Churn,
    /// All of them in turn
    All,
}

impl ModeArg {
    fn of(self, seed: u64) -> Mode {
        match self {
            Self::Crashes => Mode::Crashes,
            Self::Faults => Mode::Faults,
            Self::Shards => Mode::Shards,
            Self::Cores => Mode::Cores,
            Self::Churn => Mode::Churn,
            Self::All => match seed % 8 {
                0 => Mode::Faults,
                3 | 6 => Mode::Shards,
                5 => Mode::Cores,
                1 => Mode::Churn,
                _ => Mode::Crashes,
            },
        }
    }
}

/// Seeds that a mutation may take to be noticed.
const PATIENCE: u64 = 600;

#[derive(Debug, Serialize)]
struct Failure {
    seed: u64,
    kind: String,
    what: String,
}

#[derive(Debug, Serialize)]
struct Report {
    seeds: u64,
    failed: Vec<Failure>,
    seconds: f64,
    hash: String,
    #[serde(flatten)]
    counters: Counters,
}

#[derive(Debug, Serialize)]
struct Caught {
    mutation: &'static str,
    caught: bool,
    seeds: u64,
    seed: Option<u64>,
    kind: Option<String>,
    what: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match (&args.mutate, args.seed) {
        (None, Some(seed)) => replay(seed, args.mode.of(seed), None),
        (None, None) => run_many(&args),
        (Some(name), seed) => mutate(&args, name, seed),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("leveret-sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn replay(seed: u64, mode: Mode, mutation: Option<Mutation>) -> std::io::Result<bool> {
    let outcome = run(seed, mode, mutation, true);
    for (name, number) in outcome.counters.named() {
        println!("{name:>32} {number}");
    }
    println!("{:>32} {:016x}", "hash", outcome.hash);
    match &outcome.violation {
        None => println!("seed {seed}: every promise held"),
        Some(violation) => println!("seed {seed}: {violation}"),
    }
    Ok(outcome.violation.is_none())
}

/// A panic of the code under test is an outcome, and is reported as one.
fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Runs `job` for `0..count` on several threads; results in order.
fn in_parallel<T: Send>(threads: usize, count: u64, job: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let result = job(at);
                    results.lock().expect("no job panics").push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no job panics");
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run_many(args: &Args) -> std::io::Result<bool> {
    silence_panics();
    let started = Instant::now();
    let finished = AtomicU64::new(0);
    let outcomes: Vec<Outcome> = in_parallel(args.threads, args.seeds, |at| {
        let seed = args.from + at;
        let outcome = run(seed, args.mode.of(seed), None, false);
        if let Some(violation) = &outcome.violation {
            eprintln!("seed {seed}: {violation}");
        }
        let finished = finished.fetch_add(1, Ordering::Relaxed) + 1;
        if finished.is_multiple_of(50) {
            eprintln!(
                "{finished} of {} seeds, {:.0?}",
                args.seeds,
                started.elapsed()
            );
        }
        outcome
    });
    let mut report = Report {
        seeds: args.seeds,
        failed: Vec::new(),
        seconds: started.elapsed().as_secs_f64(),
        hash: String::new(),
        counters: Counters::default(),
    };
    let mut hash = 0u64;
    for outcome in outcomes {
        report.counters.add(&outcome.counters);
        hash = hash.rotate_left(9) ^ outcome.hash;
        if let Some(violation) = outcome.violation {
            report.failed.push(Failure {
                seed: outcome.seed,
                kind: format!("{:?}", violation.kind),
                what: violation.what,
            });
        }
    }
    report.hash = format!("{hash:016x}");
    write_json(args, &report)?;
    eprintln!(
        "{} seeds, {} crashes, {} entries acknowledged, {} failed, {:.1} s",
        report.seeds,
        report.counters.crashes,
        report.counters.acknowledged,
        report.failed.len(),
        report.seconds
    );
    Ok(report.failed.is_empty())
}

fn mutate(args: &Args, name: &str, seed: Option<u64>) -> std::io::Result<bool> {
    let wanted = match (name, mutants::by_name(name)) {
        ("all", _) => Mutation::ALL.to_vec(),
        (_, Some(mutation)) => vec![mutation],
        (_, None) => {
            let names: Vec<&str> = Mutation::ALL.iter().map(|m| m.name()).collect();
            let text = format!("no mutation `{name}`; there are: all {}", names.join(" "));
            return Err(std::io::Error::other(text));
        }
    };
    if let Some(seed) = seed {
        let mode = mutants::mode(wanted[0]);
        return replay(seed, mode, Some(wanted[0])).map(|held| !held);
    }
    silence_panics();
    let hunts: Vec<Hunt> = in_parallel(args.threads, wanted.len() as u64, |at| {
        let hunt = mutants::hunt(wanted[at as usize], args.from, PATIENCE);
        let name = hunt.mutation.name();
        match hunt
            .caught
            .as_ref()
            .and_then(|outcome| outcome.violation.as_ref())
        {
            Some(violation) => eprintln!("{name}: caught after {} seeds: {violation}", hunt.seeds),
            None => eprintln!("{name}: NOT caught by {} seeds", hunt.seeds),
        }
        hunt
    });
    let report: Vec<Caught> = hunts.into_iter().map(caught).collect();
    write_json(args, &report)?;
    let missed = report.iter().filter(|hunt| !hunt.caught).count();
    eprintln!(
        "{} of {} mutations caught",
        report.len() - missed,
        report.len()
    );
    Ok(missed == 0)
}

fn caught(hunt: Hunt) -> Caught {
    let seed = hunt.caught.as_ref().map(|outcome| outcome.seed);
    let violation = hunt.caught.and_then(|outcome| outcome.violation);
    Caught {
        mutation: hunt.mutation.name(),
        caught: seed.is_some(),
        seeds: hunt.seeds,
        seed,
        kind: violation
            .as_ref()
            .map(|violation| format!("{:?}", violation.kind)),
        what: violation.map(|violation| violation.what),
    }
}

fn write_json(args: &Args, report: &impl Serialize) -> std::io::Result<()> {
    let Some(path) = &args.json else {
        return Ok(());
    };
    let text = serde_json::to_string_pretty(report)?;
    if path.as_os_str() == "-" {
        writeln!(std::io::stdout(), "{text}")
    } else {
        std::fs::write(path, text)
    }
}
