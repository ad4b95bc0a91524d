//! Fetches that wait for records of many partitions, and all end together.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::Request;

use super::super::world::{Conn, World};
use super::{answers, fetch, goes, most_in_a_turn};

/// How many of eight fetches of so many partitions of one core are ended in the busiest turn, where
/// their time is over at once.
fn most_ended_in_a_turn(partitions: i32) -> usize {
    // With memory for all that they keep.
    let mut world = World::with_answers(64 << 20);
    let topic = u32::try_from(partitions).expect("some");
    world.create("wide", 2 * topic);
    let conns: Vec<Conn> = (0..8)
        .map(|_| world.connect_silent(1, Protocol::Kafka))
        .collect();
    for conn in &conns {
        // Every second one is this core's.
        let own: Vec<i32> = (0..partitions).map(|number| 2 * number + 1).collect();
        world.offer(*conn, &fetch("wide", own.into_iter(), 60_000));
        assert_eq!(world.bytes(*conn).len(), 0, "it waits");
    }
    world.sleep(60_000_000_000);
    let answered = |world: &World| conns.iter().filter(|conn| world.queued(**conn) > 0).count();
    let most = most_in_a_turn(&mut world, 8, answered);
    world.turn();
    for conn in conns {
        assert_eq!(answers(&world.bytes(conn)), 1);
    }
    most
}

#[test]
fn fetches_whose_time_is_over_together_end_in_slices() {
    assert!(most_ended_in_a_turn(500) <= 3);
    assert!(most_ended_in_a_turn(900) <= 2);
    // The control: what costs little ends at once.
    assert_eq!(most_ended_in_a_turn(4), 8);
}

#[test]
fn a_fetch_of_many_partitions_that_wait_ends_part_by_part_also_when_its_client_goes() {
    for finish in [true, false] {
        let mut world = World::with_slice(1 << 10);
        world.create("wide", 900);
        let conn = world.connect_silent(1, Protocol::Kafka);
        world.offer(conn, &fetch("wide", 0..900, 300_000));
        assert_eq!(world.bytes(conn).len(), 0, "it waits");
        goes(&mut world, conn, finish, 1);
        // Nothing of it is left that a record would wake.
        let topic = world.create("other", 2);
        let producer = world.produce(topic, 1, 100);
        assert_eq!(world.came(producer).len(), 1);
    }
}

#[test]
fn those_that_take_no_answers_are_closed_in_slices() {
    for (slice, most) in [(SLICE, 32), (usize::MAX, 200)] {
        let mut world = World::with_slice(slice);
        let frames = World::frame(1, &Request::Ping).repeat(10_000);
        let conns: Vec<Conn> = (0..200).map(|_| world.connect(1)).collect();
        for conn in &conns {
            world.stall(*conn, true);
            world.offer(*conn, &frames);
        }
        let closed = |world: &World| conns.iter().filter(|conn| !world.is_open(**conn)).count();
        let mut found = 0;
        for _ in 0..10 {
            world.sleep(1_000_000_000);
            for _ in 0..50 {
                let before = closed(&world);
                world.tick(1);
                found = found.max(closed(&world) - before);
            }
        }
        assert!(closed(&world) > 100, "{}", closed(&world));
        assert!(found <= most && found > most / 2, "{found} in a turn");
    }
}
