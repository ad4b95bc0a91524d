//! The table of errors in the design of groups, row by row. Each cell has its name.

use super::bench::*;
use crate::group::*;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// It succeeds.
    Yes,
    /// It waits.
    Waits,
    /// It is refused.
    No(GroupError),
}

use GroupError::*;
use Says::*;

/// Groups in each state that a column names, and a member's caller there.
fn in_state(state: Option<GroupState>) -> (Bench, Caller) {
    let mut bench = Bench::new();
    let nobody = caller("nobody", 1);
    let Some(state) = state else {
        return (bench, nobody);
    };
    let member = bench.stable();
    bench.call(commit(&member, 1, 5)).unwrap();
    match state {
        GroupState::Stable => {}
        GroupState::Empty => {
            bench.call(leave(&member.member, None)).unwrap();
        }
        GroupState::PreparingRebalance | GroupState::CompletingRebalance => {
            // Another one comes; the first has not come back, or has.
            bench.ask(join(""));
            if state == GroupState::CompletingRebalance {
                let again = bench.ask(Join {
                    protocols: vec![protocol("range", "u")],
                    ..join(&member.member)
                });
                let joined = bench.joined(again);
                assert_eq!(bench.state(), Some(state));
                return (bench, caller(&joined.member, joined.generation));
            }
        }
    }
    assert_eq!(bench.state(), Some(state));
    (bench, member)
}

fn says(bench: &mut Bench, call: GroupCall) -> Says {
    let request = bench.ask(call);
    match bench.answer(request) {
        None => Waits,
        Some(Ok(GroupReply::Left(left))) => match left[0] {
            Ok(()) => Yes,
            Err(error) => No(error),
        },
        Some(Ok(GroupReply::OffsetsDeleted(refused))) if !refused.is_empty() => No(refused[0].1),
        Some(Ok(GroupReply::Committed(refused))) if !refused.is_empty() => No(refused[0].1),
        Some(Ok(_)) => Yes,
        Some(Err(error)) => No(error),
    }
}

type Ask = fn(&Caller) -> GroupCall;
/// The column, where the group is, who asks, and what is said.
type Cell<'a> = (&'a str, Option<GroupState>, fn(Caller) -> Caller, Says);

/// Every column of a row.
fn row(name: &str, ask: Ask, cells: &[Cell]) {
    for (column, state, who, expected) in cells {
        let (mut bench, member) = in_state(*state);
        let found = says(&mut bench, ask(&who(member)));
        assert_eq!(found, *expected, "{name}, {column}");
    }
}

fn itself(caller: Caller) -> Caller {
    caller
}

fn unknown(caller: Caller) -> Caller {
    Caller {
        member: name("unknown"),
        ..caller
    }
}

fn stale(caller: Caller) -> Caller {
    Caller {
        generation: caller.generation - 1,
        ..caller
    }
}

fn outsider(_: Caller) -> Caller {
    simple()
}

const NONE: Option<GroupState> = None;
const STABLE: Option<GroupState> = Some(GroupState::Stable);
const PREPARING: Option<GroupState> = Some(GroupState::PreparingRebalance);
const COMPLETING: Option<GroupState> = Some(GroupState::CompletingRebalance);
const EMPTY: Option<GroupState> = Some(GroupState::Empty);

#[test]
fn row_join() {
    let ask: Ask = |caller| join(&caller.member).into();
    row(
        "join",
        ask,
        &[
            ("no group, id given", NONE, itself, No(UnknownMember)),
            ("no member", STABLE, unknown, No(UnknownMember)),
            ("preparing", PREPARING, itself, Yes), // the last that was waited for
            ("preparing, a newcomer", PREPARING, outsider, Waits),
            ("completing, changed", COMPLETING, itself, Waits),
            ("empty, with an id", EMPTY, itself, No(UnknownMember)),
            ("empty, without an id", EMPTY, outsider, Waits),
        ],
    );
    let (mut bench, member) = in_state(COMPLETING);
    let same = Join {
        protocols: vec![protocol("range", "u")],
        ..join(&member.member)
    };
    assert_eq!(says(&mut bench, same.into()), Yes, "join, completing");
}

