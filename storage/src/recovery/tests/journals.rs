//! Where a journal ends: torn ends are cut, anything else is refused with its place.

use super::disk::{Disk, Pool};
use super::rings::{GEOMETRY, Ring, config, disk, payload, point};
use crate::format::commit::RingPosition;
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::{Recovered, RecoveredLog, RecoveryError, recover};
use crate::types::{CommitSeq, CoreId, Generation, LogId, Offset, Ordinal};

const LOG: LogId = LogId(5);

pub(super) fn open(disk: &mut Disk, cores: u16) -> Result<Recovered, RecoveryError> {
    disk.drive(recover(config(cores), Pool))
        .expect("recovery waits for nothing but the disk")
}

pub(super) fn only(recovered: &Recovered, log: LogId) -> &RecoveredLog {
    let mut logs = recovered.cores.iter().flat_map(|core| &core.logs);
    logs.find(|found| found.id == log)
        .expect("the log is there")
}

/// Every entry from the checkpoint on is there, with its own bytes.
pub(super) fn assert_tail(log: &RecoveredLog, from: u64, until: u64) {
    let ordinals: Vec<_> = log.tail.iter().map(|(meta, ..)| meta.ordinal.0).collect();
    assert_eq!(ordinals, (from..until).collect::<Vec<_>>());
    for (meta, bytes, _) in &log.tail {
        assert_eq!(*bytes, payload(log.id, meta.ordinal.0, meta.len as usize));
    }
    assert_eq!(log.next, (Ordinal(until), Offset(until * 2)));
}

/// A ring with `commits` commits of one small entry each; where each begins.
fn small(disk: &mut Disk, commits: u64) -> (Ring, Vec<RingPosition>) {
    let mut ring = Ring::new(1, 0);
    let mut places = Vec::new();
    for ordinal in 0..commits {
        if ordinal == 0 {
            ring.checkpoint(LOG, &point(0));
        }
        places.push(ring.entry(LOG, ordinal, 100).commit(disk));
    }
    (ring, places)
}

/// Turns over a bit in the body of the commit at a place.
fn garble(disk: &mut Disk, ring: &Ring, at: RingPosition) {
    let file = disk.files.get_mut(&ring.file(at.file)).unwrap();
    file[usize::try_from(at.byte()).unwrap() + 120] ^= 1;
}

