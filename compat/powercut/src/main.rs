//! `leveret-powercut`: the real broker, on its real ring, over a file system that loses power.
//!
//! Producers append without pause; at a random moment nothing completes any more, the broker is
//! killed, everything that was not made durable is kept, lost, torn or garbled, and the broker is
//! started again with another number of cores. In the end every acknowledged record must be where
//! its acknowledgement said, once. It says nothing about a real device; it shows that the broker
//! asks for the right syncs and believes nothing else.

mod broker;
mod check;
mod control;
mod device;
mod faults;
mod fs;
mod load;
mod volume;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fuser::{Config, MountOption, Session};
use leveret_sim::rng::Rng;

use broker::{Broker, Launch};
use check::{Verdict, check};
use device::{Device, PowerSwitch};
use load::{Load, Producer};

/// Cuts the power under a running broker and checks that nothing acknowledged is lost.
#[derive(Debug, Parser)]
#[command(
    after_help = "Needs /dev/fuse and the right to mount. Exits with 0 if nothing was lost, with 1 otherwise, \
                        and with 77 where it cannot run.",
    subcommand_negates_reqs = true
)]
struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// How many times the power is cut
    #[arg(default_value_t = 20)]
    rounds: u32,
    /// The `leveret` binary [default: beside this one]
    #[arg(long)]
    leveret: Option<PathBuf>,
    /// What the device does when told to make something durable
    #[arg(long, value_enum, default_value = "honest")]
    device: Device,
    /// Exit with 0 only if something was lost: for the lying device
    #[arg(long)]
    expect_loss: bool,
    /// Producers that append at the same time
    #[arg(long, default_value_t = 3)]
    producers: usize,
    /// Records per second and producer
    #[arg(long, default_value_t = 15_000)]
    rate: u64,
    /// Seed of the moments and of what each cut takes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory for the mount point and the logs [default: a new temporary one]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Compare everything after every N cuts, not only at the end
    #[arg(long, default_value_t = 5)]
    check_every: u32,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Mounts the file system alone and obeys standard input: see `src/control.rs`
    Mount {
        /// An existing, empty directory
        dir: PathBuf,
    },
}

/// Tells a script that the check could not be made here.
const CANNOT_RUN: u8 = 77;

#[derive(Debug, Default, serde::Serialize)]
struct Summary {
    cuts: u32,
    acknowledged: u64,
    torn_writes: u64,
    garbled_sectors: u64,
    lost_writes: u64,
    lost_directory_entries: u64,
    refused_to_start: u32,
    #[serde(flatten)]
    verdict: Verdict,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (file_system, switch) = fs::new(args.device, args.seed);
    let dir = args.dir.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("leveret-powercut-{}", std::process::id()))
    });
    let mount = match &args.other {
        Some(Other::Mount { dir }) => dir.clone(),
        None => dir.join("mount"),
    };
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("leveret-powercut".to_owned())];
    let session = std::fs::create_dir_all(&mount)
        .and_then(|()| Session::new(file_system, &mount, &config))
        .and_then(Session::spawn);
    let session = match session {
        Ok(session) => session,
        Err(error) => {
            eprintln!("powercut: cannot mount a FUSE file system here: {error}");
            return ExitCode::from(CANNOT_RUN);
        }
    };
    let outcome = match args.other {
        Some(Other::Mount { .. }) => control::run(&switch).map(|()| None),
        None => run(&args, &dir, &mount.join("data"), &switch).map(Some),
    };
    switch.end();
    if let Err(error) = session.umount_and_join() {
        eprintln!("powercut: unmount: {error}");
    }
    match outcome {
        Ok(Some(summary)) => report(&args, &dir, &summary),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("powercut: {error} (logs in {})", dir.display());
            ExitCode::FAILURE
        }
    }
}

fn report(args: &Args, dir: &Path, summary: &Summary) -> ExitCode {
    println!("{}", serde_json::to_string(summary).expect("plain numbers"));
    println!("lost {}", summary.verdict.lost);
    let clean = summary.verdict.is_clean() && summary.refused_to_start == 0;
    if clean || args.expect_loss {
        // Logs are of no use any more; what cannot be removed is only litter.
        let _litter = std::fs::remove_dir_all(dir);
    } else {
        eprintln!("powercut: logs are in {}", dir.display());
    }
    if clean == args.expect_loss {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn binary_beside_us() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("leveret"))
}

struct Run<'a> {
    args: &'a Args,
    switch: &'a PowerSwitch,
    launch: Launch,
    rng: Rng,
    summary: Summary,
}

