//! InitProducerId: an id for an idempotent producer, which nobody else has ever had.

use leveret_engine::shard::Reply;
use leveret_engine::topology::{
    Command, ProducerIds, ProducerIdsReserved, ReserveProducerIds, TopologyEntry,
};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use super::api::{Api, Incoming, Operation, Read};
use super::changes::change_of;
use super::{Asker, KafkaSettings, Known, errors};
use crate::core::Core;
use crate::core::hop::Call;

pub(super) struct InitProducerId;

/// Whether the producer is more than idempotent.
#[derive(PartialEq, Eq)]
pub(super) enum Wants {
    Id,
    Transactions,
}

impl Api for InitProducerId {
    type Request<'a> = InitProducerIdRequest<'a>;
    type Outline = Wants;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Wants {
        match read.request.transactional_id {
            None => Wants::Id,
            Some(_) => Wants::Transactions,
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, wants) = (request.asker, request.outline);
        if wants == Wants::Transactions {
            // No coordinator of transactions was advertised.
            let response = response(Err(ErrorCode::InvalidRequest));
            return core.kafka_answer(asker, &response, now);
        }
        match core.producer_ids.take() {
            Some(id) => core.kafka_answer(asker, &response(Ok(id)), now),
            None => core.kafka_carry_out(asker, Box::new(Reserving::default()), now),
        }
    }
}

/// A producer that waits for a block of ids.
#[derive(Default)]
struct Reserving {
    /// The block, or why there is none.
    block: Option<Result<(u64, u32), ErrorCode>>,
}

impl<P: BufPool> Operation<P> for Reserving {
    fn calls(&mut self, _settings: &KafkaSettings) -> Vec<(CoreId, Call)> {
        let count = ProducerIds::BLOCK;
        let reserve = Command::ProducerIds(ReserveProducerIds { count });
        vec![(CoreId(0), Call::Change(reserve))]
    }

    fn take(&mut self, _part: usize, reply: Reply) {
        self.block = Some(match change_of(reply) {
            Ok(TopologyEntry::ProducerIds(ProducerIdsReserved { first, count })) => {
                Ok((first, count))
            }
            Ok(entry) => unreachable!("not what was asked: {entry:?}"),
            Err(error) => Err(errors::code(&error)),
        });
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, asker: Asker) {
        let block = self.block.expect("all parts are there");
        let id = block.map(|(first, count)| {
            core.producer_ids.refill(first, count);
            core.producer_ids.take().expect("a block is never empty")
        });
        core.kafka_respond(asker, &response(id));
    }
}

/// An id is new to every partition, so its producer begins with epoch 0.
fn response(id: Result<i64, ErrorCode>) -> InitProducerIdResponse {
    let (error, producer_id, producer_epoch) = match id {
        Ok(id) => (ErrorCode::None, id, 0),
        Err(error) => (error, -1, -1),
    };
    InitProducerIdResponse {
        throttle_time_ms: 0,
        error,
        producer_id,
        producer_epoch,
    }
}
