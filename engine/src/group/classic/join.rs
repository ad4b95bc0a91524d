//! Members join, and say that they go on.

use std::sync::Arc;

use leveret_storage::types::Mono;

use super::super::call::{Join, Name};
use super::super::entry::{Change, GroupEntry};
use super::super::error::GroupError;
use super::super::kept::Kept;
use super::super::reply::{GroupReply, Joined};
use super::super::rules::{Rule, breaks};
use super::super::shared::{Answer, Shared};
use super::member::{Member, Wait, bytes, taken_over};
use super::{Classic, MemberKey, State, end_wait};
use crate::shard::RequestId;

/// What becomes of a join.
pub(in super::super) enum Joins {
    /// It is answered.
    Answered(Answer),
    /// It waits.
    Waits,
    /// With this entry, behind which [`Classic::take_over`] goes on: another process takes a static member over,
    /// and has this member id.
    TakesOver(GroupEntry, Name),
}

impl Classic {
    /// Somebody joins; `id` is one that nobody has.
    pub(in super::super) fn join(
        &mut self,
        request: RequestId,
        join: &Join,
        id: Name,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) -> Joins {
        let answer = |answer: Result<GroupReply, GroupError>| Joins::Answered(answer);
        let there = join
            .instance
            .as_ref()
            .and_then(|name| self.by_instance.get(name));
        if join.member.is_empty()
            && let Some(&at) = there
        {
            if let Err(error) = self.may_say(join, Some(at), shared) {
                return answer(Err(error));
            }
            let old = &self.members[at.0].id;
            let assigned = kept.assigned.as_deref();
            let after = assigned.and_then(|of| taken_over(of, old, Arc::clone(&id), join));
            return match after {
                Some(member) if !breaks(Rule::TakeOverKept) => {
                    let old = Arc::clone(old);
                    let member = Arc::new(member);
                    let change = Change::StaticReplaced { old, member };
                    Joins::TakesOver(GroupEntry::new(&join.group, change), id)
                }
                _ => self.take_over(request, join, id, kept, shared, now),
            };
        }
        let joined = match join.member.is_empty() {
            true => self.newcomer(request, join, id, shared, now),
            false => self.known(request, join, kept, shared, now),
        };
        match joined {
            Ok(None) => Joins::Waits,
            Ok(Some(reply)) => answer(Ok(reply)),
            Err(error) => answer(Err(error)),
        }
    }

    /// Somebody without a member id.
    fn newcomer(
        &mut self,
        request: RequestId,
        join: &Join,
        id: Name,
        shared: &mut Shared,
        now: Mono,
    ) -> Result<Option<GroupReply>, GroupError> {
        self.may_say(join, None, shared)?;
        if self.members.len() >= shared.settings.members {
            return Err(GroupError::GroupFull);
        }
        if join.instance.is_none() && join.must_be_named {
            if self.named.len() >= shared.settings.members {
                return Err(GroupError::GroupFull);
            }
            self.named.insert(Arc::clone(&id), now);
            self.extend(shared, now);
            return Ok(Some(GroupReply::Named { member: id }));
        }
        self.add(request, join, id, shared, now);
        Ok(None)
    }

    /// Somebody with a member id.
    fn known(
        &mut self,
        request: RequestId,
        join: &Join,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) -> Result<Option<GroupReply>, GroupError> {
        if self.named.has(&join.member) {
            let instance = join.instance.as_ref();
            if instance.is_some_and(|name| self.by_instance.contains_key(name)) {
                return Err(GroupError::FencedInstance);
            }
            self.may_say(join, None, shared)?;
            if self.members.len() >= shared.settings.members {
                return Err(GroupError::GroupFull);
            }
            self.named.remove(&join.member);
            self.add(request, join, Arc::clone(&join.member), shared, now);
            return Ok(None);
        }
        let at = self.member_of(&join.member, join.instance.as_ref())?;
        self.may_say(join, Some(at), shared)?;
        self.heard(at, now);
        let same = self.members[at.0].says(join);
        let goes_on = match self.state {
            State::Empty | State::Preparing(_) => false,
            State::Completing { .. } => same,
            State::Stable { .. } => same && self.leader != Some(at),
        };
        if goes_on {
            // Its answer was lost, or it is not sure: nobody has to stand still for that.
            let members = match self.leader == Some(at) {
                true => self.as_led(),
                false => Vec::new(),
            };
            let joined = self.joined(at, kept.generation, members);
            return Ok(Some(GroupReply::Joined(Box::new(joined))));
        }
        self.update(at, join, shared);
        self.wait_at_barrier(request, at, shared, now);
        Ok(None)
    }

