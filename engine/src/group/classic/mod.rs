//! Kafka's classic protocol: the members of a group agree on a generation, one of them, the leader, assigns, and each
//! asks for its assignment.
//!
//! A generation begins at a *barrier*, where those wait who have joined, until all that are known have joined again or
//! their time is over. All of this is memory; what of it survives is in [`Kept`].

mod barrier;
mod join;
mod member;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_storage::types::Mono;
use slab::Slab;

use super::call::{Caller, Generation, Leave, Leaving, Name};
use super::deadlines::{Due, GroupKey, MemberKey};
use super::error::GroupError;
use super::kept::Kept;
use super::named::Named;
use super::reply::{
    DescribedMember, Description, GroupKind, GroupReply, GroupState, Joined, JoinedMember,
};
use super::rules::{Rule, breaks};
use super::shared::{Shared, nanos};
pub(super) use barrier::Ends;
pub(super) use join::Joins;
use member::{Member, Said, Wait};
pub(super) use sync::Syncs;

/// How long a member id that was given is known before anyone joins with it, nanoseconds.
const NAMED_KEPT: u64 = 60_000_000_000;

/// However little time a member gives itself to join again, the others wait so long.
const REBALANCE_LEAST_MS: u32 = 1000;

/// See the module.
#[derive(Debug)]
pub(super) struct Classic {
    key: GroupKey,
    state: State,
    /// What the members are here for, if there are some.
    protocol_type: Name,
    /// How they are assigned in this generation; empty if there is none.
    protocol: Name,
    leader: Option<MemberKey>,
    members: Slab<Member>,
    by_id: BTreeMap<Name, MemberKey>,
    by_instance: BTreeMap<Name, MemberKey>,
    named: Named,
    said: Said,
    /// How many were in the present generation when it began: all members, until it ends.
    size: usize,
    /// How many wait at the barrier.
    joined: usize,
    /// How many have not asked for their assignment.
    unsynced: usize,
}

/// Where the group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is in it.
    Empty,
    /// Members wait at the barrier.
    Preparing(Barrier),
    /// The generation has begun; until then the leader has to assign, and everybody to ask.
    Completing { until: Mono },
    /// The leader has assigned; until then everybody has to ask.
    Stable { until: Mono },
}

/// How long those who have joined wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Barrier {
    until: Mono,
    /// There was nobody before: it cannot be known who comes. Each that comes moves `until`, to this at most.
    first: Option<Mono>,
}

impl Classic {
    pub(super) fn empty(key: GroupKey) -> Self {
        Self {
            key,
            state: State::Empty,
            protocol_type: Name::from(""),
            protocol: Name::from(""),
            leader: None,
            members: Slab::new(),
            by_id: BTreeMap::new(),
            by_instance: BTreeMap::new(),
            named: Named::default(),
            said: Said::default(),
            size: 0,
            joined: 0,
            unsynced: 0,
        }
    }

    /// As it was before the last start; each member has a whole session.
    pub(super) fn revive(key: GroupKey, kept: &Kept, shared: &mut Shared, now: Mono) -> Self {
        let mut classic = Self::empty(key);
        let Some(assigned) = &kept.assigned else {
            return classic;
        };
        classic.protocol_type = Arc::clone(&kept.protocol_type);
        let heard = match breaks(Rule::WholeSession) {
            true => Mono(0),
            false => now,
        };
        for kept in &assigned.members {
            let member = Member::revived(kept, &assigned.protocol, heard);
            let at = classic.insert(member, shared);
            if kept.id == assigned.leader {
                classic.leader = Some(at);
            }
        }
        classic.size = classic.members.len();
        classic.protocol = Arc::clone(&assigned.protocol);
        classic.state = State::Stable { until: now };
        if assigned.generation < kept.generation {
            // A later one had begun, whose members nobody knows any more.
            classic.prepare(shared, now);
        }
        classic
    }

    pub(super) fn state(&self) -> GroupState {
        match self.state {
            State::Empty => GroupState::Empty,
            State::Preparing(_) => GroupState::PreparingRebalance,
            State::Completing { .. } => GroupState::CompletingRebalance,
            State::Stable { .. } => GroupState::Stable,
        }
    }

    /// Nobody is in it, and nobody is to come.
    pub(super) fn is_deserted(&self) -> bool {
        self.state == State::Empty && self.named.is_empty()
    }

    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    pub(super) fn protocol_type(&self) -> &Name {
        &self.protocol_type
    }

    /// Whether somebody in it may read that topic.
    pub(super) fn subscribed(&self, topic: &Name) -> bool {
        self.said.subscribed(topic)
    }

