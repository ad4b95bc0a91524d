//! The machine over a group log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{EntryMeta, Mono, Now, Ordinal};
use slab::Slab;
use thiserror::Error;

use super::call::{GroupCall, Join, Leave, Name};
use super::classic::{Classic, Ends, Joins, Syncs};
use super::deadlines::{Due as Deadline, GroupKey, MemberKey};
use super::entry::{Change, GroupEntry};
use super::error::GroupError;
use super::expiry::Expiry;
use super::ids::MemberIds;
use super::kept::Kept;
use super::reply::GroupReply;
use super::rules::{Rule, breaks};
use super::settings::{GroupSettings, MAX_NAME};
use super::shared::{Answer, Shared};
use super::snapshot::{Pieces, restore};
use crate::codec::DecodeError;
use crate::machine::{Machine, Remains};
use crate::shard::RequestId;

/// Groups and members that are looked at in one call because their time has come.
const SLICE: usize = 64;

/// What a coordinator is opened with.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorSetup {
    /// Its bounds.
    pub settings: GroupSettings,
    /// No other coordinator has, or had, the same: member ids are made of it.
    pub salt: u128,
    /// When.
    pub now: Now,
}

/// See the module `group`.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) shared: Shared,
    ids: MemberIds,
    pub(super) groups: Slab<Group>,
    pub(super) by_name: BTreeMap<Name, GroupKey>,
    stopping: bool,
}

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    name: Name,
    pub(super) kept: Arc<Kept>,
    pub(super) classic: Classic,
    expiry: Expiry,
    /// When something of it is due.
    armed: Option<Mono>,
}

/// Entries that are to be appended, and what happens then.
#[derive(Debug)]
pub struct Plan {
    /// At least one, in their order.
    pub entries: Vec<GroupEntry>,
    /// What happens when all of them were applied.
    pub then: Then,
}

/// What happens besides what entries say.
#[derive(Debug)]
#[must_use]
pub struct Then(pub(super) Step);

#[derive(Debug)]
pub(super) enum Step {
    /// A call is answered; a member was heard.
    Answer {
        request: RequestId,
        group: Name,
        member: Option<MemberKey>,
        answer: GroupReply,
    },
    /// A generation begins, or the group is empty.
    Open { group: Name },
    /// The leader's call is answered, and those who wait for it.
    Assign { request: RequestId, group: Name },
    /// Another process is the static member.
    TakeOver {
        request: RequestId,
        join: Box<Join>,
        id: Name,
    },
    /// Nobody asked.
    Settle { group: Name },
}

/// What is due.
#[derive(Debug)]
pub enum Due {
    /// Nothing, before [`Coordinator::next_deadline`].
    Idle,
    /// More than one call takes.
    More,
    /// Something that has to stand in the log.
    Plan(Plan),
}

/// Why a coordinator cannot be rebuilt from what was recovered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoordinatorFault {
    /// The snapshot cannot be read.
    #[error("snapshot of groups: {0}")]
    Snapshot(DecodeError),
    /// An entry cannot be read.
    #[error("entry {ordinal} of a group log: {error}")]
    Entry {
        /// The entry.
        ordinal: Ordinal,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An entry can be read, but not be carried out after those before it.
    #[error("entry {ordinal} of a group log contradicts those before it")]
    Contradiction {
        /// The entry.
        ordinal: Ordinal,
    },
}

impl Coordinator {
    /// A coordinator whose log never was.
    pub fn new(setup: CoordinatorSetup) -> Self {
        Self {
            shared: Shared::new(setup.settings),
            ids: MemberIds::new(setup.salt),
            groups: Slab::new(),
            by_name: BTreeMap::new(),
            stopping: false,
        }
    }

