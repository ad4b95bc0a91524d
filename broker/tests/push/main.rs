//! Subscriptions over two cores on a disk in memory: what is pushed, when, and what is not.

mod budget;
mod came;
mod groups;
mod order;
mod patience;
mod peer;
mod single;
mod slices;
mod snapshot;
mod stalled;
mod stop;
mod world;

use std::collections::BTreeMap;

use came::Came;
use leveret_wire::native::{ErrorCode, Kind, MAX_CREDIT, MAX_SUBSCRIPTIONS, Request, Response};
use world::{MAX_BATCH, RESPONSES, World, partition};

const PLENTY: u64 = 64 << 20;

fn kinds(came: &[Came]) -> Vec<Kind> {
    came.iter().map(|frame| frame.kind).collect()
}

/// Offsets pushed of each partition, in order; everything has to be a push with that correlation.
fn pushed(came: &[Came], correlation: u64) -> BTreeMap<u32, Vec<i64>> {
    let mut all: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for frame in came {
        assert_eq!(frame.correlation, correlation);
        let push = frame.push();
        assert_eq!(push.error, None);
        all.entry(push.index).or_default().extend(frame.offsets());
    }
    all
}

fn code(frame: &Came) -> ErrorCode {
    match frame.response() {
        Ok(Response::Error(error)) => error.code,
        Ok(Response::Push(push)) => push.error.expect("an end"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_of_both_cores_come_as_they_become_durable() {
    let mut world = World::new();
    let topic = world.create("t", 4);
    world.produce(topic, 2, 10);
    let conn = world.connect(0);
    let all: Vec<_> = (0..4).map(|number| partition(topic, number, 0)).collect();
    world.subscribe(conn, 5, PLENTY, &all);
    let came = world.came(conn);
    assert_eq!(came[0].kind, Kind::SubscribeOk);
    assert_eq!(pushed(&came[1..], 5), BTreeMap::from([(2, vec![0])]));
    for number in 0..4 {
        world.disk.hold = true;
        world.produce(topic, number, 10);
        assert!(world.came(conn).is_empty(), "not durable, not visible");
        world.disk.hold = false;
        world.turn();
        let first = i64::from(number == 2);
        let expected = BTreeMap::from([(number, vec![first])]);
        assert_eq!(pushed(&world.came(conn), 5), expected);
    }
}

#[test]
fn a_backlog_and_the_tail_come_without_gap_or_repetition() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    for n in 0..300 {
        world.produce(topic, n % 2, 10_000);
    }
    let conn = world.connect(1);
    let mut asked = [partition(topic, 0, 0), partition(topic, 1, 20)];
    asked[0].max_bytes = 30_000;
    world.subscribe(conn, 1, PLENTY, &asked);
    let came = world.came(conn);
    let longest = |index| {
        let of = came[1..].iter().filter(|frame| frame.push().index == index);
        of.map(|frame| frame.payload.len()).max().unwrap()
    };
    assert!(longest(0) <= 30_000, "{}", longest(0));
    assert!(longest(1) > 30_000, "the other one has its own bound");
    let mut all = pushed(&came[1..], 1);
    for n in 0..20 {
        world.produce(topic, n % 2, 100);
    }
    for (index, offsets) in pushed(&world.came(conn), 1) {
        all.entry(index).or_default().extend(offsets);
    }
    assert_eq!(all[&0], (0..160).collect::<Vec<_>>());
    assert_eq!(all[&1], (20..160).collect::<Vec<_>>());
}

#[test]
fn without_credit_nothing_is_pushed_and_credit_lets_it_go_on() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let conn = world.connect(0);
    world.produce(topic, 0, 1000);
    world.produce(topic, 1, 1000);
    let both = [partition(topic, 0, 0), partition(topic, 1, 0)];
    world.subscribe(conn, 9, 0, &both);
    assert_eq!(kinds(&world.came(conn)), [Kind::SubscribeOk]);
    // Neither what is there already, nor what comes.
    world.produce(topic, 0, 1000);
    world.produce(topic, 1, 1000);
    assert!(world.came(conn).is_empty());
    // One byte brings one batch, and credit is below zero then.
    world.ask(conn, 9, &Request::Credit(1));
    let came = world.came(conn);
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].offsets(), [0]);
    let owed = came[0].payload.len() as u64;
    world.ask(conn, 9, &Request::Credit(owed - 1));
    assert!(world.came(conn).is_empty(), "credit is zero again");
    world.produce(topic, 0, 1000);
    assert!(world.came(conn).is_empty());
    let mut indexes = vec![came[0].push().index];
    for _ in 0..3 {
        world.ask(conn, 9, &Request::Credit(owed));
        let came = world.came(conn);
        assert_eq!(came.len(), 1);
        indexes.push(came[0].push().index);
    }
    assert_eq!(indexes[0], indexes[2], "they take turns");
    assert_eq!(indexes[1], indexes[3], "they take turns");
    assert_ne!(indexes[0], indexes[1], "they take turns");
}

