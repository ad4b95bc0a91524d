//! What a clean stop leaves for the next start to read.

use bytes::Bytes;

use super::world::{LOG, World, small};
use crate::format::commit::RingPosition;
use crate::format::mark::Mark;
use crate::io::{BLOCK, FileName, Op};
use crate::recovery::tests::disk::Disk;
use crate::store::{Event, LogSettings, StoreConfig};
use crate::types::{CommitSeq, LogId, LogKind, SlotId};

const LOGS: u64 = 8;

fn ids() -> impl Iterator<Item = LogId> {
    (0..LOGS).map(|log| LogId(LOG.0 + log))
}

/// Several logs with much and little in the journal, in turn.
fn world(tidy_ns: u64) -> World {
    let config = StoreConfig {
        tidy_ns,
        write_behind_bytes: 64 << 10,
        tail_cache_bytes: 1 << 20,
        ..small()
    };
    let mut world = World::new(config, 5);
    for log in ids() {
        world.topic(log, LogSettings::default());
    }
    for round in 0..5 {
        for log in ids() {
            if log.0 % 3 > 0 || round == 0 {
                world.must_append(log, 1200 + usize::try_from(log.0 * 30).unwrap());
            }
        }
        world.settle();
    }
    world
}

fn stopped(world: &mut World) {
    world.store.begin_stop(world.now);
    world.settle();
    assert!(
        world.events.contains(&Event::Flushed),
        "{}",
        world.standing()
    );
}

/// Bytes of the journal that the next start finds live.
fn live(world: &World) -> u64 {
    world.recovery_of(&world.disk).summary.live_bytes
}

fn assert_all(world: &mut World) {
    world.restart(LogSettings::default());
    for log in ids() {
        world.check_log(log, 5000);
        world.must_append(log, 100);
        world.settle();
        world.check_log(log, 5000);
    }
}

#[test]
fn after_a_clean_stop_the_journal_holds_next_to_nothing() {
    let mut killed = world(0);
    stopped(&mut killed);
    let mut tidied = world(1_000_000_000_000);
    stopped(&mut tidied);
    let (before, after) = (live(&killed), live(&tidied));
    assert!(
        before > 48 << 10 && after * 4 < before,
        "{after} of {before}"
    );
    assert_all(&mut killed);
    assert_all(&mut tidied);
}

/// What is not done in time stays in the journal, and the stop ends.
#[test]
fn a_stop_has_a_time_for_it() {
    let mut world = world(1);
    stopped(&mut world);
    assert_all(&mut world);
}

#[test]
fn a_crash_at_any_operation_of_the_stop_loses_nothing() {
    let mut whole = world(1_000_000_000_000);
    let before = whole.disk.ops;
    stopped(&mut whole);
    let ops = whole.disk.ops - before;
    assert!(ops > 40, "{ops}");
    // Among the last ones is what says where the journal ends.
    for dies_at in (0..ops).filter(|at| at % 3 == 0 || at + 8 > ops) {
        let mut world = world(1_000_000_000_000);
        world.store.begin_stop(world.now);
        world.settle_ops(dies_at);
        assert_all(&mut world);
    }
}

#[test]
fn a_full_disk_ends_it_at_once() {
    let mut world = world(1_000_000_000_000);
    world.full = |op| matches!(op, Op::Create { .. });
    stopped(&mut world);
    world.full = |_| false;
    assert_all(&mut world);
}

/// A log that stopped keeps what the journal has of it, and that may be most of a small ring: what
/// the others owe then finds no room, and the stop ends without. (Seed 48,120 of the simulator.)
#[test]
fn a_stop_ends_where_the_ring_has_no_room() {
    let machine = LogId(LOG.0 + 1);
    let config = StoreConfig {
        tidy_ns: 0,
        ..small()
    };
    let mut world = World::new(config, 9);
    let settings = LogSettings::default();
    world
        .store
        .create_log(machine, SlotId(0), LogKind::Machine, settings);
    world.snapshots = false;
    world.must_append(machine, 100);
    world.settle();
    world
        .store
        .put_snapshot(machine, Bytes::from_static(b"state"), None);
    // Only the reserve is free, and all attempts to win more were made.
    let ring = &mut world.store.journal.ring;
    ring.grant(ring.free() - ring.reserve() - ring.granted());
    world.store.reclaim.spend_rescue(u64::MAX);
    stopped(&mut world);
    world.restart(settings);
    world.check_log(machine, 5000);
}

