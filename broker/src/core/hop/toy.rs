//! A toy, there in tests only: how many records logs hold together. It shows what a new family of calls
//! touches: this file and its line in the list. Who asks it is a toy, too: `core/kafka/toy.rs`.

use std::convert::Infallible;

use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now};

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;

/// Logs of the core that is asked.
#[derive(Debug)]
pub(in crate::core) struct CountRecords(pub(in crate::core) Vec<LogId>);

impl Family for CountRecords {
    type Reply = u64;
    type Client = Infallible;
    type Joint = ();

    fn work(&self) -> usize {
        128 * self.0.len()
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let reports = self.0.iter().map(|log| core.describe(*log));
        let counts = reports.map(|report| report.high_watermark.0 - report.start_offset.0);
        let count = counts.sum();
        core.answered(slot, count, now);
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: u64, _: Now) {
        match client {}
    }
}
