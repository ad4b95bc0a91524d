//! The topology's machine joined with its log, on core 0 alone: commands become durable entries,
//! in order. That every core installs an entry before its reply leaves is the broker's business.

use std::collections::VecDeque;

use leveret_storage::types::Ordinal;

use super::reply::RequestId;
use crate::topology::{Topology, TopologyEntry};

/// The topology as it is ordered, ahead of what is durable.
pub(super) struct Control {
    pub(super) topology: Topology,
    /// Entries on their way to the device, each with the ordinal that it got.
    waiting: VecDeque<(Ordinal, RequestId, TopologyEntry)>,
}

impl Control {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            waiting: VecDeque::new(),
        }
    }

    /// An entry has its place in the log.
    pub(super) fn ordered(&mut self, ordinal: Ordinal, request: RequestId, entry: TopologyEntry) {
        self.topology.apply(&entry);
        self.waiting.push_back((ordinal, request, entry));
    }

    /// The next entry below the durable frontier.
    pub(super) fn pop_durable(&mut self, durable: Ordinal) -> Option<(RequestId, TopologyEntry)> {
        let (ordinal, ..) = self.waiting.front()?;
        if *ordinal >= durable {
            return None;
        }
        let (_, request, entry) = self.waiting.pop_front()?;
        Some((request, entry))
    }

    /// Requests whose entries will not become durable.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = RequestId> + '_ {
        self.waiting.drain(..).map(|(_, request, _)| request)
    }
}
