//! Groups are described, listed and deleted.

use std::ops::Bound;
use std::sync::Arc;

use super::call::{List, Name};
use super::coordinator::{Coordinator, Group, Plan, Step, Then};
use super::entry::{Change, GroupEntry};
use super::error::GroupError;
use super::reply::{GroupKind, GroupReply, GroupState, Listing};
use super::shared::Answer;
use crate::shard::RequestId;

/// Groups that are looked at for one answer.
const PAGE: usize = 1024;

impl Coordinator {
    pub(super) fn describe(&self, group: &Name) -> Answer {
        let key = self.find(group).ok_or(GroupError::UnknownGroup)?;
        let group = &self.groups[key.0];
        let described = group.classic.describe(&group.kept);
        Ok(GroupReply::Described(Box::new(described)))
    }

    pub(super) fn list(&self, list: &List) -> GroupReply {
        let begin = list
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let mut groups = self.by_name.range::<Name, _>((begin, Bound::Unbounded));
        let mut found = Vec::new();
        let mut last = None;
        for (name, key) in groups.by_ref().take(PAGE) {
            let listing = listing(name, &self.groups[key.0]);
            let state = list.states.is_empty() || list.states.contains(&listing.state);
            let kind = list.kinds.is_empty() || list.kinds.contains(&listing.kind);
            if state && kind {
                found.push(listing);
            }
            last = Some(name);
        }
        let more = groups.next().is_some();
        GroupReply::Listed(found, last.filter(|_| more).map(Arc::clone))
    }

    pub(super) fn delete(&mut self, request: RequestId, group: &Name) -> Result<Plan, Answer> {
        let key = self.find(group).ok_or(Err(GroupError::UnknownGroup))?;
        let found = &self.groups[key.0];
        if found.classic.state() != GroupState::Empty {
            return Err(Err(GroupError::NotEmpty));
        }
        if found.kept.is_blank() {
            // Somebody was given a member id: there is no group yet.
            return Err(Err(GroupError::UnknownGroup));
        }
        Ok(Plan {
            entries: vec![GroupEntry::new(group, Change::GroupRemoved)],
            then: Then(Step::Answer {
                request,
                group: Arc::clone(group),
                member: None,
                answer: GroupReply::Deleted,
            }),
        })
    }
}

fn listing(name: &Name, group: &Group) -> Listing {
    let protocol_type = match group.classic.members() {
        0 => &group.kept.protocol_type,
        _ => group.classic.protocol_type(),
    };
    Listing {
        group: Arc::clone(name),
        protocol_type: Arc::clone(protocol_type),
        state: group.classic.state(),
        kind: GroupKind::Classic,
    }
}
