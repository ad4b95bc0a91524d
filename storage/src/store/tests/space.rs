//! The ring laps, fills and never locks up.

use super::world::{LOG, World, small};
use crate::class::Behind;
use crate::io::{FileName, Op};
use crate::store::{AppendError, Event, LogSettings, StoreConfig};
use crate::types::{LogId, LogKind, Offset, SlotId};

#[test]
fn a_small_ring_laps_under_one_log() {
    let mut world = World::new(small(), 11);
    world.topic(LOG, LogSettings::default());
    for _ in 0..1500 {
        world.must_append(LOG, 1000);
        world.issue();
        world.complete_one();
    }
    world.settle();
    let stats = world.store.stats();
    assert!(stats.laps >= 3, "{stats:?}");
    assert!(stats.write_behinds > 0, "{stats:?}");
    world.check_log(LOG, 1 << 20);
}

#[test]
fn what_slow_logs_left_is_copied_forward_and_not_written_to_tiny_segments() {
    let mut world = World::new(small(), 13);
    world.topic(LOG, LogSettings::default());
    for log in 100..130 {
        world.topic(LogId(log), LogSettings::default());
        world.must_append(LogId(log), 50);
    }
    for _ in 0..1500 {
        world.must_append(LOG, 1000);
        world.issue();
        world.complete_one();
    }
    world.settle();
    let stats = world.store.stats();
    assert!(stats.laps >= 3 && stats.copy_forwards >= 60, "{stats:?}");
    let written: usize = (100..130).map(|log| world.files_of(LogId(log))).sum();
    assert_eq!(written, 0, "{stats:?}");
    for log in 100..130 {
        world.check_log(LogId(log), 100);
    }
    world.restart(LogSettings::default());
    for log in 100..130 {
        world.check_log(LogId(log), 100);
    }
}

#[test]
fn a_full_ring_refuses_and_says_when_there_is_space() {
    let mut world = World::new(small(), 17);
    world.topic(LOG, LogSettings::default());
    let mut accepted = 0u64;
    let error = loop {
        // Nothing completes: the ring cannot empty itself.
        match world.append(LOG, 3000) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        world.issue();
        assert!(accepted < 1000, "the ring is never full");
    };
    assert_eq!(error, AppendError::Full);
    world.settle();
    assert!(world.events.contains(&Event::SpaceAvailable));
    assert_eq!(
        world.store.frontiers(LOG).unwrap().durable.1,
        Offset(accepted * 3)
    );
    world.append(LOG, 3000).unwrap();
}

#[test]
fn many_logs_at_once_do_not_lock_the_ring() {
    let mut world = World::new(small(), 19);
    for log in 0..40 {
        world.topic(LogId(log), LogSettings::default());
    }
    for round in 0..3000u64 {
        let log = LogId(world.random(40));
        let len = usize::try_from(1 + world.random(3000)).unwrap();
        if world.append(log, len).is_err() {
            world.settle();
            assert!(
                world.append(log, len).is_ok(),
                "round {round}: {:?}",
                world.store.stats()
            );
        }
        world.issue();
        if round % 3 == 0 {
            world.complete_one();
        }
    }
    world.settle();
    for log in 0..40 {
        world.check_log(LogId(log), 5000);
    }
}

#[test]
fn a_machine_log_is_replaced_by_its_snapshots() {
    let mut world = World::new(small(), 23);
    world
        .store
        .create_log(LOG, SlotId(0), LogKind::Machine, LogSettings::default());
    for _ in 0..600 {
        let level = crate::types::Level::Synced;
        let next = world.store.frontiers(LOG).unwrap().ordered.1;
        let entry = crate::store::NewEntry {
            term: crate::types::Term(1),
            time: world.now.wall,
            first_offset: next,
            offsets: 0,
            max_timestamp: i64::MIN,
            bytes: bytes::Bytes::from(vec![7; 900]),
            sum: None,
        };
        while world
            .store
            .append(LOG, entry.clone(), level, world.now)
            .is_err()
        {
            world.settle();
        }
        world.settle();
    }
    assert!(world.store.stats().laps >= 2, "{:?}", world.store.stats());
    assert_eq!(world.files_of(LOG), 0);
    let next = world.store.frontiers(LOG).unwrap().ordered;
    world.restart(LogSettings::default());
    assert_eq!(world.store.frontiers(LOG).unwrap().ordered, next);
}

