//! A produce of Kafka's protocol to one partition, which waits for one answer: what is said of it, when, and
//! what is left of it.

use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};

use super::patience::produce_to;
use super::slices::{answers, kafka};
use super::world::{Conn, World};

const SECOND: u64 = 1_000_000_000;
/// Acknowledged by nobody, and by all.
const NONE: i16 = 0;
const ALL: i16 = -1;
const TIMED_OUT: i16 = 7;
/// Bytes of a produce's answer about one partition of "t", and of those the line in it.
const ANSWER: usize = 4 + 4 + 4 + 3 + 4 + LINE + 4;
const LINE: usize = 4 + 2 + 8 + 8 + 8;

/// Two cores with a topic of two partitions, one on each, and a connection of core 0.
fn world() -> (World, Conn) {
    with_memory(4 << 20)
}

fn with_memory(bytes: usize) -> (World, Conn) {
    let mut world = World::with_memory(bytes);
    world.create("t", 2);
    let conn = world.connect_silent(0, Protocol::Kafka);
    (world, conn)
}

fn one(partition: i32, acks: i16, timeout_ms: i32) -> Vec<u8> {
    produce_to("t", partition..partition + 1, 100, acks, timeout_ms)
}

/// Partition, error and base offset of an answer about one partition.
fn told(answer: &[u8]) -> (i32, i16, i64) {
    assert_eq!(answer.len(), ANSWER);
    let line = &answer[19..];
    (
        i32::from_be_bytes(line[..4].try_into().expect("four")),
        i16::from_be_bytes(line[4..6].try_into().expect("two")),
        i64::from_be_bytes(line[6..14].try_into().expect("eight")),
    )
}

/// Batches that a core was to append and did not.
fn failed(world: &mut World, core: usize) -> u64 {
    let Insight::Core(insight) = world.tell(core, Question::Core) else {
        panic!("no answer to the question");
    };
    insight.count("leveret_produce_failed", None).unwrap()
}

#[test]
fn its_line_is_the_one_that_it_has_among_others() {
    let (mut world, conn) = world();
    world.offer(conn, &produce_to("t", 0..2, 100, ALL, 0));
    let both = world.bytes(conn);
    assert_eq!(both.len(), ANSWER + LINE);
    let (mut world, conn) = self::world();
    for partition in 0..2 {
        world.offer(conn, &one(partition, ALL, 0));
        let alone = world.bytes(conn);
        assert_eq!(told(&alone), (partition, 0, 0));
        let at = 19 + LINE * partition as usize;
        assert_eq!(alone[19..19 + LINE], both[at..at + LINE]);
        assert_eq!(alone[8..15], both[8..15], "one topic of that name");
    }
}

#[test]
fn answers_keep_the_order_of_the_requests() {
    let (mut world, conn) = world();
    world.disk.hold = true;
    let versions = kafka(18, 0, &[]);
    let both = produce_to("t", 0..2, 100, ALL, 0);
    let all = [one(0, ALL, 0), versions, one(1, ALL, 0), both].concat();
    world.offer(conn, &all);
    assert!(world.bytes(conn).is_empty(), "the first is not durable");
    world.disk.hold = false;
    world.turn();
    let answer = world.bytes(conn);
    assert_eq!(answers(&answer), 4);
    assert_eq!(told(&answer[..ANSWER]), (0, 0, 0));
    let rest = &answer[answer.len() - 2 * ANSWER - LINE..];
    assert_eq!(told(&rest[..ANSWER]), (1, 0, 0));
}

#[test]
fn one_that_takes_too_long_is_told_so_once_and_is_counted() {
    for partition in 0..2 {
        let (mut world, conn) = world();
        world.disk.hold = true;
        world.offer(conn, &one(partition, ALL, 1500));
        world.pass(SECOND);
        assert!(world.bytes(conn).is_empty(), "it has time");
        assert_eq!(failed(&mut world, 0), 0);
        world.pass(3 * SECOND);
        assert_eq!(told(&world.bytes(conn)), (partition, TIMED_OUT, -1));
        assert_eq!(failed(&mut world, 0), 1);
        world.disk.hold = false;
        world.turn();
        assert!(world.bytes(conn).is_empty(), "it was answered");
        world.offer(conn, &one(partition, ALL, 1500));
        let (_, error, offset) = told(&world.bytes(conn));
        assert_eq!((error, offset), (0, 1), "the late one is there");
    }
}

#[test]
fn parts_that_take_too_long_are_counted_one_by_one() {
    let (mut world, conn) = world();
    world.disk.hold = true;
    world.offer(conn, &produce_to("t", 0..2, 100, ALL, 1500));
    world.pass(4 * SECOND);
    assert_eq!(world.bytes(conn).len(), ANSWER + LINE);
    assert_eq!(failed(&mut world, 0), 2);
}

#[test]
fn who_wants_no_answer_hears_of_a_failure_by_the_end_of_the_connection() {
    let (mut world, conn) = world();
    let versions = kafka(18, 0, &[]);
    world.offer(conn, &[one(0, NONE, 0), one(1, NONE, 0), versions].concat());
    assert_eq!(answers(&world.bytes(conn)), 1, "the last one's");
    let mut broken = one(1, NONE, 0);
    *broken.last_mut().expect("a record") ^= 1;
    world.offer(conn, &broken);
    assert!(!world.is_open(conn) && world.bytes(conn).is_empty());
    let there = world.connect_silent(0, Protocol::Kafka);
    world.offer(there, &one(1, ALL, 0));
    assert_eq!(told(&world.bytes(there)), (1, 0, 1));
}

#[test]
fn one_for_a_partition_that_is_not_there_is_refused_at_once() {
    let (mut world, conn) = world();
    world.disk.hold = true;
    world.offer(conn, &one(2, ALL, 0));
    assert_eq!(told(&world.bytes(conn)), (2, 3, -1));
}

#[test]
fn who_goes_meanwhile_leaves_no_memory_taken() {
    // Room for some forty of them.
    let (mut world, _) = with_memory(256 << 10);
    for round in 0..20 {
        world.disk.hold = true;
        for _ in 0..10 {
            let conn = world.connect_silent(0, Protocol::Kafka);
            let request = produce_to("t", round % 2..round % 2 + 1, 6000, ALL, 60_000);
            world.offer(conn, &request);
            assert!(!world.is_paused(conn), "there is room");
            world.hang_up(conn);
        }
        world.disk.hold = false;
        world.turn();
    }
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.offer(conn, &one(1, ALL, 0));
    assert_eq!(told(&world.bytes(conn)), (1, 0, 100));
}

/// The codec may know an API that is not carried out, as it does here: only what is in the list is answered.
#[test]
fn an_api_that_is_not_in_the_list_is_none() {
    let toy = leveret_wire::kafka::ApiKey::Toy.as_i16();
    let (mut world, conn) = world();
    world.offer(conn, &kafka(18, 0, &[]));
    let advertised = world.bytes(conn);
    let mut lines = advertised[14..].chunks_exact(6);
    assert!(lines.all(|line| line[..2] != toy.to_be_bytes()));
    world.offer(conn, &kafka(toy, 0, b"\0\x01t\0\0\0\0"));
    assert!(!world.is_open(conn) && world.bytes(conn).is_empty());
}
