//! The length that segments are given ahead of what is written to them.

use super::world::{LOG, World, reserving, small};
use crate::class::Classes;
use crate::io::{BLOCK, FileName, Op};
use crate::store::{Event, LogSettings, StoreConfig};

const FAR_ABOVE: u64 = 1 << 40;

/// The lengths of the log's segment files.
fn lengths(world: &World) -> Vec<usize> {
    let segments = world.disk.files.iter();
    let segments = segments.filter(|(file, _)| matches!(file, FileName::Segment { .. }));
    segments.map(|(_, bytes)| bytes.len()).collect()
}

/// Whether an index ends with a block that nothing was written to.
fn index_is_longer(world: &World) -> bool {
    let index = |file: &FileName| matches!(file, FileName::Index { .. });
    let mut indexes = world.disk.files.iter().filter(|(file, _)| index(file));
    indexes.any(|(_, bytes)| bytes.ends_with(&[0; BLOCK]))
}

fn writes_without_asking_for_length(mut world: World) {
    world.holds = |op| matches!(op, Op::Resize { .. });
    for _ in 0..5 {
        world.must_append(LOG, 30_000);
        world.settle();
    }
    assert!(!world.waits_for(|op| matches!(op, Op::Resize { .. })));
    world.check_log(LOG, 5000);
}

fn world(reserve_bytes: u64, free: u64) -> World {
    let config = StoreConfig {
        disk_floor_bytes: 4096,
        ..reserving(reserve_bytes)
    };
    let mut world = World::new(config, 83);
    world.free = free;
    world.topic(LOG, LogSettings::default());
    // Asks for free space before anything is written to a segment.
    world.append(LOG, 100).unwrap();
    world.settle();
    world
}

/// How long the first segment is with each 30,000 bytes more.
fn steps(reserve_bytes: u64) -> Vec<usize> {
    let mut world = world(reserve_bytes, FAR_ABOVE);
    let step = |_| {
        for _ in 0..10 {
            world.must_append(LOG, 3000);
            world.settle();
        }
        lengths(&world)[0]
    };
    let steps = (0..3).map(step).collect();
    world.check_log(LOG, 5000);
    steps
}

#[test]
fn a_segment_is_made_longer_in_steps_that_grow_with_it() {
    let steps = steps(64 << 10);
    assert!(steps[1] > 2 * steps[0], "{steps:?}");
    assert_eq!(steps[1], steps[2], "{steps:?}");
}

#[test]
fn a_segment_is_made_longer_up_to_a_bound() {
    let steps = steps(8 << 10);
    for (step, written) in steps.iter().zip([30_100, 60_100, 90_100]) {
        assert!(*step <= written + (8 << 10), "{steps:?}");
    }
    assert!(steps[0] < steps[1] && steps[1] < steps[2], "{steps:?}");
}

#[test]
fn without_a_bound_to_reserve_up_to_segments_grow_as_they_are_written() {
    let mut world = world(0, FAR_ABOVE);
    for _ in 0..5 {
        world.must_append(LOG, 30_000);
        world.settle();
    }
    assert!(lengths(&world)[0] <= 150_100, "{:?}", lengths(&world));
    world.check_log(LOG, 5000);
}

#[test]
fn what_a_segment_did_not_need_is_given_back_when_the_store_stops() {
    let mut world = world(64 << 10, FAR_ABOVE);
    world.must_append(LOG, 40_000);
    world.settle();
    assert!(lengths(&world)[0] > 70_000, "{:?}", lengths(&world));
    for _ in 0..10 {
        world.must_append(LOG, 2000);
        world.settle();
    }
    assert!(index_is_longer(&world));
    world.store.begin_stop(world.now);
    world.settle();
    assert!(world.events.contains(&Event::Flushed));
    // To the end of a block: the segment is closed.
    assert!(lengths(&world)[0] <= 61_440, "{:?}", lengths(&world));
    assert!(!index_is_longer(&world));
    world.restart(LogSettings::default());
    world.check_log(LOG, 5000);
}

#[test]
fn what_a_crash_left_behind_is_given_back_when_the_index_is_read() {
    let mut world = world(64 << 10, FAR_ABOVE);
    for _ in 0..20 {
        world.must_append(LOG, 2000);
        world.settle();
    }
    world.restart(LogSettings::default());
    let before = lengths(&world);
    world.check_log(LOG, 5000);
    world.settle();
    let after = lengths(&world);
    assert!(!index_is_longer(&world));
    assert!(before[0] > after[0], "{before:?} {after:?}");
    assert!(
        after.iter().sum::<usize>() < 41_000 + after.len() * 4096,
        "{after:?}"
    );
    world.check_log(LOG, 5000);
}

#[test]
fn a_segment_that_is_closed_keeps_only_what_it_holds() {
    let mut world = world(64 << 10, FAR_ABOVE);
    let settings = LogSettings {
        segment_bytes: 100_000,
        ..LogSettings::default()
    };
    world.store.configure(LOG, settings);
    for _ in 0..8 {
        world.must_append(LOG, 30_000);
        world.settle();
    }
    let closed = lengths(&world);
    assert!(closed.len() > 2, "{closed:?}");
    let rounded = 90_000usize.next_multiple_of(4096);
    assert_eq!(closed[1], rounded, "{closed:?}");
    world.check_log(LOG, 5000);
}

#[test]
fn scarce_space_is_left_to_those_who_need_it() {
    // Above the floor there is room for 16 steps of half of what the first one would take.
    let world = world(64 << 10, 4096 + 16 * (16 << 10));
    writes_without_asking_for_length(world);
}

#[test]
fn a_file_system_that_cannot_is_asked_once_and_does_without() {
    let mut world = world(64 << 10, FAR_ABOVE);
    world.fails = |op| matches!(op, Op::Resize { .. });
    world.must_append(LOG, 30_000);
    world.settle();
    writes_without_asking_for_length(world);
}

#[test]
fn a_class_bounds_its_segments_whatever_their_settings_say() {
    let segments = |classes: Classes| {
        let config = StoreConfig {
            classes,
            ..reserving(64 << 10)
        };
        let mut world = World::new(config, 5);
        world.topic(LOG, LogSettings::default());
        for _ in 0..40 {
            world.must_append(LOG, 3000);
        }
        world.settle();
        world.check_log(LOG, 5000);
        let longest = lengths(&world).into_iter().max();
        (lengths(&world).len(), longest.unwrap())
    };
    let classes = small().classes;
    let (many, longest) = segments(classes.with_segments_up_to(20_000));
    assert!(many >= 6 && longest <= 20 << 10, "{many}, {longest}");
    assert!(segments(classes).0 <= 2, "the control");
}
