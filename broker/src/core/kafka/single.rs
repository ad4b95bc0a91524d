//! A produce to one partition, as most are: one answer completes it, so that it waits in the slot of its call
//! and nowhere else.

use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ErrorCode, ProduceResponse, TopicGroup, TopicRef};

use super::api::Frame;
use super::produce::{Batch, Line, level_of};
use super::{Asker, Kafka};
use crate::core::Core;
use crate::core::net::frames::detach;
use crate::core::ops::AllowedTopic;
use crate::core::protocol::Listed;

/// A produce to one partition before its batch is cut out of the frame.
pub(super) struct Single {
    pub(super) acks: i16,
    pub(super) timeout_ms: u32,
    pub(super) topic: AllowedTopic,
    pub(super) index: i32,
    pub(super) batch: Batch,
}

/// One whose batch is on its way.
#[derive(Debug)]
pub(in crate::core) struct SingleProduce {
    asker: Asker,
    topic: AllowedTopic,
    index: i32,
}

impl<P: BufPool> Core<P> {
    /// Sends the batch of a frame to its owner.
    pub(super) fn produce_single(
        &mut self,
        asker: Asker,
        single: Single,
        mut frame: Frame,
        now: Now,
    ) {
        let Batch { place, at } = single.batch;
        let whole = frame.bytes.len();
        let mut batch = frame.bytes.split_to(at.end);
        let batch = batch.split_off(at.start);
        let batch = detach(batch, whole);
        let produce = Kafka::produces(SingleProduce {
            asker,
            topic: single.topic,
            index: single.index,
        });
        let (level, patience) = (level_of(single.acks), (asker.conn, single.timeout_ms));
        self.append(place, (batch, level), patience, produce, now);
    }

    /// What came of the batch is known, or, if there is no reply, its time-out has passed.
    pub(super) fn kafka_produced(
        &mut self,
        produce: &SingleProduce,
        reply: Option<Result<Produced, EngineError>>,
        now: Now,
    ) {
        let asker = produce.asker;
        self.give_back_permit(asker.conn, asker.permit, now);
        let mut line = Line::refused(produce.index, ErrorCode::RequestTimedOut, None);
        if let Some(reply) = reply {
            line.take(reply);
        }
        let topic = TopicGroup {
            topic: TopicRef::Name(produce.topic.name.as_str()),
            partitions: 1,
        };
        match asker.turn {
            Some(_) => {
                let response = ProduceResponse {
                    topics: &[topic],
                    partitions: &[line.told()],
                    throttle_time_ms: 0,
                };
                self.kafka_respond(asker, &response);
            }
            None => self.end_if_refused(asker.conn, &[line]),
        }
        self.request_done(asker.conn, now);
    }
}
