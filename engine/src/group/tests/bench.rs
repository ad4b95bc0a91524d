//! A coordinator with its log, driven as whoever holds the log drives it.

use std::collections::BTreeMap;

use bytes::Bytes;
use leveret_storage::types::{EntryMeta, LogId, Mono, Now, Offset, Ordinal, Term, WallMs};

use crate::group::coordinator::{Coordinator, CoordinatorSetup, Due, Plan};
use crate::group::entry::GroupEntry;
use crate::group::*;
use crate::machine::{Machine, Remains};
use crate::shard::RequestId;

pub(super) const G: &str = "g";

pub(super) const SETTINGS: GroupSettings = GroupSettings {
    initial_delay_ms: 250,
    initial_delay_most_ms: 3000,
    session_least_ms: 6000,
    session_most_ms: 30 * 60_000,
    named_ms: 5000,
    groups: 8,
    members: 6,
    member_bytes: 1000,
    group_bytes: 3000,
    offsets: 5000,
    metadata_bytes: 10,
    offsets_retention_ms: 7 * 24 * 3_600_000,
    empty_ms: 600_000,
};

/// An entry as it stands in the log.
type Stored = (EntryMeta, Bytes);

pub(super) struct Bench {
    pub(super) machine: Coordinator,
    pub(super) log: Vec<Stored>,
    /// The last snapshot, and how many entries it stands for.
    pub(super) snapshot: Option<(Vec<u8>, usize)>,
    pub(super) now: Now,
    /// No more entries than these find room in the journal.
    pub(super) room: usize,
    pub(super) answers: BTreeMap<RequestId, Answer>,
    /// With how many entries in the log each answer left.
    pub(super) behind: BTreeMap<RequestId, usize>,
    requests: u64,
    salt: u128,
}

