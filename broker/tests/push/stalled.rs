//! Readers of long answers that take nothing: what a core holds for all of them, and what others get.

use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};
use leveret_wire::native::{
    Fetch, FetchPartition, Items, Kind, Offset, PartitionId, Request, TopicId,
};

use super::slices::{answers, kafka, named};
use super::world::{Conn, MAX_BATCH, RESPONSES, World, partition};

const SECOND: u64 = 1_000_000_000;
/// Batches of each partition, with about so many bytes.
const BATCHES: u64 = 40;
const BATCH: usize = 50_000;
const PARTITIONS: u32 = 2;
/// What a core may hold; and beyond it what a lone read of each standing comes to, and what a thousand
/// fetches keep while they wait.
const BUDGET: usize = 32 * RESPONSES;
const SLACK: usize = 2 * MAX_BATCH + 1000 * 1024;

/// With a topic whose partitions have more than anybody may have of them.
fn with_long_logs(mut world: World) -> (World, TopicId) {
    let topic = world.create("long", PARTITIONS);
    for number in 0..PARTITIONS {
        for _ in 0..BATCHES {
            let conn = world.produce(topic, number, BATCH);
            world.hang_up(conn);
        }
    }
    (world, topic)
}

fn fetch(topic_id: TopicId, partition: u32, offset: u64, max_wait_ms: u32) -> Vec<u8> {
    let partitions = [FetchPartition {
        offset: Offset(offset),
        partition: PartitionId(partition),
        max_bytes: 50 << 20,
    }];
    let fetch = Fetch {
        topic_id,
        max_bytes: 50 << 20,
        min_bytes: 1,
        max_wait_ms,
        partitions: Items::from(&partitions[..]),
    };
    World::frame(1, &Request::Fetch(fetch))
}

/// A Kafka client's, of all that there is from that offset on.
fn kafka_fetch(offset: u64) -> Vec<u8> {
    let entry = |index: u32| {
        let offset = i64::try_from(offset).expect("small");
        let parts = [
            &index.to_be_bytes()[..],
            &offset.to_be_bytes(),
            &(50_i32 << 20).to_be_bytes(),
        ];
        parts.concat()
    };
    // No replica, waits for a byte, so much of all, reads what is not committed.
    let mut body = (-1_i32).to_be_bytes().to_vec();
    body.extend(300_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((50_i32 << 20).to_be_bytes());
    body.push(0);
    body.extend(named("long", (0..PARTITIONS).map(entry)));
    kafka(1, 4, &body)
}

fn used(world: &mut World) -> usize {
    match world.tell(1, Question::Core) {
        Insight::Core(core) => core
            .count("leveret_memory_used_bytes", Some("responses"))
            .unwrap() as usize,
        other => panic!("{other:?}"),
    }
}

/// Connections that each ask four times, from other offsets on, and take nothing. What they hold
/// together at most.
fn stall(world: &mut World, topic: TopicId, peers: u64) -> (Vec<Conn>, usize) {
    let mut most = 0;
    let conns: Vec<Conn> = (0..peers)
        .map(|peer| {
            let conn = world.connect(1);
            world.stall(conn, true);
            for ask in 0..4 {
                let offset = (4 * peer + ask) % (BATCHES - 8);
                let number = u32::try_from(ask % 2).expect("small");
                world.offer(conn, &fetch(topic, number, offset, 300_000));
            }
            most = most.max(used(world));
            conn
        })
        .collect();
    let queued: usize = conns.iter().map(|conn| world.queued(*conn)).sum();
    assert!(queued <= most, "{queued} are queued of {most}");
    (conns, most)
}

#[test]
fn a_thousand_long_fetches_at_once_stay_within_the_bound_and_are_answered_when_they_are_read() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let (conns, most) = stall(&mut world, topic, 250);
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    assert!(most <= BUDGET + SLACK, "{most} of {BUDGET}");
    for conn in &conns {
        world.stall(*conn, false);
    }
    let mut most = 0;
    for _ in 0..1000 {
        world.pass(1);
        most = most.max(used(&mut world));
    }
    assert!(most <= BUDGET + SLACK, "{most} of {BUDGET}");
    for conn in conns {
        let came = world.came(conn);
        assert_eq!(came.len(), 4);
        for frame in came {
            assert_eq!(frame.kind, Kind::FetchOk);
            assert!(!frame.offsets().is_empty(), "each brings something");
        }
    }
    assert_eq!(used(&mut world), 0);
}

#[test]
fn with_memory_for_more_they_hold_more() {
    let (mut world, topic) = with_long_logs(World::with_answers(64 * BUDGET));
    let (_, most) = stall(&mut world, topic, 250);
    assert!(most > 4 * BUDGET, "{most}");
}

