//! What is read is what was appended, from memory or from segments, in any order of completions.

use bytes::Bytes;
use proptest::prelude::*;

use super::world::{LOG, World, small};
use crate::io::{FileName, Op};
use crate::store::{
    Event, LogSettings, NewEntry, Place, ReadData, ReadError, ReadOutcome, ReadRange, SMALL_ENTRY,
    StoreConfig,
};
use crate::types::{Level, LogId, LogKind, Offset, Ordinal, SlotId, Term};

#[test]
fn a_lone_entry_is_durable_after_one_write_and_not_before() {
    let mut world = World::new(small(), 1);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 100).unwrap();
    world.issue();
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.ordered.1, Offset(3));
    assert_eq!(frontiers.durable.1, Offset(0));
    world.settle();
    assert_eq!(world.store.frontiers(LOG).unwrap().durable.1, Offset(3));
    assert_eq!(world.store.stats().commits, 1);
    world.check_log(LOG, 1000);
}

#[test]
fn a_tail_read_hands_out_the_appended_memory() {
    let mut world = World::new(small(), 1);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, SMALL_ENTRY + 1).unwrap();
    world.append(LOG, SMALL_ENTRY).unwrap();
    world.settle();
    let whole = 3 * SMALL_ENTRY;
    let data = world.read(LOG, Offset(1), whole).unwrap();
    let appended: Vec<_> = world.accepted[&LOG]
        .iter()
        .map(|entry| entry.2.as_ptr())
        .collect();
    assert_eq!(data.chunks[0].as_ptr(), appended[0]);
    // A small one was copied when it came, once for all its readers.
    assert_ne!(data.chunks[1].as_ptr(), appended[1]);
    let again = world.read(LOG, Offset(1), whole).unwrap();
    assert_eq!(data.chunks[1].as_ptr(), again.chunks[1].as_ptr());
}

#[test]
fn an_entry_larger_than_a_commit_goes_through_an_extent_and_comes_back() {
    let mut world = World::new(small(), 3);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 100).unwrap();
    world.append(LOG, 70_001).unwrap();
    world.append(LOG, 100).unwrap();
    world.settle();
    assert_eq!(world.store.stats().extents, 1);
    assert_eq!(world.store.stats().extents_with_tail, 1);
    world.check_log(LOG, 1 << 20);
    world.restart(LogSettings::default());
    world.check_log(LOG, 1 << 20);
}

#[test]
fn offsets_outside_of_the_log_are_refused_with_its_bounds() {
    let mut world = World::new(small(), 1);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 10).unwrap();
    world.settle();
    let error = world.read(LOG, Offset(4), 100).unwrap_err();
    let (start, end) = (Offset(0), Offset(3));
    assert_eq!(error, ReadError::OutOfRange { start, end });
    assert_eq!(world.read(LOG, Offset(3), 100).unwrap().bytes, 0);
    let other = world
        .store
        .read(LogId(99), Offset(0)..Offset(1), 1, world.now);
    assert_eq!(other, ReadOutcome::Failed(ReadError::UnknownLog));
}

#[test]
fn time_finds_the_first_place_that_is_late_enough() {
    let mut world = World::new(small(), 5);
    world.topic(LOG, LogSettings::default());
    for _ in 0..200 {
        world.append(LOG, 900).unwrap();
        world.sleep(10_000_000);
    }
    let (first, last) = (1_000_000, world.now.wall.0);
    for restarted in [false, true] {
        if restarted {
            world.restart(LogSettings::default());
        }
        assert_eq!(world.find_time(LOG, i64::MIN), Some(Offset(0)));
        assert_eq!(world.find_time(LOG, last + 1), None);
        for entry in (0..200u64).step_by(17) {
            let found = world
                .find_time(LOG, first + 10 * i64::try_from(entry).unwrap())
                .unwrap();
            assert!(
                found <= Offset(entry * 3),
                "nothing late enough is passed over"
            );
            // A span holds about 3000 bytes: at most four of these entries.
            assert!(
                found.0 + 4 * 3 >= entry * 3,
                "{found} is far before entry {entry}"
            );
        }
    }
    assert!(world.store.stats().segment_bytes > 0 || world.files_of(LOG) > 0);
}