#[test]
fn row_sync() {
    let ask: Ask = |caller| sync(caller, &[]);
    row(
        "sync",
        ask,
        &[
            ("no group", NONE, itself, No(UnknownMember)),
            ("no member", STABLE, unknown, No(UnknownMember)),
            ("generation", STABLE, stale, No(WrongGeneration)),
            ("preparing", PREPARING, itself, No(Rebalancing)),
            ("completing, the leader", COMPLETING, itself, Yes),
            ("empty", EMPTY, itself, No(UnknownMember)),
            ("stable", STABLE, itself, Yes),
        ],
    );
    // One who does not lead waits.
    let mut bench = Bench::new();
    let [first, second] = [bench.ask(join("")), bench.ask(join(""))];
    bench.wait_ms(3000);
    let (first, second) = (bench.joined(first), bench.joined(second));
    let follower = if first.leader == first.member {
        second
    } else {
        first
    };
    let call = ask(&caller(&follower.member, follower.generation));
    assert_eq!(says(&mut bench, call), Waits, "sync, completing");
}

#[test]
fn row_heartbeat() {
    row(
        "heartbeat",
        heartbeat,
        &[
            ("no group", NONE, itself, No(UnknownMember)),
            ("no member", STABLE, unknown, No(UnknownMember)),
            ("generation", STABLE, stale, No(WrongGeneration)),
            ("preparing", PREPARING, itself, No(Rebalancing)),
            ("completing", COMPLETING, itself, Yes),
            ("empty", EMPTY, itself, No(UnknownMember)),
            ("stable", STABLE, itself, Yes),
        ],
    );
}

#[test]
fn row_leave() {
    let ask: Ask = |caller| leave(&caller.member, None);
    row(
        "leave",
        ask,
        &[
            ("no group", NONE, itself, No(UnknownMember)),
            ("no member", STABLE, unknown, No(UnknownMember)),
            ("preparing", PREPARING, itself, Yes),
            ("completing", COMPLETING, itself, Yes),
            ("empty", EMPTY, itself, No(UnknownMember)),
        ],
    );
}

#[test]
fn row_offset_commit() {
    let ask: Ask = |caller| commit(caller, 7, 1);
    row(
        "commit",
        ask,
        &[
            ("no group, of a generation", NONE, itself, No(UnknownGroup)),
            ("no group, simple", NONE, outsider, Yes),
            ("no member", STABLE, unknown, No(UnknownMember)),
            ("an outsider", STABLE, outsider, No(UnknownMember)),
            ("generation", STABLE, stale, No(WrongGeneration)),
            ("preparing", PREPARING, itself, Yes),
            ("completing", COMPLETING, itself, No(Rebalancing)),
            ("empty, of a generation", EMPTY, itself, No(UnknownMember)),
            ("empty, simple", EMPTY, outsider, Yes),
            ("stable", STABLE, itself, Yes),
        ],
    );
}

#[test]
fn row_offset_delete() {
    let subscribed: Ask = |_| delete_offsets("t", 1);
    row(
        "offset delete",
        subscribed,
        &[
            ("no group", NONE, itself, No(UnknownGroup)),
            ("preparing, subscribed", PREPARING, itself, No(Subscribed)),
            ("stable, subscribed", STABLE, itself, No(Subscribed)),
            ("completing, subscribed", COMPLETING, itself, No(Subscribed)),
            ("empty", EMPTY, itself, Yes),
        ],
    );
    let other: Ask = |_| delete_offsets("other", 1);
    row(
        "offset delete",
        other,
        &[("another topic", STABLE, itself, Yes)],
    );
    let mut bench = Bench::new();
    bench.ask(Join {
        protocol_type: name("connect"),
        ..join("")
    });
    let found = says(&mut bench, delete_offsets("other", 1));
    assert_eq!(found, No(NotEmpty), "offset delete, another type");
    // What nobody can read may be anything.
    let mut bench = Bench::new();
    let opaque = Protocol {
        topics: None,
        ..protocol("range", "t")
    };
    bench.ask(Join {
        protocols: vec![opaque],
        ..join("")
    });
    let found = says(&mut bench, delete_offsets("other", 1));
    assert_eq!(found, No(Subscribed), "offset delete, unreadable");
}

#[test]
fn row_delete_groups() {
    let ask: Ask = |_| delete();
    row(
        "delete",
        ask,
        &[
            ("no group", NONE, itself, No(UnknownGroup)),
            ("preparing", PREPARING, itself, No(NotEmpty)),
            ("completing", COMPLETING, itself, No(NotEmpty)),
            ("stable", STABLE, itself, No(NotEmpty)),
            ("empty", EMPTY, itself, Yes),
        ],
    );
}

