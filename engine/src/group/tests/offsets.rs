//! Offsets stay until somebody deletes them, or nobody has wanted them for long.

use super::bench::*;
use crate::group::*;
use crate::machine::Machine;
use leveret_storage::types::LogId;

const DAY: u64 = 24 * 3_600_000;

fn many(caller: &Caller, logs: std::ops::Range<u64>) -> GroupCall {
    let offsets = logs.map(|log| NewOffset {
        log: LogId(log),
        offset: i64::try_from(log).unwrap() + 1,
        leader_epoch: 3,
        metadata: name("meta"),
    });
    GroupCall::Commit(Commit {
        group: name(G),
        caller: caller.clone(),
        offsets: offsets.collect(),
    })
}

fn all(bench: &mut Bench) -> Vec<FoundOffset> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let call = GroupCall::FetchOffsets(FetchOffsets {
            group: name(G),
            which: WhichOffsets::All { after },
            require_stable: false,
        });
        let Ok(GroupReply::Offsets(page)) = bench.call(call) else {
            panic!("offsets");
        };
        assert!(page.found.len() <= 4096);
        found.extend(page.found);
        match page.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

#[test]
fn what_was_committed_is_there_after_a_restart_with_all_that_was_said() {
    let mut bench = Bench::new();
    assert_eq!(offset(bench.call(fetch(1))), None, "of an unknown group");
    bench.call(many(&simple(), 1..3)).unwrap();
    bench.wait_ms(5);
    bench.call(commit(&simple(), 2, 9)).unwrap();
    let before = all(&mut bench);
    assert_eq!(before.len(), 2);
    let committed = before[0].committed.as_ref().unwrap();
    assert_eq!((committed.offset, committed.leader_epoch), (2, 3));
    assert_eq!(committed.metadata.as_deref(), Some("meta"));
    for snapshot in [false, true] {
        if snapshot {
            bench.keep_snapshot();
            bench.call(commit(&simple(), 5, 1)).unwrap();
        }
        bench.restart();
        assert_eq!(all(&mut bench)[..2], before);
        assert_eq!(offset(bench.call(fetch(5))), snapshot.then_some(1));
        assert_eq!(offset(bench.call(fetch(6))), None);
    }
}

#[test]
fn many_offsets_stand_in_several_entries_pieces_and_answers() {
    let mut bench = Bench::new();
    bench.call(many(&simple(), 0..5000)).unwrap();
    assert!(bench.log.len() > 5, "{}", bench.log.len());
    assert!(bench.log.iter().all(|(_, bytes)| bytes.len() <= 17 << 10));
    assert!(bench.machine.snapshot().count() > 2);
    let before = all(&mut bench);
    assert_eq!(before.len(), 5000);
    bench.keep_snapshot();
    bench.restart();
    assert_eq!(all(&mut bench), before);
    // As many as there may be: what is there can change, and no other comes.
    let Ok(GroupReply::Committed(refused)) = bench.call(many(&simple(), 4999..5002)) else {
        panic!("committed");
    };
    assert_eq!(
        refused,
        [(1, GroupError::TooMany), (2, GroupError::TooMany)]
    );
}

#[test]
fn a_snapshot_shows_nothing_of_what_comes_later() {
    let mut bench = Bench::new();
    bench.call(many(&simple(), 0..5000)).unwrap();
    let mut pieces = bench.machine.snapshot();
    let first = pieces.next().unwrap();
    bench.call(commit(&simple(), 4999, -7)).unwrap();
    bench.call(delete()).unwrap();
    let bytes = std::iter::once(first).chain(pieces).collect::<Vec<_>>();
    bench.snapshot = Some((bytes.concat(), 0));
    bench.log.clear();
    bench.restart();
    assert_eq!(offset(bench.call(fetch(4999))), Some(5000));
}

#[test]
fn a_commit_that_finds_the_journal_full_happens_later_and_once_more_does_no_harm() {
    let mut bench = Bench::new();
    bench.room = 2;
    let call = many(&simple(), 0..5000);
    assert_eq!(bench.try_ask(&call), None);
    assert_eq!(bench.log.len(), 2);
    // A part of it may be there: nobody was told.
    bench.restart();
    bench.room = usize::MAX;
    bench.call(call).unwrap();
    assert_eq!(all(&mut bench).len(), 5000);
}

