//! Pauses through whole sessions, set by hand where they come about by chance.

use super::Pause;
use crate::core::boundary::Protocol;
use crate::core::push::world::{Conn, World};

/// A Kafka request for the metadata of many topics, longer than what is received beside others.
fn long_metadata() -> Vec<u8> {
    let names: Vec<u8> = (0..3000)
        .flat_map(|number| [&[0, 6][..], format!("t{number:05}").as_bytes()].concat())
        .collect();
    // API, version, correlation, no client's name, and how many names follow.
    let head = [0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff];
    let body = [&head[..], &3000_i32.to_be_bytes(), &names].concat();
    [&(body.len() as i32).to_be_bytes()[..], &body].concat()
}

/// A connection of which such a request has come, and stands in line to be read.
fn in_line(world: &mut World, why: Pause) -> Conn {
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.hand_long(conn, &long_metadata());
    let core = world.cores_mut().next().expect("two cores");
    assert!(
        core.sessions
            .get(conn.1)
            .expect("open")
            .pauses
            .by(Pause::Slice)
    );
    assert!(core.under_way().permits > 16 << 10);
    core.block(conn.1, why);
    conn
}

#[test]
fn what_has_come_is_read_whether_its_peer_takes_answers_or_not() {
    let mut world = World::with_slice(1 << 10);
    let conn = in_line(&mut world, Pause::Peer);
    world.turn();
    assert!(
        !world.bytes(conn).is_empty(),
        "it holds a permit, and waits for nobody"
    );
    let permits = world.cores_mut().map(|core| core.under_way().permits);
    assert_eq!(permits.sum::<usize>(), 0);
    assert!(!world.is_paused(conn));
}

#[test]
fn what_has_come_waits_for_what_it_must_not_overtake() {
    let mut world = World::with_slice(1 << 10);
    let conn = in_line(&mut world, Pause::Topology);
    world.turn();
    // The control of the other test: for some things a body does wait.
    assert!(world.bytes(conn).is_empty() && world.is_paused(conn));
    let now = world.time();
    let core = world.cores_mut().next().expect("two cores");
    core.unblock(conn.1, Pause::Topology, now);
    world.turn();
    assert!(!world.bytes(conn).is_empty());
    assert!(!world.is_paused(conn));
}
