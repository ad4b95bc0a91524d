//! What objects there are, and where their logs live: a machine over log 0.
//!
//! Core 0 alone runs [`Topology::decide`]; every core holds a full copy and runs
//! [`Topology::apply`] over the same entries, each in O(log objects) plus the logs that it
//! concerns. It refuses to know protocols, connections and files: an entry says what changed, and
//! that a client hears of it only after every core has installed it is the broker's business.
//!
//! Each kind of objects has a folder, and a line in `kinds`.

mod cluster;
mod coordinators;
#[cfg(test)]
mod counters;
mod kinds;
mod logs;
mod owner;
mod producer_ids;
mod recovered;
mod snapshot;
#[cfg(test)]
mod tests;
mod topics;

use bytes::Bytes;
use leveret_storage::homes::Homes;
use leveret_storage::types::{EntryMeta, LogId, SlotId, WallMs};

use crate::machine::{Decides, Machine, Remains};
pub use cluster::{ClusterId, ClusterNamed, NameCluster, NoProposedName};
pub use coordinators::{
    CoordinatorKind, Coordinators, CoordinatorsCreated, CoordinatorsExist, CreateCoordinators,
};
#[cfg(test)]
pub use counters::{CounterCommand, CounterEntry, CounterRefusal};
use kinds::Objects;
pub use kinds::{Command, TopologyEntry, TopologyRefusal};
use logs::Logs;
pub use owner::{Concerned, LogChange, LogOwner, LogUse};
pub use producer_ids::{NoProducerIds, ProducerIds, ProducerIdsReserved, ReserveProducerIds};
pub use snapshot::TopologyError;
pub use topics::{
    ConfigEntry, InvalidTopicName, LogRun, MAX_NAME_LEN, TOPIC_SETTINGS, TimestampType, Topic,
    TopicAltered, TopicChanges, TopicCommand, TopicConfig, TopicEntry, TopicId, TopicKey,
    TopicName, TopicRefusal, TopicSetting, TopicSettings,
};

/// The topology's own log.
pub const TOPOLOGY_LOG: LogId = LogId(0);
/// The slot that it belongs to, which lives on core 0 always.
pub const TOPOLOGY_SLOT: SlotId = SlotId(0);

/// What bounds the topology's memory, and what topics get that do not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologySettings {
    /// Partitions that one topic may have.
    pub partitions_per_topic: u32,
    /// Partitions of all topics together.
    pub partitions: u32,
    /// The broker's defaults.
    pub defaults: TopicSettings,
}

impl Default for TopologySettings {
    /// 10,000 per topic, 200,000 in all.
    fn default() -> Self {
        Self {
            partitions_per_topic: 10_000,
            partitions: 200_000,
            defaults: TopicSettings::default(),
        }
    }
}

/// All objects, and the logs that they have.
#[derive(Clone, Debug)]
pub struct Topology {
    objects: Objects,
    logs: Logs,
    settings: TopologySettings,
}

impl Topology {
    /// A topology without objects, where slots live so.
    #[must_use]
    pub fn new(settings: TopologySettings, homes: Homes) -> Self {
        Self {
            objects: Objects::default(),
            logs: Logs::none(homes),
            settings,
        }
    }

    /// Where slots live in this run.
    #[must_use]
    pub fn homes(&self) -> &Homes {
        self.logs.homes()
    }
}

impl Machine for Topology {
    type Setup = (TopologySettings, Homes);
    type Fault = TopologyError;
    type Entry = TopologyEntry;

    fn recover(
        (settings, homes): (TopologySettings, Homes),
        remains: &Remains<'_>,
    ) -> Result<Self, TopologyError> {
        let entries = remains.entries.iter();
        let entries = entries.map(|(meta, bytes)| (meta.ordinal, &bytes[..]));
        Self::recover(remains.snapshot, entries, settings, homes)
    }

    fn apply(&mut self, _meta: &EntryMeta, entry: &TopologyEntry) {
        self.apply(entry);
    }

    fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<> {
        self.snapshot()
    }
}

impl Decides for Topology {
    type Command = Command;
    type Decision = TopologyEntry;
    type Refusal = TopologyRefusal;

    fn decide(&self, command: &Command, now: WallMs) -> Result<TopologyEntry, TopologyRefusal> {
        self.decide(command, now)
    }
}
