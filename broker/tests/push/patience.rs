//! How long peers may take, and that time in which a core makes them wait is not theirs.

use std::ops::Range;

use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};
use leveret_record::{BatchBuilder, Compression};
use leveret_wire::native::{
    Fetch, FetchPartition, Items, Kind, Offset, PartitionId, Request, TopicId,
};

use super::slices::{answers, kafka, named};
use super::world::{Conn, World, partition};

const SECOND: u64 = 1_000_000_000;

/// A Produce request of Kafka's protocol with one record of that many bytes for each of the first
/// partitions, which all acknowledge, within a minute.
pub(crate) fn produce(topic: &str, partitions: i32, len: usize) -> Vec<u8> {
    produce_to(topic, 0..partitions, len, -1, 60_000)
}

/// Likewise, for those partitions, with these acks and this time-out in milliseconds.
pub(crate) fn produce_to(
    topic: &str,
    partitions: Range<i32>,
    len: usize,
    acks: i16,
    timeout_ms: i32,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = vec![b'v'; len];
    builder.push(1, None, Some(&value), &[]).expect("small");
    let batch = builder.finish();
    let batch_len = i32::try_from(batch.len()).expect("small");
    let entry = |index: i32| {
        let parts = [
            &index.to_be_bytes()[..],
            &batch_len.to_be_bytes(),
            &batch[..],
        ];
        parts.concat()
    };
    // No transaction.
    let mut body = (-1_i16).to_be_bytes().to_vec();
    body.extend(acks.to_be_bytes());
    body.extend(timeout_ms.to_be_bytes());
    body.extend(named(topic, partitions.map(entry)));
    kafka(0, 7, &body)
}

/// Two cores without memory for a further request: there is room for four, which wait for the disk.
fn full() -> World {
    fill(World::with_memory(256 << 10))
}

fn fill(mut world: World) -> World {
    let topic = world.create("t", 8);
    world.disk.hold = true;
    for _ in 0..4 {
        world.produce(topic, 1, 60_000);
    }
    world
}

#[test]
fn who_waits_for_memory_with_its_first_request_has_not_said_hello_too_late() {
    let mut world = full();
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.offer(conn, &produce("t", 2, 80_000));
    let silent = world.connect_silent(1, Protocol::Kafka);
    world.pass(25 * SECOND);
    assert!(world.is_paused(conn), "this test shows nothing");
    assert!(world.is_open(conn) && !world.is_open(silent));
    world.disk.hold = false;
    world.turn();
    assert_eq!(answers(&world.bytes(conn)), 1);
}

#[test]
fn who_has_its_turn_at_last_and_says_no_more_has_as_long_as_others() {
    let mut world = full();
    let conn = world.connect_silent(1, Protocol::Kafka);
    // Longer than what waits in the kernel, which it could send.
    let request = produce("t", 8, 80_000);
    let (half, rest) = request.split_at(600_000);
    world.offer(conn, half);
    world.pass(25 * SECOND);
    world.disk.hold = false;
    world.turn();
    world.pass(9 * SECOND);
    assert!(world.is_open(conn), "it could not send before");
    world.pass(2 * SECOND);
    assert!(!world.is_open(conn));
    let again = world.connect_silent(1, Protocol::Kafka);
    world.offer(again, half);
    world.pass(9 * SECOND);
    world.offer(again, rest);
    assert_eq!(answers(&world.bytes(again)), 1);
}

#[test]
fn who_has_said_its_last_is_answered_however_long_its_first_answer_takes() {
    let mut world = World::new();
    world.create("t", 2);
    world.disk.hold = true;
    let conn = world.connect_silent(1, Protocol::Kafka);
    let all_topics = kafka(3, 1, &(-1_i32).to_be_bytes());
    world.offer(conn, &[produce("t", 2, 100), all_topics].concat());
    world.finish(conn);
    world.pass(20 * SECOND);
    assert!(
        world.is_open(conn),
        "the second answer waits for the first, not for the peer"
    );
    world.disk.hold = false;
    world.turn();
    assert_eq!(answers(&world.bytes(conn)), 2);
    assert!(!world.is_open(conn));
}

/// Asks for records that are not there yet, and would wait five minutes.
pub(crate) fn wait_for_records(world: &mut World, conn: Conn, topic_id: TopicId, correlation: u64) {
    let partitions = [FetchPartition {
        offset: Offset(0),
        partition: PartitionId(1),
        max_bytes: 1 << 20,
    }];
    let fetch = Fetch {
        topic_id,
        max_bytes: 1 << 20,
        min_bytes: 1,
        max_wait_ms: 300_000,
        partitions: Items::from(&partitions[..]),
    };
    world.ask(conn, correlation, &Request::Fetch(fetch));
}

