//! Files that somebody deleted, emptied, cut or replaced: recovery says which, and touches nothing.

use super::disk::Disk;
use super::journals::{assert_tail, only, open};
use super::logs::{LOG, bulk};
use super::rings::{Ring, disk, payload, point};
use crate::format::crc;
use crate::format::record::{self, SnapshotState};
use crate::format::snapshot::{SnapshotId, encode, file_len};
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::{RecoveredLog, RecoveryError};
use crate::types::{Generation, LogId, LogKind, Ordinal};

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
    // The last operation asks what is free, which a start can do without.
    for dies_at in 0..whole.ops - 1 {
        let mut disk = Disk {
            dies_at: Some(dies_at),
            ..Disk::default()
        };
        assert!(open(&mut disk, 2).is_err());
        disk.dies_at = None;
        open(&mut disk, 2).unwrap();
    }
}

/// A log with a snapshot in a file, entries in the journal and others in an extent, two of which are
/// replayed only; another log beside it.
fn with_files() -> (Disk, FileName, FileName) {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    let state = vec![7; 5000];
    let (ordinal, generation) = (Ordinal(2), Generation(1));
    let file = FileName::Snapshot {
        log: LOG,
        ordinal,
        generation,
    };
    let mut content = vec![0; file_len(state.len())];
    let id = SnapshotId {
        log: LOG,
        ordinal,
        generation,
    };
    encode(&mut content, &id, &state);
    disk.files.insert(file, content);
    let form = SnapshotState::File {
        generation,
        len: 5000,
        crc: crc(&state),
    };
    ring.checkpoint(OTHER, &point(0)).entry(OTHER, 0, 700);
    ring.checkpoint(LOG, &point(0));
    let segment = bulk(&mut disk, &mut ring, 0..9, 1000, 0);
    for ordinal in 9..12 {
        ring.entry(LOG, ordinal, 300);
    }
    ring.checkpoint(LOG, &point(4)).snapshot(LOG, 2, form);
    ring.entry(OTHER, 1, 700).commit(&mut disk);
    (disk, file, segment)
}

const OTHER: LogId = LogId(6);

/// What became of [`LOG`], in the form that does not depend on where it stands.
fn whole(disk: &mut Disk, cores: u16) -> (u64, Vec<u8>, usize) {
    let recovered = open(disk, cores).unwrap();
    let log: &RecoveredLog = only(&recovered, LOG);
    assert!(log.lost.is_none());
    let state = log.snapshot.clone().unwrap().1;
    (log.next.0.0, state.to_vec(), log.replay.len())
}

#[test]
fn a_log_of_which_a_file_is_lost_stays_as_it_is_until_it_is_put_back() {
    let (disk, snapshot, segment) = with_files();
    let expected = whole(&mut disk.clone(), 1);
    assert_eq!((expected.0, expected.2), (12, 10));
    for file in [snapshot, segment] {
        let content = disk.files[&file].clone();
        let changes: [fn(&mut Vec<u8>); 4] = [
            |bytes| bytes.clear(),
            |bytes| bytes.truncate(BLOCK),
            |bytes| bytes[4500] ^= 1,
            |bytes| bytes.fill(0),
        ];
        for change in 0..=changes.len() {
            let mut disk = disk.clone();
            match changes.get(change) {
                Some(change) => change(disk.files.get_mut(&file).unwrap()),
                None => drop(disk.files.remove(&file)),
            }
            let before: Vec<_> = disk.files.clone().into_iter().collect();
            for cores in [1, 3, 2, 2] {
                let recovered = open(&mut disk, cores).unwrap();
                let log = only(&recovered, LOG);
                let lost = log.lost.as_ref().expect("it cannot be whole");
                assert!(lost.reason.contains(&file.to_string()), "{}", lost.reason);
                assert!(log.tail.is_empty() && log.replay.is_empty());
                assert_tail(only(&recovered, OTHER), 0, 2);
            }
            // Neither is anything of it changed, nor is there anything more.
            let of_log = |file: &FileName| file.dir() == Dir::Log(LOG);
            let before = before.into_iter().filter(|(file, _)| of_log(file));
            let after = disk.files.clone().into_iter();
            assert!(before.eq(after.filter(|(file, _)| of_log(file))));
            disk.files.insert(file, content.clone());
            assert_eq!(whole(&mut disk, 2), expected);
            let recovered = open(&mut disk, 2).unwrap();
            for (meta, bytes, _) in &only(&recovered, LOG).tail {
                assert_eq!(*bytes, payload(LOG, meta.ordinal.0, meta.len as usize));
            }
            assert_eq!(only(&recovered, LOG).tail.len(), 8);
        }
    }
}

/// The machine logs tell what the others are: without them nothing is served.
#[test]
fn a_machine_log_is_not_done_without() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    let (log, ordinal, generation) = (LogId(0), Ordinal(0), Generation(1));
    let (len, crc) = (5000, 7);
    let form = SnapshotState::File {
        generation,
        len,
        crc,
    };
    let kind = LogKind::Machine;
    ring.put(record::CHECKPOINT_LEN, |out| {
        record::put_checkpoint(out, log, kind, &point(0))
    });
    ring.put(record::snapshot_len(&form), |out| {
        record::put_snapshot(out, log, kind, ordinal, &form)
    });
    ring.commit(&mut disk);
    let file = FileName::Snapshot {
        log,
        ordinal,
        generation,
    };
    assert_eq!(refused(disk), file);
}
