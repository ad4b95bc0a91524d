//! What a coordinator costs: nothing is allocated for a heartbeat, and a group of as many members as there may be
//! neither outgrows its entries nor its share of memory.

use std::time::Instant;

use leveret_engine::group::*;
use leveret_engine::shard::RequestId;
use leveret_storage::types::{EntryMeta, Mono, Now, Offset, Ordinal, Term, WallMs};
use leveret_testkit::allocator::{Counting, peak_of};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Members of the group.
const MEMBERS: u64 = 5000;

struct Driven {
    coordinator: Coordinator,
    entries: u64,
    longest: usize,
}

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms * 1_000_000),
        wall: WallMs(i64::try_from(ms).unwrap()),
    }
}

impl Driven {
    fn take(&mut self, plan: Plan, now: Now) {
        for entry in &plan.entries {
            let len = entry.encode().len();
            self.longest = self.longest.max(len);
            let meta = EntryMeta {
                ordinal: Ordinal(self.entries),
                term: Term(0),
                time: now.wall,
                first_offset: Offset(0),
                offsets: 0,
                max_timestamp: i64::MIN,
                len: u32::try_from(len).unwrap(),
            };
            self.coordinator.apply(&meta, entry);
            self.entries += 1;
        }
        self.coordinator.carry_out(plan.then, now);
    }

    fn ask(&mut self, request: u64, call: &GroupCall, now: Now) {
        if let Some(plan) = self.coordinator.ask(RequestId(request), call, now) {
            self.take(plan, now);
        }
    }

    fn due(&mut self, now: Now) {
        loop {
            match self.coordinator.due(now) {
                Due::Idle => return,
                Due::More => {}
                Due::Plan(plan) => self.take(plan, now),
            }
        }
    }
}

fn join() -> GroupCall {
    GroupCall::Join(Box::new(Join {
        group: "group".into(),
        member: "".into(),
        instance: None,
        client_id: "client".into(),
        host: "/127.0.0.1".into(),
        session_ms: 45_000,
        rebalance_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            subscription: vec![0; 60].into(),
            topics: Some(["orders".into()].into()),
        }],
        must_be_named: false,
        can_skip_assignment: true,
    }))
}

#[test]
fn a_full_group_joins_is_assigned_and_is_heard() {
    let setup = CoordinatorSetup {
        settings: GroupSettings::default(),
        salt: 7,
        now: at(0),
    };
    let mut driven = Driven {
        coordinator: Coordinator::new(setup),
        entries: 0,
        longest: 0,
    };
    let begin = Instant::now();
    let (joined, taken) = peak_of(|| {
        for request in 0..MEMBERS {
            driven.ask(request, &join(), at(10));
        }
        driven.due(at(4000));
        let mut joined = Vec::new();
        while let Some((_, answer)) = driven.coordinator.poll_answer() {
            let Ok(GroupReply::Joined(one)) = answer else {
                panic!("{answer:?}");
            };
            joined.push((one.member, one.generation, one.members));
        }
        joined
    });
    println!(
        "{MEMBERS} joins: {:?}, {} bytes a member at most",
        begin.elapsed(),
        taken / 5000
    );
    assert_eq!(joined.len(), 5000);
    assert!(taken / 5000 < 3 << 10, "{}", taken / 5000);
    let (_, generation, led) = joined.iter().find(|(_, _, led)| !led.is_empty()).unwrap();
    assert_eq!(led.len(), 5000);
    let sync = |caller: Caller, assignments: Vec<(Name, bytes::Bytes)>| {
        GroupCall::Sync(Sync {
            group: "group".into(),
            caller,
            protocol_type: None,
            protocol: None,
            assignments,
        })
    };
    let callers: Vec<Caller> = joined
        .iter()
        .map(|(member, generation, _)| Caller {
            member: member.clone(),
            instance: None,
            generation: *generation,
        })
        .collect();
    let begin = Instant::now();
    for (n, caller) in callers.iter().enumerate().skip(1) {
        driven.ask(
            10_000 + n as u64,
            &sync(caller.clone(), Vec::new()),
            at(4100),
        );
    }
    assert_eq!(
        driven.coordinator.poll_answer(),
        None,
        "the leader is waited for"
    );
    let assign = |one: &JoinedMember| (one.member.clone(), bytes::Bytes::from(vec![1; 40]));
    let call = sync(callers[0].clone(), led.iter().map(assign).collect());
    let last = Instant::now();
    driven.ask(10_000, &call, at(4200));
    println!(
        "syncs: {:?}, of the leader's {:?}",
        begin.elapsed(),
        last.elapsed()
    );
    let mut synced = 0;
    while let Some((_, answer)) = driven.coordinator.poll_answer() {
        let Ok(GroupReply::Synced(one)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(one.assignment.len(), 40);
        synced += 1;
    }
    assert_eq!((synced, *generation), (5000, 1));
    assert!(driven.longest < 20 << 10, "{}", driven.longest);
    // One that is heard costs no memory, and the time of a look.
    let beats: Vec<GroupCall> = callers
        .into_iter()
        .map(|caller| {
            GroupCall::Heartbeat(Heartbeat {
                group: "group".into(),
                caller,
            })
        })
        .collect();
    let beat = |driven: &mut Driven, call: &GroupCall| {
        driven.ask(20_000, call, at(5000));
        let (_, answer) = driven.coordinator.poll_answer().unwrap();
        assert_eq!(answer, Ok(GroupReply::Beat));
    };
    beat(&mut driven, &beats[0]);
    let begin = Instant::now();
    let ((), taken) = peak_of(|| beats.iter().for_each(|call| beat(&mut driven, call)));
    println!("{MEMBERS} heartbeats: {:?}", begin.elapsed());
    assert_eq!(taken, 0);
}
