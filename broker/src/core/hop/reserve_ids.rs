//! Reserve a block of producer ids, of which this core then gives them out. Only core 0 does.

use leveret_engine::EngineError;
use leveret_engine::topology::{Command, ProducerIds, ProducerIdsReserved, ReserveProducerIds};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;
use crate::core::protocol::WantsId;

/// A block of [`ProducerIds::BLOCK`] ids.
#[derive(Debug)]
pub(in crate::core) struct ReserveIds;

impl Family for ReserveIds {
    type Reply = Result<ProducerIdsReserved, EngineError>;
    type Client = WantsId;
    type Joint = ();

    fn work(&self) -> usize {
        4096
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let count = ProducerIds::BLOCK;
        let command = Command::ProducerIds(ReserveProducerIds { count });
        core.shard.submit(slot.request(), &command, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, client: WantsId, reply: Self::Reply, now: Now) {
        let id = reply.map(|ProducerIdsReserved { first, count }| {
            core.producer_ids.refill(first, count);
            core.producer_ids.take().expect("a block is never empty")
        });
        core.id_reserved(client, id, now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }
}
