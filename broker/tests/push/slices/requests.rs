//! Requests that name as much as a megabyte holds: read, looked up and answered in slices.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;

use super::super::world::World;
use super::{answers, asks_again, goes, kafka, list_offsets, turns_of};

/// So many elements, and behind them something.
fn array(elements: impl ExactSizeIterator<Item = Vec<u8>>, tail: &[u8]) -> Vec<u8> {
    let mut body = i32::try_from(elements.len())
        .expect("few")
        .to_be_bytes()
        .to_vec();
    elements.for_each(|element| body.extend(element));
    body.extend(tail);
    body
}

fn text(text: &str) -> Vec<u8> {
    let len = i16::try_from(text.len()).expect("short").to_be_bytes();
    [&len[..], text.as_bytes()].concat()
}

/// CreateTopics of version 2: the names, each with one partition and no setting.
pub(super) fn create_topics<'a>(
    names: impl ExactSizeIterator<Item = &'a str>,
    validate_only: bool,
) -> Vec<u8> {
    let topic = |name: &str| {
        let rest = [&1_i32.to_be_bytes()[..], &1_i16.to_be_bytes(), &[0; 8]];
        [&text(name)[..], &rest.concat()].concat()
    };
    let tail = [&30_000_i32.to_be_bytes()[..], &[u8::from(validate_only)]].concat();
    kafka(19, 2, &array(names.map(topic), &tail))
}

/// CreatePartitions of version 0: the names, each to have ten partitions.
fn create_partitions<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let topic = |name: &str| {
        [
            &text(name)[..],
            &10_i32.to_be_bytes(),
            &(-1_i32).to_be_bytes(),
        ]
        .concat()
    };
    let tail = [&30_000_i32.to_be_bytes()[..], &[0]].concat();
    kafka(37, 0, &array(names.map(topic), &tail))
}

/// AlterConfigs or IncrementalAlterConfigs of version 0: the names, without any setting.
fn alter_configs<'a>(api: i16, names: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let resource = |name: &str| [&[2][..], &text(name), &[0; 4]].concat();
    kafka(api, 0, &array(names.map(resource), &[0]))
}

fn describe_configs<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let resource = |name: &str| [&[2][..], &text(name), &(-1_i32).to_be_bytes()].concat();
    kafka(32, 1, &array(names.map(resource), &[0]))
}

/// The same settings of one topic, wanted again and again: version 1.
fn one_resource(keys: usize) -> Vec<u8> {
    let keys = array((0..keys).map(|_| text("")), &[]);
    let resource = [&[2][..], &text("t"), &keys].concat();
    kafka(32, 1, &array([resource].into_iter(), &[0]))
}

/// Names that no topic can have.
fn bad(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("%%{number:05}")).collect()
}

#[test]
fn a_request_that_names_tens_of_thousands_holds_nobody_up() {
    let (few, many) = (bad(40_000), bad(70_000));
    let few = || few.iter().map(String::as_str);
    let many = || many.iter().map(String::as_str);
    let metadata = kafka(3, 1, &array(many().map(text), &[]));
    let requests = [
        ("CreateTopics", create_topics(few(), false)),
        ("CreateTopics, only validated", create_topics(few(), true)),
        ("CreatePartitions", create_partitions(few())),
        ("AlterConfigs", alter_configs(33, many())),
        ("IncrementalAlterConfigs", alter_configs(44, many())),
        ("DescribeConfigs", describe_configs(many())),
        ("settings", one_resource(400_000)),
        ("ListOffsets", list_offsets("none", 0..80_000)),
        ("Metadata", metadata),
    ];
    for (what, frame) in requests {
        assert!(frame.len() < 1 << 20, "{what}");
        let (own, others, answer) = turns_of(&mut World::new(), &frame);
        assert!(own > 20 && others == 0, "{what}: {own} turns, {others}");
        assert_eq!(answers(&answer), 1, "{what}");
        // The control: all of it in the turn that it is read in.
        let without = turns_of(&mut World::with_slice(usize::MAX), &frame);
        assert!(
            without.0 <= 1 && without.2 == answer,
            "{what}: {}",
            without.0
        );
    }
}

#[test]
fn many_topics_are_made_with_a_line_each_in_the_order_of_the_request() {
    let names: Vec<String> = (0..600)
        .map(|number| format!("{:05}", number * 7 % 600))
        .collect();
    let mut told = Vec::new();
    for slice in [SLICE, usize::MAX] {
        let mut world = World::with_slice(slice);
        let conn = world.connect_silent(1, Protocol::Kafka);
        let all = names.iter().map(String::as_str);
        let twice = ["twice", "a b", "twice", "00003"];
        let all: Vec<&str> = all.chain(twice).collect();
        world.offer(conn, &create_topics(all.into_iter(), false));
        let answer = world.bytes(conn);
        let mut rest = &answer[4 + 4 + 4..];
        let count = i32::from_be_bytes(rest[..4].try_into().expect("a count"));
        rest = &rest[4..];
        let mut lines = Vec::new();
        for _ in 0..count {
            let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let name = String::from_utf8(rest[2..2 + len].to_vec()).expect("a name");
            rest = &rest[2 + len..];
            let error = i16::from_be_bytes([rest[0], rest[1]]);
            let message = i16::from_be_bytes([rest[2], rest[3]]);
            rest = &rest[4 + usize::try_from(message).unwrap_or(0)..];
            lines.push((name, error));
        }
        assert!(rest.is_empty());
        // What is named twice has one line, and is not made.
        let expected = names
            .iter()
            .map(|name| (name.clone(), if name == "00003" { 42 } else { 0 }));
        let expected = expected.chain([("twice".to_owned(), 42), ("a b".to_owned(), 17)]);
        assert_eq!(lines, expected.collect::<Vec<_>>());
        let there: usize = [0, 1].map(|core| world.partitions(core)).iter().sum();
        assert_eq!(there, 599);
        told.push(answer);
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn more_settings_than_there_can_be_are_refused_whole() {
    let mut world = World::new();
    world.create("t", 1);
    let (_, others, answer) = turns_of(&mut world, &one_resource(400_000));
    assert_eq!(others, 0);
    // Length, correlation, throttle time and count stand in front of the error.
    assert_eq!(answer[16..18], 42_i16.to_be_bytes());
    let (_, _, answer) = turns_of(&mut world, &one_resource(900));
    assert_eq!(answer[16..18], [0, 0]);
}

#[test]
fn who_goes_while_its_long_request_is_read_leaves_nothing() {
    let names = bad(70_000);
    let frame = describe_configs(names.iter().map(String::as_str));
    for (turns, finish) in [(1, true), (2, false), (8, true), (8, false)] {
        let mut world = World::new();
        let conn = world.connect_silent(1, Protocol::Kafka);
        world.hand_long(conn, &frame);
        for _ in 0..turns {
            world.tick(1);
        }
        goes(&mut world, conn, finish, 1);
        asks_again(&mut world, &frame, 6);
    }
}
