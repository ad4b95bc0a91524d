//! Logs of level `memory` together keep within the budget, and leave the others alone.

use super::world::{LOG, World, small};
use crate::store::{ENTRY_OVERHEAD, LogSettings, StoreConfig};
use crate::types::{Level, LogId, Offset};

/// What a budget of so many bytes holds when twenty such logs of 4000 bytes at most got 12 KB each, and how often
/// a log beside them was written behind.
fn filled(tail_cache_bytes: usize) -> (World, u64, u64) {
    let config = StoreConfig {
        memory_log_bytes: 4000,
        tail_cache_bytes,
        ..small()
    };
    let mut world = World::new(config, 1);
    world.topic(LOG, LogSettings::default());
    let level = Level::Memory;
    for log in logs() {
        let settings = LogSettings {
            level,
            ..LogSettings::default()
        };
        world.topic(log, settings);
    }
    for round in 0..40 {
        for log in logs() {
            world.append(log, 300).unwrap();
        }
        if round % 8 == 0 {
            world.must_append(LOG, 50);
        }
    }
    world.settle();
    let stats = world.store.stats();
    (world, stats.tail_bytes, stats.write_behinds)
}

fn logs() -> impl Iterator<Item = LogId> {
    (100..120).map(LogId)
}

#[test]
fn all_logs_of_level_memory_together_take_half_of_the_budget() {
    const BUDGET: usize = 32 << 10;
    let (mut world, bytes, behind) = filled(BUDGET);
    assert!(bytes < BUDGET as u64, "{bytes}");
    assert_eq!(behind, 0, "nobody else has to go for them");
    let mut kept = 0;
    for log in logs() {
        let at = world.store.frontiers(log).unwrap();
        assert!(at.start.1 > Offset(0) && at.start.1 <= at.ordered.1);
        kept += u64::from(at.start.1 < at.ordered.1);
        world.check_log(log, 1000);
    }
    assert!(kept > 10, "the oldest of all go, not all of one: {kept}");
    world.check_log(LOG, 1000);
    // The control: each log's own bound lets all of them together take more.
    let (_, bytes, _) = filled(1 << 20);
    assert!(bytes > 2 * BUDGET as u64, "{bytes}");
}

#[test]
fn a_log_that_goes_gives_its_share_back() {
    let (mut world, before, _) = filled(32 << 10);
    for log in logs() {
        world.store.drop_log(log);
    }
    world.settle();
    let left = world.store.stats().tail_bytes;
    assert!(before > 14_000 && left < 1000, "{before}, {left} of LOG");
    let level = Level::Memory;
    let settings = LogSettings {
        level,
        ..LogSettings::default()
    };
    world.topic(LogId(300), settings);
    for _ in 0..12 {
        world.append(LogId(300), 200).unwrap();
    }
    let taken = world.store.stats().tail_bytes - left;
    assert_eq!(taken, 12 * (200 + ENTRY_OVERHEAD as u64), "all of it fits");
    world.check_log(LogId(300), 1000);
}

#[test]
fn logs_that_come_and_go_leave_nothing_in_the_lines() {
    for (level, count) in [(Level::Memory, 1000), (Level::Synced, 200)] {
        // Memory is never short, so that nothing else empties a line.
        let config = StoreConfig {
            tail_cache_bytes: 1 << 30,
            ..small()
        };
        let mut world = World::new(config, 1);
        let settings = LogSettings {
            level,
            ..LogSettings::default()
        };
        let mut longest = 0;
        for log in 100..100 + count {
            world.topic(LogId(log), settings);
            // A durable log has so much that segments get it, and then something more.
            for len in [13 << 10, 100] {
                world.append(LogId(log), len).unwrap();
                world.settle();
            }
            if log >= 110 {
                world.store.drop_log(LogId(log - 10));
            }
            longest = longest.max(world.store.memory.longest_line());
        }
        // The ten that live stood there, so it was looked at.
        assert!((10..40).contains(&longest), "{level:?}: {longest}");
    }
}

#[test]
fn an_entry_that_has_come_stays_and_pushes_out_all_others() {
    let (mut world, ..) = filled(32 << 10);
    let log = LogId(100);
    world.append(log, 20_000).unwrap();
    let at = world.store.frontiers(log).unwrap();
    assert_eq!(at.ordered.0.0 - at.start.0.0, 1);
    world.check_log(log, 1000);
    for log in logs().skip(1) {
        let at = world.store.frontiers(log).unwrap();
        assert_eq!(at.start, at.ordered);
    }
}
