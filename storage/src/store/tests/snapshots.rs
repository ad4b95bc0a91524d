//! Snapshots in files: written in pieces, given up, and what they let go.

use bytes::Bytes;

use super::world::{LOG, World, small};
use crate::io::{Dir, FileName, Op};
use crate::store::{Event, LogSettings, State, StoreConfig};
use crate::types::{LogId, Offset, Ordinal};

/// One whose machine's state is handed in.
const MACHINE: LogId = LogId(3);

fn world(seed: u64) -> World {
    let mut world = World::new(small(), seed);
    world.topic(MACHINE, LogSettings::default());
    world.append(MACHINE, 100).unwrap();
    world.settle();
    world.snapshots = false;
    world
}

/// Until what is pending is placed.
fn settle(world: &mut World) {
    world.settle();
    world.sleep(60_000_000);
}

/// Some bytes of which no two blocks are the same.
fn state(len: usize) -> Bytes {
    (0..len).map(|at| (at / 7 % 251) as u8).collect()
}

fn files(world: &World) -> usize {
    let is = |file: &&FileName| matches!(file, FileName::Snapshot { .. });
    world.disk.files.keys().filter(is).count()
}

/// The state that a start would give the machine.
fn recovered(world: &World) -> Option<(Ordinal, Bytes)> {
    let recovered = world.recovery_of(&world.disk);
    let mut logs = recovered.cores.into_iter().flat_map(|core| core.logs);
    logs.find(|log| log.id == MACHINE).unwrap().snapshot
}

/// The longest write to a snapshot's file so far is remembered nowhere: such a one never comes.
fn writes_much(op: &Op<Vec<u8>>) -> bool {
    let Op::Write { file, buf, .. } = op else {
        return false;
    };
    matches!(file, FileName::Snapshot { .. }) && buf.len() > small().segment_write_bytes
}

#[test]
fn a_long_state_is_written_in_pieces_and_comes_back_whole() {
    for len in [257, 4032, 4033, 5000, 100_000] {
        let mut world = world(3);
        world.fails = writes_much;
        let whole = state(len);
        let cut = |at: usize| whole.slice(at * 1000..len.min((at + 1) * 1000));
        let pieces: Vec<_> = (0..len.div_ceil(1000)).map(cut).collect();
        world.store.put_snapshot(MACHINE, State::of(pieces), None);
        settle(&mut world);
        assert_eq!(recovered(&world), Some((Ordinal(1), whole)), "{len} bytes");
        assert_eq!(files(&world), 1);
    }
}

#[test]
fn one_write_of_a_state_is_under_way_at_a_time() {
    let mut world = world(5);
    world.holds = |op| {
        let file = |file: &FileName| matches!(file, FileName::Snapshot { .. });
        matches!(op, Op::Write { file: to, .. } if file(to))
    };
    let made = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = made.clone();
    let pieces = (0..1000).map(move |n: u32| {
        count.set(count.get() + 1);
        Bytes::from(vec![n as u8; 1000])
    });
    world.store.put_snapshot(MACHINE, State::of(pieces), None);
    world.settle();
    let first = made.get();
    assert!(
        first <= 14,
        "{first} pieces were made for 4032 and 8192 bytes"
    );
    // Entries go on meanwhile, and the state is that of its time.
    world.append(MACHINE, 50).unwrap();
    world.settle();
    assert_eq!(
        made.get(),
        first,
        "nothing is made while a write is under way"
    );
    world.holds = |_| false;
    settle(&mut world);
    let (ordinal, whole) = recovered(&world).unwrap();
    assert_eq!((ordinal, whole.len()), (Ordinal(1), 1_000_000));
}

#[test]
fn a_crash_at_any_operation_leaves_the_state_before_or_the_new_one() {
    let mut world = world(7);
    world.store.put_snapshot(MACHINE, state(9000), None);
    settle(&mut world);
    world.append(MACHINE, 50).unwrap();
    world.settle();
    let (old, new) = (state(9000), state(30_000));
    world.store.put_snapshot(MACHINE, new.clone(), None);
    let mut seen = [0, 0];
    for _ in 0..60 {
        let found = recovered(&world).expect("one is there");
        match found {
            (Ordinal(1), bytes) if bytes == old => seen[0] += 1,
            (Ordinal(2), bytes) if bytes == new => seen[1] += 1,
            (ordinal, bytes) => panic!("{} bytes at {ordinal}", bytes.len()),
        }
        world.settle_ops(1);
        world.now.mono = world.now.mono.after(5_000_000);
        world.store.handle_timeout(world.now);
    }
    assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
}

