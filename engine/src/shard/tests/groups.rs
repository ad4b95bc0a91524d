//! Coordinators of groups on a shard: what is answered when, and what survives.

use bytes::Bytes;
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{Level, LogId};

use super::bench::*;
use super::*;
use crate::group::{
    Caller, Commit, FetchOffsets, GroupCall, GroupError, GroupReply, Heartbeat, Join, Joined, Name,
    NewOffset, Protocol, Sync, WhichOffsets,
};
use crate::topology::{Command, CoordinatorKind, CreateCoordinators, Topology, TopologyEntry};

fn copy(bench: &Bench) -> Topology {
    bench.shard.topology().unwrap().clone()
}

/// Coordinators, made at first use, and the log of the one that decides about `g`.
fn with_groups(settings: ShardSettings, config: StoreConfig) -> (Bench, LogId) {
    let mut bench = Bench::with(1, Level::Synced, settings, config);
    let before = copy(&bench);
    let kind = CoordinatorKind::Groups;
    let Reply::Topology(entry) = bench.command(&Command::Coordinators(CreateCoordinators(kind)))
    else {
        panic!("they are made");
    };
    install(&mut bench, &before, &entry);
    bench.wait_ms(1000);
    let log = copy(&bench).coordinators(kind).unwrap().of("g").0;
    (bench, log)
}

fn install(bench: &mut Bench, before: &Topology, entry: &TopologyEntry) {
    let concerned = before.concerned(entry);
    let mut index = 0;
    while let Some((log, slot, what)) = concerned.get(index) {
        bench.shard.change_log(log, slot, what, bench.now);
        index += 1;
    }
}

fn name(text: &str) -> Name {
    Name::from(text)
}

fn caller(member: &str, generation: i32) -> Caller {
    Caller {
        member: name(member),
        instance: None,
        generation,
    }
}

fn commit(offset: i64) -> GroupCall {
    GroupCall::Commit(Commit {
        group: name("g"),
        caller: caller("", -1),
        offsets: vec![NewOffset {
            log: LogId(1),
            offset,
            leader_epoch: -1,
            metadata: name("x"),
        }],
    })
}

fn fetch() -> GroupCall {
    GroupCall::FetchOffsets(FetchOffsets {
        group: name("g"),
        which: WhichOffsets::Of(vec![LogId(1)]),
        require_stable: false,
    })
}

fn join(member: &str, client: &str) -> GroupCall {
    GroupCall::Join(Box::new(Join {
        group: name("g"),
        member: name(member),
        instance: None,
        client_id: name(client),
        host: name("/127.0.0.1"),
        session_ms: 10_000,
        rebalance_ms: 20_000,
        protocol_type: name("consumer"),
        protocols: vec![Protocol {
            name: name("range"),
            subscription: Bytes::from_static(b"topics"),
            topics: None,
        }],
        must_be_named: false,
        can_skip_assignment: false,
    }))
}

fn sync(joined: &Joined, assigns: bool) -> GroupCall {
    let assignment = |member: &crate::group::JoinedMember| {
        (member.member.clone(), Bytes::from_static(b"part 0"))
    };
    GroupCall::Sync(Sync {
        group: name("g"),
        caller: caller(&joined.member, joined.generation),
        protocol_type: None,
        protocol: None,
        assignments: match assigns {
            true => joined.members.iter().map(assignment).collect(),
            false => Vec::new(),
        },
    })
}

fn beat(member: &str, generation: i32) -> GroupCall {
    GroupCall::Heartbeat(Heartbeat {
        group: name("g"),
        caller: caller(member, generation),
    })
}

fn send(bench: &mut Bench, log: LogId, call: GroupCall) -> RequestId {
    let request = bench.request();
    bench.shard.ask_group(request, log, call, bench.now);
    request
}

fn asked(bench: &mut Bench, log: LogId, call: GroupCall) -> Reply {
    let request = send(bench, log, call);
    bench.run();
    bench.reply(request).expect("a reply")
}