#[test]
fn a_stalled_reader_bounds_what_is_held_whatever_its_credit() {
    let mut world = World::new();
    let topic = world.create("t", 4);
    let conn = world.connect(0);
    let all: Vec<_> = (0..4).map(|number| partition(topic, number, 0)).collect();
    world.subscribe(conn, 1, MAX_CREDIT, &all);
    world.came(conn);
    world.stall(conn, true);
    let mut most = 0;
    for n in 0..800 {
        world.produce(topic, n % 4, 10_000);
        most = most.max(world.queued(conn));
    }
    assert!(most <= RESPONSES + MAX_BATCH, "{most} bytes are held");
    assert!(most > RESPONSES / 2, "{most}: the bound was not reached");
    world.stall(conn, false);
    let all = pushed(&world.came(conn), 1);
    for number in 0..4 {
        assert_eq!(all[&number], (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn what_cannot_be_read_ends_alone() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let gone = world.create("gone", 2);
    let conn = world.connect(0);
    let unknown = leveret_wire::native::TopicId(999);
    let asked = [
        partition(unknown, 0, 0),
        partition(topic, 7, 0),
        partition(topic, 0, 5),
        partition(gone, 0, 0),
        partition(gone, 1, 0),
        partition(topic, 1, 0),
    ];
    world.subscribe(conn, 3, PLENTY, &asked);
    let came = world.came(conn);
    let ends: BTreeMap<_, _> = came[1..]
        .iter()
        .map(|frame| (frame.push().index, code(frame)))
        .collect();
    let expected = BTreeMap::from([
        (0, ErrorCode::UnknownTopic),
        (1, ErrorCode::UnknownPartition),
        (2, ErrorCode::OffsetOutOfRange),
    ]);
    assert_eq!(ends, expected);
    world.delete("gone");
    let mut ends: Vec<_> = world
        .came(conn)
        .iter()
        .map(|f| (f.push().index, code(f)))
        .collect();
    ends.sort_unstable_by_key(|(index, _)| *index);
    assert_eq!(
        ends,
        [(3, ErrorCode::UnknownTopic), (4, ErrorCode::UnknownTopic)]
    );
    world.produce(topic, 1, 10);
    assert_eq!(pushed(&world.came(conn), 3), BTreeMap::from([(5, vec![0])]));
}

/// Nobody could tell which of two offsets was meant, so neither is begun.
#[test]
fn a_partition_is_named_once() {
    let mut world = World::new();
    let (topic, other) = (world.create("t", 2), world.create("u", 2));
    let conn = world.connect(0);
    world.produce(topic, 0, 10);
    for again in [0, 1] {
        let asked = [
            partition(topic, 0, 0),
            partition(other, 0, 0),
            partition(topic, 0, again),
        ];
        world.subscribe(conn, 3, PLENTY, &asked);
        let came = world.came(conn);
        assert_eq!(came.len(), 1);
        assert_eq!(code(&came[0]), ErrorCode::InvalidRequest);
    }
    // Nothing stands of it, and its correlation is free; the same number of two topics is not one.
    world.produce(topic, 0, 10);
    assert!(world.came(conn).is_empty());
    let asked = [partition(topic, 0, 0), partition(other, 0, 0)];
    world.subscribe(conn, 3, PLENTY, &asked);
    let came = world.came(conn);
    assert_eq!(came[0].kind, Kind::SubscribeOk);
    assert_eq!(pushed(&came[1..], 3), BTreeMap::from([(0, vec![0, 1])]));
}

#[test]
fn an_ended_subscription_is_silent_and_its_correlation_free() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let both = [partition(topic, 0, 0), partition(topic, 1, 0)];
    let conn = world.connect(0);
    world.subscribe(conn, 4, PLENTY, &both);
    world.produce(topic, 0, 10);
    world.ask(conn, 4, &Request::Unsubscribe);
    let came = world.came(conn);
    let expected = [Kind::SubscribeOk, Kind::Push, Kind::UnsubscribeOk];
    assert_eq!(kinds(&came), expected);
    // What crosses with the end is ignored.
    world.ask(conn, 4, &Request::Unsubscribe);
    world.ask(conn, 4, &Request::Credit(10));
    for number in 0..2 {
        world.produce(topic, number, 10);
    }
    assert!(world.came(conn).is_empty());
    world.subscribe(conn, 4, PLENTY, &both);
    let all = pushed(&world.came(conn)[1..], 4);
    assert_eq!(all, BTreeMap::from([(0, vec![0, 1]), (1, vec![0])]));
    // And one whose connection goes is silent to the next in its place.
    world.hang_up(conn);
    let next = world.connect(0);
    world.produce(topic, 1, 10);
    assert!(world.came(next).is_empty());
}

#[test]
fn bounds_are_kept_and_a_stop_is_told() {
    let mut world = World::new();
    let topic = world.create("t", 1);
    let one = [partition(topic, 0, 0)];
    let conn = world.connect(0);
    for correlation in 1..=MAX_SUBSCRIPTIONS as u64 {
        world.subscribe(conn, correlation, 0, &one);
    }
    let came = world.came(conn);
    assert!(came.iter().all(|frame| frame.kind == Kind::SubscribeOk));
    world.subscribe(conn, 1000, 0, &one);
    assert_eq!(code(&world.came(conn)[0]), ErrorCode::InvalidRequest);
    // More credit than may be ends the subscription, as does a second one of its correlation.
    world.ask(conn, 1, &Request::Credit(MAX_CREDIT));
    assert!(world.came(conn).is_empty());
    world.ask(conn, 1, &Request::Credit(1));
    world.subscribe(conn, 2, 0, &one);
    let came = world.came(conn);
    assert_eq!(
        (came[0].correlation, code(&came[0])),
        (1, ErrorCode::InvalidRequest)
    );
    assert_eq!(
        (came[1].correlation, code(&came[1])),
        (2, ErrorCode::InvalidRequest)
    );
    world.produce(topic, 0, 10);
    assert!(world.came(conn).is_empty());
    world.stop();
    let came = world.came(conn);
    assert_eq!(came.len(), MAX_SUBSCRIPTIONS - 2);
    assert!(came.iter().all(|frame| code(frame) == ErrorCode::Stopping));
}

#[test]
fn many_subscriptions_of_one_connection_share_its_room() {
    let mut world = World::new();
    let topic = world.create("t", 3);
    for n in 0..300 {
        world.produce(topic, n % 3, 5_000);
    }
    let conn = world.connect(1);
    world.stall(conn, true);
    for number in 0..3 {
        let mut asked = partition(topic, number, 0);
        asked.max_bytes = 20_000;
        world.subscribe(conn, u64::from(number) + 1, PLENTY, &[asked]);
    }
    assert!(world.queued(conn) <= RESPONSES + MAX_BATCH);
    world.stall(conn, false);
    let came = world.came(conn);
    let mut last = BTreeMap::new();
    let mut count = BTreeMap::new();
    for (at, frame) in came.iter().enumerate() {
        if frame.kind == Kind::Push {
            last.insert(frame.correlation, at);
            *count.entry(frame.correlation).or_insert(0) += frame.offsets().len();
        }
    }
    assert!(count.values().all(|records| *records == 100), "{count:?}");
    let earliest = last.values().min().unwrap();
    let share = *earliest * 10 / came.len();
    assert!(share > 5, "one was served before the others");
}

#[test]
fn requests_are_heard_while_pushes_fill_the_connection() {
    let mut world = World::new();
    let topic = world.create("t", 1);
    for _ in 0..300 {
        world.produce(topic, 0, 5_000);
    }
    let conn = world.connect(1);
    world.stall(conn, true);
    world.subscribe(conn, 1, PLENTY, &[partition(topic, 0, 0)]);
    world.ask(conn, 2, &Request::Ping);
    world.stall(conn, false);
    let came = world.came(conn);
    let pong = came.iter().position(|frame| frame.kind == Kind::Pong);
    assert!(
        pong.unwrap() < came.len() - 10,
        "{pong:?} of {}",
        came.len()
    );
    let pushes: Vec<_> = came.into_iter().filter(|f| f.kind == Kind::Push).collect();
    assert_eq!(pushed(&pushes, 1)[&0], (0..300).collect::<Vec<_>>());
}
