//! Whole brokers that crash, stop and start again, in the simulator.

use leveret_sim::cores::lives;
use leveret_sim::counters::Counters;
use leveret_sim::mutants::{expected, hunt, mode};
use leveret_sim::plan::{Mode, Plan};
use leveret_sim::rng::Rng;
use leveret_sim::trace::Trace;
use leveret_storage::mutation::Mutation;

/// Rules of what cores promise, each with the most seeds that it may take to notice that it is broken.
const RULES: [(Mutation, u64); 7] = [
    (Mutation::OkBeforeInstall, 20),
    (Mutation::HopsOvertake, 20),
    (Mutation::NeverHurried, 150),
    (Mutation::NeverCancelled, 150),
    (Mutation::StopsUndrained, 150),
    (Mutation::HandOverForgets, 50),
    (Mutation::KeepsPermits, 20),
];

#[test]
fn thirty_seeds_keep_every_promise_and_meet_what_they_are_meant_to_meet() {
    let mut met = Counters::default();
    let mut hashes = Vec::new();
    for seed in 1..=30 {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng, Mode::Cores, None);
        let mut trace = Trace::new(false);
        let lived = lives::run(rng, plan, &mut met, &mut trace);
        assert_eq!(lived, Ok(()), "seed {seed}");
        hashes.push(trace.hash());
    }
    let numbers = [
        ("crashes", met.crashes, 100),
        ("power cuts", met.power_cuts, 50),
        ("kills", met.kills, 20),
        ("crashes during recovery", met.crashes_during_recovery, 10),
        ("other numbers of cores", met.core_count_changes, 50),
        ("stops", met.clean_stops, 15),
        ("batches acknowledged", met.acknowledged, 2_000),
        ("batches refused", met.refusals, 20),
        ("fetches", met.entries_read, 1_000),
        ("pushes", met.pushes, 50),
        ("topics altered", met.alterations, 100),
        ("topics deleted", met.drops, 15),
        ("connections that hung up", met.hung_up, 15),
        ("connections that changed their core", met.handed_over, 30),
        ("writes torn or lost", met.torn_writes + met.lost_writes, 10),
    ];
    for (what, number, least) in numbers {
        assert!(number >= least, "{number} {what}: {met:?}");
    }
    let mut rng = Rng::new(30);
    let plan = Plan::draw(&mut rng, Mode::Cores, None);
    let mut trace = Trace::new(false);
    lives::run(rng, plan, &mut met, &mut trace).expect("it was well before");
    assert_eq!(hashes.last(), Some(&trace.hash()), "a seed has one course");
}

/// The control: each rule is broken once, and that is noticed as what it is, while the same seed finds
/// nothing without.
#[test]
fn a_broken_rule_of_cores_is_noticed() {
    for (mutation, most) in RULES {
        assert_eq!(mode(mutation), Mode::Cores);
        let caught = hunt(mutation, 1, most).caught;
        let caught = caught.unwrap_or_else(|| panic!("{mutation} is not noticed"));
        let violation = caught.violation.expect("it was caught");
        assert!(expected(mutation).contains(&violation.kind), "{violation}");
    }
}
