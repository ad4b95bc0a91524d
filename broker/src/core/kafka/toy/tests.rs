//! The toy through whole sessions: nothing but its files and its lines is needed for it to be advertised,
//! read, carried out by the core that owns what it asks about, and answered in its turn.

use leveret_wire::kafka::{ApiRequest, ToyRequest};

use crate::core::boundary::Protocol;
use crate::core::push::world::World;

const TOY: i16 = ToyRequest::KEY;
const API_VERSIONS: i16 = 18;

/// A request of version 0, without a client's name.
fn request(key: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let head = [
        &key.to_be_bytes()[..],
        &[0, 0],
        &correlation.to_be_bytes(),
        &[0xff, 0xff],
        body,
    ];
    framed(&head.concat())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let len = i32::try_from(bytes.len()).expect("short");
    [&len.to_be_bytes(), bytes].concat()
}

fn toy(correlation: i32, topic: &str, partition: i32) -> Vec<u8> {
    let len = i16::try_from(topic.len()).expect("short");
    let body = [
        &len.to_be_bytes(),
        topic.as_bytes(),
        &partition.to_be_bytes(),
    ];
    request(TOY, correlation, &body.concat())
}

fn answer(correlation: i32, error: i16, end: i64) -> Vec<u8> {
    let bytes = [
        &correlation.to_be_bytes()[..],
        &error.to_be_bytes(),
        &end.to_be_bytes(),
    ];
    framed(&bytes.concat())
}

#[test]
fn it_asks_another_core_and_is_answered_in_its_turn() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    for (partition, count) in [(0, 2), (1, 5)] {
        for _ in 0..count {
            world.produce(topic, partition, 10);
        }
    }
    let conn = world.connect_silent(0, Protocol::Kafka);
    let both = [toy(1, "t", 0), toy(2, "t", 1)].concat();
    let rest = [toy(3, "none", 0), toy(4, "t", 2)].concat();
    world.hand(conn, &[both, rest].concat());
    // One of both is the other core's; nothing that comes behind it overtakes it.
    assert_eq!(world.mesh_len(), 1);
    world.turn();
    let told = [answer(1, 0, 2), answer(2, 0, 5)].concat();
    let refused = [answer(3, 3, -1), answer(4, 3, -1)].concat();
    assert_eq!(world.bytes(conn), [told, refused].concat());
    assert!(world.is_open(conn));
}

#[test]
fn it_asks_two_cores_and_joins_their_answers() {
    let mut world = World::new();
    let topic = world.create("t", 3);
    for (partition, count) in [(0, 2), (1, 5), (2, 1)] {
        for _ in 0..count {
            world.produce(topic, partition, 10);
        }
    }
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.hand(conn, &toy(1, "t", -1));
    let asked = world.mesh_len();
    assert!((1..3).contains(&asked), "both cores have some: {asked}");
    world.turn();
    assert_eq!(world.bytes(conn), answer(1, 0, 8));
}

#[test]
fn what_is_in_the_list_is_advertised() {
    let mut world = World::new();
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.offer(conn, &request(API_VERSIONS, 1, &[]));
    let answer = world.bytes(conn);
    // Length, correlation and error stand in front of the list.
    let lines = answer[14..].chunks_exact(6);
    let keys: Vec<i16> = lines
        .map(|line| i16::from_be_bytes([line[0], line[1]]))
        .collect();
    let listed = super::super::APIS.iter().map(|api| api.as_i16());
    assert_eq!(keys, listed.collect::<Vec<_>>());
    assert!(keys.is_sorted() && keys.contains(&TOY));
}
