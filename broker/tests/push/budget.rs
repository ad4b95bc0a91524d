//! A core's memory for requests: peers that take much of it and go, or stay and send nothing.

use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};
use leveret_wire::native::Kind;

use super::world::{Conn, World};

const SECOND: u64 = 1_000_000_000;
/// More than the budget of the world's cores holds, each with its first piece.
const MANY: usize = 70;

/// The beginning of a Produce request of 4 MiB of a Kafka client.
fn promise() -> Vec<u8> {
    let mut bytes = ((4_i32 << 20) - 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 1]);
    bytes
}

fn promisers(world: &mut World) -> Vec<Conn> {
    let conns: Vec<Conn> = (0..MANY)
        .map(|_| {
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.offer(conn, &promise());
            conn
        })
        .collect();
    assert!(conns.iter().all(|conn| world.is_open(*conn)));
    conns
}

fn is_acknowledged(world: &mut World, conn: Conn) -> bool {
    world
        .came(conn)
        .iter()
        .any(|frame| frame.kind == Kind::ProduceOk)
}

fn held(world: &mut World) -> usize {
    match world.tell(1, Question::Core) {
        Insight::Core(core) => core.requests_used,
        other => panic!("{other:?}"),
    }
}

#[test]
fn peers_that_promise_much_and_go_keep_nobody_out() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let peers = promisers(&mut world);
    // They say no hello, and are closed for it, those that wait in line among them.
    world.pass(11 * SECOND);
    assert!(peers.iter().all(|conn| !world.is_open(*conn)));
    let conn = world.produce(topic, 1, 60_000);
    assert!(is_acknowledged(&mut world, conn));
    assert_eq!(held(&mut world), 0);
}

#[test]
fn peers_that_hang_up_in_any_order_keep_nobody_out() {
    for step in [1, 3, 7, 69] {
        let mut world = World::new();
        let topic = world.create("t", 2);
        let mut peers = promisers(&mut world);
        let conn = world.produce(topic, 1, 60_000);
        assert!(
            !is_acknowledged(&mut world, conn),
            "this test shows nothing"
        );
        let mut at = 0;
        while !peers.is_empty() {
            at = (at + step) % peers.len();
            let peer = peers.remove(at);
            world.hang_up(peer);
        }
        assert!(is_acknowledged(&mut world, conn), "step {step}");
        assert_eq!(held(&mut world), 0);
    }
}

#[test]
fn who_holds_memory_and_sends_nothing_is_closed_when_others_wait() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let peers = promisers(&mut world);
    let conn = world.produce(topic, 1, 60_000);
    assert!(!is_acknowledged(&mut world, conn));
    world.pass(2 * SECOND);
    assert!(is_acknowledged(&mut world, conn));
    assert!(peers.iter().any(|conn| !world.is_open(*conn)));
    assert!(matches!(world.tell(1, Question::Alive), Insight::Alive));
}

#[test]
fn a_lone_producer_may_take_its_time() {
    let mut world = World::new();
    let peer = world.connect_silent(1, Protocol::Kafka);
    world.offer(peer, &promise());
    for _ in 0..9 {
        world.pass(SECOND);
        world.offer(peer, &[0; 1000]);
    }
    assert!(world.is_open(peer));
    assert!(
        held(&mut world) <= 65 << 10,
        "of what it promised it holds a piece"
    );
}