#[test]
fn row_describe_groups() {
    let ask: Ask = |_| describe();
    row(
        "describe",
        ask,
        &[
            ("no group", NONE, itself, No(UnknownGroup)),
            ("preparing", PREPARING, itself, Yes),
            ("completing", COMPLETING, itself, Yes),
            ("empty", EMPTY, itself, Yes),
        ],
    );
}

/// A group with a static member, and one who has its instance id but another member id.
fn fenced() -> (Bench, Caller, Caller) {
    let mut bench = Bench::new();
    let joining = bench.ask(static_join("i", ""));
    bench.wait_ms(3000);
    let joined = bench.joined(joining);
    let own = of("i", &caller(&joined.member, joined.generation));
    bench.call(sync(&own, &[])).unwrap();
    let other = of("i", &caller("other", joined.generation));
    (bench, own, other)
}

#[test]
fn the_wrong_instance() {
    type Row = (&'static str, fn(&Caller) -> GroupCall);
    let rows: [Row; 5] = [
        ("join", |caller| static_join("i", &caller.member).into()),
        ("sync", |caller| sync(caller, &[])),
        ("heartbeat", heartbeat),
        ("leave", |caller| leave(&caller.member, Some("i"))),
        ("commit", |caller| commit(caller, 1, 1)),
    ];
    for (row, ask) in rows {
        let (mut bench, own, other) = fenced();
        assert_eq!(says(&mut bench, ask(&other)), No(FencedInstance), "{row}");
        assert_ne!(
            says(&mut bench, ask(&own)),
            No(FencedInstance),
            "{row}, itself"
        );
    }
}

#[test]
fn also() {
    let empty = Name::from("");
    let mut bench = Bench::new();
    let nameless = says(&mut bench, GroupCall::Describe { group: empty });
    assert_eq!(nameless, No(InvalidName));
    for session_ms in [5999, 30 * 60_000 + 1] {
        let call = Join {
            session_ms,
            ..join("")
        };
        assert_eq!(
            says(&mut bench, call.into()),
            No(InvalidSession),
            "{session_ms}"
        );
    }
    for session_ms in [6000, 30 * 60_000] {
        let call = Join {
            session_ms,
            ..join("")
        };
        assert_eq!(says(&mut bench, call.into()), Waits, "{session_ms}");
    }
    let endless = "x".repeat(70_000);
    for call in [
        Join {
            client_id: name(&endless),
            ..join("")
        },
        Join {
            protocols: vec![Protocol {
                topics: Some([name(&endless)].into()),
                ..protocol("range", "t")
            }],
            ..join("")
        },
    ] {
        assert_eq!(says(&mut bench, call.into()), No(InvalidMember));
    }
    let unlike = |protocol_type: &str, protocols: Vec<Protocol>| Join {
        protocol_type: name(protocol_type),
        protocols,
        ..join("")
    };
    for call in [
        unlike("connect", vec![protocol("range", "t")]),
        unlike("consumer", vec![protocol("sticky", "t")]),
        unlike("consumer", Vec::new()),
        unlike("", vec![protocol("range", "t")]),
    ] {
        assert_eq!(says(&mut bench, call.into()), No(InconsistentProtocol));
    }
    let (mut bench, member) = in_state(STABLE);
    for (protocol_type, protocol) in [(Some("connect"), None), (None, Some("sticky"))] {
        let call = GroupCall::Sync(Sync {
            group: name(G),
            caller: member.clone(),
            protocol_type: protocol_type.map(name),
            protocol: protocol.map(name),
            assignments: Vec::new(),
        });
        assert_eq!(says(&mut bench, call), No(InconsistentProtocol));
    }
    let mut long = commit(&member, 1, 6);
    if let GroupCall::Commit(commit) = &mut long {
        commit.offsets[0].metadata = name("12345678901");
    }
    assert_eq!(says(&mut bench, long), No(MetadataTooLong));
    // All but the last seats are taken by this one and four who wait.
    for _ in 0..5 {
        assert_eq!(says(&mut bench, join("").into()), Waits);
    }
    assert_eq!(says(&mut bench, join("").into()), No(GroupFull));
    bench.machine.begin_stop();
    bench.run();
    let stopped = bench
        .answers
        .values()
        .filter(|answer| **answer == Err(Stopping));
    assert_eq!(stopped.count(), 5);
    // Nothing follows that, and nobody is answered twice.
    let entries = bench.log.len();
    bench.wait_ms(60_000);
    bench.run();
    assert_eq!(says(&mut bench, heartbeat(&member)), No(Stopping));
    assert_eq!(
        (bench.machine.next_deadline(), bench.log.len()),
        (None, entries)
    );
}
