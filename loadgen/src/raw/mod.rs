//! `leveret-loadgen raw`: what the machine itself can do, measured in the same minute and the same
//! directory as the broker, so that every table can stand beside its limits.
//!
//! It starts no broker and uses none of its code.

mod aligned;
mod disk;
mod tcp;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::about::About;
use crate::failure::Failure;
use crate::latency::{Latencies, Percentiles, Point};
use crate::units;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct RawReport {
    /// One connection over 127.0.0.1, 256 KiB a write.
    pub(crate) loopback_tcp_bytes_per_second: f64,
    /// Round trips of 1 KiB over 127.0.0.1, one at a time.
    pub(crate) loopback_round_trip_us: Percentiles,
    pub(crate) loopback_round_trip_count: u64,
    pub(crate) loopback_round_trip_points: Vec<Point>,
    /// O_DIRECT writes of 256 KiB, four in flight, into a preallocated file.
    pub(crate) direct_write_bytes_per_second: f64,
    /// O_DIRECT reads of 256 KiB, four in flight, of the same file.
    pub(crate) direct_read_bytes_per_second: f64,
    /// One 4 KiB write at a time, O_DIRECT and O_DSYNC, into a preallocated, pre-written file.
    pub(crate) durable_4k_us: Percentiles,
    pub(crate) durable_4k_count: u64,
    pub(crate) durable_4k_points: Vec<Point>,
    /// Messages of 1 KiB at 10,000 a second, made durable together as they have come; from the
    /// moment at which each was due.
    pub(crate) group_commit_us: Percentiles,
    /// Whether the file system took O_DIRECT; without it the disk's figures are the page cache's.
    pub(crate) direct: bool,
    /// Where the disk was measured.
    pub(crate) directory: PathBuf,
    #[serde(flatten)]
    pub(crate) about: About,
}

/// What one kind of request took.
struct Timed {
    us: Percentiles,
    latencies: Latencies,
}

impl Timed {
    /// `None` if nothing was recorded.
    fn new(latencies: Latencies) -> Option<Self> {
        let us = latencies.percentiles()?;
        Some(Self { us, latencies })
    }
}

/// Measures for about four times `duration`.
///
/// # Errors
/// What the kernel refused, with the place.
pub(crate) fn measure(directory: &Path, duration: Duration) -> Result<RawReport, Failure> {
    let failed = |what: &'static str| {
        move |error: io::Error| {
            Failure::new(
                format!("measuring {what} failed: {error}"),
                "choose a directory with 2 GiB free that this user may write to, with --dir",
            )
        }
    };
    let about = About::now();
    eprintln!("loopback TCP ...");
    let tcp = tcp::measure(duration).map_err(failed("loopback TCP"))?;
    eprintln!("sequential O_DIRECT in {} ...", directory.display());
    let sequential = disk::sequential(directory).map_err(failed("sequential writes"))?;
    eprintln!("4 KiB durable writes ...");
    let durable = disk::durable(directory, duration).map_err(failed("durable writes"))?;
    eprintln!("10,000 messages a second, made durable ...");
    let group = disk::group_commit(directory, duration).map_err(failed("group commits"))?;
    Ok(RawReport {
        loopback_tcp_bytes_per_second: tcp.bytes_per_second,
        loopback_round_trip_us: tcp.round_trip.us,
        loopback_round_trip_count: tcp.round_trip.latencies.count(),
        loopback_round_trip_points: tcp.round_trip.latencies.points(),
        direct_write_bytes_per_second: sequential.write_bytes_per_second,
        direct_read_bytes_per_second: sequential.read_bytes_per_second,
        durable_4k_us: durable.us,
        durable_4k_count: durable.latencies.count(),
        durable_4k_points: durable.latencies.points(),
        group_commit_us: group.us,
        direct: sequential.direct,
        directory: directory.to_owned(),
        about,
    })
}

impl RawReport {
    /// The table for people.
    pub(crate) fn print(&self) {
        let rate = units::bytes_per_second;
        println!(
            "raw limits of this machine, disk in {}",
            self.directory.display()
        );
        println!(
            "  loopback TCP            {}",
            rate(self.loopback_tcp_bytes_per_second)
        );
        println!(
            "  loopback round trip     {}",
            units::percentiles(&self.loopback_round_trip_us)
        );
        println!(
            "  sequential write        {}",
            rate(self.direct_write_bytes_per_second)
        );
        println!(
            "  sequential read         {}",
            rate(self.direct_read_bytes_per_second)
        );
        println!(
            "  4 KiB durable write     {}",
            units::percentiles(&self.durable_4k_us)
        );
        println!(
            "  1 KiB at 10,000/s       {}",
            units::percentiles(&self.group_commit_us)
        );
        if !self.direct {
            println!("  this file system has no O_DIRECT: the disk's figures are those of memory");
        }
    }
}
