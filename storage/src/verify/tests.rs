//! The check is run on directories that were built, and then damaged byte by byte.

use super::*;
use crate::format::mark::Mark;
use crate::format::superblock::Geometry;
use crate::io::{BLOCK, Dir};
use crate::recovery::tests::disk::{Disk, Pool};
use crate::recovery::tests::rings::{GEOMETRY, Ring, config, disk, disk_at, disk_of, point};
use crate::recovery::{RecoveryConfig, recover};
use crate::types::{CommitSeq, Generation, Ordinal};

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

/// With a mark of the ring, which vouches for nothing.
fn marked(mut disk: Disk, ring: &Ring) -> Disk {
    let mark = Mark {
        journal: ring.id,
        vouched: CommitSeq(0),
        bytes: 0,
        ended: None,
    };
    let at = usize::try_from(Mark::position(ring.id.core, 0)).unwrap();
    let superblock = disk.files.get_mut(&FileName::Superblock).unwrap();
    mark.encode(&mut superblock[at..at + BLOCK]);
    disk
}

/// A log with segments up to entry 40, whose entries still stand in the journal too, and more behind
/// them: a start with little memory writes entries below the checkpoint to segments before it meets it.
fn with_a_late_checkpoint() -> Disk {
    let geometry = Geometry {
        files: 60,
        ..GEOMETRY
    };
    let mut disk = disk_at(2, 1, geometry);
    let built = directory();
    let of_logs = built.files.into_iter();
    disk.files
        .extend(of_logs.filter(|(file, _)| file.dir() == Dir::Log(LOG)));
    disk.dirs.insert(Dir::Log(LOG));
    let mut ring = Ring::shaped(2, 0, geometry);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..44 {
        ring.entry(LOG, ordinal, 1000).commit(&mut disk);
    }
    ring.checkpoint(LOG, &point(40)).commit(&mut disk);
    marked(disk, &ring)
}

#[test]
fn what_a_killed_start_left_is_passed_over_and_true_damage_beside_it_is_not() {
    let whole = with_a_late_checkpoint();
    let expected = check(&mut whole.clone());
    assert_eq!((expected.errors, expected.unborn), (0, 0));
    let config = || RecoveryConfig {
        segment_threshold: 1000,
        cache_bytes: 8 << 10,
        ..config(1)
    };
    let (mut left, mut misjudged) = (0, 0);
    for ops in 0.. {
        let mut disk = whole.clone();
        disk.dies_at = Some(ops);
        let killed = disk.drive(recover(config(), Pool)).unwrap().is_err();
        disk.dies_at = None;
        let report = check(&mut disk);
        assert_eq!(report.findings, [], "killed after {ops} operations");
        assert_eq!((report.entries, report.records), (44, 44));
        if !killed {
            assert_eq!(report.unborn, 0);
            break;
        }
        if report.unborn == 0 {
            continue;
        }
        left += 1;
        let segment = FileName::Segment {
            log: LOG,
            base: Ordinal(0),
            generation: Generation(2),
        };
        let report = damaged(&disk, segment, 100);
        assert_eq!((report.errors, report.findings[0].file), (1, segment));
        // Without the journal files that tell of the start, the same files are nobody's.
        let unborn = |file: &FileName| matches!(file, FileName::Journal { generation, .. } if generation.0 > 2);
        disk.files.retain(|file, _| !unborn(file));
        let report = check(&mut disk);
        assert_eq!(report.unborn, 0);
        misjudged += u64::from(report.errors > 0);
        drop(disk.drive(recover(config(), Pool)).unwrap());
    }
    assert!(left > 20 && misjudged > 0, "{left} {misjudged}");
}

#[test]
fn a_journal_is_read_once_whatever_the_number_of_logs() {
    let geometry = Geometry {
        file_bytes: 2 << 20,
        files: 20,
        max_commit_bytes: 128 << 10,
        in_flight: 4,
    };
    let mut disk = disk_of(1, geometry);
    let mut ring = Ring::shaped(1, 0, geometry);
    for log in 0..100 {
        ring.checkpoint(LogId(log), &point(0));
    }
    for ordinal in 0..100 {
        for log in 0..100 {
            ring.entry(LogId(log), ordinal, 3000);
            if ring.pending() > 60 << 10 {
                ring.commit(&mut disk);
            }
        }
    }
    ring.commit(&mut disk);
    let mut disk = marked(disk, &ring);
    let report = check(&mut disk);
    assert_eq!((report.errors, report.entries), (0, 10_000));
    assert!(report.bytes > 28 << 20);
    assert!(disk.read <= report.bytes * 12 / 10, "{}", disk.read);
}