    /// Takes a call. What needs no entry has happened when this returns `None`; of a plan nothing has.
    pub fn ask(&mut self, request: RequestId, call: &GroupCall, now: Now) -> Option<Plan> {
        if self.stopping {
            self.shared.answer(request, Err(GroupError::Stopping));
            return None;
        }
        let named = |group: &Name| (1..=MAX_NAME).contains(&group.len());
        if !call.group().is_none_or(named) {
            self.shared.answer(request, Err(GroupError::InvalidName));
            return None;
        }
        let planned = match call {
            GroupCall::Commit(commit) => self.commit(request, commit, now),
            GroupCall::FetchOffsets(fetch) => Err(Ok(self.fetch_offsets(fetch))),
            GroupCall::DeleteOffsets(delete) => self.delete_offsets(request, delete),
            GroupCall::Join(join) => return self.join(request, join, now),
            GroupCall::Sync(sync) => {
                let Some(key) = self.find(&sync.group) else {
                    self.shared.answer(request, Err(GroupError::UnknownMember));
                    return None;
                };
                let Group { classic, kept, .. } = &mut self.groups[key.0];
                let group = Arc::clone(&sync.group);
                match classic.sync(request, sync, kept, &mut self.shared, now.mono) {
                    Syncs::Answered(answer) => self.shared.answer(request, answer),
                    Syncs::Waits => {}
                    Syncs::Assigns(entries) => {
                        let then = Then(Step::Assign { request, group });
                        return Some(Plan { entries, then });
                    }
                }
                self.settle(key, now);
                return None;
            }
            GroupCall::Heartbeat(heartbeat) => {
                let answer = match self.find(&heartbeat.group) {
                    Some(key) => {
                        let Group { classic, kept, .. } = &mut self.groups[key.0];
                        classic.heartbeat(kept, &heartbeat.caller, now.mono)
                    }
                    None => Err(GroupError::UnknownMember),
                };
                Err(answer)
            }
            GroupCall::Leave(leave) => Err(Ok(self.leave(leave, now))),
            GroupCall::Describe { group } => Err(self.describe(group)),
            GroupCall::List(list) => Err(Ok(self.list(list))),
            GroupCall::Delete { group } => self.delete(request, group),
        };
        match planned {
            Ok(plan) => Some(plan),
            Err(answer) => {
                self.shared.answer(request, answer);
                None
            }
        }
    }

    fn join(&mut self, request: RequestId, join: &Join, now: Now) -> Option<Plan> {
        let key = match self.group_to_join(join) {
            Ok(key) => key,
            Err(error) => {
                self.shared.answer(request, Err(error));
                return None;
            }
        };
        let id = match join.member.is_empty() {
            true => self
                .ids
                .next(join.instance.as_ref().unwrap_or(&join.client_id)),
            false => Name::from(""),
        };
        let Group { classic, kept, .. } = &mut self.groups[key.0];
        match classic.join(request, join, id, kept, &mut self.shared, now.mono) {
            Joins::Answered(answer) => self.shared.answer(request, answer),
            Joins::Waits => {}
            Joins::TakesOver(entry, id) => {
                let join = Box::new(join.clone());
                return Some(Plan {
                    entries: vec![entry],
                    then: Then(Step::TakeOver { request, join, id }),
                });
            }
        }
        self.settle(key, now);
        None
    }

    /// The group that somebody joins, which is made if there is none.
    fn group_to_join(&mut self, join: &Join) -> Result<GroupKey, GroupError> {
        let settings = &self.shared.settings;
        let names = [&join.client_id, &join.host, &join.protocol_type];
        let protocols = join.protocols.iter().map(|protocol| &protocol.name);
        let topics = join.protocols.iter().flat_map(|protocol| &protocol.topics);
        let topics = topics.flat_map(|topics| topics.iter());
        let names = names.into_iter().chain(&join.instance);
        let mut names = names.chain(protocols).chain(topics);
        if names.any(|name| name.len() > MAX_NAME) {
            return Err(GroupError::InvalidMember);
        }
        let session = settings.session_least_ms..=settings.session_most_ms;
        if !session.contains(&join.session_ms) {
            return Err(GroupError::InvalidSession);
        }
        match self.find(&join.group) {
            Some(key) => Ok(key),
            None if !join.member.is_empty() => Err(GroupError::UnknownMember),
            None if self.by_name.len() >= settings.groups => Err(GroupError::TooMany),
            None => Ok(self.insert(&join.group, Kept::default())),
        }
    }

    fn leave(&mut self, leave: &Leave, now: Now) -> GroupReply {
        let Some(key) = self.find(&leave.group) else {
            let unknown = leave.members.iter().map(|_| Err(GroupError::UnknownMember));
            return GroupReply::Left(unknown.collect());
        };
        let classic = &mut self.groups[key.0].classic;
        let left = classic.leave(leave, &mut self.shared, now.mono);
        self.settle(key, now);
        GroupReply::Left(left)
    }

