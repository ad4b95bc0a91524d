//! How a fetch goes on that is gathered: what it asks for next, and when it has to wait for
//! [memory](crate::core::reading).

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::{Gather, Stage};
use crate::core::Core;
use crate::core::account::Grant;
use crate::core::boundary::ConnId;
use crate::core::hop::Call;
use crate::core::reading::Lack;
use crate::core::spread::{Ask, Next, Spread};

impl<P: BufPool> Core<P> {
    /// Asks for what a fetch begins with: records, where there is memory for them.
    pub(super) fn begin_fetch(&mut self, gather: usize, now: Now) {
        let Gather { conn, spread, .. } = &mut self.gathers[gather];
        let (conn, Some(spread)) = (*conn, spread) else {
            return;
        };
        let asks = match spread.begin(now.mono) {
            Next::Nothing => Vec::new(),
            Next::Ask(asks) => asks,
            Next::Read(need) => match self.set_aside(conn, need) {
                Ok(grant) => self.read_granted(gather, grant),
                Err(_) => self.spread_of(gather).count_first(now.mono),
            },
        };
        self.ask_all(gather, asks, now);
    }

    fn spread_of(&mut self, gather: usize) -> &mut Spread {
        let spread = &mut self.gathers[gather].spread;
        spread.as_mut().expect("only fetches read")
    }

    fn read_granted(&mut self, gather: usize, grant: Grant) -> Vec<Ask> {
        self.gathers[gather].aside = grant.aside;
        self.spread_of(gather).read(grant.bytes)
    }

    fn ask_all(&mut self, gather: usize, asks: Vec<Ask>, now: Now) {
        for (owner, spec) in asks {
            self.ask_part(gather, owner, Call::Fetch(spec), now);
        }
    }

    /// Asks on for a fetch that is not complete. Whether something is under way then, or the
    /// gather is over.
    pub(super) fn ask_on(&mut self, key: usize, now: Now) -> bool {
        let last = self.stop.begun();
        let conn = self.gathers[key].conn;
        let Some(spread) = &mut self.gathers[key].spread else {
            return false;
        };
        let next = spread.go_on(last, now.mono);
        if spread.counts() {
            // It holds nothing, and neither does it while it waits.
            let aside = std::mem::take(&mut self.gathers[key].aside);
            self.give_back(conn, aside);
        }
        let asks = match next {
            Next::Nothing => return false,
            Next::Ask(asks) => asks,
            Next::Read(need) => match self.set_aside(conn, need) {
                Ok(grant) => self.read_granted(key, grant),
                Err(_) if last => return false,
                Err(_) => {
                    self.gathers[key].stage = Stage::Queued(need);
                    self.queue_for_memory(conn, key, now.mono);
                    return true;
                }
            },
        };
        self.ask_next(key, asks, now);
        true
    }

    fn ask_next(&mut self, key: usize, asks: Vec<Ask>, now: Now) {
        let gather = &mut self.gathers[key];
        (gather.stage, gather.enough, gather.hurried) = (Stage::Asking, false, gather.parts.len());
        self.ask_all(key, asks, now);
        self.all_asked(key, now);
    }

    /// A fetch that has waited for memory reads, if there is some at last.
    ///
    /// # Errors
    /// Why it does not.
    pub(in crate::core) fn reads_from_queue(&mut self, key: usize, now: Now) -> Result<(), Lack> {
        let Gather { conn, stage, .. } = self.gathers[key];
        let Stage::Queued(need) = stage else {
            unreachable!("{stage:?}: who is queued waits");
        };
        let grant = self.set_aside(conn, need)?;
        self.leave_queue(conn, key);
        let asks = self.read_granted(key, grant);
        self.ask_next(key, asks, now);
        Ok(())
    }

    /// A fetch that waits for memory waits no longer: it is answered without records.
    pub(in crate::core) fn read_no_more(&mut self, key: usize, now: Now) {
        let Some(Gather { conn, stage, .. }) = self.gathers.get(key) else {
            return;
        };
        if matches!(stage, Stage::Queued(_)) {
            self.leave_queue(*conn, key);
            self.spread_of(key).end();
            self.gathers[key].stage = Stage::Asked;
            self.go_on_gathering(key, now);
        }
    }

    pub(super) fn leave_queue(&mut self, conn: ConnId, key: usize) {
        if let Some(session) = self.sessions.get(conn) {
            session.queued.retain(|(queued, _)| *queued != key);
        }
    }
}
