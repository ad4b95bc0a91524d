//! A toy, for tests alone: counters, which show all that a kind of objects brings. One that is kept has a log
//! of its own, and a machine over it (`crate::counter`); one that is not ends with the run.
//!
//! ```text
//! kind 0xff00  made, version 1: name u32 | log u64 | slot u8
//! kind 0xff01  dropped, version 1: name u32
//! kind 0xff02  the part of a snapshot, version 1: each counter that is kept, as in kind 0xff00
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use leveret_storage::types::{LogId, SlotId, WallMs};
use thiserror::Error;

use super::Topology;
use super::kinds::{Kind, Part};
use super::owner::{Concerned, LogOwner, LogUse};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const MADE: u16 = 0xff00;
const DROPPED: u16 = 0xff01;
const VERSION: u16 = 1;

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterObject {
    /// What it is called.
    pub name: u32,
    /// Its log, if it is kept.
    pub log: Option<(LogId, SlotId)>,
}

/// What is wanted of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterCommand {
    /// Make one.
    Make {
        /// What it is called.
        name: u32,
        /// Whether it is to outlive the run.
        kept: bool,
    },
    /// Let one go.
    Drop {
        /// What it is called.
        name: u32,
    },
}

/// One change of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterEntry {
    /// It exists from here on.
    Made(CounterObject),
    /// It is no more.
    Dropped {
        /// What it was called.
        name: u32,
        /// Whether it would have outlived the run.
        kept: bool,
    },
}

/// Why a counter does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CounterRefusal {
    /// There is one of that name.
    #[error("there is a counter {0}")]
    Exists(u32),
    /// There is none of that name.
    #[error("there is no counter {0}")]
    Unknown(u32),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    kept: BTreeMap<u32, CounterObject>,
    transient: BTreeMap<u32, CounterObject>,
}

impl Counters {
    fn find(&self, name: u32) -> Option<&CounterObject> {
        self.kept.get(&name).or_else(|| self.transient.get(&name))
    }
}

impl Kind for Counters {
    type Command = CounterCommand;
    type Entry = CounterEntry;
    type Refusal = CounterRefusal;
    type Object = CounterObject;
    const ENTRIES: &'static [u16] = &[MADE, DROPPED];
    const PART: Part = Part {
        kind: 0xff02,
        version: VERSION,
        least: 13,
    };

    fn decide(
        topology: &Topology,
        command: &CounterCommand,
        _now: WallMs,
    ) -> Result<CounterEntry, CounterRefusal> {
        let counters = &topology.objects.counters;
        match *command {
            CounterCommand::Make { name, .. } if counters.find(name).is_some() => {
                Err(CounterRefusal::Exists(name))
            }
            CounterCommand::Make { name, kept } => {
                let log = || (topology.logs.next(), topology.logs.spread(1)[0]);
                let log = kept.then(log);
                Ok(CounterEntry::Made(CounterObject { name, log }))
            }
            CounterCommand::Drop { name } => {
                let counter = counters.find(name).ok_or(CounterRefusal::Unknown(name))?;
                let kept = counter.log.is_some();
                Ok(CounterEntry::Dropped { name, kept })
            }
        }
    }

    fn fits(topology: &Topology, entry: &CounterEntry) -> bool {
        let counters = &topology.objects.counters;
        match entry {
            CounterEntry::Made(counter) => {
                let newer = |(log, _)| log >= topology.logs.next();
                counters.find(counter.name).is_none() && counter.log.is_none_or(newer)
            }
            CounterEntry::Dropped { name, kept } => {
                let found = counters.find(*name);
                found.is_some_and(|counter| counter.log.is_some() == *kept)
            }
        }
    }

    fn apply(topology: &mut Topology, entry: &CounterEntry) {
        let (counters, logs) = (&mut topology.objects.counters, &mut topology.logs);
        match *entry {
            CounterEntry::Made(counter) => match counter.log {
                Some((log, slot)) => {
                    logs.add(log, &[slot]);
                    counters.kept.insert(counter.name, counter);
                }
                None => {
                    counters.transient.insert(counter.name, counter);
                }
            },
            CounterEntry::Dropped { name, .. } => {
                counters.transient.remove(&name);
                let kept = counters.kept.remove(&name);
                let slot = kept.and_then(|counter| counter.log);
                slot.iter().for_each(|(_, slot)| logs.remove(&[*slot]));
            }
        }
    }

