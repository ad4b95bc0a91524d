//! Thousands of requests that come to their end in the same instant: a batch that all wait for, the
//! deletion of what they wait for, the same time-out.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{Kind, Request, TopicId};

use super::super::came::Came;
use super::super::patience::produce;
use super::super::world::{Conn, WOKEN, World, partition};
use super::{answers, fetch};

/// So many wait.
const ALL: usize = 1000;

/// The most of these connections that are given something in a turn of a core, until all are. What is
/// to be written is written, or not.
fn most_told(world: &mut World, conns: &[Conn], writes: bool) -> usize {
    let (mut most, mut before) = (0, 0);
    let steps: [fn(&mut World); 4] = [
        World::write_all,
        World::exchange,
        |world| world.tick(0),
        |world| world.tick(1),
    ];
    for _ in 0..ALL {
        for step in &steps[usize::from(!writes)..] {
            world.sleep(1);
            step(world);
            let told = conns.iter().filter(|conn| world.queued(**conn) > 0).count();
            most = most.max(told - before);
            before = told;
        }
    }
    assert_eq!(before, conns.len(), "all are told in the end");
    world.turn();
    most
}

fn connect(world: &mut World) -> Vec<Conn> {
    (0..ALL)
        .map(|_| world.connect_silent(1, Protocol::Kafka))
        .collect()
}

/// Fetches of a partition of core 1 that wait for its records, each of a connection of its own.
fn fetches(world: &mut World) -> Vec<Conn> {
    let conns = connect(world);
    for conn in &conns {
        world.offer(*conn, &fetch("t", [1].into_iter(), 300_000));
        assert_eq!(world.queued(*conn), 0, "it waits");
    }
    conns
}

/// Subscriptions to the same partition, likewise.
fn subscriptions(world: &mut World, topic: TopicId) -> Vec<Conn> {
    let conns: Vec<Conn> = (0..ALL).map(|_| world.connect(1)).collect();
    for conn in &conns {
        world.subscribe(*conn, 1, 1 << 20, &[partition(topic, 1, 0)]);
        let came = world.came(*conn);
        assert_eq!(came.len(), 1, "nothing but that it stands: {came:?}");
    }
    conns
}

/// With a slice, and without one: how many are told in a turn.
fn turns() -> [(usize, usize); 2] {
    [(SLICE, WOKEN), (usize::MAX, ALL)]
}

#[test]
fn a_batch_that_thousands_of_fetches_wait_for_is_given_to_so_many_in_a_turn() {
    for (slice, expected) in turns() {
        let mut world = World::with_slice(slice);
        world.create("t", 2);
        let conns = fetches(&mut world);
        let producer = world.connect_silent(1, Protocol::Kafka);
        world.disk.hold = true;
        world.hand(producer, &produce("t", 2, 100));
        assert_eq!(most_told(&mut world, &conns, true), expected);
        for conn in conns {
            let bytes = world.bytes(conn);
            assert!(answers(&bytes) == 1 && bytes.len() > 100);
        }
    }
}

#[test]
fn a_batch_that_thousands_of_subscriptions_wait_for_is_pushed_to_so_many_in_a_turn() {
    for (slice, expected) in turns() {
        let mut world = World::with_slice(slice);
        let topic = world.create("t", 2);
        let conns = subscriptions(&mut world, topic);
        let producer = world.connect_silent(1, Protocol::Kafka);
        world.disk.hold = true;
        // Two batches, the second of which comes while those who wait for the first stand in line.
        world.hand(producer, &produce("t", 2, 100));
        assert_eq!(most_told(&mut world, &conns, true), expected);
        world.hand(producer, &produce("t", 2, 100));
        world.disk.hold = false;
        world.turn();
        for conn in conns {
            let pushed: Vec<i64> = world
                .came(conn)
                .iter()
                .filter(|frame| frame.kind == Kind::Push)
                .flat_map(Came::offsets)
                .collect();
            assert_eq!(pushed, [0, 1]);
        }
    }
}

#[test]
fn those_who_wait_for_a_partition_that_is_deleted_are_told_so_many_in_a_turn() {
    for (slice, expected) in turns() {
        let mut world = World::with_slice(slice);
        let topic = world.create("t", 2);
        let mut conns = fetches(&mut world);
        conns.truncate(ALL / 2);
        conns.extend(subscriptions(&mut world, topic).drain(ALL / 2..));
        let admin = world.connect(0);
        world.disk.hold = true;
        world.hand(admin, &World::frame(1, &Request::DeleteTopic("t")));
        let most = most_told(&mut world, &conns, true);
        match slice {
            SLICE => assert_eq!(most, expected),
            // The fetches that were left out are told as well.
            _ => assert_eq!(most, ALL),
        }
        for conn in &conns[..ALL / 2] {
            assert_eq!(answers(&world.bytes(*conn)), 1);
        }
    }
}

#[test]
fn who_goes_while_it_stands_in_line_leaves_nothing_and_takes_nothing_of_others() {
    let mut world = World::new();
    world.create("t", 2);
    world.create("other", 2);
    let conns = fetches(&mut world);
    let producer = world.connect_silent(1, Protocol::Kafka);
    world.disk.hold = true;
    world.hand(producer, &produce("t", 2, 100));
    world.write_all();
    let waits = |world: &World, conn: &Conn| world.queued(*conn) == 0;
    let (waiting, told): (Vec<Conn>, Vec<Conn>) =
        conns.into_iter().partition(|conn| waits(&world, conn));
    assert_eq!(told.len(), WOKEN);
    // Those that go while they stand in line leave their places to fetches of another partition.
    let (go, stay) = waiting.split_at(waiting.len() / 2);
    go.iter().for_each(|conn| world.vanish(*conn));
    let others = connect(&mut world);
    world.disk.hold = false;
    world.turn();
    for conn in &others {
        world.offer(*conn, &fetch("other", [1].into_iter(), 300_000));
    }
    world.turn();
    for conn in told.iter().chain(stay) {
        assert_eq!(answers(&world.bytes(*conn)), 1);
    }
    for conn in &others {
        assert_eq!(world.bytes(*conn).len(), 0, "nothing came there");
    }
    world.offer(producer, &produce("other", 2, 100));
    for conn in &others {
        assert_eq!(answers(&world.bytes(*conn)), 1);
    }
}

#[test]
fn produces_whose_time_is_over_together_are_given_up_in_slices() {
    for (slice, most) in [(SLICE, 150), (usize::MAX, ALL)] {
        for native in [true, false] {
            let mut world = World::with_slice(slice);
            let topic = world.create("t", 2);
            world.disk.hold = true;
            let conns: Vec<Conn> = match native {
                true => (0..ALL)
                    .map(|_| world.produce_within(topic, 1, 100, 60_000))
                    .collect(),
                false => {
                    let conns = connect(&mut world);
                    for conn in &conns {
                        world.offer(*conn, &produce("t", 2, 100));
                    }
                    conns
                }
            };
            world.sleep(61_000_000_000);
            let found = most_told(&mut world, &conns, false);
            assert!(found <= most && found > most / 2, "{found}, {native}");
            for conn in conns {
                match native {
                    true => assert_eq!(world.came(conn)[0].kind, Kind::Error),
                    false => assert_eq!(answers(&world.bytes(conn)), 1),
                }
            }
        }
    }
}
