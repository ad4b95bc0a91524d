//! How much a core looks at for one connection before it looks at another.

use leveret_broker::core::SLICE;
use leveret_broker::core::boundary::Protocol;
use leveret_wire::native::{Kind, Request};

use super::world::{Conn, World};

mod deadlines;
mod installs;
mod listings;
mod requests;
mod together;

/// As much as is received at a time, of requests with long answers.
fn flood() -> (Vec<u8>, usize) {
    let frame = World::frame(7, &Request::DescribeTopics(vec!["wide"]));
    let count = (16 << 10) / frame.len();
    (frame.repeat(count), count)
}

/// How many of its requests a connection of core 1 has answered when another one's is, which comes
/// just behind them; in how many turns; and how many are at last.
fn answered_before(slice: usize, floods: usize) -> (usize, usize, usize) {
    let mut world = World::with_slice(slice);
    world.create("wide", 1000);
    // Making it was the work of an earlier turn.
    world.sleep(1);
    let (frames, count) = flood();
    let peers: Vec<Conn> = (0..floods).map(|_| world.connect(1)).collect();
    let other = world.connect(1);
    for conn in &peers {
        world.hand(*conn, &frames);
    }
    // A flood's own core answers at once, the other one when it is driven.
    let ping = World::frame(1, &Request::Ping);
    world.hand(other, &ping);
    let mut turns = 0;
    while world.queued(other) == 0 {
        world.tick(1);
        turns += 1;
        assert!(turns < 1000, "it is never answered");
    }
    let asked = world.mesh_len();
    world.turn();
    assert_eq!(world.came(other).len(), 1);
    let mut all = 0;
    for conn in peers {
        let came = world.came(conn);
        assert!(
            came.iter()
                .all(|frame| frame.kind == Kind::DescribeTopicsOk)
        );
        all += came.len();
    }
    assert_eq!(all, count * floods);
    (asked, turns, all)
}

#[test]
fn a_flood_of_one_connection_is_looked_at_in_slices() {
    let (asked, turns, all) = answered_before(SLICE, 1);
    assert!(
        asked <= all / 2 && turns == 0,
        "{asked} of {all}, {turns} turns"
    );
    // Without slices the other one waits for all of it.
    assert_eq!(answered_before(usize::MAX, 1), (all, 0, all));
}

#[test]
fn floods_of_many_connections_have_a_bound_together() {
    let (asked, turns, all) = answered_before(SLICE, 8);
    assert!(
        asked <= all / 2 && turns <= 12,
        "{asked} of {all}, {turns} turns"
    );
    assert_eq!(answered_before(usize::MAX, 8), (all, 0, all));
}

#[test]
fn who_stands_in_line_is_not_read_and_answered_in_order_also_behind_its_end() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(1);
    let mut sent = Vec::new();
    for number in 0..500 {
        sent.extend(World::frame(number, &Request::Ping));
    }
    let (first, rest) = sent.split_at(sent.len() / 2);
    world.hand(conn, first);
    assert!(world.is_paused(conn), "more is not read meanwhile");
    // What was on its way is taken all the same, and the end comes behind it.
    world.hand(conn, rest);
    world.finish(conn);
    let came = world.came(conn);
    let numbers: Vec<u64> = came.iter().map(|frame| frame.correlation).collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    assert!(!world.is_open(conn), "all that it sent was answered");
}

#[test]
fn who_goes_while_it_stands_in_line_leaves_nothing() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(1);
    let many = World::frame(1, &Request::Ping).repeat(400);
    world.hand(conn, &many);
    world.hang_up(conn);
    let late = world.connect_silent(1, Protocol::Kafka);
    assert!(world.is_open(late));
    world.pass(1);
}

#[test]
fn a_stop_ends_also_who_stands_in_line() {
    let mut world = World::with_slice(1 << 10);
    let conn = world.connect(0);
    let many = World::frame(1, &Request::Ping).repeat(400);
    world.hand(conn, &many);
    world.stop();
    let came = world.came(conn);
    assert_eq!(came.len(), 400);
    assert_eq!(came.last().map(|frame| frame.kind), Some(Kind::Error));
}