    /// Does some of what is due. Of a plan nothing has happened.
    pub fn due(&mut self, now: Now) -> Due {
        for _ in 0..SLICE {
            let first = self.shared.deadlines.first();
            let Some((_, due)) = first.filter(|(at, _)| !self.stopping && *at <= now.mono) else {
                return Due::Idle;
            };
            let classic = &mut self.groups[due.group.0].classic;
            match due.member {
                Some(member) => classic.look_at(member, &mut self.shared, now.mono),
                None => {
                    if let Some(plan) = self.turn(due.group, now) {
                        return Due::Plan(plan);
                    }
                }
            }
            self.settle(due.group, now);
        }
        Due::More
    }

    /// What is due of a group, but for sessions.
    fn turn(&mut self, key: GroupKey, now: Now) -> Option<Plan> {
        let shared = &mut self.shared;
        let group = &mut self.groups[key.0];
        let name = Arc::clone(&group.name);
        group.classic.turn(shared, now.mono);
        if let Ends::With(entry) = group
            .classic
            .end_barrier(&name, &group.kept, shared, now.mono)
        {
            return Some(Plan {
                entries: vec![entry],
                then: Then(Step::Open { group: name }),
            });
        }
        let deserted = group.classic.is_deserted();
        let change = group
            .expiry
            .step(&group.kept, deserted, &shared.settings, now)?;
        Some(Plan {
            entries: vec![GroupEntry::new(&name, change)],
            then: Then(Step::Settle { group: name }),
        })
    }

    /// When [`Coordinator::due`] has something to do.
    pub fn next_deadline(&self) -> Option<Mono> {
        let first = self.shared.deadlines.first().filter(|_| !self.stopping);
        first.map(|(at, _)| at)
    }

