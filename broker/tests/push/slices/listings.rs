//! All topics, listed and described to a native client.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{Kind, Request, Response};

use super::super::came::Came;
use super::super::world::{Conn, World};
use super::requests::create_topics;

const TOPICS: usize = 3000;

/// Two cores with so many topics of one partition, and one of four.
fn many(slice: usize) -> World {
    let mut world = World::with_slice(slice);
    let conn = world.connect_silent(0, Protocol::Kafka);
    let names: Vec<String> = (0..TOPICS).map(|number| format!("{number:05}")).collect();
    // No more at once than the journal takes in a turn.
    for names in names.chunks(500) {
        let names = names.iter().map(String::as_str);
        world.offer(conn, &create_topics(names, false));
    }
    world.create("wide", 4);
    world
}

/// How many turns of core 1 pass until it answers, after how many another connection's ping is
/// answered that comes behind the request, and the answer.
fn turns_of(world: &mut World, request: &Request<'_>) -> (usize, usize, Came) {
    let (conn, other) = (world.connect(1), world.connect(1));
    world.sleep(1);
    world.hand(conn, &World::frame(1, request));
    world.hand(other, &World::frame(1, &Request::Ping));
    let (mut own, mut others) = (0, None);
    let answered = |world: &World, conn: Conn| world.queued(conn) > 0;
    while !answered(world, conn) && own < 2000 {
        if answered(world, other) {
            others.get_or_insert(own);
        }
        world.exchange();
        world.tick(1);
        own += 1;
    }
    world.turn();
    assert_eq!(world.came(other).len(), 1);
    let came = world.came(conn).pop().expect("an answer");
    (own, others.unwrap_or(own), came)
}

#[test]
fn all_topics_are_listed_and_described_in_slices() {
    for request in [Request::ListTopics, Request::DescribeTopics(Vec::new())] {
        let mut headers = Vec::new();
        for slice in [SLICE, usize::MAX] {
            let mut world = many(slice);
            let (own, others, came) = turns_of(&mut world, &request);
            match slice {
                // Each topic costs 0.3 microseconds or more, twice.
                SLICE => assert!(own > 5 && others == 0, "{own} turns, {others}"),
                // The control: but for what the other core is asked for, in one turn.
                _ => assert!(own <= 2, "{own} turns"),
            }
            headers.push(came.header);
        }
        assert!(headers[0] == headers[1], "the same answer");
    }
}

#[test]
fn each_topic_has_its_line_with_what_its_partitions_are() {
    let mut world = many(SLICE);
    let wide = wide(&mut world);
    let producer = world.produce(wide, 3, 100);
    assert_eq!(world.came(producer)[0].kind, Kind::ProduceOk);
    let (_, _, came) = turns_of(&mut world, &Request::ListTopics);
    let Ok(Response::ListTopics(topics)) = came.response() else {
        panic!("{:?}", came.kind);
    };
    let names = topics.iter().map(|topic| topic.name.to_owned());
    let expected = (0..TOPICS).map(|number| format!("{number:05}"));
    assert!(names.eq(expected.chain(["wide".to_owned()])));
    let partitions = topics.iter().map(|topic| topic.partitions);
    assert_eq!(partitions.sum::<u32>(), TOPICS as u32 + 4);
    let (_, _, came) = turns_of(&mut world, &Request::DescribeTopics(Vec::new()));
    let Ok(Response::DescribeTopics(all)) = came.response() else {
        panic!("{:?}", came.kind);
    };
    assert_eq!(all.len(), TOPICS + 1);
    for (summary, topic) in topics.iter().zip(&all) {
        assert_eq!(
            (summary.name, summary.topic_id),
            (topic.name, topic.topic_id)
        );
        assert_eq!(summary.partitions as usize, topic.partitions.len());
        assert!(topic.config.is_empty(), "that would not fit a frame");
        for (index, partition) in (0..).zip(topic.partitions.iter()) {
            assert_eq!(partition.partition.0, index);
            let end = u64::from(topic.name == "wide" && index == 3);
            assert_eq!(partition.high_watermark.0, end);
        }
    }
    // What is named has its settings, in the order of the request.
    let named = Request::DescribeTopics(vec!["wide", "00007"]);
    let (_, _, came) = turns_of(&mut world, &named);
    let Ok(Response::DescribeTopics(topics)) = came.response() else {
        panic!("{:?}", came.kind);
    };
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["wide", "00007"]);
    assert!(topics.iter().all(|topic| !topic.config.is_empty()));
    assert_eq!(topics[0].partitions, all[TOPICS].partitions);
}

/// The topic of four partitions.
fn wide(world: &mut World) -> leveret_wire::native::TopicId {
    let conn = world.connect(0);
    world.ask(conn, 1, &Request::Metadata("wide"));
    let came = world.came(conn);
    match came[0].response() {
        Ok(Response::Metadata(topic)) => topic.topic_id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_goes_while_topics_are_looked_up_leaves_nothing() {
    for turns in [1, 4, 8, 12] {
        let mut world = many(SLICE);
        let conn = world.connect(1);
        world.hand(conn, &World::frame(1, &Request::DescribeTopics(Vec::new())));
        for _ in 0..turns {
            world.exchange();
            world.tick(1);
        }
        world.hang_up(conn);
        world.pass(1);
        let (_, _, came) = turns_of(&mut world, &Request::ListTopics);
        assert_eq!(came.kind, Kind::ListTopicsOk);
    }
}
