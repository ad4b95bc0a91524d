//! Which object a log belongs to: the one place that is asked.

use std::sync::Arc;

use leveret_storage::types::{LogId, SlotId};

use super::{CoordinatorKind, TOPOLOGY_LOG, TOPOLOGY_SLOT, Topic, TopicConfig, Topology};

/// What a log is the log of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOwner<'a> {
    /// The topology's own.
    Topology,
    /// A topic's partition.
    Partition {
        /// The topic.
        topic: &'a Arc<Topic>,
        /// The partition's number.
        index: u32,
    },
    /// A coordinator's.
    Coordinator {
        /// What it decides about.
        kind: CoordinatorKind,
        /// Which of those it is.
        number: usize,
        /// Its slot.
        slot: SlotId,
    },
    /// A toy's.
    #[cfg(test)]
    Counter {
        /// Its slot.
        slot: SlotId,
    },
}

/// What a log is used for by the core that it lives on, and with which settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogUse {
    /// A topic's partition.
    Partition(TopicConfig),
    /// A coordinator.
    Coordinator(CoordinatorKind),
    /// A toy.
    #[cfg(test)]
    Counter,
}

/// What becomes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogChange<'a> {
    /// It is made.
    Made(&'a LogUse),
    /// It is there, and is used like this from here on.
    Altered(&'a LogUse),
    /// It is no more.
    Gone,
}

/// The logs that a change of the topology concerns. What is made is there before the topology names it;
/// what is gone is not named any more before it goes.
#[derive(Clone, Debug)]
pub struct Concerned {
    logs: Vec<(LogId, SlotId)>,
    /// Those from here on are made.
    made_from: usize,
    /// `None` if they are gone.
    used: Option<LogUse>,
}

impl LogOwner<'_> {
    /// The slot that it belongs to.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        match self {
            Self::Topology => TOPOLOGY_SLOT,
            Self::Partition { topic, index } => topic.slots[*index as usize],
            Self::Coordinator { slot, .. } => *slot,
            #[cfg(test)]
            Self::Counter { slot } => *slot,
        }
    }
}

impl Concerned {
    /// A change that concerns no log.
    #[must_use]
    pub fn none() -> Self {
        Self {
            logs: Vec::new(),
            made_from: 0,
            used: None,
        }
    }

    /// A change that uses logs like this from here on: those that there were before, and others.
    pub(super) fn used(
        used: LogUse,
        before: impl Iterator<Item = (LogId, SlotId)>,
        made: impl Iterator<Item = (LogId, SlotId)>,
    ) -> Self {
        let mut logs: Vec<_> = before.collect();
        let made_from = logs.len();
        logs.extend(made);
        Self {
            logs,
            made_from,
            used: Some(used),
        }
    }

    /// A change after which there are these logs no more.
    pub(super) fn gone(logs: impl Iterator<Item = (LogId, SlotId)>) -> Self {
        Self {
            logs: logs.collect(),
            ..Self::none()
        }
    }

    /// Whether its logs go: then the change is to be applied before, else after it is carried out.
    #[must_use]
    pub fn goes(&self) -> bool {
        self.used.is_none()
    }

    /// A log, its slot, and what becomes of it; `None` from the end on.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(LogId, SlotId, LogChange<'_>)> {
        let (log, slot) = *self.logs.get(index)?;
        let change = match &self.used {
            None => LogChange::Gone,
            Some(used) if index < self.made_from => LogChange::Altered(used),
            Some(used) => LogChange::Made(used),
        };
        Some((log, slot, change))
    }
}

impl Topology {
    /// What the log belongs to; `None` if that is deleted or never was.
    #[must_use]
    pub fn owner_of(&self, log: LogId) -> Option<LogOwner<'_>> {
        match log {
            TOPOLOGY_LOG => Some(LogOwner::Topology),
            log => self.owner_among_objects(log),
        }
    }
}
