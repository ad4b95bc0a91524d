//! Tell where logs stand.

use std::convert::Infallible;

use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now};

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;
use crate::core::status::PartitionReport;

/// Logs of the core that is asked. It answers in their order.
#[derive(Debug)]
pub(in crate::core) struct DescribeLogs(pub(in crate::core) Vec<LogId>);

impl Family for DescribeLogs {
    type Reply = Vec<PartitionReport>;
    type Client = Infallible;
    type Joint = ();

    fn work(&self) -> usize {
        128 * self.0.len()
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let reports = self.0.iter().map(|log| core.describe(*log)).collect();
        core.answered(slot, reports, now);
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: Self::Reply, _: Now) {
        match client {}
    }
}
