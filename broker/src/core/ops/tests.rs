//! A rule that closes a topic, through whole sessions: nothing is done with it, whatever is asked in whichever
//! protocol, and everything with another one.

use leveret_record::{BatchBuilder, Compression};
use leveret_wire::native::{
    AlterTopic, ErrorCode, Fetch, FetchPartition, Items, Kind, ListOffsets, Offset, OffsetSpec,
    PartitionId, Request, Response, TopicId,
};

use crate::core::boundary::Protocol;
use crate::core::push::world::{World, partition};

const OPEN: &str = "open";
const CLOSED: &str = "closed";
const REFUSED: i16 = 29;

/// Two cores with a topic with which everything may be done, and one with which nothing may.
fn world() -> (World, [TopicId; 2]) {
    let mut world = World::new();
    let topics = [OPEN, CLOSED].map(|name| world.create(name, 2));
    for core in world.cores_mut() {
        core.rules.closed = Some(CLOSED);
    }
    (world, topics)
}

/// Of a native answer.
fn code(answer: &Result<Response<'_>, impl std::fmt::Debug>) -> Option<ErrorCode> {
    match answer {
        Ok(Response::Error(error)) => Some(error.code),
        Ok(Response::Push(push)) => push.error,
        Ok(_) => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn nothing_is_done_with_a_closed_topic_for_a_native_client() {
    let (mut world, topics) = world();
    for (name, topic_id) in [OPEN, CLOSED].into_iter().zip(topics) {
        let refused = (name == CLOSED).then_some(ErrorCode::NotAllowed);
        let fetched = [FetchPartition {
            offset: Offset(0),
            partition: PartitionId(0),
            max_bytes: 1 << 20,
        }];
        let alter = |partitions, set| AlterTopic {
            name,
            set,
            unset: Vec::new(),
            partitions,
        };
        let names = [name];
        let requests = [
            Request::Metadata(name),
            Request::Fetch(Fetch {
                topic_id,
                max_bytes: 1 << 20,
                min_bytes: 0,
                max_wait_ms: 0,
                partitions: Items::from(&fetched[..]),
            }),
            Request::ListOffsets(ListOffsets {
                topic_id,
                partition: PartitionId(0),
                spec: OffsetSpec::Latest,
            }),
            Request::AlterTopic(alter(Some(3), Vec::new())),
            Request::AlterTopic(alter(None, vec![("retention.ms", "1000000")])),
            Request::DescribeTopics(names.to_vec()),
        ];
        let conn = world.connect(0);
        world.offer(conn, &World::produce_frame(topic_id, 1, 10, 0));
        for request in &requests {
            world.ask(conn, 1, request);
        }
        let came = world.came(conn);
        assert_eq!(came.len(), 1 + requests.len());
        for frame in &came {
            assert_eq!(code(&frame.response()), refused, "{name}: {frame:?}");
        }
        world.subscribe(conn, 2, 1 << 20, &[partition(topic_id, 0, 9)]);
        let end = world.came(conn).pop().expect("an answer");
        let expected = refused.or(Some(ErrorCode::OffsetOutOfRange));
        assert_eq!(code(&end.response()), expected);
        world.ask(conn, 3, &Request::DeleteTopic(name));
        assert_eq!(code(&world.came(conn)[0].response()), refused);
    }
    // Who may not see it does not hear of it either, and cannot make it.
    let conn = world.connect(0);
    world.ask(conn, 4, &Request::ListTopics);
    let list = world.came(conn).pop().expect("a list");
    assert_eq!(list.kind, Kind::ListTopicsOk);
    assert!(!list.header.windows(6).any(|part| part == CLOSED.as_bytes()));
    world.offer(conn, &World::create_frame(CLOSED, 1));
    let made = world.came(conn).pop().expect("an answer");
    assert_eq!(code(&made.response()), Some(ErrorCode::NotAllowed));
}

/// A Kafka request without a client's name.
fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes()];
    let rest = [&1_i32.to_be_bytes()[..], &[0xff, 0xff], body];
    let all = [head.concat(), rest.concat()].concat();
    [&(all.len() as i32).to_be_bytes()[..], &all].concat()
}

