//! The kinds of objects that the topology is made of, one line each, and what every kind brings.
//!
//! A kind has a folder of its own with its command, entry, refusal and state, and a line in the
//! list below; nothing else knows of it. A command becomes one entry, or none: all of it happens,
//! or nothing.

use bytes::Bytes;
use leveret_storage::types::{LogId, SlotId, WallMs};
use thiserror::Error;

use super::Topology;
use super::cluster::{Cluster, ClusterNamed, NameCluster, NoProposedName};
use super::coordinators::{
    AllCoordinators, CoordinatorsCreated, CoordinatorsExist, CreateCoordinators,
};
#[cfg(test)]
use super::counters::{CounterCommand, CounterEntry, CounterRefusal, Counters};
use super::owner::{Concerned, LogOwner, LogUse};
use super::producer_ids::{
    NoProducerIds, ProducerIdBlocks, ProducerIdsReserved, ReserveProducerIds,
};
use super::snapshot::{part, take_piece};
use super::topics::{TopicCommand, TopicEntry, TopicRefusal, Topics};
use crate::codec::{DecodeError, Reader, Writer};

/// How a kind's part of a snapshot is written.
pub(super) struct Part {
    /// Its number among all that is sealed.
    pub(super) kind: u16,
    pub(super) version: u16,
    /// Fewest bytes of an object.
    pub(super) least: usize,
}

/// A kind of objects: its state is what implements this.
pub(super) trait Kind: Default + 'static {
    /// What can be asked.
    type Command;
    /// What can become of it.
    type Entry;
    /// Why not.
    type Refusal;
    /// An object as a snapshot holds it; `()` where there are none.
    type Object: 'static;
    /// How entries of this kind are numbered.
    const ENTRIES: &'static [u16];
    /// How its part of a snapshot is written.
    const PART: Part;

    /// Turns a command into the entry that carries it out, without effect yet.
    fn decide(
        topology: &Topology,
        command: &Self::Command,
        now: WallMs,
    ) -> Result<Self::Entry, Self::Refusal>;

    /// Whether an entry can be carried out after those before it.
    fn fits(topology: &Topology, entry: &Self::Entry) -> bool;

    /// Carries out an entry that fits.
    fn apply(topology: &mut Topology, entry: &Self::Entry);

    /// Whether what an entry says ends with the run: it stands in no log then, and what it makes in no
    /// snapshot. What stands in the log must not build on it.
    fn is_transient(_entry: &Self::Entry) -> bool {
        false
    }

    /// The bytes that stand in the log.
    fn encode(entry: &Self::Entry) -> Bytes;

    /// Reads the body of an entry of that number and version.
    fn decode(kind: u16, version: u16, reader: &mut Reader<'_>)
    -> Result<Self::Entry, DecodeError>;

    /// Whether there is nothing that must survive: it has no part in a snapshot then.
    fn is_blank(&self) -> bool;

    /// What must survive of the objects as they are now, in the order in which [`Kind::get`] wants them. They
    /// are asked for while others come and go.
    fn objects(&self) -> impl Iterator<Item = Self::Object> + use<Self> {
        std::iter::empty()
    }

    /// Writes an object into a snapshot.
    fn put(_writer: &mut Writer, _object: &Self::Object) {}

    /// Takes an object out of a snapshot.
    fn get(_topology: &mut Topology, _reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::Invalid("objects"))
    }

    /// Writes what must survive beside the objects.
    fn put_rest(&self, writer: &mut Writer);

    /// Takes what [`Kind::put_rest`] wrote, after the objects.
    fn get_rest(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError>;

    /// The logs that an entry makes, configures or removes, before it is applied.
    fn concerned(_topology: &Topology, _entry: &Self::Entry) -> Concerned {
        Concerned::none()
    }

    /// What a log belongs to.
    fn owner_of(_topology: &Topology, _log: LogId) -> Option<LogOwner<'_>> {
        None
    }

    /// Names every log of this kind's objects, with its slot and what it is used for.
    fn each_log(&self, _each: &mut dyn FnMut(LogId, SlotId, &LogUse)) {}
}

