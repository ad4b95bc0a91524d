//! Generations: who is in them, who leads, and how long anybody waits.

use super::bench::*;
use crate::group::*;

/// Joins of several newcomers, all answered.
fn several(bench: &mut Bench, joins: Vec<Join>) -> Vec<Joined> {
    let joining: Vec<_> = joins.into_iter().map(|join| bench.ask(join)).collect();
    bench.wait_ms(3000);
    joining.into_iter().map(|join| bench.joined(join)).collect()
}

fn callers(joined: &[Joined]) -> Vec<Caller> {
    joined
        .iter()
        .map(|one| caller(&one.member, one.generation))
        .collect()
}

fn synced(answer: Option<Answer>) -> Vec<u8> {
    match answer {
        Some(Ok(GroupReply::Synced(synced))) => synced.assignment.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
pub(super) fn members_join_one_leads_and_each_gets_what_it_was_assigned_also_after_a_restart() {
    let mut bench = Bench::new();
    let joined = several(&mut bench, vec![join(""), join(""), join("")]);
    assert!(
        joined
            .iter()
            .all(|one| one.generation == 1 && one.leader == joined[0].member)
    );
    assert_eq!(joined[0].members.len(), 3);
    assert!(joined[1].members.is_empty() && joined[2].members.is_empty());
    let who = callers(&joined);
    let waiting = bench.ask(sync(&who[1], &[]));
    assert_eq!(bench.answer(waiting), None);
    let assignments = [
        (&*joined[0].member, "a"),
        (&*joined[1].member, "b"),
        ("nobody", "c"),
    ];
    let led = bench.ask(sync(&who[0], &assignments));
    assert_eq!(synced(bench.answer(led)), b"a");
    assert_eq!(synced(bench.answer(waiting)), b"b");
    // Everything that was ordered before the answers is what a restart needs.
    assert_eq!(bench.behind[&waiting], bench.log.len());
    for snapshot in [None, Some(false), Some(true)] {
        if let Some(snapshot) = snapshot {
            if snapshot {
                bench.keep_snapshot();
            }
            bench.restart();
        }
        let third = bench.ask(sync(&who[2], &[]));
        assert_eq!(synced(bench.answer(third)), b"");
        let second = bench.ask(sync(&who[1], &[]));
        assert_eq!(synced(bench.answer(second)), b"b");
        assert_eq!(bench.call(heartbeat(&who[0])), Ok(GroupReply::Beat));
        assert_eq!(bench.state(), Some(GroupState::Stable));
    }
    // Each member has a whole session after a start, and no more.
    bench.wait_ms(9000);
    assert_eq!(bench.state(), Some(GroupState::Stable));
    bench.wait_ms(2000);
    assert_eq!(bench.state(), Some(GroupState::Empty));
}

#[test]
fn the_first_generation_waits_for_those_who_come_at_once_and_not_for_ever() {
    let mut bench = Bench::new();
    let first = bench.ask(join(""));
    bench.wait_ms(249);
    assert_eq!(bench.answer(first), None);
    bench.wait_ms(2);
    assert_eq!(bench.joined(first).generation, 1);
    let mut bench = Bench::new();
    let first = bench.ask(join(""));
    let start = bench.now.mono;
    while bench.now.mono.since(start) < 2_700_000_000 {
        bench.wait_ms(200);
        // Somebody comes again and again.
        let passing = bench.ask(join(""));
        bench.machine.gone(passing, bench.now);
        assert_eq!(bench.answer(first), None);
    }
    // 250 ms after the last one would be later than 3 s after the first.
    bench.wait_ms(190);
    assert_eq!(bench.answer(first), None);
    bench.wait_ms(20);
    assert_eq!(bench.joined(first).generation, 1);
}

#[test]
pub(super) fn a_dynamic_member_is_named_first_where_it_is_to_be() {
    let mut bench = Bench::new();
    let named = |bench: &mut Bench| {
        let call = Join {
            must_be_named: true,
            ..join("")
        };
        match bench.call(call) {
            Ok(GroupReply::Named { member }) => member,
            other => panic!("{other:?}"),
        }
    };
    let member = named(&mut bench);
    assert!(member.starts_with("client-") && member.len() == "client-".len() + 36);
    assert_ne!(named(&mut bench), member);
    let joining = bench.ask(join(&member));
    bench.wait_ms(3000);
    let joined = bench.joined(joining);
    assert_eq!((&joined.member, joined.members.len()), (&member, 1));
    // Others wait for one who was named, for 5 s.
    let own = caller(&member, 1);
    bench.call(sync(&own, &[])).unwrap();
    named(&mut bench);
    let again = bench.ask(Join {
        protocols: vec![protocol("range", "other")],
        ..join(&member)
    });
    bench.wait_ms(4900);
    assert_eq!(bench.answer(again), None);
    bench.wait_ms(200);
    assert_eq!(bench.joined(again).generation, 2);
    // The id is known for a minute.
    let late = named(&mut bench);
    let later = named(&mut bench);
    let own = caller(&member, 2);
    bench.call(sync(&own, &[])).unwrap();
    for _ in 0..7 {
        bench.wait_ms(8000);
        bench.call(heartbeat(&own)).unwrap();
    }
    bench.ask(join(&late));
    bench.wait_ms(5000);
    assert_eq!(bench.call(join(&later)), Err(GroupError::UnknownMember));
}

#[test]
fn a_group_of_which_only_an_id_is_known_leaves_nothing() {
    let mut bench = Bench::new();
    let call = Join {
        must_be_named: true,
        ..join("")
    };
    bench.call(call).unwrap();
    assert_eq!(bench.call(delete()), Err(GroupError::UnknownGroup));
    bench.wait_ms(61_000);
    assert_eq!(bench.state(), None);
    assert!(bench.log.is_empty());
    assert_eq!(bench.machine.next_deadline(), None);
}

#[test]
pub(super) fn a_newcomer_whose_connection_ends_is_dropped_and_holds_nobody_up() {
    let mut bench = Bench::new();
    let member = bench.stable();
    let [newcomer, gone] = [bench.ask(join("")), bench.ask(join(""))];
    bench.machine.gone(gone, bench.now);
    bench.run();
    let again = bench.ask(Join {
        protocols: vec![protocol("range", "other")],
        ..join(&member.member)
    });
    assert_eq!(bench.joined(again).members.len(), 2);
    bench.joined(newcomer);
    assert_eq!(bench.answer(gone), None);
    // In the first generation, too.
    let mut bench = Bench::new();
    let gone = bench.ask(join(""));
    bench.machine.gone(gone, bench.now);
    bench.wait_ms(4000);
    assert_eq!(bench.state(), None);
    assert_eq!(bench.answer(gone), None);
    // A member that was known before stays until its session ends.
    let mut bench = Bench::new();
    let member = bench.stable();
    bench.ask(join(""));
    let second = bench.ask(join(""));
    bench.machine.gone(second, bench.now);
    bench.wait_ms(3000);
    assert_eq!(bench.call(heartbeat(&member)), Err(GroupError::Rebalancing));
}

#[test]
fn who_does_not_join_again_in_time_is_dropped_and_another_one_leads() {
    let mut bench = Bench::new();
    let member = bench.stable();
    let newcomer = bench.ask(join(""));
    let mut waited = 0;
    while waited < 19_000 {
        // It is alive, but does not come.
        bench.wait_ms(1000);
        waited += 1000;
        assert_eq!(bench.call(heartbeat(&member)), Err(GroupError::Rebalancing));
        assert_eq!(bench.answer(newcomer), None);
    }
    bench.wait_ms(1001);
    let joined = bench.joined(newcomer);
    assert_eq!((joined.members.len(), joined.generation), (1, 2));
    assert_eq!(joined.leader, joined.member);
    assert_eq!(
        bench.call(heartbeat(&member)),
        Err(GroupError::UnknownMember)
    );
}

#[test]
fn who_is_silent_is_dropped_and_who_is_heard_is_not() {
    let mut bench = Bench::new();
    let joined = several(&mut bench, vec![join(""), join(""), join("")]);
    let who = callers(&joined);
    bench.call(sync(&who[0], &[])).unwrap();
    bench.call(sync(&who[1], &[])).unwrap();
    bench.call(sync(&who[2], &[])).unwrap();
    bench.wait_ms(9000);
    bench.call(heartbeat(&who[0])).unwrap();
    // A commit is as good.
    bench.call(commit(&who[1], 1, 1)).unwrap();
    bench.wait_ms(2000);
    assert_eq!(bench.call(heartbeat(&who[0])), Err(GroupError::Rebalancing));
    assert_eq!(bench.call(heartbeat(&who[1])), Err(GroupError::Rebalancing));
    assert_eq!(
        bench.call(heartbeat(&who[2])),
        Err(GroupError::UnknownMember)
    );
    // So is a heartbeat that is told to join again.
    bench.wait_ms(9000);
    assert_eq!(bench.call(heartbeat(&who[0])), Err(GroupError::Rebalancing));
}

#[test]
pub(super) fn who_does_not_sync_in_time_is_dropped() {
    for led in [false, true] {
        let mut bench = Bench::new();
        let long = || Join {
            session_ms: 60_000,
            ..join("")
        };
        let joined = several(&mut bench, vec![long(), long()]);
        let who = callers(&joined);
        let call = if led { &who[0] } else { &who[1] };
        let asked = bench.ask(sync(call, &[]));
        bench.wait_ms(19_000);
        assert_eq!(bench.answer(asked).is_some(), led);
        bench.wait_ms(2000);
        let silent = if led { &who[1] } else { &who[0] };
        assert_eq!(
            bench.call(heartbeat(silent)),
            Err(GroupError::UnknownMember)
        );
        assert_eq!(bench.call(heartbeat(call)), Err(GroupError::Rebalancing));
        if !led {
            assert_eq!(bench.answer(asked), Some(Err(GroupError::Rebalancing)));
        }
    }
}

#[test]
fn the_protocol_is_one_that_all_know_and_most_like_best() {
    let mut bench = Bench::new();
    let likes = |names: &[&str]| Join {
        protocols: names.iter().map(|name| protocol(name, "t")).collect(),
        ..join("")
    };
    let joins = vec![
        likes(&["a", "b", "c"]),
        likes(&["c", "b"]),
        likes(&["b", "c", "d"]),
    ];
    let joined = several(&mut bench, joins);
    assert!(joined.iter().all(|one| &*one.protocol == "b"));
    // As many like each: the leader decides. A name that is said twice counts once.
    let mut bench = Bench::new();
    let joined = several(
        &mut bench,
        vec![likes(&["b", "a", "b"]), likes(&["a", "b"])],
    );
    assert!(joined.iter().all(|one| &*one.protocol == "b"));
    let who = callers(&joined);
    bench.call(leave(&who[1].member, None)).unwrap();
    bench.call(leave(&who[0].member, None)).unwrap();
    assert_eq!(bench.state(), Some(GroupState::Empty));
}

#[test]
fn only_a_leader_or_a_change_rebalances_a_stable_group() {
    let mut bench = Bench::new();
    let joined = several(&mut bench, vec![join(""), join("")]);
    let who = callers(&joined);
    bench.call(sync(&who[0], &[])).unwrap();
    bench.call(sync(&who[1], &[])).unwrap();
    let follower = bench.ask(join(&who[1].member));
    let again = bench.joined(follower);
    assert_eq!((again.generation, again.members.len()), (1, 0));
    assert_eq!(bench.state(), Some(GroupState::Stable));
    let leader = bench.ask(join(&who[0].member));
    assert_eq!(bench.answer(leader), None);
    assert_eq!(bench.state(), Some(GroupState::PreparingRebalance));
    let follower = bench.ask(join(&who[1].member));
    assert_eq!(bench.joined(leader).generation, 2);
    assert_eq!(bench.joined(follower).generation, 2);
}

#[test]
fn of_two_joins_of_a_member_the_later_one_waits() {
    let mut bench = Bench::new();
    let joined = several(&mut bench, vec![join(""), join("")]);
    let first = bench.ask(Join {
        protocols: vec![protocol("range", "u")],
        ..join(&joined[0].member)
    });
    let second = bench.ask(Join {
        protocols: vec![protocol("range", "u")],
        ..join(&joined[0].member)
    });
    assert_eq!(bench.answer(first), Some(Err(GroupError::Rebalancing)));
    let other = bench.ask(join(&joined[1].member));
    assert_eq!(bench.joined(second).members.len(), 2);
    bench.joined(other);
}

#[test]
fn a_generation_that_only_began_is_not_given_again() {
    let mut bench = Bench::new();
    let member = bench.stable();
    let newcomer = bench.ask(join(""));
    let again = bench.ask(join(&member.member));
    assert_eq!(bench.joined(newcomer).generation, 2);
    bench.joined(again);
    bench.restart();
    // Those of the last one that had assignments are to join again.
    assert_eq!(
        bench.call(heartbeat(&member)),
        Err(GroupError::WrongGeneration)
    );
    let new = Caller {
        generation: 2,
        ..member.clone()
    };
    assert_eq!(bench.call(sync(&new, &[])), Err(GroupError::Rebalancing));
    let again = bench.ask(join(&member.member));
    assert_eq!(bench.joined(again).generation, 3);
}

#[test]
fn a_leader_that_finds_the_journal_full_assigns_later() {
    let mut bench = Bench::new();
    let joined = several(&mut bench, vec![join(""), join("")]);
    let who = callers(&joined);
    let waiting = bench.ask(sync(&who[1], &[]));
    let lead = sync(&who[0], &[(&joined[1].member, "b")]);
    bench.room = 1;
    assert_eq!(bench.try_ask(&lead), None);
    assert_eq!(bench.state(), Some(GroupState::CompletingRebalance));
    assert_eq!(bench.answer(waiting), None);
    bench.keep_snapshot();
    bench.room = usize::MAX;
    bench.call(lead).unwrap();
    assert_eq!(synced(bench.answer(waiting)), b"b");
    bench.restart();
    let again = bench.ask(sync(&who[1], &[]));
    assert_eq!(synced(bench.answer(again)), b"b");
}

#[test]
fn a_barrier_that_finds_the_journal_full_ends_later() {
    let mut bench = Bench::new();
    let first = bench.ask(join(""));
    bench.room = 0;
    // Nobody is asked when that is: it is due again when there is room.
    bench.now.mono = bench.now.mono.after(400_000_000);
    bench.run();
    assert_eq!(bench.answer(first), None);
    bench.room = 1;
    bench.run();
    assert_eq!(bench.joined(first).generation, 1);
}

#[test]
fn what_members_say_is_bounded_for_each_and_for_all() {
    let mut bench = Bench::new();
    let long = |len: usize| Join {
        protocols: vec![Protocol {
            subscription: vec![7; len].into(),
            ..protocol("range", "t")
        }],
        ..join("")
    };
    assert_eq!(bench.call(long(1000)), Err(GroupError::TooLong));
    for _ in 0..3 {
        bench.ask(long(900));
    }
    assert_eq!(bench.call(long(900)), Err(GroupError::GroupFull));
    bench.wait_ms(3000);
    let mut answers = std::mem::take(&mut bench.answers).into_values();
    let Some(Ok(GroupReply::Joined(joined))) =
        answers.find(|one| matches!(one, Ok(GroupReply::Joined(one)) if !one.members.is_empty()))
    else {
        panic!("a leader");
    };
    let leader = caller(&joined.member, joined.generation);
    let too_long: &'static str = Box::leak("x".repeat(1001).into_boxed_str());
    let refused = bench.call(sync(&leader, &[(&joined.member, too_long)]));
    assert_eq!(refused, Err(GroupError::TooLong));
}

#[test]
fn a_description_tells_who_is_there_and_what_they_have() {
    let mut bench = Bench::new();
    let member = bench.stable();
    let Ok(GroupReply::Described(found)) = bench.call(describe()) else {
        panic!("described");
    };
    assert_eq!(
        (&*found.protocol_type, &*found.protocol),
        ("consumer", "range")
    );
    let one = &found.members[0];
    assert_eq!(
        (&one.member, &*one.client_id, &*one.host),
        (&member.member, "client", "/127.0.0.1")
    );
    assert_eq!(
        (&one.subscription[..], &one.assignment[..]),
        (&b"t"[..], &b"all"[..])
    );
    bench.ask(join(""));
    let Ok(GroupReply::Described(found)) = bench.call(describe()) else {
        panic!("described");
    };
    assert_eq!((&*found.protocol_type, &*found.protocol), ("consumer", ""));
    assert_eq!(found.members.len(), 2);
    assert!(found.members.iter().all(|one| one.assignment.is_empty()));
}

#[test]
fn nothing_is_left_of_members_and_calls_that_are_gone() {
    let mut bench = Bench::new();
    let member = bench.stable();
    for n in 0..50 {
        let newcomer = bench.ask(Join {
            session_ms: 30_000 - 100 * n,
            ..join("")
        });
        bench.machine.gone(newcomer, bench.now);
        bench.run();
    }
    bench.call(leave(&member.member, None)).unwrap();
    assert_eq!(bench.state(), Some(GroupState::Empty));
    assert_eq!(bench.machine.shared.waiting(), 0);
    // The group itself.
    assert_eq!(bench.machine.shared.deadlines.len(), 1);
}