    /// When something is due, but for sessions.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Mono> {
        let own = match &self.state {
            State::Empty => None,
            State::Preparing(barrier) => Some(self.barrier_end(barrier, shared)),
            State::Completing { until } | State::Stable { until } => {
                (self.unsynced > 0 && !breaks(Rule::SilentDropped)).then_some(*until)
            }
        };
        let named = self.named.oldest().map(|at| at.after(NAMED_KEPT));
        own.into_iter().chain(named).min()
    }

    /// The member that a caller is.
    fn member_of(&self, id: &Name, instance: Option<&Name>) -> Result<MemberKey, GroupError> {
        let Some(instance) = instance else {
            return self.by_id.get(id).copied().ok_or(GroupError::UnknownMember);
        };
        let at = self.by_instance.get(instance);
        let at = *at.ok_or(GroupError::UnknownMember)?;
        match self.members[at.0].id == *id || breaks(Rule::FencedInstance) {
            true => Ok(at),
            false => Err(GroupError::FencedInstance),
        }
    }

    /// The member that a caller is, of this generation.
    fn caller(&self, kept: &Kept, caller: &Caller) -> Result<MemberKey, GroupError> {
        let at = self.member_of(&caller.member, caller.instance.as_ref())?;
        match caller.generation == kept.generation || breaks(Rule::StaleGeneration) {
            true => Ok(at),
            false => Err(GroupError::WrongGeneration),
        }
    }

    /// Whether a caller may commit, and which member it is.
    pub(super) fn may_commit(
        &self,
        kept: &Kept,
        caller: &Caller,
    ) -> Result<Option<MemberKey>, GroupError> {
        let is_member = !caller.member.is_empty() || caller.instance.is_some();
        if self.state == State::Empty && caller.generation < 0 {
            return Ok(None);
        }
        if !is_member && caller.generation < 0 {
            return Err(GroupError::UnknownMember);
        }
        let at = self.caller(kept, caller)?;
        match self.state {
            State::Completing { .. } => Err(GroupError::Rebalancing),
            _ => Ok(Some(at)),
        }
    }

    /// A member was heard. Nothing moves: its session is looked at when its time has come.
    pub(super) fn heard(&mut self, at: MemberKey, now: Mono) {
        if let Some(member) = self.members.get_mut(at.0) {
            member.last_seen = now;
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        kept: &Kept,
        caller: &Caller,
        now: Mono,
    ) -> Result<GroupReply, GroupError> {
        let at = self.caller(kept, caller)?;
        self.heard(at, now);
        match self.state {
            State::Preparing(_) => Err(GroupError::Rebalancing),
            _ => Ok(GroupReply::Beat),
        }
    }

    /// Members go, or are sent away.
    pub(super) fn leave(
        &mut self,
        leave: &Leave,
        shared: &mut Shared,
        now: Mono,
    ) -> Vec<Result<(), GroupError>> {
        let one = |leaving| self.leave_one(leaving, shared);
        let results = leave.members.iter().map(one).collect();
        self.after_removal(shared, now);
        results
    }

    fn leave_one(&mut self, leaving: &Leaving, shared: &mut Shared) -> Result<(), GroupError> {
        let at = match &leaving.instance {
            Some(instance) if leaving.member.is_empty() => {
                let at = self.by_instance.get(instance);
                *at.ok_or(GroupError::UnknownMember)?
            }
            None if self.named.remove(&leaving.member) => return Ok(()),
            instance => self.member_of(&leaving.member, instance.as_ref())?,
        };
        self.remove(at, GroupError::UnknownMember, shared);
        Ok(())
    }

    /// The session of a member is looked at.
    pub(super) fn look_at(&mut self, at: MemberKey, shared: &mut Shared, now: Mono) {
        let due = self.due(at);
        let member = &mut self.members[at.0];
        let end = match member.wait {
            Wait::No => member.session_end(),
            // It is we who keep it waiting.
            _ => now.after(nanos(member.session_ms)),
        };
        if end > now {
            shared.deadlines.set(due, &mut member.armed, Some(end));
            return;
        }
        self.remove(at, GroupError::UnknownMember, shared);
        self.after_removal(shared, now);
    }

    /// The asker of a call that waits for a member is gone.
    pub(super) fn gone(&mut self, at: MemberKey, shared: &mut Shared) {
        let member = &mut self.members[at.0];
        self.joined -= usize::from(matches!(member.wait, Wait::Join(_)));
        member.wait = Wait::No;
        if member.fresh && !breaks(Rule::NewcomerDropped) {
            // Nobody else can know that it is a member.
            self.remove(at, GroupError::UnknownMember, shared);
        }
    }

    /// What is due of the group, but for sessions and the barrier.
    pub(super) fn turn(&mut self, shared: &mut Shared, now: Mono) {
        while self.named.forget_before(now, NAMED_KEPT) {}
        let until = match self.state {
            State::Completing { until } | State::Stable { until } => until,
            State::Empty | State::Preparing(_) => return,
        };
        if self.unsynced == 0 || until > now {
            return;
        }
        let silent = self.members.iter().filter(|(_, member)| !member.synced);
        let silent: Vec<usize> = silent.map(|(at, _)| at).collect();
        for at in silent {
            self.remove(MemberKey(at), GroupError::UnknownMember, shared);
        }
        self.after_removal(shared, now);
    }

    /// A generation cannot go on without those who were in it.
    fn after_removal(&mut self, shared: &mut Shared, now: Mono) {
        let begun = matches!(self.state, State::Completing { .. } | State::Stable { .. });
        if begun && self.members.len() < self.size {
            self.prepare(shared, now);
        }
    }

    fn insert(&mut self, member: Member, shared: &mut Shared) -> MemberKey {
        self.said.add(&member.protocols);
        let slot = self.members.vacant_entry();
        let at = MemberKey(slot.key());
        let due = Due {
            group: self.key,
            member: Some(at),
        };
        let id = self.by_id.insert(Arc::clone(&member.id), at);
        let instance = member.instance.as_ref();
        let instance = instance.and_then(|name| self.by_instance.insert(Arc::clone(name), at));
        assert!(id.is_none() && instance.is_none(), "members are told apart");
        let end = member.session_end();
        let member = slot.insert(member);
        shared.deadlines.set(due, &mut member.armed, Some(end));
        at
    }

    /// A member is no more; who waits for it is told so.
    fn remove(&mut self, at: MemberKey, error: GroupError, shared: &mut Shared) {
        let due = self.due(at);
        let mut member = self.members.remove(at.0);
        shared.deadlines.set(due, &mut member.armed, None);
        self.by_id.remove(&member.id);
        member.instance.iter().for_each(|name| {
            self.by_instance.remove(name);
        });
        self.said.take(&member.protocols);
        if self.leader == Some(at) {
            self.leader = None;
        }
        if let State::Completing { .. } | State::Stable { .. } = self.state {
            self.unsynced -= usize::from(!member.synced);
        }
        self.joined -= usize::from(matches!(member.wait, Wait::Join(_)));
        end_wait(&mut member, error, shared);
    }

    fn due(&self, at: MemberKey) -> Due {
        Due {
            group: self.key,
            member: Some(at),
        }
    }

    /// How long the slowest may take to join again, nanoseconds.
    fn rebalance(&self) -> u64 {
        let each = self.members.iter().map(|(_, member)| member.rebalance_ms);
        nanos(each.max().unwrap_or(0).max(REBALANCE_LEAST_MS))
    }

    /// What a member is told of the present generation.
    fn joined(&self, at: MemberKey, generation: Generation, members: Vec<JoinedMember>) -> Joined {
        let leader = self.leader.map(|at| &self.members[at.0].id);
        Joined {
            member: Arc::clone(&self.members[at.0].id),
            generation,
            protocol_type: Arc::clone(&self.protocol_type),
            protocol: Arc::clone(&self.protocol),
            leader: leader.map_or_else(|| Name::from(""), Arc::clone),
            skip_assignment: false,
            members,
        }
    }

    /// All members as the leader sees them.
    fn as_led(&self) -> Vec<JoinedMember> {
        let one = |(_, member): (usize, &Member)| JoinedMember {
            member: Arc::clone(&member.id),
            instance: member.instance.clone(),
            subscription: member.subscription(&self.protocol),
        };
        let passed_over = usize::from(breaks(Rule::OneSet) && self.members.len() > 1);
        self.members.iter().skip(passed_over).map(one).collect()
    }

    pub(super) fn describe(&self, kept: &Kept) -> Description {
        let stable = matches!(self.state, State::Stable { .. });
        let none = Name::from("");
        let protocol = if stable { &self.protocol } else { &none };
        let one = |(_, member): (usize, &Member)| DescribedMember {
            member: Arc::clone(&member.id),
            instance: member.instance.clone(),
            client_id: Arc::clone(&member.client_id),
            host: Arc::clone(&member.host),
            subscription: member.subscription(protocol),
            assignment: match stable {
                true => member.assignment.clone(),
                false => Default::default(),
            },
        };
        let protocol_type = match self.members.is_empty() {
            true => &kept.protocol_type,
            false => &self.protocol_type,
        };
        Description {
            state: self.state(),
            kind: GroupKind::Classic,
            protocol_type: Arc::clone(protocol_type),
            protocol: Arc::clone(protocol),
            members: self.members.iter().map(one).collect(),
        }
    }
}

/// Whoever waits for a member is told why it is in vain.
fn end_wait(member: &mut Member, error: GroupError, shared: &mut Shared) {
    match std::mem::replace(&mut member.wait, Wait::No) {
        Wait::No => {}
        Wait::Join(request) | Wait::Sync(request) => shared.answer(request, Err(error)),
    }
}