/// Entries of 900 bytes that a machine's log takes after a snapshot of so many, until another is wanted.
fn entries_until_a_snapshot_is_wanted(state: usize) -> usize {
    let classes = small().classes.with_snapshots_from(4 << 10);
    let mut world = World::new(StoreConfig { classes, ..small() }, 31);
    world.snapshots = false;
    let (kind, settings) = (LogKind::Machine, LogSettings::default());
    world.store.create_log(LOG, SlotId(0), kind, settings);
    world.append(LOG, 100).unwrap();
    world.settle();
    world
        .store
        .put_snapshot(LOG, bytes::Bytes::from(vec![7; state]), None);
    world.settle();
    let asked = |world: &World| {
        let wanted = |event: &&Event| matches!(event, Event::SnapshotWanted { .. });
        world.events.iter().filter(wanted).count()
    };
    let before = asked(&world);
    let mut entries = 0;
    while asked(&world) == before {
        world.append(LOG, 900).unwrap();
        world.settle();
        entries += 1;
        assert!(entries < 100, "none is wanted");
    }
    entries
}

#[test]
fn a_machine_is_asked_for_a_snapshot_after_twice_what_the_last_one_took() {
    assert_eq!(entries_until_a_snapshot_is_wanted(50), 5);
    assert_eq!(entries_until_a_snapshot_is_wanted(6000), 13);
}

#[test]
fn a_snapshot_too_large_for_the_journal_stands_in_a_file_that_is_replaced() {
    let mut world = World::new(small(), 29);
    world.topic(LOG, LogSettings::default());
    for round in 0..4u8 {
        world.append(LOG, 100).unwrap();
        world
            .store
            .put_snapshot(LOG, bytes::Bytes::from(vec![round; 5000]), None);
        world.sleep(60_000_000);
    }
    let snapshots = |world: &World| {
        let is = |file: &&crate::io::FileName| matches!(file, crate::io::FileName::Snapshot { .. });
        world.disk.files.keys().filter(is).count()
    };
    assert_eq!(snapshots(&world), 1);
    world.restart(LogSettings::default());
    world.check_log(LOG, 1000);
}

#[test]
fn idling_vouches_for_the_last_commit_once() {
    // Without a floor nobody asks what is free.
    let config = StoreConfig {
        disk_floor_bytes: 0,
        ..small()
    };
    let mut world = World::new(config, 31);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 100).unwrap();
    world.settle();
    for _ in 0..5 {
        world.sleep(60_000_000);
    }
    let stats = world.store.stats();
    assert_eq!((stats.commits, stats.empty_commits), (2, 1));
    // And later, once, the mark.
    world.sleep(1_000_000_000);
    assert_eq!(world.store.poll_timeout(), None);
}

#[test]
fn stopping_flushes_and_then_takes_nothing() {
    let mut world = World::new(small(), 37);
    world.topic(LOG, LogSettings::default());
    for _ in 0..20 {
        world.append(LOG, 2000).unwrap();
    }
    world.store.begin_stop(world.now);
    assert_eq!(world.append(LOG, 1), Err(AppendError::Stopped));
    world.settle();
    assert!(world.events.contains(&Event::Flushed));
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
}

#[test]
fn journal_files_are_filled_ahead_and_never_where_the_ring_stands() {
    let mut world = World::new(StoreConfig::default(), 41);
    world.topic(LOG, LogSettings::default());
    for _ in 0..300 {
        world.must_append(LOG, 2500);
        world.issue();
        world.complete_one();
    }
    world.settle();
    assert!(world.store.stats().prefilled_files >= 1);
    world.restart(LogSettings::default());
    world.check_log(LOG, 1 << 20);
}