#[test]
fn the_latest_record_is_found_where_clocks_went_back() {
    let mut world = World::new(small(), 6);
    world.topic(LOG, LogSettings::default());
    assert_eq!(world.find_latest(LOG, i64::MAX), None);
    // Up to 5,000 at the entries 70 and 75, down again; the youngest entry is the last but one.
    let times = (0..200i64).map(|n| match n {
        70 | 75 => 5000,
        100 => 4000,
        _ => 1000 - n,
    });
    for time in times {
        world.now.wall.0 = time;
        world.append(LOG, 900).unwrap();
        world.sleep(10_000_000);
    }
    for restarted in [false, true] {
        if restarted {
            world.restart(LogSettings::default());
        }
        let near = |below, timestamp, entry: u64| {
            move |world: &mut World| {
                let found = world.find_latest(LOG, below).expect("there are records");
                assert_eq!(found.timestamp, timestamp);
                // A span holds about 3000 bytes: at most four of these entries.
                let span = entry.saturating_sub(4) * 3..=entry * 3;
                assert!(span.contains(&found.offset.0), "{found:?} for {entry}");
            }
        };
        near(i64::MAX, 5000, 70)(&mut world);
        near(5000, 4000, 100)(&mut world);
        near(4000, 1000, 0)(&mut world);
        assert_eq!(world.find_latest(LOG, i64::MIN), None);
    }
    assert!(world.store.stats().segment_bytes > 0 || world.files_of(LOG) > 0);
}

#[test]
fn a_log_of_level_memory_never_meets_the_disk_and_forgets_its_oldest() {
    let config = crate::store::StoreConfig {
        memory_log_bytes: 4000,
        ..small()
    };
    let mut world = World::new(config, 1);
    let level = Level::Memory;
    world.topic(
        LOG,
        LogSettings {
            level,
            ..LogSettings::default()
        },
    );
    for _ in 0..50 {
        world.append(LOG, 300).unwrap();
    }
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
    assert!(frontiers.start.1 > Offset(0));
    world.check_log(LOG, 1000);
    world.settle();
    assert_eq!(world.store.stats().commits, 0);
}

#[test]
fn written_is_acknowledged_before_the_sync_and_synced_soon_after() {
    let mut world = World::new(small(), 1);
    let level = Level::Written;
    world.topic(
        LOG,
        LogSettings {
            level,
            ..LogSettings::default()
        },
    );
    world.topic(LogId(8), LogSettings::default());
    // In the ring's first file, which is not filled ahead, every commit is synced; so is one that
    // carries a checkpoint.
    let mut unsynced = 0;
    for _ in 0..20 {
        world.append(LOG, 3000).unwrap();
        world.settle();
        let frontiers = world.store.frontiers(LOG).unwrap();
        assert_eq!(frontiers.written, frontiers.ordered);
        unsynced += u32::from(frontiers.durable < frontiers.ordered);
    }
    assert!(
        unsynced > 3,
        "only {unsynced} were acknowledged before their sync"
    );
    world.sleep(60_000_000);
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
    world.append(LOG, 100).unwrap();
    world.append(LogId(8), 100).unwrap();
    world.settle();
    assert_eq!(
        world.store.frontiers(LogId(8)).unwrap().durable.1,
        Offset(3)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Random sizes on four logs, completions in any order, memory far too small to hold it all,
    /// a restart now and then.
    #[test]
    fn reads_equal_what_was_appended(
        seed in 1u64..,
        steps in prop::collection::vec((0u64..4, 1usize..9000, 0u8..20), 50..250),
    ) {
        let mut world = World::new(small(), seed);
        let settings = LogSettings { segment_bytes: 60_000, ..LogSettings::default() };
        for log in 0..4 {
            world.topic(LogId(log), settings);
        }
        for (log, len, what) in steps {
            let log = LogId(log);
            if world.append(log, len).is_err() {
                world.settle();
                let again = world.append(log, len);
                prop_assert!(again.is_ok(), "{again:?}: {}", world.standing());
            }
            world.issue();
            match what {
                0 => {
                    world.settle();
                    world.check_log(log, 10_000);
                }
                1 => {
                    world.settle();
                    for id in 0..4 {
                        if let Some(at) = world.store.frontiers(LogId(id)) {
                            prop_assert_eq!(at.durable, at.ordered, "{}", world.standing());
                        }
                    }
                    world.restart(settings);
                    for id in 0..4 {
                        if world.store.frontiers(LogId(id)).is_none() {
                            world.topic(LogId(id), settings);
                        }
                    }
                }
                2..=8 => { world.complete_one(); }
                _ => {}
            }
        }
        world.settle();
        for log in 0..4 {
            world.check_log(LogId(log), 7000);
        }
    }
}

#[test]
fn what_a_segment_holds_before_it_is_durable_is_not_served_with_the_rest_of_its_span() {
    let config = StoreConfig {
        tail_cache_bytes: 8 << 10,
        ..small()
    };
    let mut world = World::new(config, 101);
    world.topic(LOG, LogSettings::default());
    world.append(LOG, 900).unwrap();
    world.settle();
    // Written and in the segment, but the commits are not synced.
    world.holds = |op| matches!(op, Op::Sync(FileName::Journal { .. }));
    for _ in 0..20 {
        world.append_at(LOG, 900, Level::Written).unwrap();
        world.settle();
    }
    // No replay needs them either, so that all leave memory that may.
    let state = bytes::Bytes::from_static(b"state");
    world.store.put_snapshot(LOG, state, None);
    world.append_at(LOG, 900, Level::Written).unwrap();
    world.settle();
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable.1, Offset(3));
    assert!(world.store.stats().segment_bytes > 0);
    assert!(
        world.store.logs[world.store.logs.key(LOG).unwrap()]
            .tail_first()
            .0
            == 1
    );
    let data = world.read(LOG, Offset(0), 1 << 20).unwrap();
    assert_eq!(data.bytes, 900);
    world.holds = |_| false;
    world.settle();
    let frontiers = world.store.frontiers(LOG).unwrap();
    assert_eq!(frontiers.durable, frontiers.ordered);
    assert!(world.read(LOG, Offset(0), 1 << 20).unwrap().bytes > 900);
    world.check_log(LOG, 1 << 20);
}

