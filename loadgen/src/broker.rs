//! A broker process of our own, and what the kernel counts of it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leveret_client::Level;
use rustix::process::{Pid, Signal, kill_process};

use crate::args::BrokerArgs;
use crate::cpus;
use crate::failure::Failure;
use crate::protocol::Protocol;

/// What the broker says, beside its data directory.
const LOG: &str = "broker.log";
/// How long a dying broker is waited for, to tell its end from a lost connection.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// How long a broker may take to be ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker that was started for this run. Stopped when dropped.
#[derive(Debug)]
pub(crate) struct OwnBroker {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
    directory: PathBuf,
    keep: bool,
}

impl OwnBroker {
    /// Starts `leveret serve` on a new directory, pinned to the first CPUs, and waits until it is
    /// ready.
    ///
    /// # Errors
    /// If there is no such binary, or it ends or takes too long before it is ready.
    pub(crate) fn start(
        args: &BrokerArgs,
        level: Option<Level>,
        keep: bool,
    ) -> Result<Self, Failure> {
        let binary = binary(args)?;
        let directory = scratch_directory(args)?;
        let log = directory.join(LOG);
        let stderr = File::create(&log).map_err(|error| cannot("create", &log, &error))?;
        let (own, _) = cpus::apart(usize::from(args.cores.get()));
        let mut command = Command::new(&binary);
        command
            .arg("serve")
            .arg("--data")
            .arg(directory.join("data"));
        let kafka = match args.protocol {
            Protocol::Kafka => "127.0.0.1:0",
            Protocol::Native => "off",
        };
        command.args(["--native", "127.0.0.1:0", "--kafka", kafka, "--http", "off"]);
        if args.protocol == Protocol::Kafka {
            // Natively the topic's creator says it.
            if let Some(level) = level {
                command
                    .arg("--set")
                    .arg(format!("topic.level={}", level.name()));
            }
        }
        if own.len() == usize::from(args.cores.get()) {
            let list: Vec<String> = own.iter().map(ToString::to_string).collect();
            command.arg("--cpus").arg(list.join(","));
        } else {
            command.arg("--cores").arg(args.cores.to_string());
        }
        for setting in &args.set {
            command.arg("--set").arg(setting);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let child = command
            .spawn()
            .map_err(|error| cannot("start", &binary, &error))?;
        let mut broker = Self {
            child,
            address: String::new(),
            directory,
            keep,
        };
        broker.address = broker
            .wait_until_ready(args.protocol.ready_word())
            .ok_or_else(|| {
                let last = broker.last_line();
                Failure::new(
                    format!("the broker did not become ready: {last}"),
                    "run `leveret serve` by hand to see why",
                )
            })?;
        if keep {
            eprintln!(
                "data directory: {}",
                broker.directory.join("data").display()
            );
        }
        Ok(broker)
    }

    /// Its process, for [`Usage::of`].
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What to report instead of `failure` if the broker has ended by itself. Its directory is kept
    /// then: log and data show why.
    pub(crate) fn explain(&mut self, failure: Failure) -> Failure {
        let begin = Instant::now();
        while begin.elapsed() < LAST_MOMENTS {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.keep = true;
                return Failure::new(
                    format!("the broker ended, {status}: {}", self.last_line()),
                    format!("look at {}", self.directory.join(LOG).display()),
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        failure
    }

    fn last_line(&self) -> String {
        let said = std::fs::read_to_string(self.directory.join(LOG)).unwrap_or_default();
        said.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// The address behind `word` in the ready line; `None` if there was none in time.
    fn wait_until_ready(&mut self, word: &'static str) -> Option<String> {
        let stdout = self.child.stdout.take()?;
        let (sender, receiver) = mpsc::channel();
        // Ends with the line or with the process, whose end closes the pipe.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // The receiver has gone only if it ran out of patience.
            let _ = sender.send(read.map(|_| line));
        });
        let line = receiver.recv_timeout(PATIENCE).ok()?.ok()?;
        let mut words = line.split_whitespace();
        let ready = words.next() == Some("ready");
        ready.then(|| {
            words
                .find_map(|found| found.strip_prefix(word))
                .map(str::to_owned)
        })?
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only if it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.keep {
            // What cannot be removed lies in a directory for temporary files.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

fn binary(args: &BrokerArgs) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.broker {
        return Ok(path.clone());
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join("leveret")));
    beside.filter(|path| path.exists()).ok_or_else(|| {
        Failure::new(
            "there is no `leveret` beside this program",
            "build it with `cargo build --release`, or name it by --broker, or name a running one by --connect",
        )
    })
}

fn scratch_directory(args: &BrokerArgs) -> Result<PathBuf, Failure> {
    let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let directory = base.join(format!("leveret-loadgen-{}-{time}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|error| cannot("create", &directory, &error))?;
    Ok(directory)
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("cannot {what} {}: {error}", path.display()),
        "check the path and its permissions",
    )
}

/// What the kernel has counted of a process since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// CPU time, user and system, seconds.
    pub(crate) cpu_seconds: f64,
    /// Bytes that it caused to be written to the device; `None` where the kernel does not count.
    pub(crate) bytes_written: Option<u64>,
}

impl Usage {
    /// Of the process with that id; `None` if there is none.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok();
        Some(Self {
            cpu_seconds: cpu_ticks(&stat)? as f64 / rustix::param::clock_ticks_per_second() as f64,
            bytes_written: io.as_deref().and_then(bytes_written),
        })
    }

    /// What was added since an earlier count.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let written = self.bytes_written.zip(earlier.bytes_written);
        Self {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            bytes_written: written.map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

/// utime + stime of `/proc/PID/stat` (proc(5)): fields 14 and 15, counted behind the program's
/// name, which may itself have spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn bytes_written(io: &str) -> Option<u64> {
    io.lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_where_the_kernel_writes_them() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(
            bytes_written("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 9\n"),
            Some(4096)
        );
        assert_eq!(cpu_ticks("nonsense"), None);
        assert!(Usage::of(std::process::id()).is_some());
    }
}
