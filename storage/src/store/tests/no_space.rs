//! What the file system refuses for want of space is tried again, and nothing else is.

use super::world::{Is, LOG, SEGMENT_SYNCS, World, reserving, small};
use crate::io::{Dir, FileName, Op};
use crate::store::{AppendError, DiskSpace, Event, LogSettings, StoreConfig};
use crate::types::{LogId, LogKind, Offset, SlotId};

const SECOND: u64 = 1_000_000_000;

/// Every write of a segment needs space: none is given a length ahead.
fn growing() -> StoreConfig {
    reserving(0)
}

fn is_dir(op: &Op<Vec<u8>>) -> bool {
    matches!(op, Op::MakeDir(Dir::Log(_)))
}

fn is_segment(op: &Op<Vec<u8>>) -> bool {
    let segment = |file: &FileName| matches!(file, FileName::Segment { .. });
    matches!(op, Op::Create { file, .. } if segment(file))
}

fn is_index(op: &Op<Vec<u8>>) -> bool {
    let index = |file: &FileName| matches!(file, FileName::Index { .. });
    matches!(op, Op::Create { file, .. } if index(file))
}

fn is_data(op: &Op<Vec<u8>>) -> bool {
    let segment = |file: &FileName| matches!(file, FileName::Segment { .. });
    matches!(op, Op::Write { file, .. } if segment(file))
}

fn is_spans(op: &Op<Vec<u8>>) -> bool {
    let index = |file: &FileName| matches!(file, FileName::Index { .. });
    matches!(op, Op::Write { file, .. } if index(file))
}

fn is_snapshot(op: &Op<Vec<u8>>) -> bool {
    let snapshot = |file: &FileName| matches!(file, FileName::Snapshot { .. });
    match op {
        Op::Create { file, .. } | Op::Write { file, .. } => snapshot(file),
        _ => false,
    }
}

fn is_journal(op: &Op<Vec<u8>>) -> bool {
    let journal = |file: &FileName| matches!(file, FileName::Journal { .. });
    matches!(op, Op::Write { file, .. } if journal(file))
}

fn count(world: &World, is: fn(&Event) -> bool) -> usize {
    world.events.iter().filter(|event| is(event)).count()
}

fn begun(world: &World) -> usize {
    count(world, |event| matches!(event, Event::DiskShort { .. }))
}

fn ended(world: &World) -> usize {
    count(world, |event| *event == Event::DiskHasRoom)
}

/// Nothing has stopped.
fn sound(world: &World) {
    let broken = |event: &Event| matches!(event, Event::Stopped { .. } | Event::Fatal(_));
    assert_eq!(count(world, broken), 0, "{:?}", world.events);
}

/// Appends until the file system refuses something that `full` is true for.
fn fill(world: &mut World, full: Is, len: usize) {
    world.full = full;
    for round in 0..1000 {
        match world.append(LOG, len) {
            Ok(_) => world.settle(),
            Err(AppendError::DiskFloor) => return,
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    panic!("the disk is never full");
}

/// The disk is full: reads, trims and deletions go on, and nothing is tried in a loop.
fn goes_on(world: &mut World) {
    let other = LogId(8);
    assert_eq!(begun(world), 1, "{:?}", world.events);
    world.check_log(LOG, 5000);
    let before = world.store.stats();
    assert!(before.disk == DiskSpace::Full && before.space_refusals > 0);
    world.sleep(20 * SECOND);
    let tried = world.store.stats().space_refusals - before.space_refusals;
    assert!((1..=20 * 4).contains(&tried), "tried {tried} times");
    assert_eq!(world.append(LOG, 1), Err(AppendError::DiskFloor));
    world.store.trim(LOG, Offset(9));
    world.store.drop_log(other);
    world.sleep(SECOND);
    assert!(!world.trimmed(LOG).is_empty());
    assert!(world.events.contains(&Event::Dropped { log: other }));
    assert!(!world.events.contains(&Event::SpaceAvailable));
    assert_eq!((begun(world), ended(world)), (1, 0));
    sound(world);
}

/// There is space again: within a few seconds everything is as if nothing had been.
fn resumes(world: &mut World) {
    world.full = |_| false;
    for _ in 0..3 {
        world.sleep(SECOND);
    }
    assert!(world.events.contains(&Event::SpaceAvailable));
    assert_eq!((begun(world), ended(world)), (1, 1));
    assert!(!world.store.stats().disk.is_short());
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
    for _ in 0..300 {
        world.must_append(LOG, 1000);
        world.settle();
    }
    sound(world);
    world.check_log(LOG, 5000);
    world.restart(LogSettings::default());
    world.check_log(LOG, 5000);
}

#[test]
fn a_segment_that_is_refused_is_written_when_there_is_space() {
    for (seed, full) in [
        (1, is_dir as Is),
        (2, is_segment),
        (3, is_index),
        (4, is_data),
        (5, is_spans),
    ] {
        let mut world = World::new(growing(), seed);
        world.topic(LOG, LogSettings::default());
        world.topic(LogId(8), LogSettings::default());
        world.append(LogId(8), 100).unwrap();
        fill(&mut world, full, 1000);
        goes_on(&mut world);
        resumes(&mut world);
        assert!(world.files_of(LOG) > 0);
    }
}

#[test]
fn a_bulk_write_that_is_refused_is_acknowledged_when_it_is_done() {
    for (seed, full) in [(1, is_segment as Is), (2, is_data)] {
        let mut world = World::new(growing(), seed);
        world.topic(LOG, LogSettings::default());
        world.topic(LogId(8), LogSettings::default());
        world.append(LogId(8), 100).unwrap();
        world.append(LOG, 1000).unwrap();
        for _ in 0..3 {
            world.append(LOG, 100).unwrap();
        }
        world.settle();
        fill(&mut world, full, 90_000);
        assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(12));
        goes_on(&mut world);
        assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(12));
        resumes(&mut world);
    }
}

