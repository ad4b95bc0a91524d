//! The toy through whole sessions, for which nothing was touched but its folder and its lines.

use crate::core::boundary::Protocol;
use crate::core::net::Pause;
use crate::core::push::world::{Conn, World};

/// What a connection has been told so far, of what it takes now.
fn told(world: &mut World, conn: Conn) -> String {
    String::from_utf8(world.bytes(conn)).expect("text")
}

#[test]
fn its_lines_are_answered_in_whatever_pieces_they_come() {
    let mut world = World::new();
    let conn = world.connect_silent(0, Protocol::Toy);
    world.offer(conn, b"echo one\necho tw");
    assert_eq!(told(&mut world, conn), "1: one\n");
    world.offer(conn, b"o\nsing\n");
    assert_eq!(told(&mut world, conn), "2: two\n3: what?\n");
    assert!(world.is_open(conn));
}

#[test]
fn it_appends_where_the_partition_is_and_gives_its_permit_back() {
    let mut world = World::new();
    for core in 0..2 {
        for topic in ["a", "b"] {
            world.create(&format!("{topic}{core}"), 1);
        }
    }
    let conn = world.connect_silent(0, Protocol::Toy);
    world.hand(conn, b"put a0 x\nput b0 y\nput a1 z\nput none x\n");
    // Who has asked another core hears of it later than who has not, and of nothing that is not there at once.
    assert!(world.mesh_len() > 0, "some are the other core's");
    world.turn();
    let mut lines: Vec<String> = told(&mut world, conn).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["1: at 0", "2: at 0", "3: at 0", "4: no topic"]);
    world.offer(conn, b"put a0 again\n");
    assert_eq!(told(&mut world, conn), "5: at 1\n");
    assert_eq!(
        world
            .cores_mut()
            .map(|core| core.under_way().permits)
            .sum::<usize>(),
        0
    );
}

#[test]
fn it_has_its_own_last_words() {
    let mut world = World::new();
    let silent = world.connect_silent(1, Protocol::Toy);
    let endless = world.connect_silent(1, Protocol::Toy);
    world.offer(endless, &[b'x'; 2000]);
    assert_eq!(told(&mut world, endless), "0: a line is too long\n");
    assert!(!world.is_open(endless));
    world.pass(11_000_000_000);
    assert_eq!(told(&mut world, silent), "0: no hello in time\n");
    assert!(!world.is_open(silent));
}

#[test]
fn its_heartbeats_stop_while_the_core_makes_it_wait() {
    let mut world = World::new();
    let conn = world.connect_silent(0, Protocol::Toy);
    world.offer(conn, b"beat\n");
    world.pass(2_600_000_000);
    assert_eq!(told(&mut world, conn), "0: beat\n0: beat\n");
    world.offer(conn, b"echo here\n");
    assert_eq!(told(&mut world, conn), "2: here\n");
    // It has said something that lies here, and is not looked at.
    let core = world.cores_mut().next().expect("two cores");
    core.block(conn.1, Pause::Topology);
    world.pass(20_000_000_000);
    assert_eq!(told(&mut world, conn), "");
    let now = world.time();
    let core = world.cores_mut().next().expect("two cores");
    core.unblock(conn.1, Pause::Topology, now);
    world.pass(6_000_000_000);
    let beats = "0: beat\n".repeat(3);
    assert_eq!(told(&mut world, conn), beats + "0: no heartbeat\n");
    assert!(!world.is_open(conn));
}
