//! How much recovery reads: each block of the journals once, whatever the number of logs.

use super::disk::{Disk, Pool};
use super::journals::assert_tail;
use super::rings::{Ring, config, disk_of, payload, point};
use crate::format::superblock::Geometry;
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::{Recovered, RecoveryConfig, recover};
use crate::types::LogId;

/// A ring of 64 MiB.
const GEOMETRY: Geometry = Geometry {
    file_bytes: 2 << 20,
    files: 32,
    max_commit_bytes: 128 << 10,
    in_flight: 4,
};

const ENTRY: usize = 3000;

/// `logs` logs that append in turn, until so much of a ring is full; entries per log.
fn straddling(logs: u64, bytes: u64) -> (Disk, u64) {
    let mut disk = disk_of(1, GEOMETRY);
    let mut ring = Ring::shaped(1, 0, GEOMETRY);
    for log in 0..logs {
        ring.checkpoint(LogId(log), &point(0));
        if ring.pending() > 60 << 10 {
            ring.commit(&mut disk);
        }
    }
    let entries = bytes / (logs * (ENTRY as u64 + 100));
    for ordinal in 0..entries {
        for log in 0..logs {
            ring.entry(LogId(log), ordinal, ENTRY);
            if ring.pending() > 60 << 10 {
                ring.commit(&mut disk);
            }
        }
    }
    ring.commit(&mut disk);
    (disk, entries)
}

fn start(disk: &mut Disk, cache_bytes: usize) -> Recovered {
    let config = RecoveryConfig {
        geometry: GEOMETRY,
        cache_bytes,
        segment_threshold: 256 << 10,
        segment_bytes: 1 << 30,
        ..config(1)
    };
    disk.read = 0;
    disk.drive(recover(config, Pool)).unwrap().unwrap()
}

/// Everything is there, in the journal or in segments.
fn assert_all(disk: &Disk, recovered: &Recovered, logs: u64, entries: u64) {
    let marker = |file: &&FileName| file.name().contains("-ffff-");
    assert_eq!(disk.files.keys().find(marker), None);
    let found = &recovered.cores[0].logs;
    assert_eq!(found.len() as u64, logs);
    for log in found {
        if log.checkpoint.0.0 == 0 {
            assert_tail(log, 0, entries);
            continue;
        }
        assert_eq!(log.next.0.0, entries);
        let is_segment =
            |file: &&FileName| matches!(file, FileName::Segment { log: of, .. } if *of == log.id);
        let segment = disk.files.keys().find(is_segment).expect("it was spilled");
        let whole: Vec<u8> = (0..entries)
            .flat_map(|ordinal| payload(log.id, ordinal, ENTRY))
            .collect();
        assert!(disk.files[segment].starts_with(&whole), "{segment}");
    }
}

fn ratio(disk: &Disk, recovered: &Recovered) -> f64 {
    assert_eq!(disk.read, recovered.summary.bytes_read);
    disk.read as f64 / recovered.summary.live_bytes as f64
}

#[test]
fn a_full_journal_is_read_once_whatever_the_number_of_logs() {
    for logs in [20, 2000] {
        let (mut disk, entries) = straddling(logs, 56 << 20);
        let recovered = start(&mut disk, 128 << 20);
        assert!(recovered.summary.live_bytes > 50 << 20);
        let ratio = ratio(&disk, &recovered);
        assert!(ratio <= 1.2, "{logs} logs: {ratio}");
        assert_all(&disk, &recovered, logs, entries);
        // What was carried over is read as little.
        let again = start(&mut disk, 128 << 20);
        assert!(disk.read <= 12 * again.summary.live_bytes / 10 + (8 << 20));
        assert_all(&disk, &again, logs, entries);
    }
}

#[test]
fn what_memory_does_not_hold_is_written_at_once_and_not_read_again() {
    for logs in [20, 1000] {
        let (mut disk, entries) = straddling(logs, 56 << 20);
        let recovered = start(&mut disk, 14 << 20);
        let ratio = ratio(&disk, &recovered);
        assert!(ratio <= 1.2, "{logs} logs: {ratio}");
        assert_all(&disk, &recovered, logs, entries);
        let journals = disk.files.keys().filter(|file| file.dir() == Dir::Journal);
        assert_eq!(journals.count(), usize::from(recovered.geometry.files));
    }
}

/// The control: with nothing kept, a log's commits are read again for each log.
#[test]
fn without_what_the_pass_keeps_the_journal_is_read_over_and_over() {
    let (mut disk, entries) = straddling(200, 4 << 20);
    let recovered = start(&mut disk, 0);
    assert!(ratio(&disk, &recovered) > 5.0);
    assert_all(&disk, &recovered, 200, entries);
}

#[test]
fn an_empty_ring_costs_a_file_and_the_beginnings_of_others() {
    let (mut disk, _) = straddling(1, BLOCK as u64);
    start(&mut disk, 1 << 20);
    let most = GEOMETRY.file_bytes + 5 * u64::from(GEOMETRY.max_commit_bytes) * 4 + (1 << 20);
    assert!(disk.read <= most, "{}", disk.read);
}
