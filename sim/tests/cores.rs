//! Whole brokers in the simulator: every answer is the same however many cores give it.

use leveret_broker::core::boundary::Protocol;
use leveret_sim::cores::{Setup, World, kafka, same};
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
