//! Whole brokers in the simulator: every answer is the same however many cores give it.

use leveret_broker::core::boundary::Protocol;
use leveret_sim::cores::kafka::{self, Bounds, Wanted};
use leveret_sim::cores::{Setup, World, same};
use leveret_sim::counters::Counters;
use leveret_sim::plan::Mode;
use leveret_sim::run::run;

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
            let wanted = [0, 1, 2, 3].map(|partition| Wanted {
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
            let fetched = kafka::fetched(&ask(&kafka::fetch(bounds, &wanted)));
            let bytes: usize = fetched.iter().map(|part| part.records.len()).sum();
            assert!(bytes <= longest && bytes > 0, "{bytes} from {cores} cores");
            let given = fetched.iter().filter(|part| !part.records.is_empty());
            assert_eq!(given.count(), parts);
        }
    }
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
