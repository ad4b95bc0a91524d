//! Change a topic. Only core 0 does; it answers when all cores have [installed](crate::core::installs) it.

use leveret_engine::EngineError;
use leveret_engine::topology::{Command, TopicCommand, TopicEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::native;
use crate::core::ops::Allowed;
use crate::core::pending::Slot;

/// A topic of more partitions than this is refused, or costs no more to place than so many.
const MOST_PLACED: u32 = 10_000;

/// What is to be changed.
#[derive(Debug)]
pub(in crate::core) struct ChangeTopics(pub(in crate::core) Allowed<TopicCommand>);

impl Family for ChangeTopics {
    type Reply = Result<TopicEntry, EngineError>;
    type Client = native::Asker;
    type Joint = ();

    fn work(&self) -> usize {
        match &*self.0 {
            TopicCommand::Create { partitions, .. } => {
                4096 + 16 * (*partitions).min(MOST_PLACED) as usize
            }
            _ => 4096,
        }
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let command = Command::Topic(self.0.into_inner());
        core.shard.submit(slot.request(), &command, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, client: native::Asker, reply: Self::Reply, now: Now) {
        core.native_changed(client, reply, now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }
}
