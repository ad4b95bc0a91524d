//! Whole brokers in the simulator: every answer is the same however many cores give it.

use leveret_broker::core::boundary::Protocol;
use std::collections::BTreeSet;

use leveret_sim::cores::course::{self, Step};
use leveret_sim::cores::kafka::{self, Answer, Bounds, Wanted};
use leveret_sim::cores::{Setup, World, same};
use leveret_sim::counters::Counters;
use leveret_sim::mutants::expected;
use leveret_sim::plan::Mode;
use leveret_sim::rng::Rng;
use leveret_sim::run::run;
use leveret_storage::mutation::Mutation;

#[test]
fn brokers_of_one_two_and_four_cores_answer_the_same() {
    let mut met = Counters::default();
    for seed in 1..=60 {
        let outcome = run(seed, Mode::Cores, None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        met.add(&outcome.counters);
    }
    assert!(met.requests_compared > 3000, "{met:?}");
    let again = || run(7, Mode::Cores, None, false).hash;
    assert_eq!(again(), again(), "a seed has one course");
}

/// A fetch of all partitions of "a" in this order from their beginnings, of so many bytes in all.
fn fetch_of_all(partitions: [i32; 4], max_bytes: i32) -> Vec<u8> {
    let wanted = partitions.map(|partition| Wanted {
        topic: "a",
        partition,
        offset: 0,
        max_bytes: 1 << 20,
    });
    let bounds = Bounds {
        max_bytes,
        min_bytes: 1,
        max_wait: 100,
    };
    kafka::fetch(bounds, &wanted)
}

#[test]
fn the_bounds_of_a_fetch_hold_over_all_cores() {
    for cores in [1, 2, 4] {
        let mut world = World::new(&Setup::new(9, cores));
        let conn = world.connect(0, Protocol::Kafka);
        let mut ask = |request: &[u8]| same::ask(&mut world, conn, request).unwrap();
        ask(&kafka::create_topics(&[("a", 4)]));
        for partition in 0..4 {
            for _ in 0..20 {
                ask(&kafka::produce(-1, &[("a", partition, 10_000)]));
            }
        }
        for (max_bytes, longest, parts) in [(50_000, 50_000, 1), (1, 11_000, 1)] {
            let fetched = kafka::fetched(&ask(&fetch_of_all([0, 1, 2, 3], max_bytes)));
            let bytes: usize = fetched.iter().map(|part| part.records.len()).sum();
            assert!(bytes <= longest && bytes > 0, "{bytes} from {cores} cores");
            let given = fetched.iter().filter(|part| !part.records.is_empty());
            assert_eq!(given.count(), parts);
        }
    }
}

/// The control: where each core may read what all together may, more is read than leaves.
#[test]
fn nothing_is_read_that_does_not_leave() {
    for (mutation, for_nothing) in [(None, false), (Some(Mutation::LimitPerCore), true)] {
        let mut setup = Setup::new(9, 4);
        setup.store.mutation = mutation;
        let mut world = World::new(&setup);
        let conn = world.connect(0, Protocol::Kafka);
        let mut ask = |request: &[u8]| same::ask(&mut world, conn, request).unwrap();
        ask(&kafka::create_topics(&[("a", 4)]));
        for partition in [0, 1, 2, 3, 0, 1, 2, 3] {
            ask(&kafka::produce(-1, &[("a", partition, 10_000)]));
        }
        for max_bytes in [1, 15_000, 25_000, 45_000, 100_000] {
            let fetched = kafka::fetched(&ask(&fetch_of_all([3, 1, 0, 2], max_bytes)));
            let bytes: usize = fetched.iter().map(|part| part.records.len()).sum();
            assert!(for_nothing || bytes <= (max_bytes as usize).max(11_000));
        }
        let thrown_away = same::thrown_away(&mut world);
        assert_eq!(
            thrown_away > 0,
            for_nothing,
            "{thrown_away} bytes, {mutation:?}"
        );
    }
}

/// The control is the mutation: who waits for memory is not served when those leave that held it.
#[test]
fn who_waits_for_memory_is_served_when_others_leave() {
    let violation_of = |mutation| run(7, Mode::Cores, mutation, false).violation;
    assert!(violation_of(None).is_none());
    let violation = violation_of(Some(Mutation::LeavesUnserved)).expect("nobody is served");
    let expected = expected(Mutation::LeavesUnserved);
    assert!(expected.contains(&violation.kind), "{violation:?}");
}

/// The control is the mutation: what stands still is left alone.
#[test]
fn who_waits_for_memory_is_served_when_others_stand_still() {
    let violation_of = |mutation| run(9, Mode::Cores, mutation, false).violation;
    assert!(violation_of(None).is_none());
    let violation = violation_of(Some(Mutation::LetsStand)).expect("they stand still");
    let expected = expected(Mutation::LetsStand);
    assert!(expected.contains(&violation.kind), "{violation:?}");
}

/// The control is the mutation: strangers' long requests are served as those of one that has sent some.
#[test]
fn who_has_sent_long_requests_does_not_wait_for_those_that_never_have() {
    let violation_of = |mutation| run(8, Mode::Cores, mutation, false).violation;
    assert!(violation_of(None).is_none());
    let violation = violation_of(Some(Mutation::TrustsStrangers)).expect("it waits");
    let expected = expected(Mutation::TrustsStrangers);
    assert!(expected.contains(&violation.kind), "{violation:?}");
}

#[test]
fn courses_ask_for_every_kafka_request_that_there_is() {
    let mut asked = BTreeSet::new();
    for seed in 1..=60 {
        for step in course::draw(&mut Rng::new(seed)) {
            if let Step::Kafka(request) | Step::Early(request) = step {
                asked.insert(i16::from_be_bytes([request[4], request[5]]));
            }
        }
    }
    let mut world = World::new(&Setup::new(1, 1));
    let conn = world.connect(0, Protocol::Kafka);
    let answer = same::ask(&mut world, conn, &kafka::api_versions()).unwrap();
    let mut answer = Answer::of(&answer);
    assert_eq!(answer.i16(), 0);
    let there_are = answer.array(|answer| (answer.i16(), answer.i16(), answer.i16()).0);
    assert_eq!(asked, there_are.into_iter().collect());
}

#[test]
fn a_peer_that_takes_nothing_or_goes_holds_up_nobody_else() {
    let mut world = World::new(&Setup::new(5, 2));
    let conns = [0, 1, 1].map(|core| world.connect(core, Protocol::Kafka));
    same::ask(&mut world, conns[0], &kafka::create_topics(&[("a", 4)])).unwrap();
    world.stall(conns[1], true);
    for _ in 0..100 {
        world.send(conns[1], &kafka::describe_configs(&["a"]));
    }
    let half = &kafka::produce(-1, &[("a", 0, 40_000)])[..20_000];
    world.send(conns[2], half);
    world.settle();
    assert!(world.queued(conns[1]) > 0);
    for partition in 0..4 {
        let answer = same::ask(
            &mut world,
            conns[0],
            &kafka::produce(-1, &[("a", partition, 10)]),
        );
        answer.unwrap();
    }
    world.finish(conns[2]);
    world.reset(conns[1]);
    world.settle();
    assert!(!world.is_open(conns[1]) && !world.is_open(conns[2]));
    world.stop();
    world.until("the broker stops", |world| world.has_stopped());
}
