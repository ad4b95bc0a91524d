//! Requests that come while the broker stops, or that have no answer: what was asked before is answered.

use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{ErrorCode, Kind, Request};

use super::code;
use super::patience::produce_to;
use super::slices::{answers, kafka};
use super::world::{Conn, World};

const SECOND: u64 = 1_000_000_000;
/// Acks: by all.
const ALL: i16 = -1;

fn world() -> (World, Conn) {
    let mut world = World::new();
    world.create("t", 2);
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.offer(conn, &kafka(18, 0, &[]));
    assert_eq!(answers(&world.bytes(conn)), 1);
    (world, conn)
}

fn one(partition: i32) -> Vec<u8> {
    produce_to("t", partition..partition + 1, 100, ALL, 60_000)
}

/// The offset of a record that is produced now.
fn next_offset(world: &mut World, partition: i32) -> i64 {
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.offer(conn, &one(partition));
    let answer = world.bytes(conn);
    // Behind length, correlation, and a line's topic, index and error.
    let at = 4 + 4 + 4 + 2 + 1 + 4 + 4 + 2;
    i64::from_be_bytes(*answer[at..].first_chunk().expect("an answer"))
}

#[test]
fn what_was_asked_before_a_stop_is_answered_and_what_comes_later_is_not_carried_out() {
    // The control: where nothing stops, the later ones are.
    for stops in [false, true] {
        let (mut world, conn) = world();
        world.disk.hold = true;
        world.offer(conn, &[one(0), one(1)].concat());
        if stops {
            world.stop();
        }
        world.offer(conn, &[one(0), kafka(18, 0, &[])].concat());
        assert!(world.is_open(conn) && world.bytes(conn).is_empty());
        world.disk.hold = false;
        world.turn();
        assert_eq!(answers(&world.bytes(conn)), if stops { 2 } else { 4 });
        assert_eq!(world.is_open(conn), !stops);
    }
}

#[test]
fn who_takes_no_answers_does_not_keep_a_stop_waiting() {
    let (mut world, conn) = world();
    world.stall(conn, true);
    world.offer(conn, &kafka(18, 0, &[]));
    world.stop();
    world.offer(conn, &kafka(18, 0, &[]));
    assert!(world.is_open(conn), "an answer is owed");
    world.pass(6 * SECOND);
    assert!(!world.is_open(conn));
}

#[test]
fn over_the_native_protocol_what_comes_later_is_told_that_the_broker_stops() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    world.disk.hold = true;
    let conn = world.produce(topic, 1, 100);
    world.stop();
    world.ask(conn, 7, &Request::Metadata("t"));
    world.disk.hold = false;
    world.turn();
    let came = world.came(conn);
    let refused = came.iter().find(|frame| frame.correlation == 7);
    assert_eq!(code(refused.expect("an answer")), ErrorCode::Stopping);
    let acknowledged = came.iter().any(|frame| frame.kind == Kind::ProduceOk);
    assert!(acknowledged && came.len() == 2);
}

#[test]
fn what_was_asked_before_a_request_that_cannot_be_read_is_answered() {
    let unknown = kafka(999, 0, &[]);
    let cut_short = kafka(0, 7, &[0, 0]);
    let too_long = (64_i32 << 20).to_be_bytes().to_vec();
    for bad in [unknown, cut_short, too_long] {
        let (mut world, conn) = world();
        world.disk.hold = true;
        world.offer(conn, &[one(0), bad, one(1)].concat());
        world.offer(conn, &one(1));
        assert!(world.is_open(conn), "an answer is owed");
        world.disk.hold = false;
        world.turn();
        assert_eq!(answers(&world.bytes(conn)), 1);
        assert!(!world.is_open(conn));
        assert_eq!(next_offset(&mut world, 1), 0, "nothing behind it was taken");
    }
}