#[test]
fn a_snapshot_that_waits_for_space_does_not_keep_the_ring_full() {
    let mut world = World::new(small(), 43);
    world.topic(LOG, LogSettings::default());
    // A snapshot in a file, of the first of two entries that one commit holds.
    world.holds = |op| {
        let created = |file: &FileName| matches!(file, FileName::Snapshot { .. });
        matches!(op, Op::Create { file, .. } if created(file))
    };
    world.append(LOG, 50).unwrap();
    let state = bytes::Bytes::from(vec![1; 5000]);
    world.store.put_snapshot(LOG, state, None);
    world.append(LOG, 50).unwrap();
    world.settle();
    // While it is written the ring fills with what a replay needs, to the last block.
    for len in [3000, 50] {
        let mut accepted = 0;
        while world.append(LOG, len).is_ok() {
            world.settle();
            accepted += 1;
            assert!(accepted < 1000, "the ring is never full");
        }
    }
    world.settle();
    assert_eq!(world.append(LOG, 50), Err(AppendError::Full));
    // It is complete, has no room, and lets no commit go: the machine gives a later one.
    world.events.clear();
    world.holds = |_| false;
    world.settle();
    let asked = Event::SnapshotWanted { log: LOG };
    assert!(world.events.contains(&asked), "{}", world.standing());
    assert!(world.events.contains(&Event::SpaceAvailable));
    world.append(LOG, 50).unwrap();
    world.sleep(60_000_000);
    let snapshot = |file: &FileName| matches!(file, FileName::Snapshot { .. });
    assert!(!world.disk.files.keys().any(snapshot), "nothing needs it");
    world.restart(LogSettings::default());
    world.check_log(LOG, 1 << 20);
}

/// Journal bytes of bursts that come while a slow device holds up what is written behind.
fn journaled_behind_a_slow_segment(backlog_bytes: u64) -> u64 {
    let mut world = World::new(
        StoreConfig {
            backlog_bytes,
            ..small()
        },
        23,
    );
    world.topic(LOG, LogSettings::default());
    world.holds = |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Segment { .. },
                ..
            }
        )
    };
    while !world.waits_for(|op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Segment { .. },
                ..
            }
        )
    }) {
        world.must_append(LOG, 4000);
        world.settle();
    }
    for _ in 0..6 {
        for _ in 0..5 {
            // Refused once the ring is full: that is what a backlog without bound leads to.
            let _ = world.append(LOG, 6000);
        }
        world.settle();
    }
    let journaled = world.store.stats().journal_bytes;
    world.holds = |_| false;
    world.settle();
    world.check_log(LOG, 1 << 20);
    journaled
}

#[test]
fn bursts_wait_for_the_segment_once_much_is_journaled_before_it() {
    let bounded = journaled_behind_a_slow_segment(48 << 10);
    // Up to the backlog, and the burst that passes it.
    assert!(bounded < 100 << 10, "{bounded} bytes were journaled");
    let unbounded = journaled_behind_a_slow_segment(u64::MAX);
    assert!(unbounded > 110 << 10, "{unbounded} bytes were journaled");
}

/// Times that a log was written behind after 16 entries of 1000 bytes, and after more than a ring takes.
fn written_behind(behind: Behind) -> (u64, u64) {
    let config = StoreConfig {
        classes: small().classes.with_behind(behind),
        ..small()
    };
    let mut world = World::new(config, 47);
    world.topic(LOG, LogSettings::default());
    let append = |world: &mut World, entries| {
        for _ in 0..entries {
            world.must_append(LOG, 1000);
            world.settle();
        }
        world.store.stats().write_behinds
    };
    let few = append(&mut world, 16);
    let many = append(&mut world, 400);
    world.restart(LogSettings::default());
    world.check_log(LOG, 1 << 20);
    (few, many)
}

#[test]
fn a_log_that_waits_to_be_asked_is_written_behind_when_its_space_is_needed() {
    let (few, many) = written_behind(Behind::Asked);
    assert_eq!(few, 0);
    assert!(many > 0, "the ring went round");
    assert!(written_behind(Behind::Eager).0 > 0, "the control");
}
