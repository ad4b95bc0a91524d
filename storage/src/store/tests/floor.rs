//! A floor holds however small it is, and a disk at its floor can be started on.

use super::world::{World, reserving};
use crate::recovery::RecoveryError;
use crate::store::{AppendError, DiskSpace, Event, LogSettings, StoreConfig};
use crate::types::LogId;

const LOGS: u64 = 40;
const FLOOR: u64 = 8 << 10;

/// Many logs on a small disk, whose segments ask for much more length than they need.
fn world(floor: u64, seed: u64) -> World {
    let config = StoreConfig {
        disk_floor_bytes: floor,
        ..reserving(64 << 10)
    };
    let mut world = World::new(config, seed);
    world.disk.room = Some(0);
    world.disk.room = Some(world.disk.used() + (2 << 20));
    for log in 1..=LOGS {
        world.topic(LogId(log), LogSettings::default());
    }
    world
}

fn free(world: &World) -> u64 {
    world.disk.room.unwrap() - world.disk.used()
}

/// Appends in turn, several at once, until the disk is short; the least that was free meanwhile.
fn fill(world: &mut World) -> u64 {
    let mut least = free(world);
    let mut refused = 0;
    for round in 0..100_000 {
        let len = 200 + usize::try_from(world.random(3000)).unwrap();
        match world.append(LogId(1 + round % LOGS), len) {
            Ok(_) => {}
            Err(AppendError::DiskFloor) => refused += 1,
            Err(AppendError::Full) => world.settle(),
            Err(error) => panic!("{error}"),
        }
        if round % 8 == 0 {
            world.settle_ops(40);
        }
        least = least.min(free(world));
        // An answer may show that less was taken than was reckoned.
        if refused % 16 == 15 {
            world.sleep(1_000_000_000);
        }
        if refused > 200 {
            return least;
        }
    }
    panic!("the disk is never short");
}

#[test]
fn a_small_floor_beside_many_logs_is_not_run_through_and_the_next_start_has_room() {
    for seed in 1..6 {
        let mut world = world(FLOOR, seed);
        let least = fill(&mut world);
        assert!(least >= FLOOR, "{least} bytes were free at the least");
        assert_eq!(world.store.stats().disk, DiskSpace::AtFloor);
        let short = |event: &Event| match event {
            Event::DiskShort { space, .. } => Some(*space),
            _ => None,
        };
        let told: Vec<_> = world.events.iter().filter_map(short).collect();
        assert!(told.iter().all(|space| *space == DiskSpace::AtFloor));
        let accepted = world.accepted.clone();
        // As it is, and after what was under way.
        for settled in [false, true] {
            if settled {
                world.settle();
            }
            let ends = world.recovers().expect("a disk at its floor starts");
            assert!(ends.len() as u64 <= LOGS);
        }
        world.restart(LogSettings::default());
        for log in accepted.keys() {
            world.check_log(*log, 5000);
        }
    }
}

/// The control: without a floor the same runs to the end of the disk, and some starts are refused.
#[test]
fn without_a_floor_a_start_may_lack_room() {
    let mut refused = 0;
    for seed in 1..6 {
        let mut world = world(0, seed);
        world.full = |_| false;
        let least = fill(&mut world);
        assert!(least < FLOOR, "{least} bytes are left");
        refused += u64::from(matches!(
            world.recovers(),
            Err(RecoveryError::NoSpace { .. })
        ));
    }
    assert!(refused > 0);
}

/// Clean stops and kills in turn, each start with a ring of so many files and producers that try before
/// anything else happens: the free bytes after each start, until one is refused.
fn starts(world: &mut World, files: u16, count: usize) -> Vec<u64> {
    world.set_ring_files(files);
    let mut after = Vec::new();
    for start in 0..count {
        if start % 2 == 0 {
            world.store.begin_stop(world.now);
            for _ in 0..3 {
                world.sleep(1_000_000_000);
            }
        }
        if world.recovers().is_err() {
            break;
        }
        world.restart(LogSettings::default());
        for log in (1..=LOGS).cycle().take(200) {
            let len = 200 + usize::try_from(world.random(3000)).unwrap();
            let _accepted_or_not = world.append(LogId(log), len);
        }
        for _ in 0..3 {
            world.sleep(1_000_000_000);
        }
        after.push(free(world));
    }
    after
}

#[test]
fn starts_at_the_floor_give_back_as_much_as_they_take() {
    for seed in 1..3 {
        // As before, and larger than there is room for.
        for files in [8, 12, 32] {
            let mut world = world(FLOOR, seed);
            fill(&mut world);
            world.settle();
            // The first ones write to segments what was live in the ring, and something may follow it.
            let after = starts(&mut world, files, 28);
            assert_eq!(after.len(), 28, "none is refused");
            let last = after[27];
            assert!(last >= FLOOR, "{last} bytes are free");
            let same = after.iter().rev().take_while(|free| **free == last);
            assert!(same.count() >= 20, "{files} files: {after:?}");
            for log in world.accepted.keys().copied().collect::<Vec<_>>() {
                world.check_log(log, 5000);
            }
        }
    }
}

/// The control: a store that is not told what is free lets something in before it asks.
#[test]
fn starts_that_do_not_know_what_is_free_use_it_up() {
    let mut world = world(FLOOR, 1);
    world.untold = true;
    fill(&mut world);
    world.settle();
    let after = starts(&mut world, 8, 28);
    assert!(after.len() < 28, "one is refused: {after:?}");
}
