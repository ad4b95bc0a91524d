//! Tell how a core is.

use std::convert::Infallible;

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Family;
use crate::core::Core;
use crate::core::pending::Slot;
use crate::core::status::CoreReport;

/// How the core that is asked is.
#[derive(Debug)]
pub(in crate::core) struct ReportStatus;

impl Family for ReportStatus {
    type Reply = Box<CoreReport>;
    type Client = Infallible;
    type Joint = ();

    fn work(&self) -> usize {
        4096
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let report = Box::new(core.report(now));
        core.answered(slot, report, now);
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: Self::Reply, _: Now) {
        match client {}
    }
}
