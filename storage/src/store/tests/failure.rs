//! Each line of the design's "Failure".

use super::world::{LOG, SEGMENT_SYNCS, World, reserving, small};
use crate::io::{Dir, FileName, Op};
use crate::store::{AppendError, Event, LogSettings, ReadError};
use crate::types::{Level, LogId, LogKind, Offset, SlotId};

fn stopped(world: &World) -> bool {
    let is = |event: &Event| matches!(event, Event::Stopped { log, .. } if *log == LOG);
    world.events.iter().any(is)
}

#[test]
fn a_failed_journal_write_is_fatal_and_acknowledges_nothing() {
    let mut world = World::new(small(), 61);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 100).unwrap();
    world.settle();
    world.fails = |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Journal { .. },
                ..
            }
        )
    };
    world.append(LOG, 100).unwrap();
    world.settle();
    let fatal = |event: &Event| matches!(event, Event::Fatal(why) if why.contains("the test's"));
    assert!(world.events.iter().any(fatal));
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(3));
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
}

#[test]
fn a_failed_journal_sync_is_fatal_and_makes_nothing_durable() {
    let mut world = World::new(small(), 63);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 100).unwrap();
    world.settle();
    let written = |world: &mut World| {
        world.append_at(LOG, 100, Level::Written).unwrap();
        world.settle();
        let before = world.store.frontiers(LOG).unwrap();
        assert!(before.durable < before.written, "{before:?}");
        world.sleep(60_000_000);
        (before, world.store.frontiers(LOG).unwrap())
    };
    // With a sound device the sync comes by itself, and counts.
    let (before, after) = written(&mut world);
    assert_eq!(after.durable, before.written);
    assert!(!world.events.iter().any(|e| matches!(e, Event::Fatal(_))));
    world.fails = |op| matches!(op, Op::Sync(FileName::Journal { .. }));
    let (before, after) = written(&mut world);
    let fatal = |event: &Event| matches!(event, Event::Fatal(why) if why.contains("the test's"));
    assert!(world.events.iter().any(fatal));
    assert_eq!(after.durable, before.durable);
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    // It is not tried again, for a second sync may lie.
    world.fails = |_| false;
    world.sleep(60_000_000);
    assert_eq!(world.store.frontiers(LOG).unwrap().durable, before.durable);
}

#[test]
fn a_failed_index_write_stops_its_log_and_nothing_else() {
    let mut world = World::new(small(), 69);
    let other = LogId(8);
    world.topic(LOG, LogSettings::default());
    world.topic(other, LogSettings::default());
    world.fails = |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Index { log: LOG, .. },
                ..
            }
        )
    };
    for round in 0.. {
        assert!(round < 1000, "the log never stops");
        if stopped(&world) {
            break;
        }
        world.append(LOG, 1000).unwrap();
        world.settle();
    }
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    // What was acknowledged is read on, from memory and the journal.
    world.check_log(LOG, 5000);
    for _ in 0..300 {
        world.must_append(other, 1000);
        world.settle();
    }
    assert!(world.files_of(other) > 0);
    let others = |e: &Event| matches!(e, Event::Stopped { log, .. } if *log != LOG);
    assert!(!world.events.iter().any(others));
    assert!(!world.events.iter().any(|e| matches!(e, Event::Fatal(_))));
    world.check_log(LOG, 5000);
    world.check_log(other, 5000);
    let end = world.store.frontiers(LOG).unwrap().durable;
    world.fails = |_| false;
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().durable, end);
    world.check_log(LOG, 5000);
    world.append(LOG, 1000).unwrap();
}

#[test]
fn a_failed_segment_write_stops_its_log_and_nothing_else() {
    let mut world = World::new(small(), 67);
    world.topic(LOG, LogSettings::default());
    world.topic(LogId(8), LogSettings::default());
    world.fails = |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Segment { log: LOG, .. },
                ..
            }
        )
    };
    let mut accepted = 0;
    while !stopped(&world) {
        if world.append(LOG, 1000).is_ok() {
            accepted += 1;
        }
        world.settle();
        assert!(accepted < 1000, "the log never stops");
    }
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    world.check_log(LOG, 5000);
    assert!(world.store.log_stats(LOG).unwrap().stopped);
    // Its records are carried round the ring for ever.
    for _ in 0..1500 {
        world.must_append(LogId(8), 1000);
        world.settle();
    }
    assert!(world.store.stats().laps >= 3);
    world.check_log(LOG, 5000);
    world.check_log(LogId(8), 5000);
    let end = world.store.frontiers(LOG).unwrap().durable;
    world.fails = |_| false;
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().durable, end);
    world.check_log(LOG, 5000);
    world.append(LOG, 1000).unwrap();
}

