//! Files that somebody deleted, emptied, cut or replaced: recovery says which, and touches nothing.

use super::disk::Disk;
use super::journals::{assert_tail, only, open};
use super::rings::{Ring, disk, point};
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::RecoveryError;
use crate::types::LogId;

const LOG: LogId = LogId(5);

/// All data in the journal of one core, after a restart.
fn journaled() -> Disk {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..9 {
        ring.entry(LOG, ordinal, 100).commit(&mut disk);
    }
    open(&mut disk, 1).unwrap();
    disk
}

/// Opens a damaged directory: the file that is named, and that nothing was changed.
fn refused(mut disk: Disk) -> FileName {
    let before = disk.files.clone();
    let error = open(&mut disk, 1).expect_err("it must refuse");
    assert_eq!(disk.files, before, "refusing changes nothing");
    match error {
        RecoveryError::Corruption { file, .. } => file,
        other => panic!("another error: {other}"),
    }
}

#[test]
fn without_a_whole_superblock_journaled_records_are_not_given_up() {
    let whole = journaled();
    assert_tail(only(&open(&mut whole.clone(), 1).unwrap(), LOG), 0, 9);
    let mut lost = whole.clone();
    lost.files.remove(&FileName::Superblock);
    assert_eq!(refused(lost), FileName::Superblock);
    for len in [0, 100, BLOCK / 2, BLOCK, 2 * BLOCK - 1] {
        let mut cut = whole.clone();
        let bytes = cut.files.get_mut(&FileName::Superblock).unwrap();
        bytes.truncate(len);
        assert_eq!(refused(cut), FileName::Superblock, "cut to {len}");
    }
    let mut zeroed = whole.clone();
    zeroed
        .files
        .insert(FileName::Superblock, vec![0; 2 * BLOCK]);
    assert_eq!(refused(zeroed), FileName::Superblock);
}

#[test]
fn a_superblock_of_an_earlier_generation_is_refused() {
    let mut disk = journaled();
    let old = disk.files[&FileName::Superblock].clone();
    for _ in 0..2 {
        open(&mut disk, 1).unwrap();
    }
    disk.files.insert(FileName::Superblock, old);
    assert_eq!(refused(disk), FileName::Superblock);
}

#[test]
fn lost_journals_are_named() {
    let mut disk = journaled();
    disk.files.retain(|file, _| file.dir() != Dir::Journal);
    assert_eq!(refused(disk), FileName::Superblock);
}

#[test]
fn a_first_start_that_dies_anywhere_can_be_made_again() {
    let mut whole = Disk::default();
    open(&mut whole, 2).unwrap();
    for dies_at in 0..whole.ops {
        let mut disk = Disk {
            dies_at: Some(dies_at),
            ..Disk::default()
        };
        assert!(open(&mut disk, 2).is_err());
        disk.dies_at = None;
        open(&mut disk, 2).unwrap();
    }
}