#[test]
fn a_reservation_that_is_refused_is_done_without() {
    let mut world = World::new(small(), 7);
    world.topic(LOG, LogSettings::default());
    world.full = |op| matches!(op, Op::Resize { .. });
    world.append(LOG, 90_000).unwrap();
    world.settle();
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(3));
    assert_eq!(begun(&world), 0);
}

#[test]
fn a_snapshot_that_is_refused_is_written_when_there_is_space() {
    let mut world = World::new(growing(), 11);
    let machine = LogId(0);
    let settings = LogSettings::default();
    world
        .store
        .create_log(machine, SlotId(0), LogKind::Machine, settings);
    world.topic(LOG, settings);
    world.append(machine, 100).unwrap();
    world.settle();
    world.full = is_snapshot;
    let state = bytes::Bytes::from(vec![1; 5000]);
    world.store.put_snapshot(machine, state, None);
    world.settle();
    assert_eq!(begun(&world), 1);
    assert_eq!(world.append(LOG, 100), Err(AppendError::DiskFloor));
    // The topology changes for all that: it may be what makes space.
    world.append(machine, 100).unwrap();
    world.settle();
    let frontiers = world.store.frontiers(machine).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
    world.full = |_| false;
    world.sleep(3 * SECOND);
    sound(&world);
    assert_eq!(ended(&world), 1);
    let snapshot = |file: &&FileName| matches!(file, FileName::Snapshot { .. });
    assert_eq!(world.disk.files.keys().filter(snapshot).count(), 1);
    world.append(LOG, 100).unwrap();
}

#[test]
fn a_commit_that_makes_its_file_longer_waits_and_none_overtakes_it() {
    let config = StoreConfig {
        prefill: false,
        ..small()
    };
    let mut world = World::new(config, 13);
    world.topic(LOG, LogSettings::default());
    // Recovery has filled the ring's first file.
    for _ in 0..9 {
        world.append(LOG, 100).unwrap();
        world.settle();
    }
    world.full = is_journal;
    let mut refused = 0;
    for _ in 0..10 {
        refused += usize::from(world.append(LOG, 100).is_err());
        world.settle();
    }
    assert_eq!(refused, 9);
    world.sleep(5 * SECOND);
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(27));
    let commits = world.store.stats().commits;
    world.store.trim(LOG, Offset(9));
    world.sleep(SECOND);
    assert_eq!(world.store.stats().commits, commits, "a commit overtook it");
    world.full = |_| false;
    world.sleep(3 * SECOND);
    sound(&world);
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(30));
    assert!(!world.trimmed(LOG).is_empty());
    world.restart(LogSettings::default());
    world.check_log(LOG, 5000);
}

#[test]
fn a_commit_over_blocks_that_were_written_is_never_repeated() {
    let mut world = World::new(growing(), 17);
    world.topic(LOG, LogSettings::default());
    while world.store.stats().laps == 0 {
        world.must_append(LOG, 1000);
        world.settle();
    }
    world.full = is_journal;
    world.append(LOG, 100).unwrap();
    world.settle();
    assert_eq!(count(&world, |event| matches!(event, Event::Fatal(_))), 1);
    let end = world.store.frontiers(LOG).unwrap().durable;
    world.full = |_| false;
    world.sleep(5 * SECOND);
    assert_eq!(world.store.frontiers(LOG).unwrap().durable, end);
}

#[test]
fn a_fill_that_is_refused_goes_on() {
    let mut world = World::new(StoreConfig::default(), 19);
    world.topic(LOG, LogSettings::default());
    world.full = is_journal;
    world.settle();
    assert_eq!(begun(&world), 1);
    assert_eq!(world.append(LOG, 100), Err(AppendError::DiskFloor));
    world.full = |_| false;
    world.sleep(3 * SECOND);
    assert_eq!(ended(&world), 1);
    assert!(world.store.stats().prefilled_files >= 7);
    world.append(LOG, 100).unwrap();
}

