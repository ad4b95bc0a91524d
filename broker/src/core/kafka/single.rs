//! A produce to one partition, as most are: one answer completes it, so that it waits in the slot of its call
//! and nowhere else.

use std::sync::Arc;

use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_engine::topology::Topic;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};
use leveret_wire::kafka::{ErrorCode, ProduceResponse, TopicGroup, TopicRef};

use super::Asker;
use super::api::Frame;
use super::produce::{Batch, Line, level_of};
use crate::core::Core;
use crate::core::hop::{AppendBatch, Producer};
use crate::core::intake::detach;

/// A produce to one partition before its batch is cut out of the frame.
pub(super) struct Single {
    pub(super) acks: i16,
    pub(super) timeout_ms: u32,
    pub(super) topic: Arc<Topic>,
    pub(super) index: i32,
    pub(super) batch: Batch,
}

/// One whose batch is on its way.
#[derive(Debug)]
pub(in crate::core) struct SingleProduce {
    asker: Asker,
    /// When it is answered without knowing what came of it.
    pub(in crate::core) deadline: Option<Mono>,
    topic: Arc<Topic>,
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
        let deadline = self.give_up_at(single.timeout_ms, now);
        self.owe_answer(asker.conn);
        let Batch { log, owner, at } = single.batch;
        let whole = frame.bytes.len();
        let mut batch = frame.bytes.split_to(at.end);
        let batch = batch.split_off(at.start);
        let batch = detach(batch, whole);
        let producer = Producer::Kafka(SingleProduce {
            asker,
            deadline,
            topic: single.topic,
            index: single.index,
        });
        let level = level_of(single.acks);
        self.ask(owner, AppendBatch { log, batch, level }, producer, now);
    }

    /// What came of the batch is known, or, if there is no reply, its time-out has passed.
    pub(in crate::core) fn kafka_produced(
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