fn corruption(result: Result<Recovered, RecoveryError>) -> (FileName, u64) {
    match result.expect_err("it must refuse") {
        RecoveryError::Corruption { file, position, .. } => (file, position),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn an_empty_directory_becomes_a_first_generation() {
    let mut disk = Disk::default();
    let recovered = open(&mut disk, 2).unwrap();
    assert!(recovered.summary.first_start);
    assert_eq!(recovered.generation, Generation(1));
    assert_eq!(recovered.cores.len(), 2);
    assert_eq!(recovered.cores[1].next_seq, CommitSeq(3));
    let again = open(&mut disk, 1).unwrap();
    assert_eq!(again.generation, Generation(2));
    assert!(!again.summary.first_start);
}

#[test]
fn what_was_journaled_comes_back_again_and_again() {
    let mut disk = disk(1);
    small(&mut disk, 20);
    for generation in 2..6 {
        let recovered = open(&mut disk, 1).unwrap();
        assert_eq!(recovered.generation, Generation(generation));
        assert_tail(only(&recovered, LOG), 0, 20);
        assert_eq!(recovered.summary.entries, 20);
    }
}

#[test]
fn a_torn_end_is_cut_and_stays_cut() {
    for torn in 1..=4 {
        let mut disk = disk(1);
        let (mut ring, _) = small(&mut disk, 10);
        // In flight together: none vouches for another.
        ring.lag = 5;
        let first = ring.entry(LOG, 10, 100).commit(&mut disk);
        for ordinal in 11..10 + torn {
            ring.entry(LOG, ordinal, 100).commit(&mut disk);
        }
        garble(&mut disk, &ring, first);
        let recovered = open(&mut disk, 1).unwrap();
        assert_tail(only(&recovered, LOG), 0, 10);
        assert_eq!(recovered.summary.torn_ends, u64::from(torn > 1));
        assert_tail(only(&open(&mut disk, 1).unwrap(), LOG), 0, 10);
    }
}

#[test]
fn commits_written_without_a_sync_may_all_be_torn() {
    // Forty commits over five files, none vouched for after the fourth.
    for torn in [5, 8, 16, 23, 24, 39] {
        let mut disk = disk(1);
        let (mut ring, _) = small(&mut disk, 5);
        let mut places = Vec::new();
        for ordinal in 5..40 {
            ring.lag = ordinal - 3;
            places.push(ring.entry(LOG, ordinal, 100).commit(&mut disk));
        }
        garble(&mut disk, &ring, places[torn - 5]);
        let recovered = open(&mut disk, 1).unwrap();
        assert_tail(only(&recovered, LOG), 0, torn as u64);
    }
}

#[test]
fn a_ring_whose_files_all_begin_with_a_torn_commit_is_still_read() {
    let mut disk = disk(1);
    disk.dirs.insert(Dir::Log(LOG));
    let mut ring = Ring::new(1, 0);
    for ordinal in 0..(6 * 8 + 3) {
        if ordinal == 4 {
            // What the overwritten blocks held is needed no more.
            ring.live_from = (CommitSeq(5), RingPosition { file: 0, block: 4 });
        }
        if ordinal == 4 || ordinal == 0 {
            ring.checkpoint(LOG, &point(ordinal));
            ring.snapshot(
                LOG,
                ordinal,
                crate::format::record::SnapshotState::Inline(b""),
            );
        }
        ring.lag = ordinal.saturating_sub(5).max(1);
        ring.entry(LOG, ordinal, 100).commit(&mut disk);
    }
    for file in 0..6 {
        garble(&mut disk, &ring, RingPosition { file, block: 0 });
    }
    let recovered = open(&mut disk, 1).unwrap();
    assert_tail(only(&recovered, LOG), 4, 8);
}

#[test]
fn damage_that_a_later_commit_vouches_for_is_refused_with_its_place() {
    for damaged in 0..19 {
        let mut disk = disk(1);
        let (ring, places) = small(&mut disk, 20);
        garble(&mut disk, &ring, places[damaged]);
        let before = disk.clone();
        let place = corruption(open(&mut disk, 1));
        let at = places[damaged];
        // The first block of a file is looked for where the file before it ended.
        let end_before = RingPosition {
            file: at.file.wrapping_sub(1),
            block: u32::try_from(GEOMETRY.file_bytes / BLOCK as u64).unwrap(),
        };
        assert!(
            place == (ring.file(at.file), at.byte())
                || (at.block == 0 && place == (ring.file(end_before.file), end_before.byte())),
            "commit {damaged} at {at:?}: {place:?}"
        );
        assert_eq!(disk.files, before.files, "refusing changes nothing");
    }
}

#[test]
fn a_damaged_header_of_a_durable_commit_is_refused() {
    let mut disk = disk(1);
    let (ring, places) = small(&mut disk, 6);
    let file = disk.files.get_mut(&ring.file(0)).unwrap();
    file[places[3].byte() as usize + 1] ^= 0x80;
    assert_eq!(
        corruption(open(&mut disk, 1)),
        (ring.file(0), places[3].byte())
    );
}

#[test]
fn a_ring_that_has_lapped_is_read_from_live_from_on() {
    let mut disk = disk(1);
    disk.dirs.insert(Dir::Log(LOG));
    let mut ring = Ring::new(1, 0);
    let per_ring = 8 * 6;
    for ordinal in 0..3 * per_ring + 5 {
        if ordinal % 10 == 0 {
            // A new checkpoint every ten entries; live from the previous one.
            let keep = ordinal - ordinal.min(10);
            ring.snapshot(
                LOG,
                ordinal,
                crate::format::record::SnapshotState::Inline(b""),
            );
            ring.checkpoint(LOG, &point(ordinal));
            let live = CommitSeq(keep + 1);
            let block = u32::try_from(keep % 8).unwrap();
            let file = u16::try_from(keep / 8 % 6).unwrap();
            ring.live_from = (live, RingPosition { file, block });
        }
        ring.entry(LOG, ordinal, 100).commit(&mut disk);
    }
    let recovered = open(&mut disk, 1).unwrap();
    assert_tail(only(&recovered, LOG), 140, 149);
    assert_eq!(recovered.summary.commits, 149 - 130);
}

#[test]
fn a_missing_journal_file_is_refused() {
    let mut disk = disk(1);
    let (ring, _) = small(&mut disk, 3);
    disk.files.remove(&ring.file(4));
    assert_eq!(corruption(open(&mut disk, 1)), (ring.file(4), 0));
}

#[test]
fn a_ring_without_any_commit_is_refused() {
    let mut disk = disk(2);
    small(&mut disk, 3);
    assert_eq!(corruption(open(&mut disk, 2)), (Ring::new(1, 1).file(0), 0));
}

#[test]
fn commits_of_another_generation_core_or_salt_do_not_count() {
    let stray = |change: fn(&mut Ring)| {
        let mut disk = disk(1);
        let (mut ring, _) = small(&mut disk, 4);
        change(&mut ring);
        ring.entry(LOG, 4, 100).commit(&mut disk);
        assert_tail(only(&open(&mut disk, 1).unwrap(), LOG), 0, 4);
    };
    stray(|ring| ring.id.generation = Generation(7));
    stray(|ring| ring.id.core = CoreId(1));
    stray(|ring| ring.id.salt ^= 1);
}