/// A request of Kafka's protocol, without a client's name.
pub(crate) fn kafka(api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    for number in [api, version] {
        frame.extend(number.to_be_bytes());
    }
    frame.extend(1_i32.to_be_bytes());
    frame.extend((-1_i16).to_be_bytes());
    frame.extend(body);
    let len = i32::try_from(frame.len()).expect("small");
    [&len.to_be_bytes()[..], &frame].concat()
}

pub(crate) fn named(topic: &str, entries: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(i16::try_from(topic.len()).expect("short").to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(i32::try_from(entries.len()).expect("few").to_be_bytes());
    entries.for_each(|entry| body.extend(entry));
    body
}

/// A fetch of these partitions from their beginning, which waits `wait_ms`.
pub(crate) fn fetch(
    topic: &str,
    partitions: impl ExactSizeIterator<Item = i32>,
    wait_ms: i32,
) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [-1, wait_ms, 1, 1 << 20] {
        body.extend(number.to_be_bytes());
    }
    body.push(0);
    let entry = |index: i32| {
        let parts = [
            &index.to_be_bytes()[..],
            &[0; 8],
            &(1_i32 << 20).to_be_bytes(),
        ];
        parts.concat()
    };
    body.extend(named(topic, partitions.map(entry)));
    kafka(1, 4, &body)
}

fn list_offsets(topic: &str, partitions: std::ops::Range<i32>) -> Vec<u8> {
    let entry = |index: i32| [&index.to_be_bytes()[..], &(-1_i64).to_be_bytes()].concat();
    let body = [
        &(-1_i32).to_be_bytes()[..],
        &named(topic, partitions.map(entry)),
    ]
    .concat();
    kafka(2, 1, &body)
}

/// In how many turns a request is answered whose frame a core has, and after how many another
/// connection's ping is that comes behind it; and the bytes of the answer.
fn turns_of(world: &mut World, frame: &[u8]) -> (usize, usize, Vec<u8>) {
    let conn = world.connect_silent(1, Protocol::Kafka);
    let other = world.connect(1);
    world.hand_long(conn, frame);
    let (mut own, mut others) = (0, None);
    world.hand(other, &World::frame(1, &Request::Ping));
    while world.queued(conn) == 0 && own < 1000 {
        if world.queued(other) > 0 {
            others.get_or_insert(own);
        }
        world.tick(1);
        own += 1;
    }
    world.turn();
    assert_eq!(world.came(other).len(), 1);
    (own, others.unwrap_or(own), world.bytes(conn))
}

#[test]
fn a_fetch_of_65_000_partitions_is_looked_up_in_slices() {
    let frame = fetch("none", 0..65_000, 0);
    let (own, others, answer) = turns_of(&mut World::new(), &frame);
    assert!(
        (20..100).contains(&own) && others == 0,
        "{own} turns, {others}"
    );
    let without = turns_of(&mut World::with_slice(usize::MAX), &frame);
    assert_eq!(
        (without.0, &without.2),
        (1, &answer),
        "the same answer in the turn that it is read in"
    );
}

#[test]
fn a_partition_that_a_fetch_names_again_is_answered_once_and_as_named_last() {
    let mut world = World::new();
    world.create("t", 2);
    let entries = (0..65_000).map(|number| number % 2);
    let (_, others, answer) = turns_of(
        &mut world,
        &fetch("t", entries.collect::<Vec<_>>().into_iter(), 0),
    );
    assert_eq!(others, 0);
    let (_, _, of_two) = turns_of(&mut world, &fetch("t", 0..2, 0));
    assert_eq!(answer, of_two);
}

#[test]
fn parts_are_asked_for_in_slices_and_nothing_overtakes_them() {
    let frame = list_offsets("wide", 0..4000);
    let mut answers = Vec::new();
    for slice in [SLICE, usize::MAX] {
        let mut world = World::with_slice(slice);
        world.create("wide", 4000);
        let conn = world.connect_silent(0, Protocol::Kafka);
        world.hand(conn, &frame);
        let waiting = world.mesh_len();
        match slice {
            // Every second one is the other core's.
            usize::MAX => assert_eq!(waiting, 2000),
            _ => assert!(world.is_paused(conn) && waiting < 500, "{waiting}"),
        }
        world.hand(conn, &kafka(18, 0, &[]));
        world.turn();
        answers.push(world.bytes(conn));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].len() > 4000 * 22, "{}", answers[0].len());
}

