//! When something is due of which group. Each that waits for its time stands here once, and nothing that is gone does;
//! a member that is heard does not move, but looks again when its time has come.

use std::collections::BTreeSet;

use leveret_storage::types::Mono;

/// A group of this coordinator, while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey(pub(super) usize);

/// A member of a group, while it is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberKey(pub(super) usize);

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) group: GroupKey,
    /// A member's session; otherwise something of the group.
    pub(super) member: Option<MemberKey>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Mono, Due)>);

impl Deadlines {
    /// It is due then, and at no other time. Where it stands is told by `armed`, which only this changes.
    pub(super) fn set(&mut self, due: Due, armed: &mut Option<Mono>, at: Option<Mono>) {
        if *armed == at {
            return;
        }
        if let Some(before) = *armed {
            let there = self.0.remove(&(before, due));
            assert!(there, "what is armed stands here");
        }
        at.into_iter().for_each(|at| {
            self.0.insert((at, due));
        });
        *armed = at;
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<(Mono, Due)> {
        self.0.first().copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
