//! Static members: one instance id, one process.

use super::bench::*;
use crate::group::*;

/// A stable group of one static member: its caller.
fn stable(bench: &mut Bench, instance: &str) -> Caller {
    let joining = bench.ask(static_join(instance, ""));
    bench.wait_ms(3000);
    let joined = bench.joined(joining);
    let own = of(instance, &caller(&joined.member, joined.generation));
    bench.call(sync(&own, &[(&joined.member, "all")])).unwrap();
    own
}

fn assignment(answer: Answer) -> Vec<u8> {
    match answer {
        Ok(GroupReply::Synced(synced)) => synced.assignment.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_that_comes_back_gets_the_same_assignment_and_nobody_rebalances() {
    for restart in [false, true] {
        for can_skip_assignment in [false, true] {
            let mut bench = Bench::new();
            let old = stable(&mut bench, "i");
            assert!(old.member.starts_with("i-"), "{}", old.member);
            let back = bench.ask(Join {
                can_skip_assignment,
                ..static_join("i", "")
            });
            let joined = bench.joined(back);
            assert_ne!(joined.member, old.member);
            assert_eq!(joined.generation, old.generation);
            assert_eq!(joined.skip_assignment, can_skip_assignment);
            // An older client that took itself for the leader would assign.
            let leads = joined.leader == joined.member;
            assert_eq!(leads, can_skip_assignment);
            assert_eq!(joined.members.len(), usize::from(can_skip_assignment));
            if restart {
                bench.restart();
            }
            let new = of("i", &caller(&joined.member, joined.generation));
            assert_eq!(assignment(bench.call(sync(&new, &[]))), b"all");
            bench.call(heartbeat(&new)).unwrap();
            // The other stays out, whatever it does.
            for call in [
                heartbeat(&old),
                sync(&old, &[]),
                commit(&old, 1, 1),
                static_join("i", &old.member).into(),
                leave(&old.member, Some("i")),
            ] {
                let refused = match bench.call(call) {
                    Ok(GroupReply::Left(left)) => left[0],
                    other => other.map(|_| ()),
                };
                assert_eq!(refused, Err(GroupError::FencedInstance));
            }
            assert_eq!(bench.state(), Some(GroupState::Stable));
        }
    }
}

#[test]
fn a_process_that_comes_back_with_another_protocol_rebalances() {
    let mut bench = Bench::new();
    stable(&mut bench, "i");
    let back = bench.ask(Join {
        protocols: vec![protocol("sticky", "t")],
        ..static_join("i", "")
    });
    let joined = bench.joined(back);
    assert_eq!((joined.generation, &*joined.protocol), (2, "sticky"));
    assert!(!joined.skip_assignment);
}

#[test]
fn a_waiting_join_and_a_waiting_sync_of_the_old_process_are_fenced() {
    let mut bench = Bench::new();
    let first = bench.ask(static_join("i", ""));
    bench.run();
    let second = bench.ask(static_join("i", ""));
    assert_eq!(bench.answer(first), Some(Err(GroupError::FencedInstance)));
    let leader = bench.ask(join(""));
    bench.wait_ms(3000);
    let (second, leader) = (bench.joined(second), bench.joined(leader));
    let (follower, instance) = match leader.leader == leader.member {
        true => (second, Some("i")),
        false => (leader, None),
    };
    assert_eq!(instance, None, "the first that came leads");
    let waiting = bench.ask(sync(&caller(&follower.member, follower.generation), &[]));
    assert_eq!(bench.answer(waiting), None);
    // In a generation that has no assignments yet, all have to join again.
    let third = bench.ask(static_join("i", ""));
    assert_eq!(bench.answer(waiting), Some(Err(GroupError::Rebalancing)));
    assert_eq!(bench.answer(third), None);
    assert_eq!(bench.state(), Some(GroupState::PreparingRebalance));
}

#[test]
fn a_static_member_that_is_away_keeps_its_place_until_its_session_ends() {
    let mut bench = Bench::new();
    let away = bench.ask(Join {
        session_ms: 60_000,
        ..static_join("i", "")
    });
    bench.wait_ms(3000);
    let away = bench.joined(away);
    let away = of("i", &caller(&away.member, away.generation));
    bench.call(sync(&away, &[])).unwrap();
    // Another one comes, and waits as long as the barrier does.
    let other = bench.ask(join(""));
    bench.wait_ms(19_000);
    assert_eq!(bench.answer(other), None);
    bench.wait_ms(2000);
    let other = bench.joined(other);
    assert_eq!(other.members.len(), 2, "it is still a member");
    assert_eq!(other.leader, other.member, "but cannot lead");
    let own = caller(&other.member, other.generation);
    bench.call(sync(&own, &[])).unwrap();
    assert_eq!(
        bench.call(heartbeat(&away)),
        Err(GroupError::WrongGeneration)
    );
    for _ in 0..5 {
        bench.wait_ms(9000);
        let _ = bench.call(heartbeat(&own));
    }
    assert_eq!(bench.call(heartbeat(&away)), Err(GroupError::UnknownMember));
    assert_eq!(bench.call(heartbeat(&own)), Err(GroupError::Rebalancing));
}

#[test]
fn static_members_alone_that_are_all_away_keep_the_group() {
    let mut bench = Bench::new();
    let old = stable(&mut bench, "i");
    // A newcomer makes them join again, and goes.
    let passing = bench.ask(join(""));
    bench.machine.gone(passing, bench.now);
    bench.run();
    assert_eq!(bench.state(), Some(GroupState::PreparingRebalance));
    bench.wait_ms(9000);
    assert_eq!(bench.call(heartbeat(&old)), Err(GroupError::Rebalancing));
    let back = bench.ask(static_join("i", &old.member));
    assert_eq!(bench.joined(back).generation, 2);
}

#[test]
fn whoever_sends_a_static_member_away_needs_no_member_id() {
    let mut bench = Bench::new();
    let own = stable(&mut bench, "i");
    let Ok(GroupReply::Left(left)) = bench.call(leave("", Some("other"))) else {
        panic!("left");
    };
    assert_eq!(left, [Err(GroupError::UnknownMember)]);
    let Ok(GroupReply::Left(left)) = bench.call(leave("", Some("i"))) else {
        panic!("left");
    };
    assert_eq!(left, [Ok(())]);
    assert_eq!(bench.call(heartbeat(&own)), Err(GroupError::UnknownMember));
    assert_eq!(bench.state(), Some(GroupState::Empty));
}
