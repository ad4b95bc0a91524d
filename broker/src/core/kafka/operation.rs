//! Requests that are being carried out: who asked, what its API makes of it, and what waits behind it.

use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Asker;
use super::api::Operation;
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::gather::{Gathering, Progress};
use crate::core::hop::Answer;

/// A Kafka request that waits for what it has asked for.
pub(in crate::core) struct KafkaOperation<P> {
    asker: Asker,
    pub(in crate::core) operation: Box<dyn Operation<P>>,
}

impl<P: BufPool> KafkaOperation<P> {
    pub(in crate::core) fn is_fetch(&self) -> bool {
        self.operation.as_fetch().is_some()
    }

    /// Partitions of a fetch. The answers of all others are complete piece by piece, or as long as their
    /// requests are.
    pub(in crate::core) fn partitions(&self) -> usize {
        let fetch = self.operation.as_fetch();
        fetch.map_or(0, |fetch| fetch.partitions())
    }

    /// Bytes of batches that are there.
    pub(in crate::core) fn read(&self) -> usize {
        let fetch = self.operation.as_fetch();
        fetch.map_or(0, |fetch| fetch.read())
    }

    /// One partition of a fetch is there; once more if it was only counted before.
    pub(in crate::core) fn fetched(&mut self, line: usize, one: FetchedPartition) {
        let fetch = self.operation.as_fetch_mut();
        fetch.expect("only fetches fetch").fetched(line, one);
    }

    /// A part is there.
    pub(in crate::core) fn take(&mut self, part: usize, answer: Answer) -> Progress {
        match answer {
            Answer::Engine(reply) => self.operation.take(part, reply),
            answer => unreachable!("no part of this request: {answer:?}"),
        }
        Progress::GoOn
    }
}

impl<P: BufPool> Core<P> {
    /// Carries out what a request asks: looks it up, asks for what it needs, answers.
    pub(super) fn kafka_carry_out(
        &mut self,
        asker: Asker,
        operation: Box<dyn Operation<P>>,
        now: Now,
    ) {
        let gather = self.kafka_begin(asker, None, operation);
        self.gather_in_slices(gather, now);
    }

    /// Begins with an operation. Later requests of the connection wait for what it says, and for
    /// nothing else.
    pub(super) fn kafka_begin(
        &mut self,
        asker: Asker,
        deadline: Option<Mono>,
        operation: Box<dyn Operation<P>>,
    ) -> usize {
        let blocks = operation.blocks();
        let what = Gathering::Kafka(KafkaOperation { asker, operation });
        let gather = self.gather(asker.conn, asker.permit, deadline, what);
        if let Some(why) = blocks {
            self.block(asker.conn, why);
        }
        gather
    }

    /// Answers the client with what is there.
    pub(in crate::core) fn kafka_finish(
        &mut self,
        conn: ConnId,
        finished: KafkaOperation<P>,
        now: Now,
    ) {
        let blocks = finished.operation.blocks();
        finished.operation.finish(self, finished.asker);
        if let Some(why) = blocks {
            self.unblock(conn, why, now);
        }
    }
}
