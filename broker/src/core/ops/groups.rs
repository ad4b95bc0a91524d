//! Ask those who decide about groups of consumers.

use leveret_engine::group::GroupCall;
use leveret_engine::topology::CoordinatorKind;
use leveret_storage::types::CoreId;

use super::{Allowed, Known, Operation, Refused, Resource};
use crate::core::hop::{AskGroup, GroupHome};

/// A group with which may be done what it was looked up for, whether it exists or not.
pub(in crate::core) type AllowedGroup = Allowed<GroupPlace>;

/// Where it is decided about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct GroupPlace {
    home: GroupHome,
    owner: CoreId,
}

impl GroupPlace {
    /// The core that decides; core 0 as long as none does.
    pub(in crate::core) fn owner(self) -> CoreId {
        self.owner
    }
}

impl AllowedGroup {
    /// What asks for that.
    pub(in crate::core) fn ask(self, call: GroupCall) -> (CoreId, AskGroup) {
        let GroupPlace { home, owner } = self.0;
        (owner, AskGroup { home, call })
    }
}

impl Known<'_> {
    /// The group of that name, to do that with it.
    ///
    /// # Errors
    /// That who asks may not.
    pub(in crate::core) fn group(
        &self,
        name: &str,
        operation: Operation,
    ) -> Result<AllowedGroup, Refused> {
        self.authorize(operation, Resource::Group(name))?;
        let coordinators = self.topology.coordinators(CoordinatorKind::Groups);
        Ok(Allowed(match coordinators {
            Some(coordinators) => {
                let (log, slot) = coordinators.of(name);
                self.place_of_coordinator(log, slot)
            }
            None => GroupPlace {
                home: GroupHome::NotMade,
                owner: CoreId(0),
            },
        }))
    }

    /// All who decide about groups, to learn which there are. Whether a client may hear of one is to be asked
    /// of each.
    ///
    /// # Errors
    /// That who asks may not.
    pub(in crate::core) fn all_groups(&self) -> Result<Vec<AllowedGroup>, Refused> {
        self.authorize(Operation::Describe, Resource::Cluster)?;
        let coordinators = self.topology.coordinators(CoordinatorKind::Groups);
        let all = coordinators.into_iter().flat_map(|all| all.logs());
        Ok(all
            .map(|(log, slot)| Allowed(self.place_of_coordinator(log, slot)))
            .collect())
    }

    fn place_of_coordinator(
        &self,
        log: leveret_storage::types::LogId,
        slot: leveret_storage::types::SlotId,
    ) -> GroupPlace {
        GroupPlace {
            home: GroupHome::Log(log),
            owner: self.topology.homes().core(slot),
        }
    }
}
