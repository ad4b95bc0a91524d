//! Look up an offset of a log.

use leveret_engine::EngineError;
use leveret_engine::shard::{FoundOffset, OffsetSpec};
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now};

use super::Family;
use crate::core::Core;
use crate::core::gather::Gathered;
use crate::core::native;
use crate::core::pending::Slot;

/// What to look for, and in which log.
#[derive(Debug)]
pub(in crate::core) struct FindOffset {
    pub(in crate::core) log: LogId,
    pub(in crate::core) spec: OffsetSpec,
}

impl Family for FindOffset {
    type Reply = Result<FoundOffset, EngineError>;
    type Client = native::Asker;

    fn work(&self) -> usize {
        512
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let Self { log, spec } = self;
        core.shard.list_offsets(slot.request(), log, spec, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, client: native::Asker, reply: Self::Reply, now: Now) {
        core.native_found(client, reply, now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }
}

impl Gathered for FindOffset {
    type Piece = Self::Reply;
    type Joint = ();
}
