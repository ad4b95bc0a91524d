//! Changes of the topology that concern many partitions, and many changes at once.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{Kind, Request};

use super::super::world::World;
use super::{answers, kafka, names};

const WIDE: u32 = 8000;

/// Has core 0 take a change that is durable, and both cores put it in force: the most partitions that
/// come or go in a turn of a core, and the turns until nothing changes any more.
fn most_partitions_in_a_turn(world: &mut World, change: &[u8]) -> (usize, usize) {
    let conn = world.connect(0);
    world.hand(conn, change);
    let (mut most, mut turns, mut still) = (0, 0, 0);
    let mut before = [0, 1].map(|core| world.partitions(core));
    let note = |world: &mut World, before: &mut [usize; 2]| {
        let now = [0, 1].map(|core| world.partitions(core));
        let change = (0..2).map(|core| now[core].abs_diff(before[core])).max();
        *before = now;
        change.expect("two cores")
    };
    while still < 5 {
        world.write_all();
        let mut change = note(world, &mut before);
        world.exchange();
        change = change.max(note(world, &mut before));
        for core in 0..2 {
            world.tick(core);
            change = change.max(note(world, &mut before));
        }
        still = if change == 0 { still + 1 } else { 0 };
        most = most.max(change);
        turns += 1;
    }
    world.turn();
    assert_eq!(world.came(conn).len(), 1, "answered once all is in force");
    (most, turns - 5)
}

#[test]
fn a_topic_of_many_partitions_is_made_changed_and_deleted_in_slices() {
    for slice in [SLICE, usize::MAX] {
        let mut world = World::with_slice(slice);
        let half = WIDE as usize / 2;
        for change in [
            World::create_frame("wide", WIDE),
            World::frame(1, &Request::DeleteTopic("wide")),
        ] {
            let (most, turns) = most_partitions_in_a_turn(&mut world, &change);
            match slice {
                // A turn has the slice of an event and that of the line.
                SLICE => assert!(most < 600 && turns > 6, "{most} in one of {turns}"),
                _ => assert_eq!(most, half, "all of a core's at once"),
            }
        }
        assert_eq!([0, 1].map(|core| world.partitions(core)), [0, 0]);
    }
}

#[test]
fn changes_are_put_in_force_in_their_order() {
    let mut world = World::new();
    let delete = |name| World::frame(1, &Request::DeleteTopic(name));
    let first = vec![
        World::create_frame("wide", WIDE),
        World::create_frame("small", 2),
    ];
    let then = vec![
        delete("wide"),
        World::create_frame("wide", WIDE + 1),
        delete("small"),
        World::create_frame("small", 7),
    ];
    for changes in [first, then, vec![delete("wide")]] {
        // A client waits for each of its changes: these are of as many clients, durable all at once.
        let conns: Vec<_> = changes.iter().map(|_| world.connect(0)).collect();
        world.disk.hold = true;
        for (conn, change) in conns.iter().zip(&changes) {
            world.hand(*conn, change);
        }
        world.disk.hold = false;
        world.turn();
        for conn in conns {
            let kinds: Vec<Kind> = world.came(conn).iter().map(|frame| frame.kind).collect();
            assert!(
                matches!(kinds[..], [Kind::CreateTopicOk | Kind::DeleteTopicOk]),
                "{kinds:?}"
            );
        }
    }
    let all = [0, 1].map(|core| world.partitions(core));
    assert_eq!(all.iter().sum::<usize>(), 7);
    let topic = world.create("after", 4);
    for number in 0..4 {
        let producer = world.produce(topic, number, 10);
        assert_eq!(world.came(producer)[0].kind, Kind::ProduceOk);
    }
}

#[test]
fn who_asks_while_a_wide_topic_is_made_is_answered() {
    let mut world = World::new();
    let maker = world.connect(0);
    world.disk.hold = true;
    world.hand(maker, &World::create_frame("wide", WIDE));
    world.write_all();
    world.exchange();
    let between = [0, 1].map(|core| world.partitions(core));
    assert!(
        between.iter().all(|there| (1..600).contains(there)),
        "{between:?}"
    );
    for core in 0..2 {
        // Not named before it is there.
        let conn = world.connect_silent(core, Protocol::Kafka);
        assert!(world.partitions(core) > 0);
        world.offer(conn, &kafka(3, 1, &names(["wide"].into_iter())));
        assert_eq!(answers(&world.bytes(conn)), 1);
    }
    world.disk.hold = false;
    world.turn();
    assert_eq!(world.came(maker)[0].kind, Kind::CreateTopicOk);
}
