//! How much a core looks at for one connection before it looks at another.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{Kind, Request};

use super::world::{Conn, World};

/// As much as is received at a time, of requests with long answers.
fn flood() -> (Vec<u8>, usize) {
    let frame = World::frame(7, &Request::DescribeTopics(vec!["wide"]));
    let count = (16 << 10) / frame.len();
    (frame.repeat(count), count)
}

/// How many of its requests a connection of core 1 has answered when another one's is, which comes
/// just behind them; in how many turns; and how many are at last.
fn answered_before(slice: usize, floods: usize) -> (usize, usize, usize) {
    let mut world = World::with_slice(slice);
    world.create("wide", 1000);
    let (frames, count) = flood();
    let peers: Vec<Conn> = (0..floods).map(|_| world.connect(1)).collect();
    let other = world.connect(1);
    for conn in &peers {
        world.hand(*conn, &frames);
    }
    // A flood's own core answers at once, the other one when it is driven.
    let ping = World::frame(1, &Request::Ping);
    world.hand(other, &ping);
    let mut turns = 0;
    while world.queued(other) == 0 {
        world.tick(1);
        turns += 1;
        assert!(turns < 1000, "it is never answered");
    }
    let asked = world.mesh_len();
    world.turn();
    assert_eq!(world.came(other).len(), 1);
    let mut all = 0;
    for conn in peers {
        let came = world.came(conn);
        assert!(
            came.iter()
                .all(|frame| frame.kind == Kind::DescribeTopicsOk)
        );
        all += came.len();
    }
    assert_eq!(all, count * floods);
    (asked, turns, all)
}

#[test]
fn a_flood_of_one_connection_is_looked_at_in_slices() {
    let (asked, turns, all) = answered_before(SLICE, 1);
    assert!(
        asked <= all / 2 && turns == 0,
        "{asked} of {all}, {turns} turns"
    );
    // Without slices the other one waits for all of it.
    assert_eq!(answered_before(usize::MAX, 1), (all, 0, all));
}

#[test]
fn floods_of_many_connections_have_a_bound_together() {
    let (asked, turns, all) = answered_before(SLICE, 8);
    assert!(
        asked <= all / 2 && turns <= 12,
        "{asked} of {all}, {turns} turns"
    );
    assert_eq!(answered_before(usize::MAX, 8), (all, 0, all));
}

#[test]
fn who_stands_in_line_is_not_read_and_answered_in_order_also_behind_its_end() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(1);
    let mut sent = Vec::new();
    for number in 0..500 {
        sent.extend(World::frame(number, &Request::Ping));
    }
    let (first, rest) = sent.split_at(sent.len() / 2);
    world.hand(conn, first);
    assert!(world.is_paused(conn), "more is not read meanwhile");
    // What was on its way is taken all the same, and the end comes behind it.
    world.hand(conn, rest);
    world.finish(conn);
    let came = world.came(conn);
    let numbers: Vec<u64> = came.iter().map(|frame| frame.correlation).collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    assert!(!world.is_open(conn), "all that it sent was answered");
}

#[test]
fn who_goes_while_it_stands_in_line_leaves_nothing() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(1);
    let many = World::frame(1, &Request::Ping).repeat(400);
    world.hand(conn, &many);
    world.hang_up(conn);
    let late = world.connect_silent(1, Protocol::Kafka);
    assert!(world.is_open(late));
    world.pass(1);
}

#[test]
fn a_stop_ends_also_who_stands_in_line() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(0);
    let many = World::frame(1, &Request::Ping).repeat(400);
    world.hand(conn, &many);
    world.stop();
    let came = world.came(conn);
    assert_eq!(came.len(), 400);
    assert_eq!(came.last().map(|frame| frame.kind), Some(Kind::Error));
}
