//! Produce, ListOffsets, InitProducer: requests about records that one answer completes.

use bytes::BytesMut;
use leveret_engine::shard::OffsetSpec;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Level, Now};
use leveret_wire::native::{self as wire, InitProducerOk, ProducerId};

use super::{Asker, level_in};
use crate::core::Core;
use crate::core::hop::{AppendBatch, FindOffset, Producer, ReserveIds, WantsId};

impl<P: BufPool> Core<P> {
    pub(super) fn produce(
        &mut self,
        asker: Asker,
        produce: &wire::Produce,
        batch: BytesMut,
        now: Now,
    ) {
        let place = self.partition(asker, produce.topic_id, produce.partition, now);
        let Some((log, owner)) = place else { return };
        let level = produce.level.map_or(Level::Synced, level_in);
        let deadline = self.give_up_at(produce.timeout_ms, now);
        self.owe_answer(asker.conn);
        let producer = Producer::Native { asker, deadline };
        self.ask(owner, AppendBatch { log, batch, level }, producer, now);
    }

    pub(super) fn list_offsets(&mut self, asker: Asker, lookup: &wire::ListOffsets, now: Now) {
        let place = self.partition(asker, lookup.topic_id, lookup.partition, now);
        let Some((log, owner)) = place else { return };
        let spec = match lookup.spec {
            wire::OffsetSpec::Earliest => OffsetSpec::Earliest,
            wire::OffsetSpec::Latest => OffsetSpec::Latest,
            wire::OffsetSpec::Timestamp(timestamp) => OffsetSpec::Timestamp(timestamp),
            wire::OffsetSpec::MaxTimestamp => OffsetSpec::MaxTimestamp,
        };
        self.owe_answer(asker.conn);
        self.ask(owner, FindOffset { log, spec }, asker, now);
    }

    pub(super) fn init_producer(&mut self, asker: Asker, now: Now) {
        if let Some(id) = self.producer_ids.take() {
            return self.respond(asker.conn, asker.correlation, &init_producer(id));
        }
        self.owe_answer(asker.conn);
        self.ask(CoreId(0), ReserveIds, WantsId::Native(asker), now);
    }
}

/// An id is new to every partition, so its producer begins with epoch 0.
pub(super) fn init_producer(id: i64) -> wire::Response<'static> {
    wire::Response::InitProducer(InitProducerOk {
        producer_id: ProducerId(id),
        producer_epoch: 0,
    })
}
