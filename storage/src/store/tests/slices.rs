//! What is long takes many turns: reading a long entry, and writing to many segments at once.

use super::world::{LOG, World, reserving, small};
use crate::format::commit::CommitHeader;
use crate::io::{BLOCK, FileName, Op};
use crate::store::{LogSettings, ReadError, ReadOutcome, StoreConfig};
use crate::types::{LogId, Offset};

/// Three entries, the second of which no commit takes and no single read, on disk alone.
fn with_a_long_entry(config: StoreConfig) -> World {
    let mut world = World::new(config, 111);
    world.topic(LOG, LogSettings::default());
    for len in [100, 70_001, 100] {
        world.append(LOG, len).unwrap();
    }
    world.settle();
    world.restart(LogSettings::default());
    world
}

fn segment_of(world: &World) -> FileName {
    let segment = |file: &&FileName| matches!(file, FileName::Segment { .. });
    *world.disk.files.keys().find(segment).expect("a segment")
}

/// Reads the long entry: how many reads of its segment that takes, and whether one is long.
fn reads(world: &mut World) -> (usize, bool) {
    let from = Offset(3);
    let outcome = world.store.read(LOG, from..Offset(9), 1, world.now);
    assert!(matches!(outcome, ReadOutcome::Pending(_)), "{outcome:?}");
    let (mut reads, mut long) = (0, false);
    loop {
        world.issue();
        let of_segment = |op: &Op<Vec<u8>>| {
            matches!(
                op,
                Op::Read {
                    file: FileName::Segment { .. },
                    ..
                }
            )
        };
        reads += usize::from(world.waits_for(of_segment));
        long |= world.waits_for(|op| {
            matches!(op, Op::Read { file: FileName::Segment { .. }, len, .. } if *len > (16 << 10))
        });
        if !world.complete_one() {
            return (reads, long);
        }
    }
}

#[test]
fn a_long_entry_is_read_and_verified_in_pieces() {
    let mut world = with_a_long_entry(small());
    let (pieces, long) = reads(&mut world);
    assert!((5..8).contains(&pieces) && !long, "{pieces} {long}");
    world.check_log(LOG, 1);
    // Where one read may be so long, one is made.
    let mut world = with_a_long_entry(StoreConfig {
        read_bytes: 1 << 20,
        ..small()
    });
    assert_eq!(reads(&mut world), (1, true));
    world.check_log(LOG, 1);
}

#[test]
fn a_long_entry_that_is_damaged_or_cut_off_is_refused_by_name() {
    for at in [110, 40_000, 70_090] {
        let mut world = with_a_long_entry(small());
        let file = segment_of(&world);
        world.disk.files.get_mut(&file).unwrap()[at] ^= 1;
        let read = world.read(LOG, Offset(3), 1);
        let Err(ReadError::Corrupt {
            file: of, reason, ..
        }) = read
        else {
            panic!("a byte at {at} is another: {read:?}");
        };
        assert!(of == file && reason.contains("CRC"), "{reason}");
    }
    for len in [BLOCK, 5 * BLOCK, 5 * BLOCK + 7, 60_000] {
        let mut world = with_a_long_entry(small());
        let file = segment_of(&world);
        world.disk.files.get_mut(&file).unwrap().truncate(len);
        let read = world.read(LOG, Offset(3), 1);
        let Err(ReadError::Corrupt { reason, .. }) = read else {
            panic!("cut to {len}: {read:?}");
        };
        assert!(reason.contains("too short"), "{reason}");
    }
}

/// Ten logs, whose files are there, want a bulk write at once: the most bytes of segments that a turn
/// asks for, and in how many turns all are written.
fn most_in_a_turn(config: StoreConfig) -> (usize, usize) {
    let mut world = World::new(config, 113);
    let logs = 1..=10;
    for log in logs.clone() {
        world.topic(LogId(log), LogSettings::default());
        world.append(LogId(log), 60_000).unwrap();
        world.settle();
    }
    for log in logs.clone() {
        world.append(LogId(log), 60_000).unwrap();
    }
    let written = |world: &World| world.store.stats().segment_bytes as usize;
    let all = written(&world) + 10 * (60_000 - BLOCK);
    let (mut most, mut turns) = (0, 0);
    while written(&world) < all {
        let before = written(&world);
        // One is a turn with nothing else to do, the next has a completion.
        match turns % 2 {
            0 => world.next_turn(),
            _ => assert!(world.complete_one(), "{}", world.standing()),
        }
        world.issue();
        most = most.max(written(&world) - before);
        turns += 1;
    }
    world.settle();
    for log in logs {
        let frontiers = world.store.frontiers(LogId(log)).unwrap();
        assert_eq!(frontiers.durable, frontiers.ordered);
        world.check_log(LogId(log), 1 << 20);
    }
    (most, turns)
}

#[test]
fn many_segments_are_written_to_a_bounded_number_of_bytes_a_turn() {
    let bounded = |turn_copy_bytes| StoreConfig {
        turn_copy_bytes,
        segment_writes_in_flight: 8,
        ..reserving(0)
    };
    let (most, turns) = most_in_a_turn(bounded(32 << 10));
    assert!(
        (1..=40 << 10).contains(&most),
        "{most} bytes in one of {turns}"
    );
    let (unbounded, fewer) = most_in_a_turn(bounded(usize::MAX));
    assert!(unbounded > 400_000, "{unbounded} bytes in one of {fewer}");
    assert!(turns > fewer);
}

/// Records of the fullest commit that the store has in hand.
fn most_records(world: &World) -> u32 {
    let commits = world.in_flight().filter_map(|op| match op {
        Op::Write {
            file: FileName::Journal { .. },
            buf,
            ..
        } => CommitHeader::decode(buf, |_| true).ok(),
        _ => None,
    });
    commits.map(|header| header.count).max().unwrap_or(0)
}

#[test]
fn what_very_many_logs_owe_at_once_takes_many_commits() {
    const LOGS: u64 = 3000;
    let config = StoreConfig {
        max_commit_bytes: 1 << 20,
        ..small()
    };
    let mut world = World::new(config, 117);
    for log in 1..=LOGS {
        world.topic(LogId(log), LogSettings::default());
        world.must_append(LogId(log), 100);
        world.must_append(LogId(log), 100);
    }
    world.settle();
    // Where each begins now is told to the journal.
    for log in 1..=LOGS {
        let next = world.accepted[&LogId(log)][0].1;
        world.store.trim(LogId(log), next);
    }
    world.store.begin_stop(world.now);
    let (mut most, mut all) = (0, 0);
    loop {
        world.issue();
        let records = most_records(&world);
        most = most.max(records);
        all += records;
        if !world.complete_one() {
            break;
        }
    }
    world.settle();
    assert!(u64::from(all) >= LOGS, "{all} records say nothing");
    assert!(most <= 1024, "{most} records in one commit");
}