#[test]
fn offsets_of_those_without_a_group_go_when_they_are_old() {
    let mut bench = Bench::new();
    bench.call(commit(&simple(), 1, 1)).unwrap();
    bench.wait_ms(3 * DAY);
    bench.call(commit(&simple(), 2, 2)).unwrap();
    bench.wait_ms(4 * DAY - 10_000);
    assert_eq!(all(&mut bench).len(), 2);
    bench.wait_ms(20_000);
    assert_eq!(all(&mut bench).len(), 1);
    // A start looks at once, and not too early.
    bench.keep_snapshot();
    bench.restart();
    assert_eq!(all(&mut bench).len(), 1);
    bench.wait_ms(3 * DAY);
    assert_eq!(bench.state(), None, "nothing is left of it");
    assert_eq!(bench.machine.next_deadline(), None);
    bench.restart();
    assert_eq!(bench.state(), None);
}

#[test]
pub(super) fn offsets_of_a_group_go_long_after_its_last_member() {
    let mut bench = Bench::new();
    let member = bench.stable();
    bench.call(many(&member, 0..3000)).unwrap();
    for _ in 0..8 * DAY / 9000 {
        bench.wait_ms(9000);
        bench.call(heartbeat(&member)).unwrap();
    }
    assert_eq!(
        all(&mut bench).len(),
        3000,
        "while there are members, all stay"
    );
    bench.call(leave(&member.member, None)).unwrap();
    bench.restart();
    bench.wait_ms(7 * DAY - 20_000);
    assert_eq!(all(&mut bench).len(), 3000);
    bench.wait_ms(40_000);
    assert_eq!(all(&mut bench).len(), 0);
    assert_eq!(bench.state(), None);
}

#[test]
fn a_group_without_members_and_offsets_goes_after_a_while() {
    let mut bench = Bench::new();
    let member = bench.stable();
    bench.call(leave(&member.member, None)).unwrap();
    bench.wait_ms(590_000);
    assert_eq!(bench.state(), Some(GroupState::Empty));
    bench.wait_ms(20_000);
    assert_eq!(bench.state(), None);
    assert_eq!(bench.machine.next_deadline(), None);
}

#[test]
fn deleted_offsets_and_groups_do_not_come_back() {
    let mut bench = Bench::new();
    bench.call(many(&simple(), 1..4)).unwrap();
    bench.call(delete_offsets("t", 2)).unwrap();
    bench.restart();
    assert_eq!(all(&mut bench).len(), 2);
    bench.call(delete()).unwrap();
    bench.restart();
    assert_eq!(all(&mut bench).len(), 0);
    assert_eq!(bench.state(), None);
}

#[test]
fn a_commit_of_nothing_makes_no_group_and_no_more_groups_are_made_than_may_be() {
    let mut bench = Bench::new();
    bench.call(many(&simple(), 0..0)).unwrap();
    assert_eq!(bench.state(), None);
    let of = |n: usize| {
        let mut call = many(&simple(), 0..1);
        if let GroupCall::Commit(commit) = &mut call {
            commit.group = name(&format!("group {n}"));
        }
        call
    };
    for n in 0..SETTINGS.groups {
        bench.call(of(n)).unwrap();
    }
    assert_eq!(bench.call(of(99)), Err(GroupError::TooMany));
    assert_eq!(
        bench.call(commit(&simple(), 1, 1)),
        Err(GroupError::TooMany)
    );
    bench.call(of(0)).unwrap();
    let list = |states: &[GroupState], after: Option<&str>| {
        GroupCall::List(List {
            states: states.to_vec(),
            kinds: vec![GroupKind::Classic],
            after: after.map(name),
        })
    };
    let Ok(GroupReply::Listed(groups, None)) = bench.call(list(&[], None)) else {
        panic!("listed");
    };
    assert_eq!(groups.len(), SETTINGS.groups);
    let Ok(GroupReply::Listed(groups, None)) = bench.call(list(&[], Some("group 5"))) else {
        panic!("listed");
    };
    assert_eq!((groups.len(), &*groups[0].group), (2, "group 6"));
    let stable = bench.call(list(&[GroupState::Stable], None));
    assert_eq!(stable, Ok(GroupReply::Listed(Vec::new(), None)));
}