#[test]
fn a_failed_sync_of_the_directory_of_all_logs_is_fatal() {
    let mut world = World::new(small(), 67);
    world.topic(LOG, LogSettings::default());
    world.fails = |op| matches!(op, Op::SyncDir(Dir::Logs));
    let fatal = |event: &Event| matches!(event, Event::Fatal(why) if why.contains("directory"));
    let mut accepted = 0;
    while !world.events.iter().any(fatal) {
        if world.append(LOG, 1000).is_ok() {
            accepted += 1;
        }
        world.settle();
        assert!(accepted < 1000, "the store goes on");
    }
    let end = world.store.frontiers(LOG).unwrap().durable;
    world.fails = |_| false;
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().durable, end);
    world.check_log(LOG, 5000);
}

#[test]
fn a_failed_bulk_write_gives_up_what_was_never_acknowledged() {
    for (reserve_bytes, fails) in SEGMENT_SYNCS {
        let mut world = World::new(reserving(reserve_bytes), 71);
        world.topic(LOG, LogSettings::default());
        world.append(LOG, 1000).unwrap();
        world.settle();
        world.fails = fails;
        world.append(LOG, 90_000).unwrap();
        world.settle();
        assert!(stopped(&world));
        assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(3));
        world.fails = |_| false;
        world.restart(LogSettings::default());
        assert_eq!(world.store.frontiers(LOG).unwrap().ordered.1, Offset(3));
    }
}

#[test]
fn a_bad_span_is_never_served_and_the_rest_is() {
    let mut world = World::new(small(), 73);
    world.topic(LOG, LogSettings::default());
    for _ in 0..200 {
        world.must_append(LOG, 1000);
        world.settle();
    }
    world.restart(LogSettings::default());
    let segment = |file: &&FileName| matches!(file, FileName::Segment { .. });
    let file = *world.disk.files.keys().find(segment).expect("a segment");
    world.disk.files.get_mut(&file).unwrap()[20_500] ^= 1;
    let mut bad = Vec::new();
    for entry in 0..200 {
        match world.read(LOG, Offset(entry * 3), 1) {
            Ok(data) => assert!(data.bytes >= 1000),
            Err(ReadError::Corrupt {
                file: of, position, ..
            }) => {
                assert_eq!(of, file);
                assert!((17_000..=20_500).contains(&position), "{position}");
                bad.push(entry);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(bad.contains(&20), "the damaged entry is served");
    assert!(bad.len() <= 4, "more than a span is refused: {bad:?}");
    world.append(LOG, 10).unwrap();
    world.settle();
    assert!(world.read(LOG, Offset(600), 1).is_ok());
}

#[test]
fn at_the_disk_floor_producing_stops_and_deleting_goes_on() {
    let mut world = World::new(small(), 79);
    world.topic(LOG, LogSettings::default());
    world.free = 1000;
    world.append(LOG, 100).unwrap();
    world.settle();
    assert_eq!(world.append(LOG, 100), Err(AppendError::DiskFloor));
    let machine = LogId(0);
    let settings = LogSettings::default();
    world
        .store
        .create_log(machine, SlotId(0), LogKind::Machine, settings);
    world.append(machine, 100).unwrap();
    world.check_log(LOG, 100);
    world.store.trim(LOG, Offset(3));
    world.sleep(60_000_000);
    assert!(!world.trimmed(LOG).is_empty());
    assert!(!world.events.contains(&Event::SpaceAvailable));
    world.free = 1 << 40;
    world.sleep(2_000_000_000);
    assert!(world.events.contains(&Event::SpaceAvailable));
    world.append(LOG, 100).unwrap();
}
