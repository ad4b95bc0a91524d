//! Commands to the topology on core 0: decide, append to log 0, answer when durable.

use leveret_storage::io::BufPool;
use leveret_storage::store::{AppendError, NewEntry};
use leveret_storage::types::{Level, Now, Offset, Term};

use super::Shard;
use super::log::frontiers_of;
use super::reply::{Reply, RequestId};
use crate::error::EngineError;
use crate::topology::{Command, TOPOLOGY_LOG, Topology, TopologyEntry};

impl<P: BufPool> Shard<P> {
    /// The topology as far as it is ordered: what [`Shard::submit`] decides by. `None` on other
    /// cores than 0. After [`Shard::open`] all of it is durable.
    #[must_use]
    pub fn topology(&self) -> Option<&Topology> {
        self.control.as_ref().map(|control| &control.topology)
    }

    /// Changes the topology. [`Shard::poll_change`] gives the change when it is durable, in the order of the commands; then every core has to
    /// install it.
    ///
    /// # Panics
    /// On another core than 0.
    pub fn submit(&mut self, request: RequestId, command: &Command, now: Now) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        let control = self.control.as_mut().expect("the topology is on core 0");
        let entry = match control.topology.decide(command, now.wall) {
            Ok(entry) => entry,
            Err(refusal) => return self.fail(request, refusal.into()),
        };
        let new = NewEntry {
            term: Term::default(),
            time: now.wall,
            first_offset: Offset(0),
            offsets: 0,
            max_timestamp: i64::MIN,
            bytes: entry.encode(),
            sum: None,
        };
        match self.store.append(TOPOLOGY_LOG, new, Level::Synced, now) {
            Ok(ordinal) => control.ordered(ordinal, request, entry),
            Err(error) => self.fail(request, refused(error)),
        }
        self.drain();
    }

    /// The next change that has become durable, and who asked for it. They wait here until they are
    /// taken: one commit may bring tens of thousands, and each means work on every core.
    pub fn poll_change(&mut self) -> Option<(RequestId, TopologyEntry)> {
        let control = self.control.as_mut().filter(|control| !control.is_idle())?;
        control.pop_durable(frontiers_of(&self.store, TOPOLOGY_LOG).durable.0)
    }

    /// Whether [`Shard::poll_change`] has something to give.
    #[must_use]
    pub fn has_change(&self) -> bool {
        let control = self.control.as_ref().filter(|control| !control.is_idle());
        let durable = || frontiers_of(&self.store, TOPOLOGY_LOG).durable.0;
        control.is_some_and(|control| control.has_durable(durable()))
    }

    pub(super) fn stop_topology(&mut self, error: &EngineError) {
        if let Some(control) = &mut self.control {
            let durable = frontiers_of(&self.store, TOPOLOGY_LOG).durable.0;
            for request in control.give_up(durable) {
                self.replies
                    .push_back((request, Reply::Failed(error.clone())));
            }
        }
    }
}

fn refused(error: AppendError) -> EngineError {
    match error {
        AppendError::Full => EngineError::Overloaded,
        AppendError::DiskFloor => EngineError::DiskFull,
        AppendError::Stopped | AppendError::TooLarge | AppendError::UnknownLog => {
            EngineError::LogStopped {
                reason: format!("the topology's log takes no entries: {error}"),
            }
        }
    }
}