    fn is_transient(entry: &CounterEntry) -> bool {
        match entry {
            CounterEntry::Made(counter) => counter.log.is_none(),
            CounterEntry::Dropped { kept, .. } => !kept,
        }
    }

    fn encode(entry: &CounterEntry) -> Bytes {
        match entry {
            CounterEntry::Made(counter) => {
                let mut writer = Writer::new(MADE, VERSION, 13);
                Self::put(&mut writer, counter);
                writer.seal()
            }
            CounterEntry::Dropped { name, .. } => {
                let mut writer = Writer::new(DROPPED, VERSION, 4);
                writer.u32(*name);
                writer.seal()
            }
        }
    }

    fn decode(
        kind: u16,
        version: u16,
        reader: &mut Reader<'_>,
    ) -> Result<CounterEntry, DecodeError> {
        check_version(version, VERSION..=VERSION)?;
        match kind {
            MADE => Ok(CounterEntry::Made(read(reader)?)),
            _ => Ok(CounterEntry::Dropped {
                name: reader.u32("name")?,
                kept: true,
            }),
        }
    }

    fn is_blank(&self) -> bool {
        self.kept.is_empty()
    }

    fn objects(&self) -> impl Iterator<Item = CounterObject> + use<> {
        // A kind of many objects has them on shelves, and copies none here.
        self.kept.clone().into_values()
    }

    fn put(writer: &mut Writer, counter: &CounterObject) {
        let (log, slot) = counter.log.expect("what is transient stands nowhere");
        writer.u32(counter.name);
        writer.u64(log.0);
        writer.u8(slot.0);
    }

    fn get(topology: &mut Topology, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let counter = read(reader)?;
        let (log, slot) = counter.log.expect("just read");
        topology.logs.add(log, &[slot]);
        let before = topology.objects.counters.kept.insert(counter.name, counter);
        before.map_or(Ok(()), |_| Err(DecodeError::Invalid("names")))
    }

    fn put_rest(&self, _writer: &mut Writer) {}

    fn get_rest(&mut self, _reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn concerned(topology: &Topology, entry: &CounterEntry) -> Concerned {
        match entry {
            CounterEntry::Made(counter) => match counter.log {
                Some(log) => {
                    Concerned::used(LogUse::Counter, std::iter::empty(), [log].into_iter())
                }
                None => Concerned::none(),
            },
            CounterEntry::Dropped { name, .. } => {
                let counter = topology.objects.counters.find(*name);
                let log = counter.and_then(|counter| counter.log);
                Concerned::gone(log.into_iter())
            }
        }
    }

    fn owner_of(topology: &Topology, log: LogId) -> Option<LogOwner<'_>> {
        let mut kept = topology.objects.counters.kept.values();
        let (_, slot) = kept.find_map(|counter| counter.log.filter(|(of, _)| *of == log))?;
        Some(LogOwner::Counter { slot })
    }

    fn each_log(&self, each: &mut dyn FnMut(LogId, SlotId, &LogUse)) {
        for (log, slot) in self.kept.values().filter_map(|counter| counter.log) {
            each(log, slot, &LogUse::Counter);
        }
    }
}

impl Topology {
    /// The counter of that name.
    pub(crate) fn counter(&self, name: u32) -> Option<&CounterObject> {
        self.objects.counters.find(name)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<CounterObject, DecodeError> {
    let name = reader.u32("name")?;
    let log = LogId(reader.u64("log")?);
    let slot = SlotId(reader.u8("slot")?);
    match log.0 {
        0 | u64::MAX => Err(DecodeError::Invalid("log")),
        _ => Ok(CounterObject {
            name,
            log: Some((log, slot)),
        }),
    }
}
