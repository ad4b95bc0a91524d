//! The device: sequential O_DIRECT writes and reads, and single durable 4 KiB writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, OFlags};

use super::Timed;
use super::aligned::{AlignedBuf, BLOCK};
use crate::latency::Latencies;

/// Bytes of one sequential request: direct writes peak here with [`IN_FLIGHT`] of them.
const CHUNK: usize = 256 * 1024;
/// Sequential requests in flight.
const IN_FLIGHT: u64 = 4;
/// Bytes written and read sequentially.
const SEQUENTIAL: u64 = 1 << 30;
/// Bytes of the file of durable writes, which go round in it as in a journal's ring.
const RING: u64 = 64 << 20;

/// Messages of a group commit: as many and as long as `leveret-loadgen e2e` sends.
const MESSAGES_PER_SECOND: u64 = 10_000;
/// Bytes of each.
const MESSAGE: usize = 1024;

/// Figures of the sequential part.
pub(super) struct Sequential {
    pub(super) write_bytes_per_second: f64,
    pub(super) read_bytes_per_second: f64,
    pub(super) direct: bool,
}

/// A file that is removed when it is no longer wanted.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(directory: &Path, name: &str) -> Self {
        Self {
            path: directory.join(format!("leveret-raw-{name}-{}", std::process::id())),
        }
    }

    /// Opens it with these flags besides O_DIRECT; without O_DIRECT where there is none.
    fn open(&self, flags: OFlags) -> io::Result<(File, bool)> {
        let open = |flags: OFlags| {
            let flags = i32::try_from(flags.bits()).expect("open flags fit an int");
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.custom_flags(flags).open(&self.path)
        };
        match open(flags | OFlags::DIRECT) {
            Ok(file) => Ok((file, true)),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok((open(flags)?, false)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about it, and the measurement is not less true.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes and then reads [`SEQUENTIAL`] bytes, [`IN_FLIGHT`] requests at a time.
pub(super) fn sequential(directory: &Path) -> io::Result<Sequential> {
    let scratch = Scratch::new(directory, "sequential");
    let (file, direct) = scratch.open(OFlags::empty())?;
    // tmpfs and some network file systems cannot; then the file grows while it is written.
    let _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SEQUENTIAL);
    let write_bytes_per_second = in_parallel(&file, |file, buf, at| file.write_all_at(buf, at))?;
    file.sync_all()?;
    let read_bytes_per_second = in_parallel(&file, |file, buf, at| file.read_exact_at(buf, at))?;
    Ok(Sequential {
        write_bytes_per_second,
        read_bytes_per_second,
        direct,
    })
}

/// Gives each thread every [`IN_FLIGHT`]th chunk of the file; bytes per second of all together.
fn in_parallel(
    file: &File,
    request: impl Fn(&File, &mut [u8], u64) -> io::Result<()> + Sync,
) -> io::Result<f64> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let request = &request;
        let workers: Vec<_> = (0..IN_FLIGHT)
            .map(|worker| {
                scope.spawn(move || -> io::Result<()> {
                    let mut buf = AlignedBuf::random(CHUNK, worker + 1);
                    let chunks = SEQUENTIAL / CHUNK as u64;
                    for chunk in (worker..chunks).step_by(IN_FLIGHT as usize) {
                        request(file, buf.as_mut(), chunk * CHUNK as u64)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().expect("a measuring thread does not panic")?;
        }
        Ok(SEQUENTIAL as f64 / begin.elapsed().as_secs_f64())
    })
}

/// A file of [`RING`] pre-written bytes, opened so that every write is durable.
fn ring(scratch: &Scratch) -> io::Result<File> {
    let (file, _) = scratch.open(OFlags::empty())?;
    let zeros = AlignedBuf::zeroed(CHUNK);
    for chunk in 0..RING / CHUNK as u64 {
        file.write_all_at(zeros.as_ref(), chunk * CHUNK as u64)?;
    }
    file.sync_all()?;
    Ok(scratch.open(OFlags::DSYNC)?.0)
}

/// Latency of one durable 4 KiB write at a time, for `duration`.
pub(super) fn durable(directory: &Path, duration: Duration) -> io::Result<Timed> {
    let scratch = Scratch::new(directory, "durable");
    let file = ring(&scratch)?;
    let block = AlignedBuf::random(BLOCK, 11);
    let mut latencies = Latencies::default();
    let begin = Instant::now();
    let mut at = 0;
    while begin.elapsed() < duration {
        let sent = Instant::now();
        file.write_all_at(block.as_ref(), at)?;
        latencies.record(sent.elapsed(), 1);
        at = (at + BLOCK as u64) % RING;
    }
    timed(latencies)
}

/// Latency of messages of [`MESSAGE`] bytes that come [`MESSAGES_PER_SECOND`] times a second, whatever the
/// device does, and are made durable together as they have come: what a broker would give that costs
/// nothing. A moment in which the device stands still is seen here, and hardly by one write at a time.
pub(super) fn group_commit(directory: &Path, duration: Duration) -> io::Result<Timed> {
    let scratch = Scratch::new(directory, "group");
    let file = ring(&scratch)?;
    let data = AlignedBuf::random(CHUNK, 13);
    let most = CHUNK / MESSAGE;
    let mut latencies = Latencies::default();
    let begin = Instant::now();
    let due = |number: u64| Duration::from_nanos(number * 1_000_000_000 / MESSAGES_PER_SECOND);
    let (mut done, mut at) = (0, 0);
    while begin.elapsed() < duration {
        std::thread::sleep(due(done).saturating_sub(begin.elapsed()));
        let now = begin.elapsed();
        let come = (done..).take(most).take_while(|number| due(*number) <= now);
        let come = come.count();
        let len = (come * MESSAGE).next_multiple_of(BLOCK).min(CHUNK);
        if at + len as u64 > RING {
            at = 0;
        }
        file.write_all_at(&data.as_ref()[..len], at)?;
        at += len as u64;
        let durable = begin.elapsed();
        for number in done..done + come as u64 {
            latencies.record(durable.saturating_sub(due(number)), 1);
        }
        done += come as u64;
    }
    timed(latencies)
}

fn timed(latencies: Latencies) -> io::Result<Timed> {
    Timed::new(latencies)
        .ok_or_else(|| io::Error::other("the duration was too short for one write"))
}