/// The offset that is kept; `None` for none.
fn kept(bench: &mut Bench, log: LogId) -> Option<i64> {
    match asked(bench, log, fetch()) {
        Reply::Group(Ok(GroupReply::Offsets(offsets))) => {
            let found = offsets.found[0].committed.as_ref();
            found.map(|committed| committed.offset)
        }
        other => panic!("{other:?}"),
    }
}

fn joined(reply: Option<Reply>) -> Box<Joined> {
    match reply {
        Some(Reply::Group(Ok(GroupReply::Joined(joined)))) => joined,
        other => panic!("{other:?}"),
    }
}

fn ordered(bench: &Bench, log: LogId) -> u64 {
    frontiers_of(&bench.shard.store, log).ordered.0.0
}

fn done() -> Option<Reply> {
    Some(Reply::Group(Ok(GroupReply::Committed(Vec::new()))))
}

#[test]
fn a_commit_is_answered_when_it_is_durable_and_survives_then() {
    let (mut bench, log) = with_groups(ShardSettings::default(), tiny_store());
    assert_eq!(kept(&mut bench, log), None);
    bench.disk.hold = true;
    let first = send(&mut bench, log, commit(7));
    let look = send(&mut bench, log, fetch());
    bench.run();
    assert_eq!(bench.reply(first), None);
    assert_eq!(bench.reply(look), None, "it tells of what may be lost yet");
    bench.disk.hold = false;
    bench.run();
    assert_eq!(bench.reply(first), done());
    assert!(matches!(bench.reply(look), Some(Reply::Group(Ok(_)))));
    bench.disk.hold = true;
    let lost = send(&mut bench, log, commit(8));
    bench.run();
    assert_eq!(bench.reply(lost), None);
    let mut bench = bench.restart();
    bench.disk.hold = false;
    assert_eq!(kept(&mut bench, log), Some(7));
    let partition = asked(&mut bench, LogId(1), fetch());
    assert_eq!(partition, Reply::Failed(EngineError::UnknownLog));
}

#[test]
fn members_join_get_their_assignments_and_are_missed_when_they_are_silent() {
    let (mut bench, log) = with_groups(ShardSettings::default(), tiny_store());
    let first = send(&mut bench, log, join("", "a"));
    let second = send(&mut bench, log, join("", "b"));
    bench.run();
    assert_eq!(bench.reply(first), None, "others may come");
    bench.wait_ms(3100);
    let members = [first, second].map(|request| joined(bench.reply(request)));
    let leader = usize::from(members[1].member == members[1].leader);
    assert_eq!(members[leader].members.len(), 2);
    // The leader's assignments are durable before anybody hears of them.
    bench.disk.hold = true;
    let waits = send(&mut bench, log, sync(&members[1 - leader], false));
    let assigns = send(&mut bench, log, sync(&members[leader], true));
    bench.run();
    assert_eq!((bench.reply(waits), bench.reply(assigns)), (None, None));
    bench.disk.hold = false;
    bench.run();
    for request in [waits, assigns] {
        let Some(Reply::Group(Ok(GroupReply::Synced(synced)))) = bench.reply(request) else {
            panic!("an assignment");
        };
        assert_eq!(synced.assignment, Bytes::from_static(b"part 0"));
    }
    // A heartbeat leaves no entry. A member that sends none is missed by the others.
    let (before, generation) = (ordered(&bench, log), members[0].generation);
    for _ in 0..3 {
        bench.wait_ms(4000);
        let reply = asked(&mut bench, log, beat(&members[0].member, generation));
        if reply != Reply::Group(Ok(GroupReply::Beat)) {
            assert_eq!(reply, Reply::Group(Err(GroupError::Rebalancing)));
        }
    }
    assert_eq!(ordered(&bench, log), before);
    let gone = asked(&mut bench, log, beat(&members[1].member, generation));
    assert_eq!(gone, Reply::Group(Err(GroupError::UnknownMember)));
    // After a crash the one that is left goes on with its generation, and gets a whole session.
    let mut bench = bench.restart();
    bench.wait_ms(9000);
    let reply = asked(&mut bench, log, beat(&members[0].member, generation));
    assert!(matches!(reply, Reply::Group(_)), "{reply:?}");
    assert_ne!(reply, Reply::Group(Err(GroupError::UnknownMember)));
}