fn text(name: &str) -> Vec<u8> {
    [&(name.len() as i16).to_be_bytes()[..], name.as_bytes()].concat()
}

fn one(element: &[u8]) -> Vec<u8> {
    [&1_i32.to_be_bytes()[..], element].concat()
}

fn produce(names: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(1, None, Some(b"v"), &[]).expect("small");
    let batch = builder.finish();
    let records = [&(batch.len() as i32).to_be_bytes()[..], &batch].concat();
    let partition = one(&[&0_i32.to_be_bytes()[..], &records].concat());
    let topics = names
        .iter()
        .map(|name| [text(name), partition.clone()].concat());
    let topics: Vec<u8> = topics.flatten().collect();
    // No transaction, acknowledged by all, without a time-out.
    let head = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let count = (names.len() as i32).to_be_bytes();
    request(0, 3, &[&head[..], &count, &topics].concat())
}

/// Where the error of a topic stands in an answer.
#[derive(Clone, Copy)]
enum At {
    BeforeName,
    AfterName,
    /// In the line of its first partition.
    InPartition,
}

fn error_of(answer: &[u8], name: &str, at: At) -> i16 {
    let mut names = answer.windows(name.len());
    let name_at = names.position(|part| part == name.as_bytes());
    let name_at = name_at.expect("the topic is named");
    let at = match at {
        At::BeforeName => name_at - 4,
        At::AfterName => name_at + name.len(),
        At::InPartition => name_at + name.len() + 8,
    };
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

#[test]
fn nothing_is_done_with_a_closed_topic_for_a_kafka_client() {
    let (mut world, _) = world();
    for (name, expected) in [(OPEN, 0), (CLOSED, REFUSED)] {
        let offset = |rest: &[u8]| one(&[&0_i32.to_be_bytes()[..], rest].concat());
        let listed = one(&[text(name), offset(&(-1_i64).to_be_bytes())].concat());
        let from = [&0_i64.to_be_bytes()[..], &(1_i32 << 20).to_be_bytes()].concat();
        let fetched = one(&[text(name), offset(&from)].concat());
        let nobody = (-1_i32).to_be_bytes();
        let wait = [&[0; 8][..], &(1_i32 << 20).to_be_bytes(), &[0]].concat();
        let setting = one(&[text("retention.ms"), text("1000000")].concat());
        let altered = one(&[&[2][..], &text(name), &setting].concat());
        let grown = one(&[&text(name)[..], &3_i32.to_be_bytes(), &nobody].concat());
        let requests = [
            (produce(&[name]), At::InPartition),
            (produce(&[name, "none"]), At::InPartition),
            (
                request(1, 4, &[&nobody[..], &wait, &fetched].concat()),
                At::InPartition,
            ),
            (
                request(2, 1, &[&nobody[..], &listed].concat()),
                At::InPartition,
            ),
            (request(3, 1, &one(&text(name))), At::BeforeName),
            (
                request(33, 0, &[&altered[..], &[0]].concat()),
                At::BeforeName,
            ),
            (
                request(37, 0, &[&grown[..], &[0; 5]].concat()),
                At::AfterName,
            ),
            (
                request(20, 1, &[&one(&text(name))[..], &[0; 4]].concat()),
                At::AfterName,
            ),
        ];
        for (request, at) in requests {
            let conn = world.connect_silent(0, Protocol::Kafka);
            world.offer(conn, &request);
            let answer = world.bytes(conn);
            let key = i16::from_be_bytes([request[4], request[5]]);
            let error = match (key, at) {
                // The kind of the resource and a message without a text stand between.
                (33, At::BeforeName) => error_of_altered(&answer),
                _ => error_of(&answer, name, at),
            };
            assert_eq!(error, expected, "{name}: API {key}: {answer:?}");
        }
    }
    // All topics, which are not told of what may not be seen.
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.offer(conn, &request(3, 1, &(-1_i32).to_be_bytes()));
    let answer = world.bytes(conn);
    assert!(!answer.windows(6).any(|part| part == CLOSED.as_bytes()));
}

/// The error of the only line of an answer to AlterConfigs, behind length, correlation, throttle and count.
fn error_of_altered(answer: &[u8]) -> i16 {
    i16::from_be_bytes([answer[16], answer[17]])
}