#[test]
fn a_fetch_that_is_being_looked_up_goes_with_its_connection() {
    let frame = fetch("t", 0..65_000, 300_000);
    for finish in [true, false] {
        let mut world = World::new();
        world.create("t", 1);
        let conn = world.connect_silent(1, Protocol::Kafka);
        world.hand(conn, &frame);
        world.tick(1);
        assert!(world.is_paused(conn) && world.queued(conn) == 0);
        match finish {
            true => world.finish(conn),
            false => world.hang_up(conn),
        }
        assert!(!world.is_open(conn), "answered and closed");
        let frame = fetch("t", 0..1, 0);
        assert!(!turns_of(&mut world, &frame).2.is_empty());
    }
}

#[test]
fn settings_of_many_topics_are_described_in_slices() {
    let mut body = 2000_i32.to_be_bytes().to_vec();
    for _ in 0..2000 {
        body.extend([2, 0, 1, b't']);
        body.extend((-1_i32).to_be_bytes());
    }
    body.push(0);
    let frame = kafka(32, 1, &body);
    let mut answers = Vec::new();
    for slice in [SLICE, usize::MAX] {
        let mut world = World::with_slice(slice);
        world.create("t", 1);
        let (own, others, answer) = turns_of(&mut world, &frame);
        match slice {
            usize::MAX => assert_eq!(own, 0),
            _ => assert!(own > 10 && others == 0, "{own} turns, {others}"),
        }
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].len() > 1 << 20, "{}", answers[0].len());
}

/// How many answers of Kafka's protocol these bytes are.
pub(crate) fn answers(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        bytes = &rest[usize::try_from(i32::from_be_bytes(*len)).expect("a length")..];
        count += 1;
    }
    count
}

#[test]
fn a_pipelined_client_with_more_waiting_fetches_than_may_wait_goes() {
    for core in [0, 1] {
        for finish in [true, false] {
            let mut world = World::new();
            let topic = world.create("t", 2);
            let conn = world.connect_silent(core, Protocol::Kafka);
            world.hand(conn, &fetch("t", 0..2, 300_000).repeat(7));
            world.turn();
            assert!(world.is_paused(conn), "four wait, three are not looked at");
            assert_eq!(world.bytes(conn).len(), 0);
            goes(&mut world, conn, finish, 7);
            // Nothing of them is left that a record would wake.
            let producer = world.produce(topic, 1, 100);
            assert_eq!(world.came(producer)[0].kind, Kind::ProduceOk);
        }
    }
}

/// The peer sends no more and is given so many answers, or it hangs up; then it is gone.
fn goes(world: &mut World, conn: Conn, finish: bool, due: usize) {
    match finish {
        true => {
            world.finish(conn);
            assert_eq!(answers(&world.bytes(conn)), due);
        }
        false => world.hang_up(conn),
    }
    assert!(!world.is_open(conn));
}

/// All that requests may hold is there again: so many that are as long are answered.
fn asks_again(world: &mut World, frame: &[u8], times: usize) {
    let again = world.connect_silent(1, Protocol::Kafka);
    for _ in 0..times {
        world.offer(again, frame);
        assert_eq!(answers(&world.bytes(again)), 1);
    }
}

/// How many of these happen in the busiest turn of core 1, of as many as there are when none is left.
fn most_in_a_turn(world: &mut World, all: usize, happened: impl Fn(&World) -> usize) -> usize {
    let (mut most, mut before) = (0, happened(world));
    assert_eq!(before, 0, "none has happened while they were asked for");
    for _ in 0..2000 {
        world.tick(1);
        let now = happened(world);
        most = most.max(now - before);
        before = now;
    }
    assert_eq!(before, all);
    most
}

