//! What a machine is given again of its entries, as the class of its log says, whatever became of them meanwhile.

use bytes::Bytes;

use super::world::{LOG, World, small};
use crate::class::Replay;
use crate::io::FileName;
use crate::io::Op;
use crate::store::{AppendError, LogSettings, ReadOutcome, StoreConfig};
use crate::types::{Level, Ordinal};

/// An entry that says itself that so many bytes of it are replayed.
fn own(len: usize, replay: u32, kind: u8) -> Bytes {
    let mut bytes = replay.to_le_bytes().to_vec();
    bytes.push(kind);
    let rest = (0..len).map(|at| (at * 31 + len) as u8);
    bytes.extend(rest.skip(bytes.len()));
    bytes.truncate(len);
    bytes.into()
}

/// A log of that class with entries in the journal, in segments and written in bulk, of which no snapshot was
/// ever made.
fn world(replay: Replay) -> World {
    let config = StoreConfig {
        classes: small().classes.with_replay(replay),
        ..small()
    };
    let mut world = World::new(config, 9);
    world.snapshots = false;
    world.topic(LOG, LogSettings::default());
    for (n, len) in (0..).zip([400, 3000, 30_000, 5, 3, 900, 26_000, 2000, 7000]) {
        let replay = [5, 40, 300, 1_000_000][n % 4];
        world
            .append_bytes(LOG, own(len, replay, n as u8), Level::Synced)
            .unwrap();
        if n % 3 == 2 {
            world.settle();
        }
    }
    world.settle();
    world
}

fn replayed(world: &World) -> Vec<Bytes> {
    let mut recovered = world.recovery_of(&world.disk);
    let log = recovered.cores[0].logs.pop().expect("one log");
    assert_eq!(log.next.0, Ordinal(world.accepted(LOG).count() as u64));
    log.replay.into_iter().map(|(_, bytes)| bytes).collect()
}

/// What is replayed now, and after starts and more entries.
fn at_each_start(mut world: World, replay: Replay) {
    for start in 0..4 {
        let wanted: Vec<_> = match replay {
            Replay::None => Vec::new(),
            _ => world.accepted(LOG).map(|bytes| replay.of(bytes)).collect(),
        };
        assert_eq!(replayed(&world), wanted, "{replay:?}, start {start}");
        world.restart(LogSettings::default());
        for len in [700, 9000, 13_000] {
            world
                .append_bytes(LOG, own(len, 20, 1), Level::Synced)
                .unwrap();
            world.settle();
        }
    }
    world.check_log(LOG, 5000);
}

#[test]
fn entries_are_replayed_as_far_as_their_class_or_they_themselves_say() {
    for replay in [Replay::Own, Replay::Prefix(64), Replay::None] {
        at_each_start(world(replay), replay);
    }
    let own = world(Replay::Own);
    let lens: Vec<usize> = replayed(&own).iter().map(Bytes::len).collect();
    assert_eq!(lens, [5, 40, 300, 5, 3, 40, 300, 2000, 5]);
    let writes = |world: &World| {
        let segment = |file: &&FileName| matches!(file, FileName::Segment { .. });
        world.disk.files.keys().filter(segment).count()
    };
    assert!(writes(&own) > 0, "some are in segments");
}

#[test]
fn what_is_not_replayed_needs_no_snapshot() {
    let wanted = |replay| {
        let mut world = world(replay);
        for _ in 0..60 {
            world
                .append_bytes(LOG, own(9000, 9, 0), Level::Synced)
                .unwrap();
            world.settle();
            assert!(!world.waits_for(|op| matches!(op, Op::Remove(_))));
        }
        let asked = |event: &&crate::store::Event| {
            matches!(event, crate::store::Event::SnapshotWanted { .. })
        };
        world.events.iter().filter(asked).count()
    };
    assert_eq!(wanted(Replay::None), 0);
    assert!(wanted(Replay::Own) > 0, "the control");
}

#[test]
fn what_is_replayed_of_an_entry_fits_a_commit() {
    let mut world = world(Replay::Own);
    let refused = world.append_bytes(LOG, own(40_000, 40_000, 0), Level::Synced);
    assert_eq!(refused, Err(AppendError::TooLarge));
    assert!(
        world
            .append_bytes(LOG, own(40_000, 100, 0), Level::Synced)
            .is_ok()
    );
    world.settle();
    world.check_log(LOG, 5000);
}

#[test]
fn a_read_by_ordinals_tells_kinds_where_entries_say_them() {
    let kinds = |replay| {
        let mut world = world(replay);
        for kind in [7, 8] {
            world
                .append_bytes(LOG, own(50, 10, kind), Level::Synced)
                .unwrap();
        }
        world.settle();
        let end = world.store.frontiers(LOG).unwrap().durable.0;
        let from = Ordinal(end.0 - 2);
        let ReadOutcome::Ready(data) = world.store.read(LOG, from..end, 10_000, world.now) else {
            panic!("in memory");
        };
        let kinds = data.metas.iter().map(|read| read.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(Replay::Own), [7, 8]);
    assert_eq!(kinds(Replay::Prefix(64)), [0, 0]);
}
