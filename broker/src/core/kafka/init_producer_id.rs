//! InitProducerId: an id for an idempotent producer, which nobody else has ever had.

use leveret_engine::EngineError;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ErrorCode, InitProducerIdRequest, InitProducerIdResponse};

use super::api::{Api, Incoming, Read};
use super::{Asker, Kafka, Known, errors};
use crate::core::Core;
use crate::core::protocol::Listed;

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
        let (mut asker, wants) = (request.asker, request.outline);
        if wants == Wants::Transactions {
            // No coordinator of transactions was advertised.
            let response = response(Err(ErrorCode::InvalidRequest));
            return core.kafka_answer(asker, &response, now);
        }
        // Nothing of its bytes is kept, and it may wait for the topology's log.
        core.give_back_early(asker.conn, &mut asker.permit, now);
        match core.take_producer_id(asker.conn, Kafka::wants_id(asker), now) {
            Ok(Some(id)) => core.kafka_answer(asker, &response(Ok(id)), now),
            Ok(None) => {}
            Err(refused) => {
                let error = errors::not_allowed(&refused).0;
                core.kafka_answer(asker, &response(Err(error)), now);
            }
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Answers a producer that waited for its id.
    pub(super) fn kafka_id_reserved(
        &mut self,
        asker: Asker,
        id: Result<i64, EngineError>,
        now: Now,
    ) {
        let id = id.map_err(|error| errors::code(&error));
        self.kafka_answer(asker, &response(id), now);
        self.request_done(asker.conn, now);
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