#[test]
fn a_state_whose_directory_cannot_be_synced_stops_its_log_and_no_other() {
    let mut world = world(9);
    world.topic(LOG, LogSettings::default());
    world.fails = |op| matches!(op, Op::SyncDir(Dir::Log(MACHINE)));
    world.store.put_snapshot(MACHINE, state(5000), None);
    // The other sync is slower: it finds nobody, and harms nobody.
    world.holds = |op| matches!(op, Op::SyncDir(Dir::Logs));
    world.settle();
    world.holds = |_| false;
    settle(&mut world);
    let stopped = |event: &&Event| matches!(event, Event::Stopped { log: MACHINE, .. });
    assert_eq!(world.events.iter().filter(stopped).count(), 1);
    assert!(
        !world
            .events
            .iter()
            .any(|event| matches!(event, Event::Fatal(_)))
    );
    assert_eq!(
        recovered(&world),
        None,
        "what may not be there is not pointed to"
    );
    world.append(LOG, 100).unwrap();
    world.settle();
}

#[test]
fn a_file_that_was_cut_is_named_and_takes_no_memory_on_its_word() {
    let mut world = world(11);
    world.store.put_snapshot(MACHINE, state(50_000), None);
    settle(&mut world);
    let is = |file: &&FileName| matches!(file, FileName::Snapshot { .. });
    let file = *world.disk.files.keys().find(is).unwrap();
    // What a start says of it: the log is stopped, and nothing else.
    let said = |world: &World| {
        let recovered = world.recovery_of(&world.disk);
        let mut logs = recovered.cores.into_iter().flat_map(|core| core.logs);
        let lost = logs.find(|log| log.id == MACHINE).unwrap().lost;
        lost.map(|lost| lost.reason)
    };
    for (cut, what) in [
        (0, "no snapshot file"),
        (4096, "shorter"),
        (49_000, "shorter"),
    ] {
        let whole = world.disk.files[&file].clone();
        world.disk.files.get_mut(&file).unwrap().truncate(cut);
        let reason = said(&world).expect("it is missing");
        assert!(reason.contains(what), "{reason}");
        world.disk.files.insert(file, whole);
    }
    assert_eq!(said(&world), None, "the control");
    world.disk.files.get_mut(&file).unwrap()[20_000] ^= 1;
    let reason = said(&world).expect("it is not what was written");
    assert!(reason.contains("CRC"), "{reason}");
}

#[test]
fn a_log_starts_where_its_snapshot_needs_it_to_and_not_before_that_is_placed() {
    let config = StoreConfig {
        write_behind_bytes: 4 << 10,
        ..small()
    };
    let mut world = World::new(config, 13);
    let settings = LogSettings {
        segment_bytes: 8 << 10,
        ..LogSettings::default()
    };
    world.topic(LOG, settings);
    for _ in 0..40 {
        world.must_append(LOG, 1000);
        world.settle();
    }
    let files = world.files_of(LOG);
    // Entries take three offsets each.
    let keep = (Ordinal(30), Offset(90));
    world.holds = |op| {
        matches!(
            op,
            Op::Create {
                file: FileName::Snapshot { .. },
                ..
            }
        )
    };
    world.store.put_snapshot(LOG, state(5000), Some(keep));
    world.settle();
    let start = |world: &World| world.store.frontiers(LOG).unwrap().start;
    assert_eq!(
        start(&world),
        (Ordinal(0), Offset(0)),
        "its file is not there"
    );
    world.holds = |_| false;
    for _ in 0..60 {
        world.now.mono = world.now.mono.after(5_000_000);
        world.store.handle_timeout(world.now);
        // Wherever the process ends, what the machine is given and what is left fit together.
        let recovered = world.recovery_of(&world.disk);
        let log = &recovered.cores[0].logs[0];
        let placed = log.snapshot.as_ref().map_or(Ordinal(0), |(at, _)| *at);
        assert!(
            log.start.0 <= placed,
            "the start is no further than the machine"
        );
        world.settle_ops(1);
    }
    world.sleep(3_000_000_000);
    assert_eq!(start(&world), keep);
    let trimmed =
        |event: &&Event| matches!(event, Event::Trimmed { log: LOG, start } if *start == keep);
    assert_eq!(world.events.iter().filter(trimmed).count(), 1);
    assert!(world.files_of(LOG) < files, "segments below it go");
    world.restart(settings);
    assert_eq!(start(&world), keep);
}