    /// All entries of a plan were applied, and nothing has happened since it was made.
    pub fn carry_out(&mut self, Then(step): Then, now: Now) {
        let group = match &step {
            Step::Answer { group, .. }
            | Step::Open { group }
            | Step::Assign { group, .. }
            | Step::Settle { group } => group,
            Step::TakeOver { join, .. } => &join.group,
        };
        let key = self.find(group);
        if let Some(key) = key {
            let Group { classic, kept, .. } = &mut self.groups[key.0];
            let shared = &mut self.shared;
            match step {
                Step::Answer {
                    request,
                    member,
                    answer,
                    ..
                } => {
                    member
                        .into_iter()
                        .for_each(|at| classic.heard(at, now.mono));
                    shared.answer(request, Ok(answer));
                }
                Step::Open { .. } => classic.open(kept, shared, now.mono),
                Step::Assign { request, .. } => classic.assign(request, kept, shared, now.mono),
                Step::TakeOver { request, join, id } => {
                    let joins = classic.take_over(request, &join, id, kept, shared, now.mono);
                    if let Joins::Answered(answer) = joins {
                        shared.answer(request, answer);
                    }
                }
                Step::Settle { .. } => {}
            }
            self.settle(key, now);
        } else if let Step::Answer {
            request, answer, ..
        } = step
        {
            // It was deleted.
            self.shared.answer(request, Ok(answer));
        }
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<(RequestId, Answer)> {
        self.shared.pop_answer()
    }

    /// Nobody wants the answer to a call any more: no answer follows if it waits.
    pub fn gone(&mut self, request: RequestId, now: Now) {
        if let Some((key, at)) = self.shared.forget(request) {
            let classic = &mut self.groups[key.0].classic;
            classic.gone(at, &mut self.shared);
            self.settle(key, now);
        }
    }

    /// Whoever waits is told that the coordinator stops, and so is whoever asks after that; nothing is due any more.
    pub fn begin_stop(&mut self) {
        self.stopping = true;
        self.shared.refuse_all(GroupError::Stopping);
    }

    pub(super) fn find(&self, group: &Name) -> Option<GroupKey> {
        self.by_name.get(group).copied()
    }

    /// A group is there from now on. It is due at once, so that it gets its deadline, whatever comes of it.
    fn insert(&mut self, name: &Name, kept: Kept) -> GroupKey {
        let slot = self.groups.vacant_entry();
        let key = GroupKey(slot.key());
        let group = slot.insert(Group {
            name: Arc::clone(name),
            kept: Arc::new(kept),
            classic: Classic::empty(key),
            expiry: Expiry::default(),
            armed: None,
        });
        let due = Deadline {
            group: key,
            member: None,
        };
        self.shared
            .deadlines
            .set(due, &mut group.armed, Some(Mono(0)));
        let before = self.by_name.insert(Arc::clone(name), key);
        assert!(before.is_none(), "a group is made once");
        key
    }

    /// A group is no more.
    ///
    /// # Panics
    /// If it has members.
    fn remove(&mut self, key: GroupKey) {
        let mut group = self.groups.remove(key.0);
        assert_eq!(group.classic.members(), 0, "whose members have gone");
        let due = Deadline {
            group: key,
            member: None,
        };
        self.shared.deadlines.set(due, &mut group.armed, None);
        self.by_name.remove(&group.name);
    }

    /// A group gets the deadline that it has now, or goes if nothing is left of it.
    fn settle(&mut self, key: GroupKey, now: Now) {
        let group = &mut self.groups[key.0];
        if group.classic.is_deserted() && group.kept.is_blank() {
            return self.remove(key);
        }
        match group.classic.state() {
            super::GroupState::Empty => {
                group.expiry.begin(&group.kept, &self.shared.settings, now);
            }
            _ => group.expiry = Expiry::default(),
        }
        let own = group.classic.deadline(&self.shared);
        let at = own.into_iter().chain(group.expiry.at()).min();
        let due = Deadline {
            group: key,
            member: None,
        };
        self.shared.deadlines.set(due, &mut group.armed, at);
    }

    fn fits(&self, entry: &GroupEntry) -> bool {
        match self.find(&entry.group) {
            Some(key) => self.groups[key.0].kept.fits(&entry.change),
            None => entry.change != Change::GroupRemoved && Kept::default().fits(&entry.change),
        }
    }

    /// Every group that is left after a replay begins its run.
    fn revive(&mut self, now: Now) {
        let keys: Vec<GroupKey> = self.by_name.values().copied().collect();
        for key in keys {
            let group = &mut self.groups[key.0];
            if breaks(Rule::GenerationKept) {
                let kept = Arc::make_mut(&mut group.kept);
                kept.generation = kept.assigned.as_ref().map_or(0, |of| of.generation);
            }
            group.classic = Classic::revive(key, &group.kept, &mut self.shared, now.mono);
            if group.classic.members() == 0 {
                group.expiry.look(now);
            }
            self.settle(key, now);
        }
    }

    /// Takes an entry that has its place. Nothing else changes what survives.
    ///
    /// # Panics
    /// If it is not what can come next: the log and its machine have diverged.
    pub fn apply(&mut self, meta: &EntryMeta, entry: &GroupEntry) {
        let key = self.find(&entry.group);
        if entry.change == Change::GroupRemoved {
            return self.remove(key.expect("a group that is removed is there"));
        }
        let key = key.unwrap_or_else(|| self.insert(&entry.group, Kept::default()));
        let kept = Arc::make_mut(&mut self.groups[key.0].kept);
        assert!(kept.fits(&entry.change), "log and machine have diverged");
        kept.apply(&entry.change, meta.time);
    }
}

impl Machine for Coordinator {
    type Setup = CoordinatorSetup;
    type Fault = CoordinatorFault;
    type Entry = GroupEntry;

    fn recover(setup: CoordinatorSetup, remains: &Remains<'_>) -> Result<Self, CoordinatorFault> {
        let mut coordinator = Self::new(setup);
        let groups = remains.snapshot.map(restore).transpose();
        let groups = groups.map_err(CoordinatorFault::Snapshot)?;
        for (name, kept) in groups.into_iter().flatten() {
            coordinator.insert(&name, kept);
        }
        for (meta, bytes) in remains.entries {
            let ordinal = meta.ordinal;
            let entry = GroupEntry::decode(bytes)
                .map_err(|error| CoordinatorFault::Entry { ordinal, error })?;
            if !coordinator.fits(&entry) {
                return Err(CoordinatorFault::Contradiction { ordinal });
            }
            coordinator.apply(meta, &entry);
        }
        coordinator.revive(setup.now);
        Ok(coordinator)
    }

    fn apply(&mut self, meta: &EntryMeta, entry: &GroupEntry) {
        self.apply(meta, entry);
    }

    fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<> {
        let kept = |(name, key): (&Name, &GroupKey)| {
            let kept = &self.groups[key.0].kept;
            (!kept.is_blank()).then(|| (Arc::clone(name), Arc::clone(kept)))
        };
        Pieces::of(self.by_name.iter().filter_map(kept).collect())
    }
}