#[test]
fn kafka_clients_that_take_nothing_stay_within_the_bound() {
    let (mut world, _) = with_long_logs(World::with_answers(BUDGET));
    let mut conns = Vec::new();
    let mut most = 0;
    for peer in 0..200 {
        let conn = world.connect_silent(1, Protocol::Kafka);
        world.stall(conn, true);
        world.offer(conn, &kafka_fetch(peer % (BATCHES - 8)).repeat(3));
        most = most.max(used(&mut world));
        conns.push(conn);
    }
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    assert!(most <= BUDGET + SLACK, "{most} of {BUDGET}");
    for conn in &conns {
        world.stall(*conn, false);
    }
    world.pass(1);
    let all: usize = conns.iter().map(|conn| answers(&world.bytes(*conn))).sum();
    assert_eq!(all, 3 * conns.len());
}

#[test]
fn subscribers_that_take_nothing_stay_within_the_bound() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let mut conns = Vec::new();
    let mut most = 0;
    for peer in 0..200 {
        let conn = world.connect(1);
        world.stall(conn, true);
        let all: Vec<_> = (0..PARTITIONS)
            .map(|number| partition(topic, number, peer % 30))
            .collect();
        world.subscribe(conn, 7, 64 << 20, &all);
        most = most.max(used(&mut world));
        conns.push((conn, peer % 30));
    }
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    assert!(most <= BUDGET + SLACK, "{most} of {BUDGET}");
    for (conn, _) in &conns {
        world.stall(*conn, false);
    }
    world.pass(1);
    for (conn, from) in conns {
        let came = world.came(conn);
        let pushed = came[1..].iter().map(|frame| frame.offsets().len() as u64);
        let all = u64::from(PARTITIONS) * (BATCHES - from);
        assert_eq!(pushed.sum::<u64>(), all);
    }
}

#[test]
fn who_takes_its_answers_is_served_beside_those_that_take_none() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let good = world.connect(1);
    for _ in 0..25 {
        world.offer(good, &fetch(topic, 1, 0, 0));
        let came = world.came(good);
        assert!(!came[0].offsets().is_empty());
    }
    let (_, most) = stall(&mut world, topic, 250);
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    for _ in 0..20 {
        world.offer(good, &fetch(topic, 0, 3, 0));
        let came = world.came(good);
        assert!(came.len() == 1 && !came[0].offsets().is_empty());
    }
}

#[test]
fn who_is_new_waits_a_second_for_some_that_take_nothing_and_not_for_all() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let (conns, most) = stall(&mut world, topic, 100);
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    let open = |world: &World| conns.iter().filter(|conn| world.is_open(**conn)).count();
    let mut news = Vec::new();
    for _ in 0..10 {
        let new = world.connect(1);
        world.offer(new, &fetch(topic, 0, 3, 0));
        assert_eq!(world.came(new).len(), 0, "this test shows nothing");
        news.push(new);
    }
    world.pass(SECOND / 2);
    assert_eq!(open(&world), conns.len(), "nobody is closed at once");
    world.pass(SECOND);
    for new in news {
        assert_eq!(world.came(new).len(), 1);
    }
    let left = open(&world);
    assert!(left > conns.len() / 4, "no more are closed than have to be");
    // When nobody waits any more, nobody is.
    world.pass(SECOND);
    let left = open(&world);
    world.pass(20 * SECOND);
    assert_eq!(open(&world), left);
}

/// A peer that takes nothing by itself, and has taken so many answers of all there is.
fn proven(world: &mut World, topic: TopicId, answers: u64) -> Conn {
    let conn = world.connect(1);
    for ask in 0..answers {
        world.offer(conn, &fetch(topic, 1, ask % 5, 0));
        assert_eq!(world.came(conn).len(), 1);
    }
    world.stall(conn, true);
    conn
}

#[test]
fn who_has_taken_much_waits_for_nobody_that_has_taken_a_little_and_stops() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let good = proven(&mut world, topic, 50);
    world.stall(good, false);
    // More than a kernel takes for a peer that reads nothing.
    let others: Vec<Conn> = (0..130).map(|_| proven(&mut world, topic, 18)).collect();
    for conn in &others {
        for number in 0..4 {
            world.offer(*conn, &fetch(topic, number % 2, 0, 300_000));
        }
    }
    let new = world.connect(1);
    world.offer(new, &fetch(topic, 0, 3, 0));
    assert_eq!(world.came(new).len(), 0, "this test shows nothing");
    for _ in 0..20 {
        world.offer(good, &fetch(topic, 0, 3, 0));
        assert_eq!(world.came(good).len(), 1);
    }
}

