//! Produce, ListOffsets, InitProducer: requests about records that one answer completes.

use bytes::BytesMut;
use leveret_engine::shard::OffsetSpec;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Level, Now};
use leveret_wire::native::{self as wire, InitProducerOk, ProducerId};

use super::{Asker, Native, level_in};
use crate::core::Core;
use crate::core::ops::Operation;
use crate::core::protocol::Listed;

impl<P: BufPool> Core<P> {
    pub(super) fn produce(
        &mut self,
        asker: Asker,
        produce: &wire::Produce,
        batch: BytesMut,
        now: Now,
    ) {
        let named = (produce.topic_id, produce.partition);
        let Some(place) = self.partition(asker, named, Operation::Write, now) else {
            return;
        };
        let level = produce.level.map_or(Level::Synced, level_in);
        let patience = (asker.conn, produce.timeout_ms);
        let client = Native::produces(asker);
        self.append(place, (batch, level), patience, client, now);
    }

    pub(super) fn list_offsets(&mut self, asker: Asker, lookup: &wire::ListOffsets, now: Now) {
        let named = (lookup.topic_id, lookup.partition);
        let Some(place) = self.partition(asker, named, Operation::Describe, now) else {
            return;
        };
        let spec = match lookup.spec {
            wire::OffsetSpec::Earliest => OffsetSpec::Earliest,
            wire::OffsetSpec::Latest => OffsetSpec::Latest,
            wire::OffsetSpec::Timestamp(timestamp) => OffsetSpec::Timestamp(timestamp),
            wire::OffsetSpec::MaxTimestamp => OffsetSpec::MaxTimestamp,
        };
        self.owe_answer(asker.conn);
        let (owner, call) = place.find_offset(spec);
        self.ask(owner, call, asker, now);
    }

    pub(super) fn init_producer(&mut self, asker: Asker, now: Now) {
        match self.take_producer_id(asker.conn, Native::wants_id(asker), now) {
            Ok(Some(id)) => self.respond(asker.conn, asker.correlation, &init_producer(id)),
            Ok(None) => {}
            Err(refused) => self.refuse_not_allowed(asker, &refused, now),
        }
    }
}

/// An id is new to every partition, so its producer begins with epoch 0.
pub(super) fn init_producer(id: i64) -> wire::Response<'static> {
    wire::Response::InitProducer(InitProducerOk {
        producer_id: ProducerId(id),
        producer_epoch: 0,
    })
}
