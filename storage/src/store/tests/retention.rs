//! The start moves by size, by age and on demand, and files go only after that is durable.

use super::world::{LOG, World, small};
use crate::io::{FileName, Op};
use crate::store::{Event, LogSettings, ReadOutcome};
use crate::types::{LogId, Offset};

fn fill(world: &mut World, entries: usize) {
    for _ in 0..entries {
        world.must_append(LOG, 1000);
        world.settle();
    }
}

#[test]
fn the_oldest_segments_go_while_the_rest_is_large_enough() {
    let mut world = World::new(small(), 43);
    let settings = LogSettings {
        segment_bytes: 30_000,
        retention_bytes: Some(60_000),
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    fill(&mut world, 300);
    world.sleep(400_000_000_000);
    world.sleep(60_000_000);
    let start = world.store.frontiers(LOG).unwrap().start.1;
    assert!(start >= Offset(200 * 3), "start is {start}");
    assert!(
        start <= Offset(240 * 3),
        "at least 60,000 bytes are kept: start is {start}"
    );
    assert!(world.files_of(LOG) <= 6, "{} segments", world.files_of(LOG));
    assert!(!world.trimmed(LOG).is_empty());
    world.check_log(LOG, 1 << 20);
    world.restart(settings);
    assert_eq!(world.store.frontiers(LOG).unwrap().start.1, start);
    world.check_log(LOG, 1 << 20);
}

#[test]
fn what_is_too_old_goes_also_from_a_log_that_nobody_writes() {
    let mut world = World::new(small(), 47);
    let settings = LogSettings {
        retention_ms: Some(10_000),
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    fill(&mut world, 40);
    world.restart(settings);
    for _ in 0..10 {
        world.sleep(6_000_000_000);
        world.sleep(60_000_000);
    }
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.start, frontiers.durable);
    assert_eq!(frontiers.durable.1, Offset(120));
    assert_eq!(world.files_of(LOG), 0);
    fill(&mut world, 3);
    world.check_log(LOG, 1000);
    world.restart(settings);
    assert_eq!(world.store.frontiers(LOG).unwrap().start.1, Offset(120));
    world.check_log(LOG, 1000);
}

#[test]
fn a_segment_too_many_goes_within_seconds() {
    let mut world = World::new(small(), 127);
    let settings = LogSettings {
        segment_bytes: 30_000,
        retention_bytes: Some(60_000),
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    let start = |world: &World| world.store.frontiers(LOG).unwrap().start.1;
    // The rule is not exceeded by a whole segment.
    fill(&mut world, 59);
    world.sleep(2_000_000_000);
    assert_eq!(start(&world), Offset(0));
    fill(&mut world, 41);
    for _ in 0..3 {
        world.sleep(1_000_000_000);
    }
    let kept = 100 - start(&world).0 / 3;
    assert!((60..=90).contains(&kept), "{kept} of 100 kilobytes");
    // Altered: at once, and what was not durable then within seconds.
    world.holds = |op| matches!(op, Op::Write { .. });
    world.append(LOG, 100).unwrap();
    world.issue();
    let tighter = LogSettings {
        retention_bytes: Some(100),
        segment_bytes: 100,
        ..settings
    };
    world.store.configure(LOG, tighter);
    world.append(LOG, 100).unwrap();
    let now = world.now;
    world.store.expire(LOG, now);
    world.holds = |_| false;
    for _ in 0..3 {
        world.sleep(1_000_000_000);
    }
    assert!(start(&world) >= Offset(100 * 3), "{}", start(&world));
}

#[test]
fn what_is_too_old_goes_within_seconds_whatever_the_age() {
    let mut world = World::new(small(), 131);
    let hour = 3_600_000_000_000;
    let settings = LogSettings {
        segment_bytes: 30_000,
        retention_ms: Some(hour / 1_000_000),
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    let start = |world: &World| world.store.frontiers(LOG).unwrap().start.1;
    fill(&mut world, 40);
    // Time passes as the store asks for it.
    let pass = |world: &mut World, until| {
        world.settle();
        while let Some(at) = world.store.poll_timeout().filter(|at| *at < until) {
            let nanos = at.since(world.now.mono);
            world.sleep(nanos.max(1_000_000));
        }
        let nanos = until.since(world.now.mono);
        world.sleep(nanos);
    };
    let begin = world.now.mono;
    pass(&mut world, begin.after(hour - 5_000_000_000));
    assert_eq!(start(&world), Offset(0), "none is too old");
    pass(&mut world, begin.after(hour + 5_000_000_000));
    // The closed segment and the open one.
    assert_eq!(start(&world), Offset(40 * 3));
}

#[test]
fn a_trim_is_seen_at_once_and_survives_a_restart() {
    let mut world = World::new(small(), 53);
    let settings = LogSettings {
        segment_bytes: 30_000,
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    fill(&mut world, 200);
    world.store.trim(LOG, Offset(301));
    assert!(world.read(LOG, Offset(300), 10).is_err());
    assert!(world.read(LOG, Offset(301), 10).is_ok());
    world.sleep(60_000_000);
    assert!(!world.trimmed(LOG).is_empty());
    assert!(world.files_of(LOG) < 7);
    world.restart(settings);
    assert_eq!(world.store.frontiers(LOG).unwrap().start.1, Offset(301));
    world.check_log(LOG, 5000);
}

#[test]
fn a_dropped_log_leaves_no_file_and_does_not_come_back() {
    let mut world = World::new(small(), 59);
    let settings = LogSettings::default();
    world.topic(LOG, settings);
    world.topic(LogId(8), settings);
    fill(&mut world, 100);
    world.append(LogId(8), 100).unwrap();
    world.append(LOG, 60_000).unwrap();
    world.issue();
    world.store.drop_log(LOG);
    world.settle();
    world.sleep(60_000_000);
    assert!(world.events.contains(&Event::Dropped { log: LOG }));
    assert_eq!(world.files_of(LOG), 0);
    assert_eq!(world.store.frontiers(LOG), None);
    world.restart(settings);
    assert_eq!(world.store.frontiers(LOG), None);
    world.check_log(LogId(8), 1000);
}

#[test]
fn segments_stay_until_the_start_that_passed_them_is_durable_whoever_lists_them() {
    let mut world = World::new(small(), 103);
    world.topic(LOG, LogSettings::default());
    for _ in 0..40 {
        world.must_append(LOG, 1000);
        world.settle();
    }
    // No replay needs them.
    let state = bytes::Bytes::from_static(b"state");
    world.store.put_snapshot(LOG, state, None);
    world.sleep(60_000_000);
    world.restart(LogSettings::default());
    let before = world.files_of(LOG);
    assert!(before > 0);
    // A read asks what segments there are, and then the start moves.
    let list = |op: &Op<_>| matches!(op, Op::List(_));
    let commit = |op: &Op<_>| {
        let journal = |file: &FileName| matches!(file, FileName::Journal { .. });
        matches!(op, Op::Write { file, .. } if journal(file))
    };
    let end = world.store.frontiers(LOG).unwrap().durable.1;
    let now = world.now;
    let read = world.store.read(LOG, Offset(0)..end, 1, now);
    assert!(matches!(read, ReadOutcome::Pending(_)), "{read:?}");
    world.holds = |op| matches!(op, Op::List(_)) || matches!(op, Op::Write { .. });
    world.settle();
    world.store.trim(LOG, end);
    world.append(LOG, 100).unwrap();
    world.settle();
    assert!(world.waits_for(list) && world.waits_for(commit));
    world.holds = |op| matches!(op, Op::Write { .. });
    world.settle();
    assert!(world.waits_for(commit) && !world.waits_for(list));
    assert_eq!(
        world.files_of(LOG),
        before,
        "a crash would bring the start back"
    );
    world.holds = |_| false;
    world.settle();
    assert!(!world.trimmed(LOG).is_empty());
    assert_eq!(world.files_of(LOG), 0);
}

#[test]
fn every_move_of_the_start_is_told_when_it_is_durable_and_not_before() {
    let mut world = World::new(small(), 107);
    world.topic(LOG, LogSettings::default());
    fill(&mut world, 20);
    world.holds = |op| matches!(op, Op::Write { .. });
    for start in [12, 30, 45] {
        world.store.trim(LOG, Offset(start));
        // Enough for a commit beside the one in flight.
        world.append(LOG, 5000).unwrap();
        world.settle();
        assert_eq!(world.store.frontiers(LOG).unwrap().start.1, Offset(start));
        assert!(world.trimmed(LOG).is_empty(), "told too early");
    }
    world.holds = |_| false;
    world.settle();
    let told = [Offset(12), Offset(30), Offset(45)];
    assert_eq!(world.trimmed(LOG), told);
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().start.1, Offset(45));
}

#[test]
fn a_segment_below_the_start_that_was_never_indexed_is_in_nobodys_way() {
    let mut world = World::new(small(), 109);
    // Without a snapshot it stays for the replay.
    world.snapshots = false;
    let settings = LogSettings {
        retention_ms: Some(10_000),
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    for _ in 0..4 {
        world.append(LOG, 100).unwrap();
    }
    world.settle();
    // They go straight to the segment, and the start passes what stands before them there.
    for _ in 0..30 {
        world.append(LOG, 1000).unwrap();
    }
    world.store.trim(LOG, Offset(12));
    world.holds = |op| {
        let index = |file: &FileName| matches!(file, FileName::Index { .. });
        matches!(op, Op::Write { file, .. } if index(file))
    };
    world.sleep(60_000_000);
    assert_eq!(world.trimmed(LOG), [Offset(12)]);
    world.holds = |_| false;
    world.restart(settings);
    world.check_log(LOG, 5000);
    // Retention is not kept from what comes after it, either.
    for _ in 0..6 {
        world.sleep(6_000_000_000);
        world.sleep(60_000_000);
    }
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.start, frontiers.durable);
}
