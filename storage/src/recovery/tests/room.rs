//! Starting on a disk that is nearly full: what is live needs room once more, and no second ring.

use super::disk::{Disk, Pool};
use super::journals::{assert_tail, only, open};
use super::rings::{GEOMETRY, Ring, config, disk, point};
use crate::io::{BLOCK, FileName};
use crate::recovery::{RecoveryConfig, RecoveryError, recover};
use crate::types::{Generation, LogId};

const LOG: LogId = LogId(5);
const RING: u64 = GEOMETRY.file_bytes * GEOMETRY.files as u64;

/// A ring with `entries` entries of `len` bytes, and so much room beside it.
fn left_with(entries: u64, len: usize, free: u64) -> Disk {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..entries {
        ring.entry(LOG, ordinal, len).commit(&mut disk);
    }
    disk.room = Some(0);
    disk.room = Some(disk.used() + free);
    disk
}

#[test]
fn a_start_needs_no_second_ring() {
    let free = 4 * BLOCK as u64;
    assert!(free < GEOMETRY.file_bytes);
    let mut disk = left_with(10, 100, free);
    for generation in 2..6 {
        let recovered = open(&mut disk, 1).unwrap();
        assert_eq!(recovered.generation, Generation(generation));
        assert_tail(only(&recovered, LOG), 0, 10);
        // The blocks of the old ring are those of the new one, all of them written before.
        assert_eq!(
            recovered.cores[0].prepared,
            [GEOMETRY.file_bytes; GEOMETRY.files as usize]
        );
        let superblock = disk.files[&FileName::Superblock].len() as u64;
        assert_eq!(disk.used(), RING + superblock);
    }
}

#[test]
fn a_start_without_room_gives_back_what_it_took_and_says_what_it_needs() {
    // Into the journal, and into a segment.
    for (entries, len) in [(10, 1000), (20, 7000)] {
        let mut disk = left_with(entries, len, BLOCK as u64);
        let before = disk.clone();
        let error = open(&mut disk, 1).expect_err("there is no room");
        let RecoveryError::NoSpace { need, free, .. } = error.clone() else {
            panic!("another error: {error}");
        };
        assert_eq!(free, BLOCK as u64);
        assert!(need > free, "{error}");
        assert_eq!(disk.files, before.files, "all is given back");
        // With what it names it starts.
        disk.room = disk.room.map(|room| room + need - free);
        let recovered = open(&mut disk, 1).unwrap();
        assert_eq!(only(&recovered, LOG).next.0.0, entries);
    }
}

#[test]
fn a_first_start_without_room_for_its_rings_says_so() {
    let mut disk = Disk {
        room: Some(RING - 1),
        ..Disk::default()
    };
    let error = open(&mut disk, 1).expect_err("there is no room");
    let RecoveryError::NoSpace { need, .. } = error else {
        panic!("another error: {error}");
    };
    assert!(disk.files.is_empty(), "{:?}", disk.files.keys());
    disk.room = Some(need);
    open(&mut disk, 1).unwrap();
}

/// Starts, killed after `ops` operations; whether it was.
fn killed(disk: &mut Disk, config: RecoveryConfig, ops: u64) -> bool {
    disk.dies_at = Some(disk.ops + ops);
    let ended = disk.drive(recover(config, Pool)).expect("it ends");
    disk.dies_at = None;
    ended.is_err()
}

#[test]
fn what_killed_starts_have_left_goes_before_anything_is_taken() {
    // Everything goes to segments, much of it while the journal is read.
    let config = || RecoveryConfig {
        segment_threshold: 1000,
        cache_bytes: 8 << 10,
        ..config(1)
    };
    let mut litter = 0;
    for ops in (0..).step_by(3) {
        let mut disk = left_with(20, 7000, 400 << 10);
        let (before, truth) = (disk.used(), disk.files[&FileName::Superblock].clone());
        if !killed(&mut disk, config(), ops) {
            assert!(ops > 100, "it was killed at many places");
            break;
        }
        litter = litter.max(disk.used() - before);
        // Room for one try, if nothing of the one before is in its way.
        let mut alone = left_with(20, 7000, 400 << 10);
        alone.drive(recover(config(), Pool)).unwrap().unwrap();
        let born = disk.files[&FileName::Superblock] != truth;
        disk.room = Some(alone.most.max(disk.used()));
        let recovered = disk.drive(recover(config(), Pool)).unwrap().unwrap();
        assert_eq!(only(&recovered, LOG).next.0.0, 20);
        assert!(
            disk.most <= alone.most.max(before + litter),
            "after {ops} operations"
        );
        let of_others = disk.files.keys().filter(|file| match **file {
            FileName::Segment { generation, .. } | FileName::Index { generation, .. } => {
                generation != recovered.generation
            }
            _ => false,
        });
        assert!(born || of_others.count() == 0, "after {ops} operations");
    }
    assert!(litter > 100 << 10, "a kill leaves much: {litter}");
}
