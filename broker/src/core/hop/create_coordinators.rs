//! Make the coordinators of groups. Core 0 asks itself, and hears when all cores have
//! [installed](crate::core::installs) them.

use leveret_engine::EngineError;
use leveret_engine::topology::{self, Command, CoordinatorKind, TopologyRefusal};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;

/// All of them.
#[derive(Debug)]
pub(in crate::core) struct CreateCoordinators;

impl Family for CreateCoordinators {
    type Reply = Result<(), EngineError>;
    type Client = ();
    type Joint = ();

    fn work(&self) -> usize {
        4096
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let create = topology::CreateCoordinators(CoordinatorKind::Groups);
        let command = Command::Coordinators(create);
        core.shard.submit(slot.request(), &command, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, (): (), reply: Self::Reply, now: Now) {
        core.coordinators_made(reply, now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        match error {
            EngineError::Topology(TopologyRefusal::Coordinators(_)) => Some(Ok(())),
            error => Some(Err(error)),
        }
    }
}
