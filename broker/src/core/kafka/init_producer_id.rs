//! InitProducerId: an id for an idempotent producer, which nobody else has ever had.

use leveret_engine::shard::Reply;
use leveret_engine::topology::{
    Command, ProducerIds, ProducerIdsReserved, ReserveProducerIds, TopologyEntry,
};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use super::Asker;
use super::changes::change_of;
use super::errors;
use super::gathered::Gathered;
use crate::core::Core;
use crate::core::hop::Call;

/// A producer that waits for a block of ids.
#[derive(Default)]
pub(super) struct Initing {
    /// The block, or why there is none.
    block: Option<Result<(u64, u32), ErrorCode>>,
}

impl Initing {
    pub(super) fn take(&mut self, reply: Reply) {
        self.block = Some(match change_of(reply) {
            Ok(TopologyEntry::ProducerIds(ProducerIdsReserved { first, count })) => {
                Ok((first, count))
            }
            Ok(entry) => unreachable!("not what was asked: {entry:?}"),
            Err(error) => Err(errors::code(&error)),
        });
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_init_producer(
        &mut self,
        asker: Asker,
        request: &InitProducerIdRequest<'_>,
        now: Now,
    ) {
        if request.transactional_id.is_some() {
            // No coordinator of transactions was advertised.
            self.respond_producer_id(asker, Err(ErrorCode::InvalidRequest));
            return self.give_back_permit(asker.conn, asker.permit, now);
        }
        if let Some(id) = self.producer_ids.take() {
            self.respond_producer_id(asker, Ok(id));
            return self.give_back_permit(asker.conn, asker.permit, now);
        }
        let command = Command::ProducerIds(ReserveProducerIds {
            count: ProducerIds::BLOCK,
        });
        let initing = Gathered::InitProducerId(Initing::default());
        let gather = self.kafka_gather(asker, None, initing);
        self.ask_part(gather, CoreId(0), Call::Change(command), now);
        self.all_asked(gather, now);
    }

    pub(super) fn kafka_inited(&mut self, asker: Asker, initing: Initing) {
        let block = initing.block.expect("all parts are there");
        let id = block.map(|(first, count)| {
            self.producer_ids.refill(first, count);
            self.producer_ids.take().expect("a block is never empty")
        });
        self.respond_producer_id(asker, id);
    }

    /// An id is new to every partition, so its producer begins with epoch 0.
    fn respond_producer_id(&mut self, asker: Asker, id: Result<i64, ErrorCode>) {
        let (error, producer_id, producer_epoch) = match id {
            Ok(id) => (ErrorCode::None, id, 0),
            Err(error) => (error, -1, -1),
        };
        let response = InitProducerIdResponse {
            throttle_time_ms: 0,
            error,
            producer_id,
            producer_epoch,
        };
        self.kafka_respond(asker, &response);
    }
}
