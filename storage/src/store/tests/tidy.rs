//! What a clean stop leaves for the next start to read.

use bytes::Bytes;

use super::world::{LOG, World, small};
use crate::io::Op;
use crate::store::{Event, LogSettings, StoreConfig};
use crate::types::{LogId, LogKind};

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
    for dies_at in (0..ops).step_by(3) {
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
    world.store.create_log(machine, LogKind::Machine, settings);
    world.snapshots = false;
    world.must_append(machine, 100);
    world.settle();
    world
        .store
        .put_snapshot(machine, Bytes::from_static(b"state"));
    // Only the reserve is free, and all attempts to win more were made.
    world.store.granted = world.store.ring.free() - world.store.reserve();
    world.store.rescue_credit = 0;
    stopped(&mut world);
    world.restart(settings);
    world.check_log(machine, 5000);
}