fn run(args: &Args, dir: &Path, data: &Path, switch: &PowerSwitch) -> io::Result<Summary> {
    let program = args.leveret.clone().map_or_else(binary_beside_us, Ok)?;
    let address = broker::free_address()?;
    let load = Load {
        program: program.clone(),
        address,
        rate: args.rate,
        log: dir.join("producers.log"),
    };
    let mut run = Run {
        args,
        switch,
        launch: Launch {
            program,
            data: data.to_owned(),
            address,
            log: dir.join("broker.log"),
        },
        rng: Rng::new(args.seed),
        summary: Summary::default(),
    };
    let mut broker = run.launch.start(1)?;
    load.create_topic()?;
    let mut producers = Vec::new();
    for number in 0..args.producers {
        producers.push(load.start(number)?);
    }
    for round in 1..=args.rounds {
        match run.round(broker, round, &producers)? {
            Some(next) => broker = next,
            None => return Ok(run.summary),
        }
        if run.damaged() {
            return Ok(run.summary);
        }
    }
    run.finish(broker, producers)
}

impl Run<'_> {
    /// Lets the load run for a moment, cuts the power and starts again; `None` if the broker
    /// refuses what the cut left.
    fn round(
        &mut self,
        mut broker: Broker,
        round: u32,
        producers: &[Producer],
    ) -> io::Result<Option<Broker>> {
        let before: usize = producers.iter().map(Producer::acknowledged).sum();
        std::thread::sleep(Duration::from_millis(self.rng.between(150, 1_200)));
        // Wait for at least some progress, so that a slow machine still tests something.
        for _ in 0..300 {
            if producers.iter().map(Producer::acknowledged).sum::<usize>() > before {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if broker.has_ended() {
            return Err(io::Error::other("the broker ended by itself"));
        }
        self.switch.freeze();
        broker.kill()?;
        self.switch.release();
        broker.reap()?;
        let losses = self.switch.restore();
        self.summary.cuts += 1;
        self.summary.torn_writes += losses.torn_writes;
        self.summary.garbled_sectors += losses.garbled_sectors;
        self.summary.lost_writes += losses.lost_writes;
        self.summary.lost_directory_entries += losses.names;
        // What is acknowledged now was acknowledged before the cut.
        let acknowledged = places(producers);
        let total: usize = acknowledged.iter().map(Vec::len).sum();
        eprintln!("cut {round}: {total} acknowledged, {losses:?}");
        self.summary.acknowledged = total as u64;
        let cores = if round.is_multiple_of(2) { 1 } else { 2 };
        let broker = match self.launch.start(cores) {
            Ok(broker) => broker,
            Err(error) => {
                eprintln!("cut {round}: {error}");
                self.summary.refused_to_start += 1;
                self.summary.verdict.lost = total as u64;
                return Ok(None);
            }
        };
        if round.is_multiple_of(self.args.check_every) {
            match load::consume(&self.launch.program, self.launch.address) {
                Ok(consumed) => {
                    let sent: Vec<u64> = producers.iter().map(Producer::sent).collect();
                    self.summary.verdict = check(&acknowledged, &sent, &consumed);
                    let verdict = self.summary.verdict;
                    eprintln!("cut {round}: {} consumed, {verdict:?}", consumed.len());
                }
                Err(error) => {
                    eprintln!("cut {round}: {error}");
                    self.summary.verdict.lost = total as u64;
                }
            }
        }
        Ok(Some(broker))
    }

    fn damaged(&self) -> bool {
        !self.summary.verdict.is_clean()
    }

    /// Lets every producer get its last acknowledgement and compares everything.
    fn finish(mut self, mut broker: Broker, producers: Vec<Producer>) -> io::Result<Summary> {
        let mut acknowledged = Vec::new();
        for producer in producers {
            acknowledged.push(producer.finish()?);
        }
        let sent: Vec<u64> = acknowledged
            .iter()
            .map(|places| places.len() as u64)
            .collect();
        let consumed = load::consume(&self.launch.program, self.launch.address)?;
        self.summary.acknowledged = sent.iter().sum();
        self.summary.verdict = check(&acknowledged, &sent, &consumed);
        broker.kill()?;
        broker.reap()?;
        self.switch.settle();
        broker::verify(&self.launch.program, &self.launch.data)?;
        Ok(self.summary)
    }
}

fn places(producers: &[Producer]) -> Vec<Vec<load::Place>> {
    producers.iter().map(Producer::places).collect()
}