/// Bytes that are read at once for thirty readers, each at another offset.
fn read_at_once(reads_in_flight_bytes: usize) -> usize {
    let config = StoreConfig {
        tail_cache_bytes: 4 << 10,
        index_cache_bytes: 64 << 10,
        reads_in_flight_bytes,
        ..small()
    };
    let mut world = World::new(config, 11);
    world.topic(LOG, LogSettings::default());
    for _ in 0..150 {
        world.must_append(LOG, 900);
        world.settle();
    }
    world.holds = |op| {
        matches!(
            op,
            Op::Read {
                file: FileName::Segment { .. },
                ..
            }
        )
    };
    let until = Offset(30 * 12);
    let tokens: Vec<_> = (0..30)
        .filter_map(|reader| {
            let from = Offset(reader * 12);
            let read = world.store.read(LOG, from..until, 3000, world.now);
            match read {
                ReadOutcome::Pending(token) => Some(token),
                _ => None,
            }
        })
        .collect();
    assert!(tokens.len() > 10, "this test shows nothing");
    world.settle();
    let most = world.being_read();
    world.holds = |_| false;
    world.settle();
    let ended = |event: &Event| match event {
        Event::ReadDone { token, result } => result.is_ok() && tokens.contains(token),
        _ => false,
    };
    let ended = world.events.iter().filter(|event| ended(event)).count();
    assert_eq!(ended, tokens.len(), "each is read in the end");
    most
}

#[test]
fn readers_together_leave_the_device_to_writes_soon() {
    let most = read_at_once(16 << 10);
    assert!((1..=16 << 10).contains(&most), "{most}");
    // Without the rule all is asked for at once.
    assert!(read_at_once(usize::MAX) > 64 << 10);
}

/// Reads on from [`ReadData::next`] until there is nothing more; every answer's places and bytes.
fn walk<R: Into<ReadRange>>(
    world: &mut World,
    range: impl Fn(&World, Option<Place>) -> R,
) -> Vec<ReadData> {
    let (mut all, mut at) = (Vec::new(), None);
    loop {
        let next = range(world, at).into();
        let data = match world.store.read(LOG, next, 5000, world.now) {
            ReadOutcome::Ready(data) => data,
            ReadOutcome::Failed(error) => panic!("{error}"),
            ReadOutcome::Pending(_) => {
                world.settle();
                let mut done = world.events.drain(..).filter_map(|event| match event {
                    Event::ReadDone { result, .. } => result.ok(),
                    _ => None,
                });
                done.next_back().expect("a pending read ends")
            }
        };
        let Some(next) = data.next else {
            return all;
        };
        at = Some(next);
        all.push(data);
    }
}

