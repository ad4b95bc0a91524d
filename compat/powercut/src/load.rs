//! Producers that run through all power cuts, and the record of what was acknowledged to them.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;

/// The topic of the whole run.
pub(crate) const TOPIC: &str = "powercut";
/// Its partitions.
pub(crate) const PARTITIONS: u32 = 4;

/// Where an acknowledgement says that a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(crate) struct Place {
    /// Partition of the topic.
    pub(crate) partition: u32,
    /// Offset within it.
    pub(crate) offset: u64,
}

/// The line that producer `producer` sends as its record number `number`.
#[must_use]
pub(crate) fn line(producer: usize, number: u64) -> String {
    let filler = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
    format!("{producer}-{number}-{:x<filler$}", "")
}

/// One `leveret produce` process with what went in and came out.
#[derive(Debug)]
pub(crate) struct Producer {
    child: Reaped,
    acknowledged: Arc<Mutex<Vec<Place>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    feeder: JoinHandle<io::Result<()>>,
    reader: JoinHandle<io::Result<()>>,
}

/// How to start producers.
#[derive(Debug)]
pub(crate) struct Load {
    /// The `leveret` binary.
    pub(crate) program: PathBuf,
    /// The broker.
    pub(crate) address: SocketAddr,
    /// Records per second and producer.
    pub(crate) rate: u64,
    /// Receives what producers write to stderr.
    pub(crate) log: PathBuf,
}

impl Load {
    /// Makes the topic.
    ///
    /// # Errors
    /// When `leveret topic create` fails.
    pub(crate) fn create_topic(&self) -> io::Result<()> {
        let status = Command::new(&self.program)
            .args(["topic", "create", TOPIC])
            .args(["--partitions", &PARTITIONS.to_string()])
            .args(["--server", &self.address.to_string()])
            .stdout(Stdio::null())
            .status()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("leveret topic create: {status}")))
    }

    /// Starts producer number `producer`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub(crate) fn start(&self, producer: usize) -> io::Result<Producer> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut child = Command::new(&self.program)
            .args(["produce", TOPIC, "--json", "--timeout", "600s"])
            .args(["--server", &self.address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut stdin = BufWriter::new(child.stdin.take().expect("piped"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let feeder = {
            let (sent, stop, rate) = (Arc::clone(&sent), Arc::clone(&stop), self.rate);
            std::thread::spawn(move || {
                // Blocks while the producer has enough under way, also over a power cut.
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..rate.div_ceil(100) {
                        let number = sent.fetch_add(1, Ordering::Relaxed);
                        writeln!(stdin, "{}", line(producer, number))?;
                    }
                    stdin.flush()?;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            })
        };
        let reader = {
            let acknowledged = Arc::clone(&acknowledged);
            std::thread::spawn(move || {
                for line in stdout.lines() {
                    let place = serde_json::from_str(&line?).map_err(io::Error::other)?;
                    lock(&acknowledged).push(place);
                }
                Ok(())
            })
        };
        Ok(Producer {
            child: Reaped(child),
            acknowledged,
            sent,
            stop,
            feeder,
            reader,
        })
    }
}

fn lock(places: &Mutex<Vec<Place>>) -> std::sync::MutexGuard<'_, Vec<Place>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Producer {
    /// How many records were acknowledged so far.
    #[must_use]
    pub(crate) fn acknowledged(&self) -> usize {
        lock(&self.acknowledged).len()
    }

    /// Where the acknowledged records are, in the order sent.
    #[must_use]
    pub(crate) fn places(&self) -> Vec<Place> {
        lock(&self.acknowledged).clone()
    }

    /// How many records were handed to it so far.
    #[must_use]
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends the input, waits until everything sent is acknowledged, and says where it all is.
    ///
    /// # Errors
    /// When the producer fails or does not acknowledge everything.
    pub(crate) fn finish(mut self) -> io::Result<Vec<Place>> {
        self.stop.store(true, Ordering::Relaxed);
        join(self.feeder)?;
        let status = self.child.0.wait()?;
        join(self.reader)?;
        let places = lock(&self.acknowledged).clone();
        let sent = self.sent.load(Ordering::Relaxed);
        if !status.success() || places.len() as u64 != sent {
            return Err(io::Error::other(format!(
                "a producer ended with {status}, {} of {sent} records acknowledged",
                places.len()
            )));
        }
        Ok(places)
    }
}

/// A process that does not outlive its handle.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn join(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread of the load panicked")))
}

#[derive(Deserialize)]
struct Consumed {
    #[serde(flatten)]
    place: Place,
    value: Option<String>,
}

/// Everything in the topic, in the order consumed per partition.
///
/// # Errors
/// When `leveret consume` fails.
pub(crate) fn consume(program: &Path, address: SocketAddr) -> io::Result<Vec<(Place, String)>> {
    let mut child = Command::new(program)
        .args(["consume", TOPIC, "--until-end", "--json"])
        .args(["--server", &address.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().expect("piped");
    let mut records = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let record: Consumed = serde_json::from_str(&line?).map_err(io::Error::other)?;
        records.push((record.place, record.value.unwrap_or_default()));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "leveret consume: {}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(records)
}