#[test]
fn long_requests_are_read_and_long_answers_put_together_one_in_a_turn() {
    let missing = fetch("none", 0..65_000, 0);
    let unknown = list_offsets("none", 0..20_000);
    for frame in [missing, unknown] {
        for (slice, most) in [(SLICE, 1), (usize::MAX, 3)] {
            let mut world = World::with_slice(slice);
            let conns: Vec<Conn> = (0..3)
                .map(|_| world.connect_silent(1, Protocol::Kafka))
                .collect();
            for conn in &conns {
                world.hand_long(*conn, &frame);
                assert!(world.is_paused(*conn), "it is there and not read");
            }
            let answered =
                |world: &World| conns.iter().filter(|conn| world.queued(**conn) > 0).count();
            assert_eq!(most_in_a_turn(&mut world, 3, answered), most);
            world.turn();
            for conn in conns {
                assert_eq!(answers(&world.bytes(conn)), 1);
                world.hand(conn, &kafka(18, 0, &[]));
                world.turn();
                assert_eq!(answers(&world.bytes(conn)), 1, "it is read again");
            }
        }
    }
}

fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let mut body = i32::try_from(names.len())
        .expect("few")
        .to_be_bytes()
        .to_vec();
    for name in names {
        body.extend(i16::try_from(name.len()).expect("short").to_be_bytes());
        body.extend(name.as_bytes());
    }
    body
}

/// Names of five digits.
fn numbers(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let all: Vec<String> = numbers.map(|number| format!("{number:05}")).collect();
    names(all.iter().map(String::as_str))
}

/// Names of topics and what is said of each, in a request for metadata of version 1 or a deletion of
/// version 1.
fn told(api: i16, answer: &[u8]) -> Vec<(String, i16)> {
    let number = |bytes: &[u8]| i16::from_be_bytes([bytes[0], bytes[1]]);
    // The metadata begin with one broker, and its name.
    let mut rest = match api {
        3 => &answer[8 + 4 + 4 + 2 + 9 + 4 + 2 + 4..],
        _ => &answer[8 + 4..],
    };
    let count = i32::from_be_bytes(rest[..4].try_into().expect("a count"));
    rest = &rest[4..];
    let mut lines = Vec::new();
    for _ in 0..count {
        let (error, name) = match api {
            3 => (Some(number(rest)), &rest[2..]),
            _ => (None, rest),
        };
        let len = usize::try_from(number(name)).expect("a length");
        let text = String::from_utf8(name[2..2 + len].to_vec()).expect("a name");
        rest = &name[2 + len..];
        let error = error.unwrap_or_else(|| number(rest));
        rest = match api {
            3 => {
                let partitions = i32::from_be_bytes(rest[1..5].try_into().expect("a count"));
                &rest[5 + usize::try_from(partitions).expect("a count") * 26..]
            }
            _ => &rest[2..],
        };
        lines.push((text, error));
    }
    assert!(rest.is_empty());
    lines
}

#[test]
fn topics_that_are_not_there_are_told_in_slices() {
    for (api, tail) in [(3, &[][..]), (20, &[0, 0, 0, 9])] {
        let frame = kafka(api, 1, &[&numbers(0..100_000)[..], tail].concat());
        let (own, others, answer) = turns_of(&mut World::new(), &frame);
        assert!(own > 50 && others == 0, "{own} turns, {others}");
        let without = turns_of(&mut World::with_slice(usize::MAX), &frame);
        assert_eq!((without.0, without.2 == answer), (1, true), "at once");
        let lines = told(api, &answer);
        assert_eq!(lines.len(), 100_000);
        assert!(lines.iter().all(|(_, error)| *error == 3));
    }
}

