//! The leader brings assignments, and members ask for theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::Mono;

use super::super::call::{Name, Sync};
use super::super::entry::{GroupEntry, assigned};
use super::super::error::GroupError;
use super::super::kept::Kept;
use super::super::reply::{GroupReply, Synced};
use super::super::shared::{Answer, Shared};
use super::member::{Member, Wait};
use super::{Classic, State, end_wait};
use crate::shard::RequestId;

/// What becomes of a sync.
pub(in super::super) enum Syncs {
    /// It is answered.
    Answered(Answer),
    /// It waits for the leader.
    Waits,
    /// With these entries, behind which [`Classic::assign`] answers all.
    Assigns(Vec<GroupEntry>),
}

impl Classic {
    pub(in super::super) fn sync(
        &mut self,
        request: RequestId,
        sync: &Sync,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) -> Syncs {
        let at = match self.may_sync(sync, kept) {
            Ok(at) => at,
            Err(error) => return Syncs::Answered(Err(error)),
        };
        self.heard(at, now);
        let leads = self.leader == Some(at);
        match self.state {
            State::Empty => Syncs::Answered(Err(GroupError::UnknownMember)),
            State::Preparing(_) => Syncs::Answered(Err(GroupError::Rebalancing)),
            State::Completing { .. } if leads => match self.assignments(sync, kept, shared) {
                Ok(entries) => Syncs::Assigns(entries),
                Err(error) => Syncs::Answered(Err(error)),
            },
            State::Completing { .. } => {
                self.asked(at);
                let member = &mut self.members[at.0];
                end_wait(member, GroupError::Rebalancing, shared);
                member.wait = Wait::Sync(request);
                shared.wait(request, self.key, at);
                Syncs::Waits
            }
            State::Stable { .. } => {
                self.asked(at);
                let synced = self.synced(&self.members[at.0]);
                Syncs::Answered(Ok(GroupReply::Synced(synced)))
            }
        }
    }

    fn may_sync(&self, sync: &Sync, kept: &Kept) -> Result<super::MemberKey, GroupError> {
        let at = self.caller(kept, &sync.caller)?;
        let other = |said: &Option<Name>, is: &Name| said.as_ref().is_some_and(|said| said != is);
        // At a barrier no protocol is chosen.
        let chosen = !matches!(self.state, State::Preparing(_));
        let inconsistent = other(&sync.protocol_type, &self.protocol_type)
            || (chosen && other(&sync.protocol, &self.protocol));
        match inconsistent {
            true => Err(GroupError::InconsistentProtocol),
            false => Ok(at),
        }
    }

    /// A member need not be waited for any more.
    fn asked(&mut self, at: super::MemberKey) {
        let member = &mut self.members[at.0];
        self.unsynced -= usize::from(!member.synced);
        member.synced = true;
    }

    /// What survives of the leader's word. Who is not named gets nothing, and who is no member is passed over.
    fn assignments(
        &self,
        sync: &Sync,
        kept: &Kept,
        shared: &Shared,
    ) -> Result<Vec<GroupEntry>, GroupError> {
        let bytes = |(_, assignment): &(Name, Bytes)| assignment.len();
        let all: usize = sync.assignments.iter().map(bytes).sum();
        let longest = sync.assignments.iter().map(bytes).max().unwrap_or(0);
        if longest > shared.settings.member_bytes || all > shared.settings.group_bytes {
            return Err(GroupError::TooLong);
        }
        let by_id: BTreeMap<&Name, &Bytes> = sync
            .assignments
            .iter()
            .map(|(id, bytes)| (id, bytes))
            .collect();
        let one = |(_, member): (usize, &Member)| {
            let assignment = by_id.get(&member.id);
            // Of its own: the call's bytes are a part of a request.
            let assignment = assignment.map_or_else(Bytes::new, |own| Bytes::copy_from_slice(own));
            Arc::new(member.keep(&self.protocol, assignment))
        };
        let members = self.members.iter().map(one).collect();
        let leader = self.leader.expect("who assigns leads");
        let leader = &self.members[leader.0].id;
        let chosen = (&self.protocol, leader);
        Ok(assigned(&sync.group, kept.generation, chosen, members))
    }

    /// The assignments have their place: those who wait are told, and the leader.
    pub(in super::super) fn assign(
        &mut self,
        request: RequestId,
        kept: &Kept,
        shared: &mut Shared,
        now: Mono,
    ) {
        let State::Completing { until } = self.state else {
            unreachable!("a generation that was opened gets assignments");
        };
        self.state = State::Stable { until };
        let assigned = kept.assigned.as_ref().expect("just applied");
        for kept in &assigned.members {
            let at = self.by_id[&kept.id];
            let leads = self.leader == Some(at);
            if leads {
                self.asked(at);
            }
            let member = &mut self.members[at.0];
            member.assignment = kept.assignment.clone();
            let waits = match std::mem::replace(&mut member.wait, Wait::No) {
                Wait::Sync(request) => Some(request),
                _ => None,
            };
            if waits.is_some() {
                member.last_seen = now;
            }
            let synced = self.synced(&self.members[at.0]);
            let own = leads.then_some(request);
            for request in waits.into_iter().chain(own) {
                shared.answer(request, Ok(GroupReply::Synced(synced.clone())));
            }
        }
    }

    fn synced(&self, member: &Member) -> Synced {
        Synced {
            protocol_type: Arc::clone(&self.protocol_type),
            protocol: Arc::clone(&self.protocol),
            assignment: member.assignment.clone(),
        }
    }
}
