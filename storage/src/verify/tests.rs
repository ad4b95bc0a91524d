//! The check against directories that were built, then damaged byte by byte.

use super::*;
use crate::io::BLOCK;
use crate::recovery::tests::disk::{Disk, Pool};
use crate::recovery::tests::rings::{Ring, config, disk, point};
use crate::recovery::{RecoveryConfig, recover};

const LOG: LogId = LogId(3);

/// Counts entries of 1000 bytes as one record each, and bytes that it was shown.
struct Counts;

impl Inspect for Counts {
    fn entries(
        &mut self,
        _: LogId,
        _: LogKind,
        _: Offset,
        entries: &[u8],
    ) -> Result<u64, (usize, String)> {
        Ok(entries.len() as u64 / 1000)
    }

    fn snapshot(&mut self, _: LogId, _: LogKind, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

fn check(disk: &mut Disk) -> Report {
    let before = disk.files.clone();
    let report = disk.drive(Verify::new(Pool, Counts)).expect("it ends");
    assert_eq!(disk.files, before, "a check changes nothing");
    report
}

/// A directory with a log in segments and another one in the journal.
fn directory() -> Disk {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..40 {
        ring.entry(LOG, ordinal, 1000).commit(&mut disk);
    }
    ring.checkpoint(LogId(4), &point(0));
    ring.entry(LogId(4), 0, 1000).commit(&mut disk);
    let recovered = disk.drive(recover(
        RecoveryConfig {
            segment_bytes: 25_000,
            ..config(1)
        },
        Pool,
    ));
    assert_eq!(recovered.unwrap().unwrap().summary.segments_written, 2);
    disk
}

#[test]
fn a_whole_directory_is_counted_and_has_no_findings() {
    let report = check(&mut directory());
    assert_eq!(report.findings, []);
    assert_eq!((report.logs, report.entries, report.records), (2, 41, 41));
    assert_eq!(report.errors, 0);
}

#[test]
fn a_directory_that_never_began_is_not_called_whole() {
    let report = check(&mut Disk::default());
    assert_eq!((report.files, report.errors), (0, 1));
    assert_eq!(report.findings[0].file, FileName::Superblock);
}

/// Damages one byte of a file; what the check says.
fn damaged(disk: &Disk, file: FileName, at: usize) -> Report {
    let mut disk = disk.clone();
    disk.files.get_mut(&file).unwrap()[at] ^= 0x10;
    check(&mut disk)
}

#[test]
fn any_damaged_byte_of_what_counts_is_found_in_its_file() {
    let disk = directory();
    for &file in disk.files.keys() {
        let counted = match file {
            FileName::Superblock => 0..64,
            // The header and body of the commit that holds everything.
            FileName::Journal { index: 0, .. } => 0..BLOCK,
            FileName::Journal { .. } => continue,
            // Without the closing pad.
            FileName::Segment { base, .. } if base.0 == 0 => 0..25_000,
            FileName::Segment { .. } => 0..15_000,
            FileName::Index { .. } | FileName::Snapshot { .. } => 0..BLOCK,
        };
        for at in counted.step_by(37) {
            let report = damaged(&disk, file, at);
            assert!(report.errors > 0, "{file} at byte {at}");
            let named = report.findings.iter().any(|finding| finding.file == file);
            assert!(named, "{file} at byte {at}: {:?}", report.findings);
        }
    }
}

#[test]
fn a_damaged_span_is_named_and_the_rest_is_still_counted() {
    let disk = directory();
    let file = FileName::Segment {
        log: LOG,
        base: Ordinal(0),
        generation: Generation(2),
    };
    let report = damaged(&disk, file, 7_500);
    assert_eq!(report.errors, 1);
    assert_eq!(
        (report.findings[0].file, report.findings[0].position),
        (file, 6000)
    );
    assert_eq!(report.entries, 41 - 3);
}

#[test]
fn missing_segments_and_indexes_are_found() {
    let disk = directory();
    for missing in disk.files.keys() {
        if matches!(missing.dir(), Dir::Log(_)) {
            let mut disk = disk.clone();
            disk.files.remove(missing);
            let report = check(&mut disk);
            assert!(report.errors > 0, "{missing}");
        }
    }
}

#[test]
fn what_the_inspector_refuses_is_found_at_its_place() {
    struct Picky;
    impl Inspect for Picky {
        fn entries(
            &mut self,
            log: LogId,
            _: LogKind,
            offset: Offset,
            _: &[u8],
        ) -> Result<u64, (usize, String)> {
            match (log, offset) {
                (LOG, Offset(0)) => Err((40, "not a batch".to_owned())),
                _ => Ok(1),
            }
        }

        fn snapshot(&mut self, _: LogId, _: LogKind, _: &[u8]) -> Result<(), String> {
            Ok(())
        }
    }
    let report = directory().drive(Verify::new(Pool, Picky)).unwrap();
    assert_eq!(report.errors, 1);
    assert_eq!(report.findings[0].position, 40);
    assert_eq!(report.findings[0].what, "not a batch");
}
