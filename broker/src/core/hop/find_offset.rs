//! Look up an offset of a partition.

use leveret_engine::EngineError;
use leveret_engine::shard::{FoundOffset, OffsetSpec};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::native;
use crate::core::ops::AllowedPartition;
use crate::core::pending::Slot;

/// What to look for, and in which partition.
#[derive(Debug)]
pub(in crate::core) struct FindOffset {
    pub(in crate::core) partition: AllowedPartition,
    pub(in crate::core) spec: OffsetSpec,
}

impl Family for FindOffset {
    type Reply = Result<FoundOffset, EngineError>;
    type Client = native::Asker;
    type Joint = ();

    fn work(&self) -> usize {
        512
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let log = self.partition.log();
        core.shard.list_offsets(slot.request(), log, self.spec, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, client: native::Asker, reply: Self::Reply, now: Now) {
        core.native_found(client, reply, now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }
}
