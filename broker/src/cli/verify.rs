//! `leveret verify`: storage's check of a data directory, with what only the broker knows of its
//! content: record batches in topic logs, topology entries in log 0, producer windows in snapshots.
//!
//! It reads and never writes, and refuses a directory that a broker holds: what changes while it
//! is read looks damaged.

use std::path::Path;
use std::time::{Duration, Instant};

use leveret_broker::offline::{HeapPool, Offline};
use leveret_broker::runtime::{DataLock, Holding, RuntimeError};
use leveret_engine::group;
use leveret_engine::partition::{Partition, ProducerLimits};
use leveret_engine::topology::{Topology, TopologyEntry, TopologySettings};
use leveret_record::{split_first, verify};
use leveret_storage::homes::Homes;
use leveret_storage::types::{LogId, LogKind, Offset};
use leveret_storage::verify::{Inspect, Report, Verify};
use serde::Serialize;

use super::args::VerifyArgs;
use super::failure::Failure;
use super::output::{counted, print, print_json, size};

/// How often a line on standard error says how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
struct Verified {
    files: u64,
    logs: u64,
    /// Record batches and other entries.
    entries: u64,
    records: u64,
    bytes: u64,
    /// How many, listed or not.
    errors: u64,
    /// Files that a start left which was killed, and that the next one removes; none was checked.
    left_by_killed_start: u64,
    /// The first thousand.
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    file: String,
    position: u64,
    what: String,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    // Held to the end, so that no broker starts meanwhile.
    let _lock = lock(&args.dir)?;
    let begin = Instant::now();
    let mut last = begin;
    let report = Offline::new(&args.dir)
        .run(Verify::new(HeapPool, Contents), |check| {
            if last.elapsed() >= PROGRESS {
                last = Instant::now();
                let so_far = check.progress();
                let (records, bytes) = (so_far.records, size(so_far.bytes));
                eprintln!(
                    "{records} records, {bytes} checked, {} errors",
                    so_far.errors
                );
            }
        })
        .map_err(|error| {
            Failure::new(
                format!("the check did not end: {error}"),
                "this is a fault of leveret: please report it",
            )
        })?;
    tell(args, Verified::from(report), begin.elapsed())
}

fn tell(args: &VerifyArgs, verified: Verified, elapsed: Duration) -> Result<(), Failure> {
    if args.json {
        print_json(&verified)?;
    } else {
        let mut text = String::new();
        for finding in &verified.findings {
            text.push_str(&format!(
                "{} at {}: {}\n",
                finding.file, finding.position, finding.what
            ));
        }
        if verified.left_by_killed_start > 0 {
            text.push_str(&format!(
                "a start was killed here and left {}, which nothing needs: they were not checked, \
                 and the next start removes them\n",
                counted(verified.left_by_killed_start, "file"),
            ));
        }
        text.push_str(&format!(
            "{} in {}, {} in {}, checked in {:.1} s: {}\n",
            counted(verified.records, "record"),
            counted(verified.logs, "log"),
            size(verified.bytes),
            counted(verified.files, "file"),
            elapsed.as_secs_f64(),
            if verified.errors == 0 {
                "no errors".to_owned()
            } else {
                counted(verified.errors, "error")
            },
        ));
        print(&text)?;
    }
    if verified.errors == 0 {
        Ok(())
    } else {
        Err(Failure::AlreadyTold)
    }
}

/// Takes the broker's own lock for reading, if there is anything to verify at all.
fn lock(dir: &Path) -> Result<DataLock, Failure> {
    let unreadable = |error: RuntimeError| {
        Failure::new(error.to_string(), "run as the user that the broker runs as")
    };
    let found = match Holding::at(dir).map_err(unreadable)? {
        Holding::Data => None,
        Holding::Nothing => Some("does not exist".to_owned()),
        Holding::Empty => Some("is empty: there is nothing to verify".to_owned()),
        Holding::File => Some("is not a directory".to_owned()),
        Holding::Foreign(name) => Some(format!(
            "is not a data directory: it has no superblock, and `{name}` is in it"
        )),
    };
    if let Some(found) = found {
        return Err(Failure::new(
            format!("{} {found}", dir.display()),
            "name the directory that was given to `leveret serve --data`",
        ));
    }
    let tell = |line: &str| eprintln!("{line}");
    DataLock::for_reading(dir, tell).map_err(|error| match error {
        RuntimeError::Locked { .. } => {
            let what = format!("a broker is using {}", dir.display());
            Failure::new(what, "stop it first, then verify")
        }
        error => unreadable(error),
    })
}

/// What entries and snapshots must be.
struct Contents;

