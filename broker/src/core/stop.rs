//! The graceful stop: new requests are refused, those under way are answered, and a core flushes
//! only when no core has a request under way that it could still forward.

use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Mono, Now};

use super::Core;
use super::hop::Content;

/// How long requests under way have, nanoseconds; the whole stop takes less than 5 s.
const PATIENCE: u64 = 2_000_000_000;

/// How far the stop has come.
pub(super) struct Stop {
    begun: Option<Mono>,
    /// Cores that may still have requests under way.
    busy: Vec<CoreId>,
    told: bool,
    flushing: bool,
}

impl Stop {
    pub(super) fn new(cores: u16) -> Self {
        let busy = (0..cores).map(CoreId).collect();
        Self {
            begun: None,
            busy,
            told: false,
            flushing: false,
        }
    }

    pub(super) fn begun(&self) -> bool {
        self.begun.is_some()
    }

    pub(super) fn drained(&mut self, core: CoreId) {
        self.busy.retain(|busy| *busy != core);
    }

    /// When patience ends.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.begun
            .filter(|_| !self.flushing)
            .map(|begun| begun.after(PATIENCE))
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn begin_stop(&mut self, now: Now) {
        if self.stop.begun() {
            return;
        }
        tracing::info!(
            core = self.id.0,
            "stopping: {} connections",
            self.sessions.len()
        );
        self.stop.begun = Some(now.mono);
        self.hurry_all(now);
        self.await_nobody_at_all(now);
        self.end_all_pushes();
    }

    /// Takes the next step of a stop that has begun, if it can be taken.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        let Some(begun) = self.stop.begun else { return };
        let late = now.mono.since(begun) >= PATIENCE;
        let idle = self.families.waiting() == 0 && self.slices.waiting_since().is_none();
        if !self.stop.told && (idle || late) {
            self.stop.told = true;
            self.stop.drained(self.id);
            for core in self.others() {
                self.send(core, Content::Drained);
            }
        }
        let drained = self.stop.busy.is_empty() || self.shard.breaks(Mutation::StopsUndrained);
        if !self.stop.flushing && self.stop.told && (drained || late) {
            self.stop.flushing = true;
            self.say_journal("writing behind what only the journal holds");
            self.shard.begin_stop(now);
        }
    }

    /// What the next start has to read of this core.
    pub(super) fn say_journal(&self, what: &str) {
        let journal_bytes = self.shard.stats().store.ring_used;
        tracing::info!(core = self.id.0, journal_bytes, "stopping: {what}");
    }
}