    /// Whether the group takes what somebody says who is, or is not, a member so far.
    fn may_say(
        &self,
        join: &Join,
        at: Option<MemberKey>,
        shared: &Shared,
    ) -> Result<(), GroupError> {
        let asked = bytes(&join.protocols);
        if asked > shared.settings.member_bytes {
            return Err(GroupError::TooLong);
        }
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return Err(GroupError::InconsistentProtocol);
        }
        let before = at.map(|at| &self.members[at.0]);
        let others = self.members.len() - usize::from(before.is_some());
        let all_know = |name: &Name| {
            let own = before.is_some_and(|member| member.protocol(name).is_some());
            self.said.knowing(name) - usize::from(own) == others
        };
        let mut names = join.protocols.iter().map(|protocol| &protocol.name);
        let fits = others == 0 || (join.protocol_type == self.protocol_type && names.any(all_know));
        if !fits {
            return Err(GroupError::InconsistentProtocol);
        }
        let before = before.map_or(0, |member| bytes(&member.protocols));
        match self.said.bytes - before + asked <= shared.settings.group_bytes {
            true => Ok(()),
            false => Err(GroupError::GroupFull),
        }
    }

    fn add(&mut self, request: RequestId, join: &Join, id: Name, shared: &mut Shared, now: Mono) {
        if self.members.is_empty() {
            self.protocol_type = Arc::clone(&join.protocol_type);
        }
        let at = self.insert(Member::new(id, join, now), shared);
        self.leader.get_or_insert(at);
        self.wait_at_barrier(request, at, shared, now);
    }

    /// A member says something else from now on.
    fn update(&mut self, at: MemberKey, join: &Join, shared: &mut Shared) {
        if self.members.len() == 1 {
            self.protocol_type = Arc::clone(&join.protocol_type);
        }
        let due = self.due(at);
        let member = &mut self.members[at.0];
        self.said.take(&member.protocols);
        member.update(join);
        self.said.add(&member.protocols);
        let end = member.session_end();
        shared.deadlines.set(due, &mut member.armed, Some(end));
    }

    /// A member waits for the next generation; who waited for it before waits in vain.
    fn wait_at_barrier(
        &mut self,
        request: RequestId,
        at: MemberKey,
        shared: &mut Shared,
        now: Mono,
    ) {
        let member = &mut self.members[at.0];
        self.joined -= usize::from(matches!(member.wait, Wait::Join(_)));
        end_wait(member, GroupError::Rebalancing, shared);
        match self.state {
            State::Preparing(_) => self.extend(shared, now),
            _ => self.prepare(shared, now),
        }
        self.members[at.0].wait = Wait::Join(request);
        self.joined += 1;
        shared.wait(request, self.key, at);
    }

    /// Another process takes a static member over, which has another member id from now on.
    ///
    /// # Panics
    /// If there is no member with that instance id.
    pub(in super::super) fn take_over(
        &mut self,
        request: RequestId,
        join: &Join,
        id: Name,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) -> Joins {
        let instance = join.instance.as_ref();
        let at = instance.and_then(|name| self.by_instance.get(name));
        let at = *at.expect("the static member is there");
        let leads = self.leader == Some(at);
        let member = &mut self.members[at.0];
        self.joined -= usize::from(matches!(member.wait, Wait::Join(_)));
        end_wait(member, GroupError::FencedInstance, shared);
        let old = std::mem::replace(&mut member.id, Arc::clone(&id));
        member.last_seen = now;
        self.by_id.remove(&old);
        self.by_id.insert(id, at);
        self.update(at, join, shared);
        if !matches!(self.state, State::Stable { .. }) || self.vote() != self.protocol {
            self.wait_at_barrier(request, at, shared, now);
            return Joins::Waits;
        }
        let members = match leads && join.can_skip_assignment {
            true => self.as_led(),
            false => Vec::new(),
        };
        let joined = self.joined(at, kept.generation, members);
        let joined = match (leads, join.can_skip_assignment) {
            (true, true) => Joined {
                skip_assignment: true,
                ..joined
            },
            // An older one would assign anew if it took itself for the leader.
            (true, false) => Joined {
                leader: old,
                ..joined
            },
            (false, _) => joined,
        };
        Joins::Answered(Ok(GroupReply::Joined(Box::new(joined))))
    }
}