pub(super) fn setup(salt: u128, now: Now) -> CoordinatorSetup {
    CoordinatorSetup {
        settings: SETTINGS,
        salt,
        now,
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let now = Now {
            mono: Mono(100_000_000_000),
            wall: WallMs(1_000_000),
        };
        Self {
            machine: Coordinator::new(setup(1 << 100, now)),
            log: Vec::new(),
            snapshot: None,
            now,
            room: usize::MAX,
            answers: BTreeMap::new(),
            behind: BTreeMap::new(),
            requests: 0,
            salt: 1 << 100,
        }
    }

    /// Appends and applies entries as long as there is room; whether all were.
    fn append(&mut self, entries: &[GroupEntry]) -> bool {
        for entry in entries {
            if self.room == 0 {
                return false;
            }
            self.room -= 1;
            let stored = self.stored(self.log.len(), entry);
            assert_eq!(GroupEntry::decode(&stored.1).as_ref(), Ok(entry));
            self.machine.apply(&stored.0, entry);
            self.log.push(stored);
        }
        true
    }

    /// An entry as it stands in the log now.
    pub(super) fn stored(&self, ordinal: usize, entry: &GroupEntry) -> Stored {
        let bytes = entry.encode();
        let meta = EntryMeta {
            ordinal: Ordinal(ordinal as u64),
            term: Term(0),
            time: self.now.wall,
            first_offset: Offset(0),
            offsets: 0,
            max_timestamp: i64::MIN,
            len: u32::try_from(bytes.len()).unwrap(),
        };
        (meta, bytes)
    }

    fn take(&mut self, plan: Plan) -> bool {
        assert!(!plan.entries.is_empty());
        let whole = self.append(&plan.entries);
        if whole {
            self.machine.carry_out(plan.then, self.now);
        }
        whole
    }

    /// What is due now.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            match self.machine.due(self.now) {
                Due::Idle => return,
                Due::More => {}
                Due::Plan(plan) => {
                    if !self.take(plan) {
                        return;
                    }
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn collect(&mut self) {
        while let Some((request, answer)) = self.machine.poll_answer() {
            self.behind.insert(request, self.log.len());
            let before = self.answers.insert(request, answer);
            assert!(before.is_none(), "{request:?} is answered once");
        }
    }

    /// Asks; `None` if the journal had no room.
    pub(super) fn try_ask(&mut self, call: &GroupCall) -> Option<RequestId> {
        self.requests += 1;
        let request = RequestId(self.requests);
        if let Some(plan) = self.machine.ask(request, call, self.now)
            && !self.take(plan)
        {
            return None;
        }
        self.run();
        Some(request)
    }

    pub(super) fn ask(&mut self, call: impl Into<GroupCall>) -> RequestId {
        self.try_ask(&call.into()).expect("there is room")
    }

    pub(super) fn answer(&mut self, request: RequestId) -> Option<Answer> {
        self.answers.remove(&request)
    }

    pub(super) fn call(&mut self, call: impl Into<GroupCall>) -> Answer {
        let request = self.ask(call);
        self.answer(request).expect("an answer at once")
    }

    /// Time passes, and what is due meanwhile happens when it is.
    pub(super) fn wait_ms(&mut self, ms: u64) {
        let end = self.now.mono.after(ms * 1_000_000);
        while let Some(at) = self.machine.next_deadline().filter(|at| *at <= end) {
            self.jump(at.max(self.now.mono));
            self.run();
        }
        self.jump(end);
    }

    fn jump(&mut self, to: Mono) {
        let wall = i64::try_from(to.0 / 1_000_000).unwrap();
        self.now = Now {
            mono: to,
            wall: WallMs(900_000 + wall),
        };
    }

    pub(super) fn keep_snapshot(&mut self) {
        let bytes = self.machine.snapshot().collect::<Vec<_>>().concat();
        self.snapshot = Some((bytes, self.log.len()));
    }

    /// Only the first `durable` entries survive; who waited is gone.
    pub(super) fn try_crash(&mut self, durable: usize) -> Result<(), CoordinatorFault> {
        if let Some((_, at)) = &self.snapshot
            && *at > durable
        {
            self.snapshot = None;
        }
        self.log.truncate(durable);
        let from = self.snapshot.as_ref().map_or(0, |(_, at)| *at);
        let remains = Remains {
            snapshot: self.snapshot.as_ref().map(|(bytes, _)| &bytes[..]),
            entries: &self.log[from..],
            next: Offset(0),
        };
        self.salt += 1 << 90;
        self.machine = Coordinator::recover(setup(self.salt, self.now), &remains)?;
        self.run();
        Ok(())
    }

    pub(super) fn restart(&mut self) {
        self.try_crash(self.log.len()).unwrap();
    }

    pub(super) fn state(&mut self) -> Option<GroupState> {
        match self.call(describe()) {
            Ok(GroupReply::Described(described)) => Some(described.state),
            Err(GroupError::UnknownGroup) => None,
            other => panic!("{other:?}"),
        }
    }

    /// A member by itself, joined and stable: its id and generation.
    pub(super) fn stable(&mut self) -> Caller {
        let joining = self.ask(join(""));
        self.wait_ms(3000);
        let joined = self.joined(joining);
        let caller = caller(&joined.member, joined.generation);
        let synced = self.call(sync(&caller, &[(&joined.member, "all")]));
        assert!(matches!(synced, Ok(GroupReply::Synced(_))), "{synced:?}");
        caller
    }

    pub(super) fn joined(&mut self, request: RequestId) -> Joined {
        match self.answer(request) {
            Some(Ok(GroupReply::Joined(joined))) => *joined,
            other => panic!("{other:?}"),
        }
    }
}

impl From<Join> for GroupCall {
    fn from(join: Join) -> Self {
        Self::Join(Box::new(join))
    }
}

pub(super) fn name(name: &str) -> Name {
    Name::from(name)
}

pub(super) fn caller(member: &str, generation: Generation) -> Caller {
    Caller {
        member: name(member),
        instance: None,
        generation,
    }
}

/// As `caller`, of a static member.
pub(super) fn of(instance: &str, caller: &Caller) -> Caller {
    Caller {
        instance: Some(name(instance)),
        ..caller.clone()
    }
}

pub(super) fn protocol(called: &str, says: &'static str) -> Protocol {
    Protocol {
        name: name(called),
        subscription: Bytes::from_static(says.as_bytes()),
        topics: Some([name(says)].into()),
    }
}

pub(super) fn join(member: &str) -> Join {
    Join {
        group: name(G),
        member: name(member),
        instance: None,
        client_id: name("client"),
        host: name("/127.0.0.1"),
        session_ms: 10_000,
        rebalance_ms: 20_000,
        protocol_type: name("consumer"),
        protocols: vec![protocol("range", "t")],
        must_be_named: false,
        can_skip_assignment: true,
    }
}

pub(super) fn static_join(instance: &str, member: &str) -> Join {
    Join {
        instance: Some(name(instance)),
        ..join(member)
    }
}

pub(super) fn sync(caller: &Caller, assignments: &[(&str, &'static str)]) -> GroupCall {
    let assignments = assignments.iter();
    let assignments = assignments.map(|(of, is)| (name(of), Bytes::from_static(is.as_bytes())));
    GroupCall::Sync(Sync {
        group: name(G),
        caller: caller.clone(),
        protocol_type: None,
        protocol: None,
        assignments: assignments.collect(),
    })
}

pub(super) fn heartbeat(caller: &Caller) -> GroupCall {
    GroupCall::Heartbeat(Heartbeat {
        group: name(G),
        caller: caller.clone(),
    })
}

pub(super) fn leave(member: &str, instance: Option<&str>) -> GroupCall {
    GroupCall::Leave(Leave {
        group: name(G),
        members: vec![Leaving {
            member: name(member),
            instance: instance.map(name),
        }],
    })
}

pub(super) fn commit(caller: &Caller, log: u64, offset: i64) -> GroupCall {
    GroupCall::Commit(Commit {
        group: name(G),
        caller: caller.clone(),
        offsets: vec![NewOffset {
            log: LogId(log),
            offset,
            leader_epoch: -1,
            metadata: name(""),
        }],
    })
}

pub(super) fn simple() -> Caller {
    caller("", -1)
}

pub(super) fn describe() -> GroupCall {
    GroupCall::Describe { group: name(G) }
}

pub(super) fn delete() -> GroupCall {
    GroupCall::Delete { group: name(G) }
}

pub(super) fn delete_offsets(topic: &str, log: u64) -> GroupCall {
    GroupCall::DeleteOffsets(DeleteOffsets {
        group: name(G),
        topics: vec![(name(topic), vec![LogId(log)])],
    })
}

pub(super) fn fetch(log: u64) -> GroupCall {
    GroupCall::FetchOffsets(FetchOffsets {
        group: name(G),
        which: WhichOffsets::Of(vec![LogId(log)]),
        require_stable: true,
    })
}

/// The offset in the answer to `fetch`.
pub(super) fn offset(answer: Answer) -> Option<i64> {
    match answer {
        Ok(GroupReply::Offsets(offsets)) => {
            let committed = offsets.found[0].committed.as_ref();
            committed.map(|committed| committed.offset)
        }
        other => panic!("{other:?}"),
    }
}