macro_rules! kinds {
    ($($(#[$cfg:meta])* $name:ident $doc:literal
        $field:ident: $state:ty, $command:ty => $entry:ty | $refusal:ty;)+) => {
        /// What a client or the broker wants of the topology.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command {
            $($(#[$cfg])* #[doc = $doc] $name($command),)+
        }

        /// One change of the topology: an entry of log 0, and the delta that every core installs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum TopologyEntry {
            $($(#[$cfg])* #[doc = $doc] $name($entry),)+
        }

        /// Why the topology does not change. All are the asker's to solve.
        #[derive(Clone, Debug, PartialEq, Eq, Error)]
        pub enum TopologyRefusal {
            $($(#[$cfg])* #[doc = $doc] #[error(transparent)] $name(#[from] $refusal),)+
        }

        /// The state of every kind.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Objects {
            $($(#[$cfg])* pub(super) $field: $state,)+
        }

        $($(#[$cfg])* impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Self::$name(command)
            }
        })+

        $($(#[$cfg])* impl From<$entry> for TopologyEntry {
            fn from(entry: $entry) -> Self {
                Self::$name(entry)
            }
        })+

        impl TopologyEntry {
            /// Whether it stands in no log: what it says ends with the run.
            #[must_use]
            pub fn is_transient(&self) -> bool {
                match self {
                    $($(#[$cfg])* Self::$name(entry) => <$state>::is_transient(entry),)+
                }
            }

            /// The bytes that stand in the log.
            #[must_use]
            pub fn encode(&self) -> Bytes {
                match self {
                    $($(#[$cfg])* Self::$name(entry) => <$state>::encode(entry),)+
                }
            }

            /// Reads an entry of the log.
            ///
            /// # Errors
            /// [`DecodeError`] for anything that [`TopologyEntry::encode`] of this version does not write.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let (kind, version, mut reader) = Reader::open(bytes)?;
                $($(#[$cfg])* if <$state>::ENTRIES.contains(&kind) {
                    let entry = <$state>::decode(kind, version, &mut reader)?;
                    reader.end()?;
                    return Ok(Self::$name(entry));
                })+
                Err(DecodeError::UnknownKind(kind))
            }
        }

        impl Topology {
            /// Turns a command into the entry that carries it out, without effect yet.
            ///
            /// # Errors
            /// [`TopologyRefusal`]: the command cannot be carried out as things stand.
            pub fn decide(
                &self,
                command: &Command,
                now: WallMs,
            ) -> Result<TopologyEntry, TopologyRefusal> {
                Ok(match command {
                    $($(#[$cfg])* Command::$name(command) => {
                        <$state>::decide(self, command, now)?.into()
                    })+
                })
            }

            /// Carries out an entry of the topology's log. The only thing that changes the topology.
            ///
            /// # Panics
            /// If the entry does not fit: this copy and the log have diverged.
            pub fn apply(&mut self, entry: &TopologyEntry) {
                assert!(self.fits(entry), "log and copy have diverged: {entry:?}");
                match entry {
                    $($(#[$cfg])* TopologyEntry::$name(entry) => <$state>::apply(self, entry),)+
                }
            }

            /// Whether [`Topology::apply`] would take the entry.
            pub(super) fn fits(&self, entry: &TopologyEntry) -> bool {
                match entry {
                    $($(#[$cfg])* TopologyEntry::$name(entry) => <$state>::fits(self, entry),)+
                }
            }

            /// The logs that an entry makes, configures or removes. Asked before it is applied.
            #[must_use]
            pub fn concerned(&self, entry: &TopologyEntry) -> Concerned {
                match entry {
                    $($(#[$cfg])* TopologyEntry::$name(entry) => {
                        <$state>::concerned(self, entry)
                    })+
                }
            }

            /// Names every log but the topology's own, with its slot and what it is used for.
            pub fn each_log(&self, mut each: impl FnMut(LogId, SlotId, &LogUse)) {
                $($(#[$cfg])* self.objects.$field.each_log(&mut each);)+
            }

            /// What a log belongs to that is not the topology's own.
            pub(super) fn owner_among_objects(&self, log: LogId) -> Option<LogOwner<'_>> {
                $($(#[$cfg])* if let Some(owner) = <$state>::owner_of(self, log) {
                    return Some(owner);
                })+
                None
            }

            /// How many kinds have a part in a snapshot.
            pub(super) fn parts(&self) -> u16 {
                let mut parts = 0;
                $($(#[$cfg])* { parts += u16::from(!self.objects.$field.is_blank()); })+
                parts
            }

            /// Each kind's part of a snapshot, in pieces.
            pub(super) fn pieces(&self) -> impl Iterator<Item = Bytes> + use<> {
                let pieces = std::iter::empty();
                $($(#[$cfg])* let pieces = pieces.chain(part(&self.objects.$field));)+
                pieces
            }

            /// Takes a piece of a snapshot. Whether it is the last of its part.
            pub(super) fn take_piece(
                &mut self,
                (kind, version): (u16, u16),
                reader: &mut Reader<'_>,
            ) -> Result<bool, DecodeError> {
                $($(#[$cfg])* if kind == <$state>::PART.kind {
                    let last = take_piece::<$state>(self, version, reader)?;
                    if last {
                        self.objects.$field.get_rest(reader)?;
                    }
                    return Ok(last);
                })+
                Err(DecodeError::UnknownKind(kind))
            }
        }
    };
}

kinds! {
    Topic "A topic with its partitions."
        topics: Topics, TopicCommand => TopicEntry | TopicRefusal;
    ProducerIds "Ids of producers, which nobody gets twice."
        producer_ids: ProducerIdBlocks, ReserveProducerIds => ProducerIdsReserved | NoProducerIds;
    Cluster "What the data directory is called."
        cluster: Cluster, NameCluster => ClusterNamed | NoProposedName;
    Coordinators "Who decides about groups of consumers."
        coordinators: AllCoordinators, CreateCoordinators => CoordinatorsCreated | CoordinatorsExist;
    #[cfg(test)]
    Counter "A toy that shows what a kind is."
        counters: Counters, CounterCommand => CounterEntry | CounterRefusal;
}