/// Puts a mark into the superblock's file of a disk.
fn put_mark(disk: &mut Disk, position: u64, mark: &Mark) {
    let at = usize::try_from(position).unwrap();
    let superblock = disk.files.get_mut(&FileName::Superblock).unwrap();
    mark.encode(&mut superblock[at..at + BLOCK]);
}

/// The mark that stands on the disk.
fn mark_on(disk: &Disk, position: u64) -> Mark {
    let at = usize::try_from(position).unwrap();
    Mark::decode(&disk.files[&FileName::Superblock][at..at + BLOCK]).expect("a mark")
}

#[test]
fn a_start_after_a_clean_stop_does_not_search_for_the_journals_end() {
    let mut world = world(1_000_000_000_000);
    stopped(&mut world);
    let position = world.store.journal.marked.position;
    let mark = mark_on(&world.disk, position);
    assert!(mark.ended.is_some());
    let told = world.recovery_of(&world.disk).summary;
    // The control: the same ring without what the mark says.
    let mut silent = world.disk.clone();
    let ended = None;
    put_mark(&mut silent, position, &Mark { ended, ..mark });
    let searched = world.recovery_of(&silent).summary;
    assert_eq!(told.live_bytes, searched.live_bytes);
    let beside = |bytes: u64| bytes - told.live_bytes;
    assert!(beside(told.bytes_read) <= 8 * BLOCK as u64, "{told:?}");
    assert!(
        beside(searched.bytes_read) > 8 * BLOCK as u64,
        "{searched:?}"
    );
    assert_all(&mut world);
}

/// Whatever comes behind a mark of an end, it is not believed then.
#[test]
fn a_mark_of_an_end_that_is_older_than_the_ring_is_not_believed() {
    for seed in 0..40 {
        let mut world = world(0);
        let vouched = CommitSeq(world.store.journal.ring.durable().0 - 1);
        let (file, pos) = world.store.journal.ring.place_of(vouched).unwrap();
        let stale = Mark {
            journal: world.store.journal.id,
            vouched,
            bytes: 0,
            ended: Some(RingPosition {
                file,
                block: u32::try_from(pos / BLOCK as u64).unwrap(),
            }),
        };
        // From one commit to a whole lap behind it, perhaps with some under way.
        for round in 0..=seed {
            world.must_append(LogId(LOG.0 + round % LOGS), 2000);
            if round < seed || seed % 2 == 0 {
                world.settle();
            }
        }
        let position = world.store.journal.marked.position;
        put_mark(&mut world.disk, position, &stale);
        let frontiers = ids().map(|log| (log, world.store.frontiers(log).unwrap().durable));
        let durable: Vec<_> = frontiers.collect();
        world.restart(LogSettings::default());
        for (log, durable) in durable {
            let found = world.store.frontiers(log).unwrap().ordered;
            assert!(found >= durable, "{found:?} of {durable:?} after {seed}");
        }
    }
}

#[test]
fn a_start_that_is_killed_after_a_clean_stop_is_made_again() {
    let mut world = world(1_000_000_000_000);
    stopped(&mut world);
    let ends = world.recovers().unwrap();
    for ops in 0.. {
        let mut disk = world.disk.clone();
        let killed = world.killed_start(&mut disk, ops);
        let found = world.recovery_of(&disk);
        let logs = found.cores.into_iter().flat_map(|core| core.logs);
        assert_eq!(logs.map(|log| log.next.0).collect::<Vec<_>>(), ends);
        if !killed {
            assert!(ops > 20);
            break;
        }
    }
}
