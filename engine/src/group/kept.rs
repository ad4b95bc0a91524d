//! What a restart must not lose of a group. Nothing but entries changes it.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, WallMs};

use super::call::{Generation, Name};
use super::entry::Change;
use super::reply::Committed;
use crate::shelves::Shelves;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The last that was opened; 0 before the first.
    pub(super) generation: Generation,
    /// What the group is for; empty before the first generation.
    pub(super) protocol_type: Name,
    /// When the last generation was opened, if nobody was in it.
    pub(super) empty_since: Option<WallMs>,
    /// The last generation that had assignments. It may be older than the last that was opened.
    pub(super) assigned: Option<Arc<Assigned>>,
    /// Members of the generation that is opened, until it is stable.
    pub(super) staged: Vec<Arc<KeptMember>>,
    offsets: Shelves<LogId, Committed>,
    count: usize,
}

/// A generation whose leader has assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) generation: Generation,
    pub(super) protocol: Name,
    /// A member id.
    pub(super) leader: Name,
    pub(super) members: Vec<Arc<KeptMember>>,
}

/// A member of such a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptMember {
    pub(super) id: Name,
    pub(super) instance: Option<Name>,
    pub(super) client_id: Name,
    pub(super) host: Name,
    pub(super) session_ms: u32,
    pub(super) rebalance_ms: u32,
    /// What it said to the leader.
    pub(super) subscription: Bytes,
    /// The topics in that, if they could be read.
    pub(super) topics: Option<Arc<[Name]>>,
    pub(super) assignment: Bytes,
}

impl KeptMember {
    /// Bytes of it in an entry, about.
    pub(super) fn bytes(&self) -> usize {
        let names = [&self.id, &self.client_id, &self.host];
        let names: usize = names.into_iter().map(|name| name.len()).sum();
        let topics = self.topics.iter().flat_map(|topics| topics.iter());
        let topics: usize = topics.map(|topic| 2 + topic.len()).sum();
        let instance = self.instance.as_ref().map_or(0, |name| name.len());
        64 + names + instance + topics + self.subscription.len() + self.assignment.len()
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            generation: 0,
            protocol_type: Name::from(""),
            empty_since: None,
            assigned: None,
            staged: Vec::new(),
            offsets: Shelves::default(),
            count: 0,
        }
    }
}

impl Kept {
    /// Nothing of it needs to survive.
    pub(super) fn is_blank(&self) -> bool {
        self.generation == 0 && self.count == 0
    }

    /// Partitions with an offset.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn offset(&self, log: LogId) -> Option<&Committed> {
        self.offsets.get(&log)
    }

    /// Offsets by log, from the one after `after` on.
    pub(super) fn offsets_after(
        &self,
        after: Option<LogId>,
    ) -> impl Iterator<Item = (LogId, &Committed)> {
        self.offsets.after(after).map(|(log, found)| (*log, found))
    }

    /// An offset is kept from here on.
    pub(super) fn insert(&mut self, log: LogId, committed: Committed) {
        let before = self.offsets.insert(log, committed);
        self.count += usize::from(before.is_none());
    }

    /// Whether a change can come next.
    pub(super) fn fits(&self, change: &Change) -> bool {
        match change {
            Change::OffsetsCommitted(_) | Change::OffsetsRemoved(_) | Change::GroupRemoved => true,
            Change::GenerationOpened { generation, .. } => *generation > self.generation,
            Change::MembersAssigned {
                generation, before, ..
            } => *generation == self.generation && *before as usize <= self.staged.len(),
            Change::GenerationStable {
                generation,
                leader,
                members,
                ..
            } => {
                let leads = |member: &Arc<KeptMember>| member.id == *leader;
                let staged = &self.staged;
                *generation == self.generation
                    && *members as usize == staged.len()
                    && staged.iter().any(leads)
            }
            Change::StaticReplaced { old, member } => {
                let assigned = self.assigned.as_deref();
                let found = assigned.and_then(|assigned| assigned.find(old));
                found.is_some_and(|at| {
                    let before = &assigned.expect("just found").members[at];
                    before.instance.is_some() && before.instance == member.instance
                })
            }
        }
    }

    /// Takes a change that fits, decided at `time`.
    pub(super) fn apply(&mut self, change: &Change, time: WallMs) {
        match change {
            Change::OffsetsCommitted(offsets) => {
                for new in offsets {
                    let committed = Committed {
                        offset: new.offset,
                        leader_epoch: new.leader_epoch,
                        metadata: (!new.metadata.is_empty()).then(|| Arc::clone(&new.metadata)),
                        time,
                    };
                    self.insert(new.log, committed);
                }
            }
            Change::OffsetsRemoved(logs) => {
                for log in logs {
                    self.count -= usize::from(self.offsets.remove(log).is_some());
                }
            }
            Change::GenerationOpened {
                generation,
                protocol_type,
                inhabited,
            } => {
                self.generation = *generation;
                self.protocol_type = Arc::clone(protocol_type);
                self.staged = Vec::new();
                self.empty_since = (!inhabited).then_some(time);
                if !inhabited {
                    self.assigned = None;
                }
            }
            Change::MembersAssigned {
                before, members, ..
            } => {
                // Where the journal was full, the same begins anew.
                self.staged.truncate(*before as usize);
                self.staged.extend(members.iter().map(Arc::clone));
            }
            Change::GenerationStable {
                generation,
                protocol,
                leader,
                ..
            } => {
                self.assigned = Some(Arc::new(Assigned {
                    generation: *generation,
                    protocol: Arc::clone(protocol),
                    leader: Arc::clone(leader),
                    members: std::mem::take(&mut self.staged),
                }));
            }
            Change::StaticReplaced { old, member } => {
                let assigned = self.assigned.as_mut().expect("it fits");
                let assigned = Arc::make_mut(assigned);
                let at = assigned.find(old).expect("it fits");
                assigned.members[at] = Arc::clone(member);
                if assigned.leader == *old {
                    assigned.leader = Arc::clone(&member.id);
                }
            }
            Change::GroupRemoved => *self = Self::default(),
        }
    }
}

impl Assigned {
    /// The place of a member.
    pub(super) fn find(&self, id: &Name) -> Option<usize> {
        self.members.iter().position(|member| member.id == *id)
    }
}
