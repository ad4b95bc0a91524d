//! Append records, read them, and look their offsets up.

use bytes::BytesMut;
use leveret_engine::shard::{FetchPartition, OffsetSpec};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Level, Now, Offset};

use super::AllowedPartition;
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::hop::{AppendBatch, FindOffset, Producer};
use crate::core::protocol::Produces;
use crate::core::spread::{Bounds, Spread};

/// Longest that a fetch may ask to wait, milliseconds.
const MAX_FETCH_WAIT: u32 = 300_000;

/// What a client wants of a whole fetch.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct FetchBounds {
    /// Bytes of all partitions together.
    pub(in crate::core) max_bytes: usize,
    /// Bytes to wait for.
    pub(in crate::core) min_bytes: usize,
    /// Milliseconds to wait at most.
    pub(in crate::core) max_wait_ms: u32,
}

impl AllowedPartition {
    /// What is to be carried out where the partition is, to append a batch.
    pub(in crate::core) fn append(self, batch: BytesMut, level: Level) -> AppendBatch {
        AppendBatch {
            partition: self,
            batch,
            level,
        }
    }

    /// What is to be read of the partition, from that offset on and no more than so many bytes.
    pub(in crate::core) fn read(self, offset: Offset, max_bytes: usize) -> FetchPartition {
        FetchPartition {
            log: self.log(),
            offset,
            max_bytes,
        }
    }

    /// What is to be asked of whom, to find an offset of the partition.
    pub(in crate::core) fn find_offset(self, spec: OffsetSpec) -> (CoreId, FindOffset) {
        let partition = self;
        (self.owner(), FindOffset { partition, spec })
    }
}

impl<P: BufPool> Core<P> {
    /// Appends the one batch of a client's request, which is given up after so many milliseconds; never if
    /// that is 0.
    pub(in crate::core) fn append(
        &mut self,
        place: AllowedPartition,
        (batch, level): (BytesMut, Level),
        (conn, timeout_ms): (ConnId, u32),
        client: Produces,
        now: Now,
    ) {
        let deadline = self.give_up_at(timeout_ms, now);
        self.owe_answer(conn);
        let producer = Producer { client, deadline };
        self.ask(place.owner(), place.append(batch, level), producer, now);
    }

    /// A fetch within these bounds and the broker's own, which asks for nothing yet.
    pub(in crate::core) fn spread(&self, asked: FetchBounds, now: Now) -> Spread {
        let wait_ms = asked.max_wait_ms.min(MAX_FETCH_WAIT);
        let bounds = Bounds {
            max_bytes: asked.max_bytes.min(self.answers.most()),
            min_bytes: asked.min_bytes,
            max_wait: u64::from(wait_ms) * 1_000_000,
        };
        let limit_per_core = self.shard.breaks(Mutation::LimitPerCore);
        Spread::new(bounds, now.mono).with_limit_per_core(limit_per_core)
    }
}
