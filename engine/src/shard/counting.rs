//! A toy, for tests alone: counters hosted by a shard, and the door to them.

use bytes::Bytes;
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now};

use super::Shard;
use super::hosted::{Order, Served};
use super::reply::{Reply, RequestId};
use crate::counter::{Count, Counted, Counter};
use crate::error::EngineError;

impl Served for Counter {
    const NAME: &'static str = "counter";

    fn encode(entry: &Counted) -> Option<Bytes> {
        entry.encode()
    }

    fn answer(entry: Counted) -> Reply {
        Reply::Counted(entry.total)
    }
}

impl<P: BufPool> Shard<P> {
    pub(super) fn count(&mut self, request: RequestId, log: LogId, by: u32, now: Now) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        let command = Count(by);
        let order = Order::<Counter> {
            request,
            log,
            command,
        };
        self.carry_out_or_park(order, now);
        self.drain();
    }
}
