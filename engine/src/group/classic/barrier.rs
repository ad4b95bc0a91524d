//! The barrier between two generations.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::Mono;

use super::super::call::Name;
use super::super::entry::{Change, GroupEntry};
use super::super::error::GroupError;
use super::super::kept::Kept;
use super::super::reply::GroupReply;
use super::super::rules::{Rule, breaks};
use super::super::shared::{Shared, nanos};
use super::member::Wait;
use super::{Barrier, Classic, MemberKey, State, end_wait};

/// How a barrier ends.
pub(in super::super) enum Ends {
    /// It stays, or nothing of it needs to survive.
    Quietly,
    /// With this entry, behind which [`Classic::open`] begins the generation.
    With(GroupEntry),
}

impl Classic {
    /// Members have to join again, or join first.
    pub(super) fn prepare(&mut self, shared: &mut Shared, now: Mono) {
        let first = self.state == State::Empty && self.members.len() <= 1;
        for (_, member) in &mut self.members {
            if let Wait::Sync(_) = member.wait {
                end_wait(member, GroupError::Rebalancing, shared);
            }
        }
        self.unsynced = 0;
        let barrier = match first {
            true => {
                let most = nanos(shared.settings.initial_delay_most_ms);
                Barrier {
                    until: now.after(nanos(shared.settings.initial_delay_ms).min(most)),
                    first: Some(now.after(most)),
                }
            }
            false => Barrier {
                until: now.after(self.rebalance()),
                first: None,
            },
        };
        self.state = State::Preparing(barrier);
    }

    /// Somebody came, or is about to: the first generation waits for others who may do so, too.
    pub(super) fn extend(&mut self, shared: &Shared, now: Mono) {
        if let State::Preparing(Barrier {
            until,
            first: Some(most),
        }) = &mut self.state
        {
            *until = now
                .after(nanos(shared.settings.initial_delay_ms))
                .min(*most);
        }
    }

    /// When those who wait have waited for long enough.
    pub(super) fn barrier_end(&self, barrier: &Barrier, shared: &Shared) -> Mono {
        let complete = match barrier.first {
            // Nobody knows who is to come.
            Some(_) => self.members.is_empty(),
            None => self.joined == self.members.len(),
        };
        let held = self.named.newest();
        match (complete, held) {
            (false, _) if breaks(Rule::BarrierEnds) => Mono(u64::MAX),
            (false, _) => barrier.until,
            (true, None) => Mono(0),
            (true, Some(_)) if breaks(Rule::NamedLetGo) => barrier.until,
            (true, Some(named)) => named
                .after(nanos(shared.settings.named_ms))
                .min(barrier.until),
        }
    }

    /// Ends the barrier if it is time. Who has not joined again is dropped, but for static members, who have
    /// their session.
    pub(in super::super) fn end_barrier(
        &mut self,
        group: &Name,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) -> Ends {
        let State::Preparing(barrier) = &self.state else {
            return Ends::Quietly;
        };
        if self.barrier_end(barrier, shared) > now {
            return Ends::Quietly;
        }
        let late = |member: &super::Member| {
            member.instance.is_none() && !matches!(member.wait, Wait::Join(_))
        };
        let gone: Vec<usize> = match self.joined == self.members.len() {
            true => Vec::new(),
            false => {
                let members = self.members.iter();
                members
                    .filter(|(_, one)| late(one))
                    .map(|(at, _)| at)
                    .collect()
            }
        };
        for at in gone {
            self.remove(MemberKey(at), GroupError::UnknownMember, shared);
        }
        if self.joined == 0 && !self.members.is_empty() {
            // Static members alone, of whom none can lead: they have their sessions.
            self.prepare(shared, now);
            return Ends::Quietly;
        }
        if self.members.is_empty() && kept.generation == 0 {
            self.state = State::Empty;
            return Ends::Quietly;
        }
        let protocol_type = match self.members.is_empty() {
            true => &kept.protocol_type,
            false => &self.protocol_type,
        };
        let change = Change::GenerationOpened {
            // 2^31 generations of a group take longer than any group lives.
            generation: kept.generation.saturating_add(1),
            protocol_type: Arc::clone(protocol_type),
            inhabited: !self.members.is_empty(),
        };
        Ends::With(GroupEntry::new(group, change))
    }

    /// The generation that was opened begins: those who wait are told.
    pub(in super::super) fn open(&mut self, kept: &Kept, shared: &mut Shared, now: Mono) {
        self.size = self.members.len();
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = Name::from("");
            return;
        }
        self.elect();
        self.protocol = self.vote();
        let until = now.after(self.rebalance());
        self.state = State::Completing { until };
        let mut waiting = Vec::with_capacity(self.joined);
        for (at, member) in &mut self.members {
            member.fresh = false;
            member.assignment = Bytes::new();
            // A static member that has not come back yet is not waited for, and its session goes on.
            member.synced = true;
            if let Wait::Join(request) = member.wait {
                member.wait = Wait::No;
                member.synced = false;
                member.last_seen = now;
                waiting.push((MemberKey(at), request));
            }
        }
        self.unsynced = waiting.len();
        self.joined = 0;
        let mut led = Some(self.as_led());
        for (at, request) in waiting {
            let members = match self.leader == Some(at) {
                true => led.take().unwrap_or_default(),
                false => Vec::new(),
            };
            let joined = self.joined(at, kept.generation, members);
            shared.answer(request, Ok(GroupReply::Joined(Box::new(joined))));
        }
    }

    /// Somebody who waits leads; whoever did goes on doing so, if it waits.
    fn elect(&mut self) {
        let waits = |at: MemberKey| matches!(self.members[at.0].wait, Wait::Join(_));
        if self.leader.is_some_and(waits) {
            return;
        }
        let mut members = self.members.iter();
        let first = members.find(|(at, _)| waits(MemberKey(*at)));
        self.leader = first.map(|(at, _)| MemberKey(at));
    }

    /// The protocol that all know and most like best; of those that as many like, the one that the leader does.
    pub(super) fn vote(&self) -> Name {
        let leader = self.leader.expect("who is voted for has a leader");
        let all = self.members.len();
        let known = self.members[leader.0].protocols.iter().map(|one| &one.name);
        let known = known.filter(|name| self.said.knowing(name) == all);
        let mut votes: BTreeMap<&Name, (usize, usize)> = known
            .enumerate()
            .map(|(place, name)| (name, (0, place)))
            .collect();
        for (_, member) in &self.members {
            let mut names = member.protocols.iter().map(|one| &one.name);
            let liked = names.find(|name| votes.contains_key(name));
            if let Some((count, _)) = liked.and_then(|name| votes.get_mut(name)) {
                *count += 1;
            }
        }
        let best = votes
            .into_iter()
            .max_by_key(|(_, (count, place))| (*count, std::cmp::Reverse(*place)));
        let (name, _) = best.expect("whoever joins knows a protocol that all know");
        Arc::clone(name)
    }
}