#[test]
fn topics_that_are_named_among_many_are_told_and_deleted_once() {
    let mut all: Vec<String> = (0..60_000).map(|number| format!("{number:05}")).collect();
    for (at, name) in [
        (100, "a"),
        (20_000, "b"),
        (30_000, "a"),
        (50_000, "c"),
        (59_999, "00007"),
    ] {
        all[at] = name.to_owned();
    }
    let body = names(all.iter().map(String::as_str));
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.create(name, 3);
    }
    let of = |lines: &[(String, i16)], name: &str| {
        let lines = lines.iter().filter(|(other, _)| other == name);
        lines.map(|(_, error)| *error).collect::<Vec<_>>()
    };
    let described = |world: &mut World| told(3, &turns_of(world, &kafka(3, 1, &body)).2);
    let lines = described(&mut world);
    assert_eq!(lines.len(), 60_000 - 2);
    for (name, errors) in [
        ("a", [0]),
        ("b", [0]),
        ("c", [0]),
        ("00007", [3]),
        ("00001", [3]),
    ] {
        assert_eq!(of(&lines, name), errors, "{name}");
    }
    let delete = kafka(20, 1, &[&body[..], &[0, 0, 0, 9]].concat());
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.offer(conn, &delete);
    let lines = told(20, &world.bytes(conn));
    assert_eq!(lines.len(), 60_000 - 2);
    // What is named twice is not deleted.
    for (name, errors) in [
        ("a", [42]),
        ("b", [0]),
        ("c", [0]),
        ("00007", [42]),
        ("00001", [3]),
    ] {
        assert_eq!(of(&lines, name), errors, "{name}");
    }
    let lines = described(&mut world);
    for (name, errors) in [("a", [0]), ("b", [3]), ("c", [3])] {
        assert_eq!(of(&lines, name), errors, "{name}");
    }
}

#[test]
fn topics_are_made_for_a_long_request_as_far_as_there_is_room() {
    for slice in [SLICE, usize::MAX] {
        let mut world = World::with(slice, true);
        world.create("00003", 1);
        let conn = world.connect_silent(1, Protocol::Kafka);
        let frame = kafka(3, 1, &numbers(0..20_000));
        world.offer(conn, &frame);
        let lines = told(3, &world.bytes(conn));
        assert_eq!(lines.len(), 20_000);
        let there: Vec<_> = lines.iter().filter(|(_, error)| *error == 0).collect();
        // The bound is sixteen, and there was one.
        assert_eq!(there.len(), 16);
        assert!(there.iter().all(|(name, _)| name.as_str() < "00016"));
        assert!(lines.iter().all(|(_, error)| [0, 3].contains(error)));
        world.offer(
            conn,
            &kafka(3, 1, &names(["00015", ".", "00020"].into_iter())),
        );
        let lines: Vec<_> = told(3, &world.bytes(conn));
        let errors = lines.into_iter().map(|(_, error)| error);
        assert_eq!(errors.collect::<Vec<_>>(), [0, 17, 3]);
    }
}

#[test]
fn who_goes_before_its_long_request_is_read_leaves_nothing() {
    let frame = fetch("none", 0..65_000, 0);
    for finish in [true, false] {
        let mut world = World::new();
        let conn = world.connect_silent(1, Protocol::Kafka);
        world.hand_long(conn, &frame);
        goes(&mut world, conn, finish, 1);
        asks_again(&mut world, &frame, 5);
    }
}

#[test]
fn fetches_of_many_partitions_are_given_up_one_after_the_other() {
    for (slice, most) in [(1 << 10, 1), (usize::MAX, 8)] {
        let mut world = World::with_slice(slice);
        world.create("wide", 600);
        let conns: Vec<Conn> = (0..8)
            .map(|_| world.connect_silent(1, Protocol::Kafka))
            .collect();
        for conn in &conns {
            world.offer(*conn, &fetch("wide", 0..600, 300_000));
            assert_eq!(world.bytes(*conn).len(), 0, "it waits");
        }
        conns.into_iter().for_each(|conn| world.vanish(conn));
        // One message for each, as the other core has half of the partitions.
        assert_eq!(most_in_a_turn(&mut world, 8, World::mesh_len), most);
        world.turn();
    }
}

#[test]
fn those_that_say_no_hello_are_closed_in_slices() {
    for (slice, most) in [(SLICE, 32), (usize::MAX, 300)] {
        let mut world = World::with_slice(slice);
        let conns: Vec<Conn> = (0..300)
            .map(|_| world.connect_silent(1, Protocol::Kafka))
            .collect();
        world.sleep(11_000_000_000);
        let closed = |world: &World| conns.iter().filter(|conn| !world.is_open(**conn)).count();
        let found = most_in_a_turn(&mut world, 300, closed);
        assert!(found <= most && found > most / 2, "{found}");
    }
}