#[test]
fn who_takes_its_answers_slowly_is_not_closed_while_others_wait() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let slow = world.connect(1);
    world.stall(slow, true);
    world.offer(slow, &fetch(topic, 0, 0, 0).repeat(2));
    assert!(world.queued(slow) > 0, "this test shows nothing");
    let (conns, _) = stall(&mut world, topic, 250);
    let mut took = 0;
    for number in 0..50 {
        if number % 5 == 0 {
            let new = world.connect(1);
            world.offer(new, &fetch(topic, 0, 3, 0));
        }
        world.pass(SECOND / 5);
        assert!(world.is_open(slow), "closed after {took} bytes");
        world.take(slow, 7 << 10);
        took += 7 << 10;
        if world.queued(slow) < 7 << 10 {
            world.offer(slow, &fetch(topic, 0, 0, 0));
        }
    }
    assert!(conns.iter().any(|conn| !world.is_open(*conn)));
    // It stops, and goes as the others did.
    stall(&mut world, topic, 250);
    world.pass(2 * SECOND);
    assert!(!world.is_open(slow));
}

#[test]
fn who_follows_the_end_of_a_quiet_partition_gets_on_whatever_others_leave_unread() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let quiet = world.create("quiet", 1);
    let tail = world.connect(1);
    world.offer(tail, &fetch(quiet, 0, 0, 300_000));
    let (_, most) = stall(&mut world, topic, 250);
    assert!(most > BUDGET / 2, "{most}: this test shows nothing");
    for record in 0..20 {
        let conn = world.produce(quiet, 0, 100);
        world.hang_up(conn);
        let came = world.came(tail);
        assert_eq!(came.len(), 1, "record {record}");
        assert_eq!(came[0].offsets(), [record]);
        world.offer(tail, &fetch(quiet, 0, record as u64 + 1, 300_000));
    }
    let new = world.connect(1);
    world.offer(new, &fetch(topic, 0, 3, 0));
    assert_eq!(world.came(new).len(), 0, "this test shows nothing");
}

#[test]
fn who_waits_for_records_takes_nothing_from_those_that_read() {
    let (mut world, topic) = with_long_logs(World::with_answers(BUDGET));
    let all = |world: &mut World| {
        let conn = world.connect(1);
        world.offer(conn, &fetch(topic, 1, 0, 0));
        world.came(conn)[0].offsets().len()
    };
    let alone = all(&mut world);
    let idle: Vec<Conn> = (0..500)
        .map(|_| {
            let conn = world.connect(1);
            for number in 0..PARTITIONS {
                world.offer(conn, &fetch(topic, number, BATCHES, 300_000));
            }
            conn
        })
        .collect();
    assert_eq!(all(&mut world), alone);
    // They are answered when there is something, without records being read and held for all.
    let conn = world.produce(topic, 1, BATCH);
    world.hang_up(conn);
    // Some in each turn.
    for _ in 0..100 {
        world.pass(1);
    }
    for conn in idle {
        let came = world.came(conn);
        let offsets: Vec<_> = came.iter().map(|frame| frame.offsets()).collect();
        assert_eq!(offsets, [[i64::try_from(BATCHES).expect("few")]]);
    }
}

/// Connections with a few fetches each that wait at the end of a partition, none of which keeps much.
fn wait_at_the_end(world: &mut World, topic: TopicId, peers: usize) -> Vec<Conn> {
    let peers = (0..peers).map(|_| {
        let conn = world.connect(1);
        for _ in 0..8 {
            world.offer(conn, &fetch(topic, 0, 0, 300_000));
        }
        conn
    });
    peers.collect()
}

#[test]
fn however_many_fetches_wait_others_read_and_those_beyond_the_bound_are_answered() {
    let (mut world, long) = with_long_logs(World::with_answers(BUDGET));
    let quiet = world.create("quiet", 1);
    // Each of these keeps 768 bytes, and all of them twice the budget.
    let waiting = wait_at_the_end(&mut world, quiet, 2 * BUDGET / 768 / 8);
    assert!(
        used(&mut world) > BUDGET,
        "{}: this test shows nothing",
        used(&mut world)
    );
    // Before anybody has given way there is room to read.
    let reader = world.connect(1);
    world.offer(reader, &fetch(long, 1, 0, 300_000));
    let came = world.came(reader);
    assert!(!came[0].offsets().is_empty(), "it reads");
    world.pass(SECOND);
    let left = used(&mut world);
    assert!(left <= BUDGET / 2, "{left} of {BUDGET}");
    let mut answered = 0;
    for conn in &waiting {
        assert!(world.is_open(*conn));
        answered += world.came(*conn).len();
    }
    let all = 8 * waiting.len();
    assert!(answered < all, "those within the bound wait on");
    assert!(answered >= all / 2, "{answered} of {all}");
}