#[test]
fn a_commit_that_finds_the_journal_full_waits_and_a_heartbeat_does_not() {
    let settings = ShardSettings {
        parked_requests: 3,
        ..ShardSettings::default()
    };
    let (mut bench, log) = with_groups(settings, tiny_store());
    bench.disk.hold = true;
    while bench.shard.stats().parked == 0 {
        bench.send(1, batch(&[&[1; 4000]]), Level::Synced);
        bench.run();
    }
    let before = ordered(&bench, log);
    let waits = send(&mut bench, log, commit(3));
    let later = send(&mut bench, log, commit(4));
    let alive = send(&mut bench, log, beat("nobody", 1));
    bench.run();
    assert_eq!(ordered(&bench, log), before, "nothing of it has happened");
    let unknown = Some(Reply::Group(Err(GroupError::UnknownMember)));
    assert_eq!(bench.reply(alive), unknown);
    let one_more = send(&mut bench, log, commit(5));
    bench.run();
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    assert_eq!(bench.reply(one_more), overloaded);
    bench.disk.hold = false;
    bench.wait_ms(1000);
    assert_eq!((bench.reply(waits), bench.reply(later)), (done(), done()));
    assert_eq!(kept(&mut bench, log), Some(4), "the later one counts");
}

#[test]
fn what_is_due_finds_room_again_after_the_journal_was_full() {
    let (mut bench, log) = with_groups(ShardSettings::default(), tiny_store());
    let first = send(&mut bench, log, join("", "a"));
    bench.run();
    bench.disk.hold = true;
    while bench.shard.stats().parked == 0 {
        bench.send(1, batch(&[&[1; 4000]]), Level::Synced);
        bench.run();
    }
    bench.wait_ms(3100);
    assert_eq!(
        bench.reply(first),
        None,
        "the generation stands in no log yet"
    );
    bench.disk.hold = false;
    bench.wait_ms(1000);
    assert_eq!(joined(bench.reply(first)).generation, 1);
}

#[test]
fn who_goes_while_it_waits_is_no_member_and_who_waits_at_a_stop_is_told() {
    let (mut bench, log) = with_groups(ShardSettings::default(), tiny_store());
    let goes = send(&mut bench, log, join("", "a"));
    let stays = send(&mut bench, log, join("", "b"));
    bench.run();
    bench.shard.cancel(goes);
    bench.wait_ms(3100);
    assert_eq!(bench.reply(goes), None);
    let alone = joined(bench.reply(stays));
    assert_eq!(alone.leader, alone.member);
    let again = send(&mut bench, log, join("", "c"));
    bench.run();
    bench.shard.begin_stop(bench.now);
    bench.run();
    let stopping = Some(Reply::Group(Err(GroupError::Stopping)));
    assert_eq!(bench.reply(again), stopping);
    let late = asked(&mut bench, log, fetch());
    assert_eq!(late, Reply::Failed(EngineError::Stopping));
    let flushed = |event: &ShardEvent| *event == ShardEvent::Flushed;
    assert!(bench.events.iter().any(flushed));
}

#[test]
fn a_snapshot_of_groups_replaces_what_stands_below_it() {
    let mut config = tiny_store();
    config.classes = config.classes.with_snapshots_from(4 << 10);
    let (mut bench, log) = with_groups(ShardSettings::default(), config);
    for offset in 0..500 {
        assert_eq!(Some(asked(&mut bench, log, commit(offset))), done());
    }
    let found = recover(&mut bench.disk);
    let own = found.cores[0].logs.iter().find(|of| of.id == log).unwrap();
    let (ordinal, _) = own.snapshot.as_ref().expect("it was wanted");
    assert!(
        ordinal.0 > 200 && own.replay.len() < 300,
        "{}",
        own.replay.len()
    );
    let mut bench = bench.restart();
    assert_eq!(kept(&mut bench, log), Some(499));
}
