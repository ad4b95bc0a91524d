//! A running process: one store per core, and what waits for them.

use std::collections::{BTreeMap, VecDeque};

use leveret_storage::checksum::{KnownSum, crc};
use leveret_storage::homes::Homes;
use leveret_storage::store::{NewEntry, ReadRange, ReadToken, Store};
use leveret_storage::types::{Level, LogId, Offset};

use crate::disk::SimPool;
use crate::oracle::{Appended, Truth};

/// Where the bytes begin that an entry's own checksum covers.
const SUM_FROM: usize = 21;

/// An entry that is handed in once there is room.
#[derive(Debug)]
pub struct Waiting {
    /// Its log.
    pub log: LogId,
    /// Its length in bytes.
    pub len: usize,
    /// The level asked for.
    pub level: Level,
}

/// A read under way.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The log.
    pub log: LogId,
    /// What of it.
    pub range: ReadRange,
    /// Whether to read on when it gives less.
    pub follow: bool,
}

/// One core.
#[derive(Debug)]
pub struct Core {
    /// Its storage.
    pub store: Store<SimPool>,
    /// Entries refused for want of room, in order.
    pub waiting: VecDeque<Waiting>,
    /// Reads that the device is asked for.
    pub reading: BTreeMap<ReadToken, Reading>,
    /// Look-ups by time that the device is asked for.
    pub looking: BTreeMap<ReadToken, Looking>,
    /// It has finished its stop.
    pub flushed: bool,
}

/// All cores.
#[derive(Debug)]
pub struct Process {
    /// In order.
    pub cores: Vec<Core>,
    /// Which core each slot lives on.
    pub homes: Homes,
    /// Which core a log lives on.
    pub home: BTreeMap<LogId, usize>,
    /// Logs that stopped after a failed write.
    pub stopped: Vec<LogId>,
    /// It was asked to stop: what waits for space waits no longer.
    pub stopping: bool,
}

/// A look-up of the first record at or after a time.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// The log.
    pub log: LogId,
    /// The time.
    pub timestamp: i64,
    /// Where the log began when it was asked.
    pub start: Offset,
    /// Below what it is to lie.
    pub until: Offset,
}

impl Core {
    pub(super) fn new(store: Store<SimPool>) -> Self {
        Self {
            store,
            waiting: VecDeque::new(),
            reading: BTreeMap::new(),
            looking: BTreeMap::new(),
            flushed: false,
        }
    }
}

impl Process {
    /// Without cores yet.
    pub(super) fn new(homes: Homes) -> Self {
        Self {
            cores: Vec::new(),
            homes,
            home: BTreeMap::new(),
            stopped: Vec::new(),
            stopping: false,
        }
    }

    /// Whether everything handed in is acknowledged and every read is answered.
    pub fn is_settled<'a>(&self, mut logs: impl Iterator<Item = &'a Truth>) -> bool {
        let idle = self.cores.iter().all(|core| {
            core.waiting.is_empty() && core.reading.is_empty() && core.looking.is_empty()
        });
        idle && logs.all(|truth| truth.is_settled() || self.stopped.contains(&truth.id()))
    }

    /// For people: what waits.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = String::new();
        for (at, core) in self.cores.iter().enumerate() {
            out.push_str(&format!(
                "core {at}: {} appends, {} reads, {} look-ups wait, {:?}; ",
                core.waiting.len(),
                core.reading.len(),
                core.looking.len(),
                core.store.stats()
            ));
        }
        for (log, core) in &self.home {
            if let Some(frontiers) = self.cores[*core].store.frontiers(*log)
                && frontiers.durable != frontiers.ordered
            {
                out.push_str(&format!("{log:?} {frontiers:?}; "));
            }
        }
        out
    }
}

/// What an entry's place and length make of it.
pub(super) fn new_entry(entry: &Appended) -> NewEntry {
    NewEntry {
        term: entry.meta.term,
        time: entry.meta.time,
        first_offset: entry.meta.first_offset,
        offsets: entry.meta.offsets,
        max_timestamp: entry.meta.max_timestamp,
        bytes: entry.bytes.clone(),
        sum: Some(KnownSum {
            from: SUM_FROM,
            crc: crc(&entry.bytes[SUM_FROM..]),
        }),
    }
}