#[test]
fn a_log_is_read_by_ordinals_as_by_offsets_and_says_where_to_go_on() {
    let mut world = World::new(small(), 41);
    let settings = LogSettings {
        segment_bytes: 40 << 10,
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    for len in (0..150).map(|n| 300 + n * 37 % 2000) {
        world.must_append(LOG, len);
        world.settle();
    }
    world.sleep(60_000_000);
    // Of an earlier run, whose indexes nobody has read, and then of this one.
    for restarts in [true, false] {
        if restarts {
            world.restart(settings);
        }
        let end = world.store.frontiers(LOG).unwrap().durable;
        let place = |(ordinal, offset)| Place {
            ordinal,
            offset: Some(offset),
        };
        let by_ordinals = walk(&mut world, |world, at| {
            let from = at.map_or(world.store.frontiers(LOG).unwrap().start.0, |at| at.ordinal);
            from..end.0
        });
        let by_offsets = walk(&mut world, |_, at| {
            let from = at.map_or(Offset(0), |at| match at.offset {
                Some(offset) => offset,
                // Entries of these logs take three.
                None => Offset(at.ordinal.0 * 3),
            });
            from..end.1
        });
        for reads in [&by_ordinals, &by_offsets] {
            let first = reads.first().unwrap().first.unwrap();
            assert_eq!(first, place((Ordinal(0), Offset(0))));
            assert_eq!(reads.last().unwrap().next, Some(place(end)));
            let bytes: Vec<u8> = reads.iter().flat_map(|data| data.chunks.concat()).collect();
            assert!(
                bytes
                    == world.accepted[&LOG]
                        .iter()
                        .flat_map(|e| e.2.to_vec())
                        .collect::<Vec<_>>()
            );
            for two in reads.windows(2) {
                let (next, first) = (two[0].next.unwrap(), two[1].first.unwrap());
                assert_eq!(next.ordinal, first.ordinal);
                assert!(next.offset.is_none_or(|next| Some(next) == first.offset));
            }
        }
        let metas: Vec<_> = by_ordinals.iter().flat_map(|data| &data.metas).collect();
        assert_eq!(metas.last().unwrap().meta.ordinal.plus(1), end.0);
        assert!(by_offsets.iter().all(|data| data.metas.is_empty()));
        assert!(by_ordinals[0].metas.is_empty(), "a segment does not say");
    }
}

#[test]
fn a_log_without_offsets_is_read_by_ordinals() {
    let mut world = World::new(small(), 43);
    let machine = LogId(0);
    let settings = LogSettings::default();
    world
        .store
        .create_log(machine, SlotId(0), LogKind::Machine, settings);
    for n in 0..5u8 {
        let entry = NewEntry {
            term: Term(1),
            time: world.now.wall,
            first_offset: Offset(0),
            offsets: 0,
            max_timestamp: i64::MIN,
            bytes: Bytes::from(vec![n; 100]),
            sum: None,
        };
        world
            .store
            .append(machine, entry, Level::Synced, world.now)
            .unwrap();
    }
    world.settle();
    let read = world
        .store
        .read(machine, Ordinal(2)..Ordinal(4), 1 << 20, world.now);
    let ReadOutcome::Ready(data) = read else {
        panic!("{read:?}");
    };
    assert_eq!(data.chunks.concat(), [vec![2; 100], vec![3; 100]].concat());
    let told: Vec<_> = data
        .metas
        .iter()
        .map(|read| (read.meta.ordinal.0, read.meta.len))
        .collect();
    assert_eq!(told, [(2, 100), (3, 100)]);
    let outside = world
        .store
        .read(machine, Ordinal(6)..Ordinal(9), 1, world.now);
    assert!(matches!(
        outside,
        ReadOutcome::Failed(ReadError::OutOfRange { .. })
    ));
    // What a snapshot stands for is gone.
    world
        .store
        .put_snapshot(machine, Bytes::from_static(b"five"), None);
    world.settle();
    world.sleep(60_000_000);
    let gone = world
        .store
        .read(machine, Ordinal(2)..Ordinal(4), 1, world.now);
    assert!(matches!(
        gone,
        ReadOutcome::Failed(ReadError::OutOfRange { .. })
    ));
}
