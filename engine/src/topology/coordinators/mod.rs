//! Coordinators: machines that decide about what clients name, each about a share of the names. All of a kind are
//! made together at first use, each with a log of its own, and are there for ever.
//!
//! ```text
//! kind 64  coordinators created, version 1
//!   kind of coordinator u8 (0: groups) | first log u64 | count u32, then the slot of each: u8
//! kind 8   the part of a snapshot, version 1
//!   the coordinators of each kind, as in kind 64
//! ```
//!
//! Which of them decides about a name: the CRC-32C of its bytes, modulo their count.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::{LogId, SlotId, WallMs};
use thiserror::Error;

use super::Topology;
use super::kinds::{Kind, Part};
use super::owner::{Concerned, LogOwner, LogUse};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const CREATED: u16 = 64;
const VERSION: u16 = 1;
/// How many are made. What is made stays as many, whatever this becomes.
const COUNT: u32 = 64;
/// Most that an entry may tell of: as many as there are slots.
const MOST: usize = leveret_storage::homes::SLOTS;

/// What coordinators decide about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorKind {
    /// Groups of consumers, by name.
    Groups,
}

/// The coordinators of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinators {
    /// What they decide about.
    pub kind: CoordinatorKind,
    /// The log of the first; the others have those behind it.
    pub first: LogId,
    /// The slot of each.
    pub slots: Arc<[SlotId]>,
}

/// Make the coordinators of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateCoordinators(pub CoordinatorKind);

/// They exist from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorsCreated(pub Coordinators);

/// Somebody else has made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there are coordinators of {0:?} already")]
pub struct CoordinatorsExist(pub CoordinatorKind);

impl CoordinatorKind {
    fn number(self) -> u8 {
        match self {
            Self::Groups => 0,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        (number == Self::Groups.number()).then_some(Self::Groups)
    }
}

impl Coordinators {
    /// The logs, each with its slot.
    pub fn logs(&self) -> impl Iterator<Item = (LogId, SlotId)> + '_ {
        let logs = (0..).map(|index| self.first.plus(index));
        logs.zip(self.slots.iter().copied())
    }

    /// The log of whoever decides about that name, and its slot.
    #[must_use]
    pub fn of(&self, name: &str) -> (LogId, SlotId) {
        let index = crc32c::crc32c(name.as_bytes()) as usize % self.slots.len();
        (self.first.plus(index as u64), self.slots[index])
    }
}

/// The coordinators of every kind that was used.
#[derive(Clone, Debug, Default)]
pub(super) struct AllCoordinators {
    groups: Option<Coordinators>,
}

impl AllCoordinators {
    fn get(&self, kind: CoordinatorKind) -> Option<&Coordinators> {
        match kind {
            CoordinatorKind::Groups => self.groups.as_ref(),
        }
    }

