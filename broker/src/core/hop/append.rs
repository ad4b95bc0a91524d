//! Append a batch to a log.

use bytes::BytesMut;
use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Level, Mono, Now};

use super::Family;
use crate::core::Core;
use crate::core::latencies::Latencies;
use crate::core::ops::AllowedPartition;
use crate::core::pending::{Slot, Waiting};
use crate::core::protocol::Produces;

/// One batch for one partition.
#[derive(Debug)]
pub(in crate::core) struct AppendBatch {
    pub(in crate::core) partition: AllowedPartition,
    /// Exactly one record batch, not validated yet.
    pub(in crate::core) batch: BytesMut,
    /// Weakest level that satisfies the asker.
    pub(in crate::core) level: Level,
}

/// A client that produces one batch. If it is not answered by its deadline, it is given up.
#[derive(Debug)]
pub(in crate::core) struct Producer {
    pub(in crate::core) client: Produces,
    pub(in crate::core) deadline: Option<Mono>,
}

impl Family for AppendBatch {
    type Reply = Result<Produced, EngineError>;
    type Client = Producer;
    type Joint = ();

    fn work(&self) -> usize {
        1024 + self.batch.len() / 16
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let (request, log) = (slot.request(), self.partition.log());
        core.shard
            .produce(request, log, self.batch, self.level, now);
    }

    fn answer<P: BufPool>(core: &mut Core<P>, client: Producer, reply: Self::Reply, now: Now) {
        core.produced(client.client, Some(reply), now);
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }

    fn note(latencies: &mut Latencies, since: Mono, reply: &Self::Reply, now: Mono) {
        latencies.note_produce(since, reply.is_err(), now);
    }
}

impl<P: BufPool> Core<P> {
    /// The client that waits in that place and is to be given up at some time, if there is one.
    pub(in crate::core) fn append_deadline(
        &self,
        place: usize,
    ) -> Option<(Slot<AppendBatch>, Mono)> {
        match self.families.append.slots.in_place(place)? {
            (slot, Waiting::Client(producer)) => Some((slot, producer.deadline?)),
            (_, Waiting::Part(_) | Waiting::Peer(..)) => None,
        }
    }

    /// A client's batch has waited too long: the client is answered now, and the late answer dropped.
    pub(in crate::core) fn give_up_append(&mut self, slot: Slot<AppendBatch>, now: Now) {
        let slots = &mut self.families.append.slots;
        let Some((Waiting::Client(producer), _)) = slots.take(slot) else {
            return;
        };
        self.latencies.gave_up();
        self.produced(producer.client, None, now);
    }
}
