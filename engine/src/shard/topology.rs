//! Commands to the topology, on core 0: they are answered when they are durable.

use bytes::Bytes;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Shard;
use super::hosted::{Hosted, Order, Served};
use super::log::frontiers_of;
use super::reply::{Reply, RequestId};
use crate::error::EngineError;
use crate::topology::{Command, TOPOLOGY_LOG, Topology, TopologyEntry};

impl Served for Topology {
    const NAME: &'static str = "topology";
    // That every core installs an entry before its reply leaves is the broker's business. They wait here
    // until they are taken: one commit may bring tens of thousands, and each means work on every core.
    const ASKED_FOR: bool = true;

    fn encode(entry: &TopologyEntry) -> Option<Bytes> {
        (!entry.is_transient()).then(|| entry.encode())
    }

    fn answer(entry: TopologyEntry) -> Reply {
        Reply::Topology(entry)
    }
}

impl<P: BufPool> Shard<P> {
    /// The topology as far as it is ordered: what [`Shard::submit`] decides by. `None` on other
    /// cores than 0. After [`Shard::open`] all of it is durable.
    #[must_use]
    pub fn topology(&self) -> Option<&Topology> {
        self.changes().map(|hosted| &hosted.machine)
    }

    fn changes(&self) -> Option<&Hosted<Topology>> {
        self.hosted.machine(TOPOLOGY_LOG)
    }

    /// Changes the topology. [`Shard::poll_change`] gives the change when it is durable, in the order of the
    /// commands; then every core has to install it.
    ///
    /// # Panics
    /// On another core than 0.
    pub fn submit(&mut self, request: RequestId, command: &Command, now: Now) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        assert!(self.changes().is_some(), "the topology is on core 0");
        let command = command.clone();
        let log = TOPOLOGY_LOG;
        let order = Order::<Topology> {
            request,
            log,
            command,
        };
        self.carry_out_or_park(order, now);
        self.drain();
    }

    /// The next change that has become durable, and who asked for it.
    pub fn poll_change(&mut self) -> Option<(RequestId, TopologyEntry)> {
        let hosted = self.hosted.machine_mut::<Topology>(TOPOLOGY_LOG)?;
        if hosted.waiting() == 0 {
            return None;
        }
        hosted.release(&frontiers_of(&self.store, TOPOLOGY_LOG))
    }

    /// Whether [`Shard::poll_change`] has something to give.
    #[must_use]
    pub fn has_change(&self) -> bool {
        let waits = |hosted: &&Hosted<Topology>| hosted.waiting() > 0;
        let frontiers = || frontiers_of(&self.store, TOPOLOGY_LOG);
        self.changes()
            .filter(waits)
            .is_some_and(|hosted| hosted.is_due(&frontiers()))
    }
}
