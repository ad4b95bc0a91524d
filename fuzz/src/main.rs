//! `leveret-fuzz`: mutated inputs into every decoder and whole sessions, for as long as one likes.
//!
//! Each target has seeds, made by our own encoders, and kept cases in `fuzz/corpus/TARGET/*.hex`. A
//! changed input that ends in an outcome nobody has seen is kept as a seed for this run. A run
//! fails by a panic, by more memory than the target's declared bound, by an answer that cannot be
//! read, or by taking too long; the input is printed as hexadecimal, and belongs in the corpus.

mod allocator;
mod batch;
mod kafka_session;
mod mutate;
mod naive;
mod session;
mod storage;
mod wire;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use leveret_sim::rng::Rng;

/// Something that takes bytes from anybody.
trait Target {
    /// What it is called on the command line and in the corpus.
    fn name(&self) -> &'static str;
    /// Inputs to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;
    /// Makes lengths and checksums fit, most of the time.
    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>);
    /// Takes an input. Gives what came of it, in words; equal words are one outcome.
    ///
    /// # Errors
    /// What must not be.
    fn run(&mut self, input: &[u8]) -> Result<String, String>;
}

/// Makes a target, which may take a while.
type Make = fn() -> Box<dyn Target>;

/// Feeds mutated inputs to decoders and sessions.
#[derive(Debug, Parser)]
#[command(after_help = "Exits with 0 if nothing was found, with 1 otherwise.")]
struct Args {
    /// Targets [default: all]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seed of the changes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kept cases
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))]
    corpus: PathBuf,
}

/// An input may take this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seeds of one run at most.
const MOST_SEEDS: usize = 4000;

/// Milliseconds since the start at which the present input was begun; 0 for none.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static PRESENT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    let args = Args::parse();
    let start = Instant::now();
    std::thread::spawn(move || watch(start));
    // A panic is a finding and reported as one.
    std::panic::set_hook(Box::new(|_| {}));
    let mut failures = 0;
    for control in [&mut naive::Panics as &mut dyn Target, &mut naive::Allocates] {
        let found = search(control, &args, Duration::from_secs(5), start);
        if found.finding.is_none() {
            println!(
                "{}: found nothing, so this search shows nothing",
                control.name()
            );
            failures += 1;
        } else {
            println!(
                "{}: found, as it must be, after {}",
                control.name(),
                found.runs
            );
        }
    }
    let make: [(&str, Make); 6] = [
        ("batch", || Box::new(batch::Batches)),
        ("native-frame", || Box::new(wire::Native)),
        ("kafka-request", || Box::new(wire::Kafka)),
        ("recovery", || Box::new(storage::Recovery::new())),
        ("kafka-session", || {
            Box::new(kafka_session::KafkaSession::new())
        }),
        ("native-session", || Box::new(session::NativeSession::new())),
    ];
    let mut passed = 0;
    for (name, make) in make {
        if !args.targets.is_empty() && !args.targets.iter().any(|wanted| wanted == name) {
            continue;
        }
        let found = search(
            &mut *make(),
            &args,
            Duration::from_secs(args.seconds),
            start,
        );
        println!("{name}: {} runs, {} outcomes", found.runs, found.outcomes);
        match found.finding {
            None => passed += 1,
            Some((input, what)) => {
                failures += 1;
                println!("{name}: FOUND {what}\n{name}: by {}", hex(&input));
            }
        }
    }
    println!("{passed} passed, {failures} failed");
    if failures == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a search came to.
struct Found {
    runs: u64,
    outcomes: usize,
    finding: Option<(Vec<u8>, String)>,
}

fn search(target: &mut dyn Target, args: &Args, time: Duration, start: Instant) -> Found {
    let mut rng = Rng::new(args.seed);
    let mut pool = target.seeds();
    pool.extend(kept(&args.corpus.join(target.name())));
    let until = Instant::now() + time;
    let mut seen = BTreeSet::new();
    let mut found = Found {
        runs: 0,
        outcomes: 0,
        finding: None,
    };
    let given = pool.len();
    while found.runs < given as u64 || Instant::now() < until {
        // First what is there, as it is.
        let index = found.runs as usize;
        let input = if index < given {
            pool[index].clone()
        } else {
            let mut input = pool[rng.below(pool.len() as u64) as usize].clone();
            let other = rng.below(pool.len() as u64) as usize;
            mutate::mutate(&mut rng, &mut input, &pool[other]);
            target.repair(&mut rng, &mut input);
            input
        };
        found.runs += 1;
        match guarded(target, &input, start) {
            Ok(outcome) => {
                if seen.insert(without_numbers(&outcome)) && pool.len() < MOST_SEEDS {
                    pool.push(input);
                }
            }
            Err(what) => {
                found.finding = Some((input, what));
                break;
            }
        }
    }
    found.outcomes = seen.len();
    found
}

fn guarded(target: &mut dyn Target, input: &[u8], start: Instant) -> Result<String, String> {
    if let Ok(mut present) = PRESENT.lock() {
        present.clear();
        present.extend_from_slice(input);
    }
    BEGUN.store(start.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    BEGUN.store(0, Ordering::Relaxed);
    outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of no words")))
    })
}

/// Ends the process when an input takes too long.
fn watch(start: Instant) {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let begun = BEGUN.load(Ordering::Relaxed);
        let now = start.elapsed().as_millis() as u64;
        if begun > 0 && now > begun + PATIENCE.as_millis() as u64 {
            let input = PRESENT.lock().map(|input| hex(&input)).unwrap_or_default();
            println!("FOUND an input that takes longer than {PATIENCE:?}: {input}");
            std::process::exit(1);
        }
    }
}

/// Equal but for numbers is equal.
fn without_numbers(outcome: &str) -> String {
    outcome.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kept cases of a target.
fn kept(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    texts.map(|text| unhex(&text)).collect()
}

/// The bytes that hexadecimal text stands for; anything else in it is passed over.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways() {
        let bytes = vec![0, 1, 0x7f, 0xff];
        assert_eq!(unhex(&hex(&bytes)), bytes);
        assert_eq!(unhex("00 ff\n"), [0, 255]);
    }
}