impl Inspect for Contents {
    fn entries(
        &mut self,
        _log: LogId,
        kind: LogKind,
        first_offset: Offset,
        entries: &[u8],
    ) -> Result<u64, (usize, String)> {
        match kind {
            LogKind::Topic => batches(first_offset, entries),
            LogKind::Machine => match TopologyEntry::decode(entries) {
                Ok(_) => Ok(0),
                Err(error) => Err((0, format!("no topology entry: {error}"))),
            },
            LogKind::Coordinator => match group::check_entry(entries) {
                Ok(()) => Ok(0),
                Err(error) => Err((0, format!("no entry of groups: {error}"))),
            },
        }
    }

    fn snapshot(&mut self, _log: LogId, kind: LogKind, state: &[u8]) -> Result<(), String> {
        match kind {
            LogKind::Topic => {
                let (next, limits) = (Offset(0), ProducerLimits::default());
                Partition::recover(Some(state), std::iter::empty(), next, limits)
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
            LogKind::Coordinator => group::check_snapshot(state).map_err(|error| error.to_string()),
            LogKind::Machine => {
                let (settings, homes) = (TopologySettings::default(), Homes::interleaved(1));
                Topology::recover(Some(state), std::iter::empty(), settings, homes)
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// Checks batches that stand back to back: whole, with a true CRC, offsets following each other.
/// Counts their records.
fn batches(first_offset: Offset, bytes: &[u8]) -> Result<u64, (usize, String)> {
    let (mut rest, mut next, mut records) = (bytes, first_offset.0, 0);
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let wrong = |error: leveret_record::BatchError| (at, error.to_string());
        let (_, batch, after) = split_first(rest).map_err(wrong)?;
        let header = verify(batch).map_err(wrong)?;
        let base = u64::try_from(header.base_offset).ok();
        if base != Some(next) {
            let found = header.base_offset;
            return Err((
                at,
                format!("a batch has base offset {found} where {next} is due"),
            ));
        }
        next = u64::try_from(header.next_offset()).unwrap_or(u64::MAX);
        records += u64::try_from(header.record_count).unwrap_or(0);
        rest = after;
    }
    Ok(records)
}

impl From<Report> for Verified {
    fn from(report: Report) -> Self {
        let findings = report.findings.into_iter().map(|finding| Finding {
            file: finding.file.to_string(),
            position: finding.position,
            what: finding.what,
        });
        Self {
            files: report.files,
            logs: report.logs,
            entries: report.entries,
            records: report.records,
            bytes: report.bytes,
            errors: report.errors,
            left_by_killed_start: report.unborn,
            findings: findings.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_record::{BatchBuilder, Compression, assign};

    use super::*;

    fn batch(base: i64, records: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..records {
            builder.push(1, None, Some(b"value"), &[]).expect("fits");
        }
        let mut batch = builder.finish().to_vec();
        assign(&mut batch, base, 0);
        batch
    }

    #[test]
    fn batches_are_counted_and_each_flaw_is_placed() {
        let first = batch(7, 3);
        let good = [first.clone(), batch(10, 2)].concat();
        assert_eq!(batches(Offset(7), &good), Ok(5));
        let wrong_start = batches(Offset(8), &good).expect_err("offset 8 is due");
        assert!(
            wrong_start.0 == 0 && wrong_start.1.contains("base offset 7"),
            "{wrong_start:?}"
        );
        let gap = [first.clone(), batch(11, 2)].concat();
        assert_eq!(batches(Offset(7), &gap).expect_err("a gap").0, first.len());
        let mut flipped = good.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        assert_eq!(
            batches(Offset(7), &flipped).expect_err("a flip").0,
            first.len()
        );
        assert!(batches(Offset(7), &good[..good.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_data_directory_is_named_and_refused() {
        let said = |dir: &str| {
            let args = VerifyArgs {
                dir: dir.into(),
                json: false,
            };
            run(&args).expect_err("nothing to verify").to_string()
        };
        let absent = said("no/such/directory");
        assert!(
            absent.contains("no/such/directory does not exist"),
            "{absent}"
        );
        let other = said("/etc");
        assert!(other.contains("/etc is not a data directory"), "{other}");
        let file = said("/etc/passwd");
        assert!(file.contains("/etc/passwd is not a directory"), "{file}");
        let empty = std::env::temp_dir().join(format!("leveret-empty-{}", std::process::id()));
        std::fs::create_dir_all(&empty).expect("a directory");
        let nothing = said(empty.to_str().expect("plain"));
        assert!(nothing.contains("nothing to verify"), "{nothing}");
        std::fs::remove_dir_all(&empty).expect("it is there");
    }
}