#[test]
fn a_sync_that_fails_for_want_of_space_is_a_failed_sync() {
    for (reserve_bytes, fails) in SEGMENT_SYNCS {
        let mut world = World::new(reserving(reserve_bytes), 23);
        world.topic(LOG, LogSettings::default());
        world.full = fails;
        let stopped = |world: &World| count(world, |event| matches!(event, Event::Stopped { .. }));
        for round in 0.. {
            assert!(round < 1000, "the log never stops");
            if stopped(&world) > 0 {
                break;
            }
            world.append(LOG, 1000).unwrap();
            world.settle();
        }
        world.full = |_| false;
        world.sleep(5 * SECOND);
        assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
        assert_eq!(begun(&world), 0);
    }
}

#[test]
fn what_fails_when_it_is_tried_again_stops_its_log() {
    let mut world = World::new(growing(), 29);
    world.topic(LOG, LogSettings::default());
    fill(&mut world, is_data, 1000);
    world.full = |_| false;
    world.fails = is_data;
    world.sleep(3 * SECOND);
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    assert_eq!(ended(&world), 1);
    world.check_log(LOG, 5000);
}

#[test]
fn a_log_whose_segment_waits_for_space_can_be_deleted_and_makes_it() {
    let mut world = World::new(growing(), 31);
    world.topic(LOG, LogSettings::default());
    let other = LogId(8);
    world.topic(other, LogSettings::default());
    for _ in 0..30 {
        world.must_append(other, 1000);
        world.settle();
    }
    fill(&mut world, |op| is_data(op) || is_segment(op), 1000);
    // The retry is a second away; the files that go make it come at once.
    world.full = |_| false;
    world.store.drop_log(LOG);
    let now = world.now;
    world.sleep(60_000_000);
    assert!(world.events.contains(&Event::Dropped { log: LOG }));
    assert!(world.now.mono.since(now.mono) < SECOND);
    assert_eq!((begun(&world), ended(&world)), (1, 1));
    assert!(world.append(other, 100).is_ok());
    sound(&world);
}

#[test]
fn a_full_disk_does_not_keep_the_broker_from_stopping() {
    for (seed, len) in [(37, 1000), (41, 90_000)] {
        let mut world = World::new(growing(), seed);
        world.topic(LOG, LogSettings::default());
        world.append(LOG, 1000).unwrap();
        world.settle();
        fill(&mut world, |op| is_data(op) || is_segment(op), len);
        let end = world.store.frontiers(LOG).unwrap().durable;
        world.store.begin_stop(world.now);
        world.settle();
        assert!(
            world.events.contains(&Event::Flushed),
            "{}",
            world.standing()
        );
        world.full = |_| false;
        world.restart(LogSettings::default());
        assert_eq!(world.store.frontiers(LOG).unwrap().durable, end);
        world.check_log(LOG, 5000);
    }
}

#[test]
fn what_is_refused_first_while_stopping_begins_no_other_write() {
    let mut world = World::new(growing(), 43);
    world.topic(LOG, LogSettings::default());
    // The first block of the index, in whatever job: what comes after it is not refused.
    world.full = |op| is_spans(op) && matches!(op, Op::Write { pos: 0, .. });
    for _ in 0..16 {
        world.append(LOG, 1000).unwrap();
    }
    world.issue();
    while !world.waits_for(is_spans) {
        assert!(world.complete_one(), "no index is written");
        world.issue();
    }
    for _ in 0..16 {
        world.append(LOG, 1000).unwrap();
    }
    world.store.begin_stop(world.now);
    world.settle();
    assert!(
        world.events.contains(&Event::Flushed),
        "{}",
        world.standing()
    );
    assert_eq!(world.store.stats().write_behinds, 1);
    world.full = |_| false;
    world.restart(LogSettings::default());
    world.check_log(LOG, 5000);
}

#[test]
fn a_log_that_stops_during_a_bulk_write_does_not_place_what_it_gave_up() {
    let mut world = World::new(growing(), 47);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 1000).unwrap();
    world.settle();
    world.holds = is_data;
    for _ in 0..30 {
        world.append(LOG, 1000).unwrap();
    }
    world.settle();
    assert!(world.waits_for(is_data));
    // Its snapshot fails meanwhile.
    world.fails = is_snapshot;
    let state = bytes::Bytes::from(vec![1; 5000]);
    world.store.put_snapshot(LOG, state, None);
    world.settle();
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    world.holds = |_| false;
    world.settle();
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(3));
    world.fails = |_| false;
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().ordered.1, Offset(3));
}