    fn insert(&mut self, coordinators: Coordinators) -> Option<Coordinators> {
        match coordinators.kind {
            CoordinatorKind::Groups => self.groups.replace(coordinators),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Coordinators> {
        self.groups.iter()
    }
}

impl Kind for AllCoordinators {
    type Command = CreateCoordinators;
    type Entry = CoordinatorsCreated;
    type Refusal = CoordinatorsExist;
    type Object = Coordinators;
    const ENTRIES: &'static [u16] = &[CREATED];
    const PART: Part = Part {
        kind: 8,
        version: VERSION,
        least: 14,
    };

    fn decide(
        topology: &Topology,
        &CreateCoordinators(kind): &CreateCoordinators,
        _now: WallMs,
    ) -> Result<CoordinatorsCreated, CoordinatorsExist> {
        if topology.coordinators(kind).is_some() {
            return Err(CoordinatorsExist(kind));
        }
        Ok(CoordinatorsCreated(Coordinators {
            kind,
            first: topology.logs.next(),
            slots: topology.logs.spread(COUNT).into(),
        }))
    }

    fn fits(topology: &Topology, CoordinatorsCreated(made): &CoordinatorsCreated) -> bool {
        topology.coordinators(made.kind).is_none() && made.first >= topology.logs.next()
    }

    fn apply(topology: &mut Topology, CoordinatorsCreated(made): &CoordinatorsCreated) {
        let newest = made.first.plus(made.slots.len() as u64 - 1);
        topology.logs.add(newest, &made.slots);
        topology.objects.coordinators.insert(made.clone());
    }

    fn encode(CoordinatorsCreated(made): &CoordinatorsCreated) -> Bytes {
        let mut writer = Writer::new(CREATED, VERSION, 13 + made.slots.len());
        Self::put(&mut writer, made);
        writer.seal()
    }

    fn decode(
        _kind: u16,
        version: u16,
        reader: &mut Reader<'_>,
    ) -> Result<CoordinatorsCreated, DecodeError> {
        check_version(version, VERSION..=VERSION)?;
        read(reader).map(CoordinatorsCreated)
    }

    fn is_blank(&self) -> bool {
        self.all().next().is_none()
    }

    fn objects(&self) -> impl Iterator<Item = Coordinators> + use<> {
        self.groups.clone().into_iter()
    }

    fn put(writer: &mut Writer, made: &Coordinators) {
        writer.u8(made.kind.number());
        writer.u64(made.first.0);
        writer.count(made.slots.len());
        made.slots.iter().for_each(|slot| writer.u8(slot.0));
    }

    fn get(topology: &mut Topology, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let made = read(reader)?;
        let newest = made.first.plus(made.slots.len() as u64 - 1);
        topology.logs.add(newest, &made.slots);
        let before = topology.objects.coordinators.insert(made);
        before.map_or(Ok(()), |_| {
            Err(DecodeError::Invalid("kinds of coordinators"))
        })
    }

    fn put_rest(&self, _writer: &mut Writer) {}

    fn get_rest(&mut self, _reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn concerned(
        _topology: &Topology,
        CoordinatorsCreated(made): &CoordinatorsCreated,
    ) -> Concerned {
        let used = LogUse::Coordinator(made.kind);
        Concerned::used(used, std::iter::empty(), made.logs())
    }

    fn owner_of(topology: &Topology, log: LogId) -> Option<LogOwner<'_>> {
        let all = topology.objects.coordinators.all();
        let mut found = all.filter_map(|made| {
            let number = usize::try_from(log.0.checked_sub(made.first.0)?).ok()?;
            let slot = *made.slots.get(number)?;
            let kind = made.kind;
            Some(LogOwner::Coordinator { kind, number, slot })
        });
        found.next()
    }

    fn each_log(&self, each: &mut dyn FnMut(LogId, SlotId, &LogUse)) {
        for made in self.all() {
            let used = LogUse::Coordinator(made.kind);
            made.logs().for_each(|(log, slot)| each(log, slot, &used));
        }
    }
}

impl Topology {
    /// The coordinators of that kind, if they were made.
    #[must_use]
    pub fn coordinators(&self, kind: CoordinatorKind) -> Option<&Coordinators> {
        self.objects.coordinators.get(kind)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Coordinators, DecodeError> {
    let kind = CoordinatorKind::of_number(reader.u8("kind of coordinator")?);
    let kind = kind.ok_or(DecodeError::Invalid("kind of coordinator"))?;
    let first = LogId(reader.u64("log")?);
    let count = reader.count(1, "slots")?;
    if first.0 == 0 || !(1..=MOST).contains(&count) || first.0 > u64::MAX - MOST as u64 {
        return Err(DecodeError::Invalid("logs of coordinators"));
    }
    let slots = (0..count).map(|_| reader.u8("slot").map(SlotId));
    Ok(Coordinators {
        kind,
        first,
        slots: slots.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use leveret_storage::homes::Homes;
    use leveret_storage::types::Ordinal;

    use super::*;
    use crate::topology::{Command, TopologyEntry, TopologySettings};

    fn empty() -> Topology {
        Topology::new(TopologySettings::default(), Homes::interleaved(3))
    }

    fn create(topology: &Topology) -> Result<TopologyEntry, crate::topology::TopologyRefusal> {
        let command = Command::Coordinators(CreateCoordinators(CoordinatorKind::Groups));
        topology.decide(&command, WallMs(0))
    }

    #[test]
    fn coordinators_are_made_once_and_spread_over_cores_and_slots() {
        let mut topology = empty();
        let entry = create(&topology).unwrap();
        let concerned = topology.concerned(&entry);
        assert!(concerned.get(63).is_some() && concerned.get(64).is_none());
        topology.apply(&entry);
        assert!(!topology.fits(&entry), "they are there");
        assert!(create(&topology).is_err());
        let made = topology.coordinators(CoordinatorKind::Groups).unwrap();
        let mut slots: Vec<SlotId> = made.slots.to_vec();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), 64);
        let of_core = |core| {
            let homes = topology.homes();
            made.slots
                .iter()
                .filter(|slot| homes.core(**slot).0 == core)
                .count()
        };
        assert!((0..3).all(|core| (21..=22).contains(&of_core(core))));
    }

    #[test]
    fn a_name_belongs_to_one_and_each_log_to_its_coordinator() {
        let mut topology = empty();
        topology.apply(&create(&topology).unwrap());
        let made = topology.coordinators(CoordinatorKind::Groups).unwrap();
        for (name, number) in [("", 0), ("orders", 10), ("payments", 42), ("ß", 5)] {
            let (log, slot) = made.of(name);
            assert_eq!(
                log.0 - made.first.0,
                number,
                "{name}: stands in no file, and must never change"
            );
            let owner = LogOwner::Coordinator {
                kind: CoordinatorKind::Groups,
                number: usize::try_from(number).unwrap(),
                slot,
            };
            assert_eq!(topology.owner_of(log), Some(owner));
            assert_eq!(owner.slot(), slot);
        }
        assert_eq!(topology.owner_of(made.first.plus(64)), None);
    }

    #[test]
    fn they_are_there_after_a_start_by_replay_and_by_snapshot() {
        let mut topology = empty();
        let entry = create(&topology).unwrap();
        let bytes = entry.encode();
        assert_eq!(TopologyEntry::decode(&bytes).unwrap(), entry);
        topology.apply(&entry);
        let snapshot: Vec<u8> = topology.snapshot().flatten().collect();
        let (settings, homes) = (TopologySettings::default(), Homes::interleaved(2));
        let entries = [(Ordinal(0), &bytes[..])];
        let replayed = Topology::recover(None, entries.into_iter(), settings, homes.clone());
        let restored = Topology::recover(Some(&snapshot), std::iter::empty(), settings, homes);
        for there in [replayed.unwrap(), restored.unwrap()] {
            let kind = CoordinatorKind::Groups;
            assert_eq!(there.coordinators(kind), topology.coordinators(kind));
            assert_eq!(there.logs.next(), topology.logs.next());
            let mut logs = 0;
            there.each_log(|_, _, used| logs += usize::from(*used == LogUse::Coordinator(kind)));
            assert_eq!(logs, 64);
        }
    }

    #[test]
    fn what_was_never_written_is_refused() {
        let with = |change: fn(&mut Writer)| {
            let mut writer = Writer::new(CREATED, VERSION, 16);
            change(&mut writer);
            TopologyEntry::decode(&writer.seal()).is_err()
        };
        assert!(
            with(|w| (w.u8(1), w.u64(5), w.count(1), w.u8(0)).3),
            "another kind"
        );
        assert!(
            with(|w| (w.u8(0), w.u64(0), w.count(1), w.u8(0)).3),
            "the topology's log"
        );
        assert!(with(|w| (w.u8(0), w.u64(5), w.count(0)).2), "none");
        assert!(
            with(|w| (w.u8(0), w.u64(u64::MAX), w.count(1), w.u8(0)).3),
            "beyond all logs"
        );
        assert!(!with(|w| (w.u8(0), w.u64(5), w.count(1), w.u8(7)).3));
    }
}