#[test]
fn who_waits_for_records_is_answered_not_closed_when_others_take_no_answers() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let waits = world.connect(1);
    for number in 0..200 {
        wait_for_records(&mut world, waits, topic, number);
    }
    assert_eq!(world.came(waits).len(), 0);
    let pings = World::frame(1, &Request::Ping).repeat(5_000);
    let deaf: Vec<Conn> = (0..40)
        .map(|_| {
            let conn = world.connect(1);
            world.stall(conn, true);
            world.offer(conn, &pings);
            conn
        })
        .collect();
    world.pass(10 * SECOND);
    assert!(
        deaf.iter().any(|conn| !world.is_open(*conn)),
        "this test shows nothing"
    );
    assert!(world.is_open(waits));
    let came = world.came(waits);
    assert_eq!(came.len(), 200);
    assert!(came.iter().all(|frame| frame.kind == Kind::FetchOk));
}

/// Who waits in our line has said what it could: others have been silent longer.
#[test]
fn who_waits_for_memory_with_its_first_request_is_not_the_one_that_has_been_silent_longest() {
    let mut world = fill(World::with_changed(|settings| {
        settings.request_bytes = 256 << 10;
        settings.hello_max = 2;
    }));
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.offer(conn, &produce("t", 2, 80_000));
    assert!(world.is_paused(conn), "this test shows nothing");
    let silent: Vec<Conn> = (0..4)
        .map(|_| world.connect_silent(1, Protocol::Kafka))
        .collect();
    let open = |world: &World| silent.iter().map(|conn| world.is_open(*conn)).collect();
    let left: Vec<bool> = open(&world);
    assert_eq!(left, [false, false, true, true]);
    assert!(world.is_open(conn));
    world.disk.hold = false;
    world.turn();
    assert_eq!(answers(&world.bytes(conn)), 1);
}

const MINUTE: u64 = 60 * SECOND;

/// As in Kafka, where a connection is idle when nothing has come of it for so long, whatever came last.
#[test]
fn who_is_silent_in_the_middle_of_a_request_is_idle_neither_sooner_nor_later() {
    for idle in [5 * SECOND, 10 * MINUTE] {
        let mut world = World::with_changed(|settings| settings.idle_ns = idle);
        let topic = world.create("t", 2);
        let list = kafka(3, 1, &(-1_i32).to_be_bytes());
        let long = produce("t", 2, 80_000);
        let short = produce("t", 1, 60_000);
        let halves = [&list[..10], &short[..30_000], &long[..100_000], &long[..12]];
        let mut conns: Vec<Conn> = halves
            .into_iter()
            .map(|half| {
                let conn = world.connect_silent(1, Protocol::Kafka);
                world.offer(conn, &list);
                world.offer(conn, half);
                conn
            })
            .collect();
        let native = World::produce_frame(topic, 1, 60_000, 0);
        for half in [&native[..10], &native[..30_000]] {
            let conn = world.connect(1);
            world.offer(conn, half);
            conns.push(conn);
        }
        world.pass(idle - SECOND);
        assert!(conns.iter().all(|conn| world.is_open(*conn)), "{idle}");
        world.pass(3 * SECOND);
        assert!(conns.iter().all(|conn| !world.is_open(*conn)), "{idle}");
        assert_eq!(idle_closed(&mut world, 1), conns.len() as u64);
    }
}

#[test]
fn who_is_idle_is_closed_and_who_waits_for_something_is_not() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let list = kafka(3, 1, &(-1_i32).to_be_bytes());
    let idle = [world.connect(1), world.connect_silent(1, Protocol::Kafka)];
    world.offer(idle[1], &list);
    let half = world.connect(1);
    world.offer(half, &World::frame(1, &Request::Ping)[..10]);
    let deaf = world.connect(1);
    world.stall(deaf, true);
    world.ask(deaf, 1, &Request::Ping);
    let asks = world.connect(1);
    let subscribed = world.connect(1);
    world.subscribe(subscribed, 1, 1 << 20, &[partition(topic, 0, 0)]);
    let waits = world.connect(1);
    wait_for_records(&mut world, waits, topic, 1);
    let slow = world.connect(0);
    world.disk.hold = true;
    let conn = world.produce(topic, 1, 100);
    for _ in 0..3 {
        world.pass(4 * MINUTE);
        world.ask(asks, 1, &Request::Ping);
        // Its five minutes have passed: it asks again, as consumers do.
        if !world.came(waits).is_empty() {
            wait_for_records(&mut world, waits, topic, 1);
        }
    }
    for closed in [idle[0], idle[1], half, deaf, slow] {
        assert!(!world.is_open(closed), "{closed:?}");
    }
    for open in [asks, subscribed, waits, conn] {
        assert!(world.is_open(open), "{open:?}");
    }
    assert_eq!(idle_closed(&mut world, 1), 4);
    world.disk.hold = false;
    world.turn();
    assert_eq!(world.came(conn)[0].kind, Kind::ProduceOk);
    world.pass(20 * MINUTE);
    assert!(!world.is_open(asks) && !world.is_open(conn));
    assert!(world.is_open(subscribed), "it waits for ever");
}

fn idle_closed(world: &mut World, core: usize) -> u64 {
    match world.tell(core, Question::Core) {
        Insight::Core(core) => core.count("leveret_connections_idle_closed", None).unwrap(),
        other => panic!("{other:?}"),
    }
}
