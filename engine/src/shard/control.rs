//! The topology's machine joined with its log, on core 0 alone: commands become durable entries,
//! in order. That every core installs an entry before its reply leaves is the broker's business.

use std::collections::VecDeque;

use leveret_storage::types::{Mono, Ordinal};

use super::reply::RequestId;
use crate::topology::{Command, Topology, TopologyEntry};

/// The topology as it is ordered, ahead of what is durable.
pub(super) struct Control {
    pub(super) topology: Topology,
    /// Entries on their way to the device, each with the ordinal that it got.
    waiting: VecDeque<(Ordinal, RequestId, TopologyEntry)>,
    /// Commands that found the journal full, in the order in which they came: nothing is decided of them
    /// yet.
    parked: VecDeque<ParkedChange>,
}

/// A command that waits for space in the journal, and until when.
pub(super) struct ParkedChange {
    pub(super) deadline: Mono,
    pub(super) request: RequestId,
    pub(super) command: Command,
}

impl Control {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            waiting: VecDeque::new(),
            parked: VecDeque::new(),
        }
    }

    /// Commands that wait for space: none that comes later overtakes them.
    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Lets a command wait for space, unless `most` do already. Whether it does.
    pub(super) fn park(&mut self, change: ParkedChange, most: usize) -> bool {
        let room = self.parked.len() < most;
        if room {
            self.parked.push_back(change);
        }
        room
    }

    /// The first that waits for space, if its time is over by `now`, or at any time.
    pub(super) fn pop_parked(&mut self, now: Option<Mono>) -> Option<ParkedChange> {
        let first = self.parked.front()?;
        let due = now.is_none_or(|now| first.deadline <= now);
        due.then(|| self.parked.pop_front()).flatten()
    }

    /// The first that waits, which has just left, found the journal full again.
    pub(super) fn put_back(&mut self, change: ParkedChange) {
        self.parked.push_front(change);
    }

    /// When the first of those that wait for space is given up.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.parked.front().map(|change| change.deadline)
    }

    /// An entry has its place in the log.
    pub(super) fn ordered(&mut self, ordinal: Ordinal, request: RequestId, entry: TopologyEntry) {
        self.topology.apply(&entry);
        self.waiting.push_back((ordinal, request, entry));
    }

    /// Whether nothing is on its way to the device or waits to be taken.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is an entry below the durable frontier.
    pub(super) fn has_durable(&self, durable: Ordinal) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|(ordinal, ..)| *ordinal < durable)
    }

    /// The next entry below the durable frontier.
    pub(super) fn pop_durable(&mut self, durable: Ordinal) -> Option<(RequestId, TopologyEntry)> {
        if !self.has_durable(durable) {
            return None;
        }
        let (_, request, entry) = self.waiting.pop_front()?;
        Some((request, entry))
    }

    /// Requests whose entries will not become durable, where all below the frontier are.
    pub(super) fn give_up(&mut self, durable: Ordinal) -> impl Iterator<Item = RequestId> + '_ {
        let kept = self
            .waiting
            .partition_point(|(ordinal, ..)| *ordinal < durable);
        self.waiting.drain(kept..).map(|(_, request, _)| request)
    }
}
