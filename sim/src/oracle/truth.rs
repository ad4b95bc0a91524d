//! What is known of one log.

use std::ops::Range;

use bytes::Bytes;
use leveret_storage::store::{LogSettings, Place, ReadData, ReadRange};
use leveret_storage::types::{EntryMeta, Level, LogId, LogKind, Offset, Ordinal, WallMs};

use super::{MachineState, identify};
use crate::disk::Crash;
use crate::violation::{Kind, Violation};

/// An entry as it was handed in.
#[derive(Clone, Debug)]
pub struct Appended {
    /// All that is known of it besides its bytes.
    pub meta: EntryMeta,
    /// Its bytes.
    pub bytes: Bytes,
    /// The level that its acknowledgement promises.
    pub level: Level,
}

/// What recovery says of one log.
#[derive(Debug)]
pub struct Found {
    /// The log.
    pub log: LogId,
    /// First entry and offset that can be read.
    pub start: (Ordinal, Offset),
    /// First entry and offset not there.
    pub next: (Ordinal, Offset),
    /// Machine snapshot: it holds all entries below the ordinal.
    pub snapshot: Option<(Ordinal, Bytes)>,
    /// Entries (at least their first bytes) from the snapshot on, for the machine.
    pub replay: Vec<(EntryMeta, Bytes)>,
    /// Entries at the end that stay in memory.
    pub tail: Vec<(EntryMeta, Bytes)>,
}

/// Whether a log is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    /// Its deletion was asked for and may or may not survive a crash.
    Dropping,
    Dropped,
}

/// One log: every entry that may be there, in order, and how far the promises reach.
#[derive(Debug)]
pub struct Truth {
    log: LogId,
    kind: LogKind,
    memory_only: bool,
    retention_bytes: Option<u64>,
    retention_ms: Option<u64>,
    life: Life,
    entries: Vec<Appended>,
    states: Vec<MachineState>,
    /// Promised to survive a power cut: all below.
    durable: u64,
    /// Promised to survive the end of the process: all below.
    written: u64,
    /// The start that was durably announced.
    start: Offset,
    /// The furthest start that was ever asked for.
    start_wanted: Offset,
    /// Of level `memory`: it has forgotten all below.
    forgotten: u64,
}

fn position(entries: &[Appended], ordinal: Ordinal) -> Offset {
    match entries.get(ordinal.0 as usize) {
        Some(entry) => entry.meta.first_offset,
        None => entries
            .last()
            .map_or(Offset(0), |last| last.meta.next_offset()),
    }
}

impl Truth {
    pub(super) fn new(log: LogId, kind: LogKind, settings: &LogSettings) -> Self {
        Self {
            log,
            kind,
            memory_only: settings.level == Level::Memory,
            retention_bytes: settings.retention_bytes,
            retention_ms: settings.retention_ms,
            life: Life::Alive,
            entries: Vec::new(),
            states: vec![MachineState::default()],
            durable: 0,
            written: 0,
            start: Offset(0),
            start_wanted: Offset(0),
            forgotten: 0,
        }
    }

    /// Which log this is.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.log
    }

    /// What kind of log it is.
    #[must_use]
    pub fn kind(&self) -> LogKind {
        self.kind
    }

    /// Whether it never enters the journal.
    #[must_use]
    pub fn is_memory_only(&self) -> bool {
        self.memory_only
    }

    /// Whether it can be appended to.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }

    /// Whether its deletion may still be under way.
    #[must_use]
    pub fn is_dropping(&self) -> bool {
        self.life == Life::Dropping
    }

    /// The ordinal and offset that the next entry gets.
    #[must_use]
    pub fn next(&self) -> (Ordinal, Offset) {
        let next = Ordinal(self.entries.len() as u64);
        (next, position(&self.entries, next))
    }

    /// The state of the machine over all entries.
    #[must_use]
    pub fn state(&self) -> MachineState {
        *self.states.last().expect("never empty")
    }

    /// The state of the machine over all entries below `next`.
    #[must_use]
    pub fn state_at(&self, next: Ordinal) -> MachineState {
        self.states[next.0 as usize]
    }

    /// For people: what is not settled about it.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{:?} {:?} {:?}, {} of {} durable",
            self.log,
            self.kind,
            self.life,
            self.durable,
            self.entries.len()
        )
    }

    /// Whether nothing about it is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self.life {
            Life::Alive => self.memory_only || self.not_durable() == 0,
            Life::Dropping => false,
            Life::Dropped => true,
        }
    }

    /// Entries that a power cut can still take.
    #[must_use]
    pub fn not_durable(&self) -> u64 {
        self.entries.len() as u64 - self.durable
    }

    /// A snapshot of the machine over all entries, of up to `len` bytes.
    pub fn snapshot(&mut self, len: usize) -> Bytes {
        if self.kind == LogKind::Machine {
            // A machine log keeps nothing below its snapshot.
            self.start_wanted = self.next().1;
        }
        self.state().snapshot(len)
    }

    /// Entries that can be lost without breaking a promise.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.entries.len() as u64 - self.written.max(self.durable)
    }

    /// Everything that may be there, by ordinal.
    #[must_use]
    pub fn entries(&self) -> &[Appended] {
        &self.entries
    }

    /// An entry was accepted.
    ///
    /// # Errors
    /// When it did not get the ordinal after the last one.
    pub fn append(&mut self, ordinal: Ordinal, entry: Appended) -> Result<(), Violation> {
        if ordinal.0 != self.entries.len() as u64 {
            let wanted = self.entries.len();
            let what = format!("{:?}: {ordinal:?} given out, {wanted} was next", self.log);
            return Err(Violation::new(Kind::WrongData, what));
        }
        let unique = identify(&entry.bytes).expect("built by the run").unique;
        self.states.push(self.state().apply(unique));
        self.entries.push(entry);
        Ok(())
    }

    /// The log's frontiers were heard.
    ///
    /// # Errors
    /// When one of them went back or does not agree with the entries.
    pub fn hear_frontiers(
        &mut self,
        written: (Ordinal, Offset),
        durable: (Ordinal, Offset),
    ) -> Result<(), Violation> {
        for (name, (ordinal, offset)) in [("written", written), ("durable", durable)] {
            if ordinal.0 > self.entries.len() as u64 || position(&self.entries, ordinal) != offset {
                let what = format!("{:?}: {name} frontier at {ordinal}, {offset}", self.log);
                return Err(Violation::new(Kind::Frontier, what));
            }
        }
        if durable.0.0 < self.durable || written.0.0 < self.written {
            let what = format!(
                "{:?}: frontiers went back to {} written, {} durable from {}, {}",
                self.log, written.0, durable.0, self.written, self.durable
            );
            return Err(Violation::new(Kind::Frontier, what));
        }
        if !self.memory_only {
            self.durable = durable.0.0;
            self.written = written.0.0;
        }
        Ok(())
    }

    /// The start was asked to move to `offset`.
    pub fn want_start(&mut self, offset: Offset) {
        self.start_wanted = self.start_wanted.max(offset);
    }

    /// Other settings hold from now on. Up to `start` the log was moved under the old ones: what
    /// those allowed stays allowed.
    ///
    /// # Errors
    /// When the start is further than was ever wanted.
    pub fn altered(
        &mut self,
        settings: &LogSettings,
        start: (Ordinal, Offset),
        wall: WallMs,
    ) -> Result<(), Violation> {
        if self.memory_only {
            // What it keeps follows from memory, not from its settings.
            return Ok(());
        }
        self.check_start(start, wall)?;
        self.want_start(start.1);
        self.retention_bytes = settings.retention_bytes;
        self.retention_ms = settings.retention_ms;
        Ok(())
    }

    /// The move of the start to `start` is durable.
    ///
    /// # Errors
    /// When it is further than was ever wanted.
    pub fn trimmed(&mut self, start: (Ordinal, Offset), wall: WallMs) -> Result<(), Violation> {
        self.check_start(start, wall)?;
        self.start = self.start.max(start.1);
        Ok(())
    }

    /// Of level `memory`: it begins there now; what it has forgotten since it was last asked.
    ///
    /// # Errors
    /// When that is no place of its own, or lies before the last one.
    pub(super) fn forget(&mut self, start: (Ordinal, Offset)) -> Result<Range<u64>, Violation> {
        let (Ordinal(first), offset) = start;
        let inside = first >= self.forgotten && first <= self.entries.len() as u64;
        if !inside || position(&self.entries, start.0) != offset {
            let what = format!("{:?}: begins at {start:?}", self.log);
            return Err(Violation::new(Kind::Frontier, what));
        }
        let gone = self.forgotten..first;
        self.forgotten = first;
        Ok(gone)
    }

    /// The ordinal of a start may lie below the entry that holds its offset.
    fn check_start(&self, start: (Ordinal, Offset), wall: WallMs) -> Result<(), Violation> {
        let (ordinal, offset) = start;
        if ordinal.0 <= self.entries.len() as u64
            && position(&self.entries, ordinal) <= offset
            && (offset <= self.start_wanted || self.retention_allows(offset, wall))
        {
            return Ok(());
        }
        let what = format!(
            "{:?}: starts at {ordinal}, {offset} of {:?}, never asked to move beyond {}, retention \
             {:?} bytes, {:?} ms",
            self.log,
            self.next(),
            self.start_wanted,
            self.retention_bytes,
            self.retention_ms
        );
        Err(Violation::new(Kind::Lost, what))
    }

    /// Whether retention may have removed everything below `start` that nobody asked to remove,
    /// and that was not gone already.
    fn retention_allows(&self, start: Offset, wall: WallMs) -> bool {
        let below = |offset: Offset| {
            let is_below = |entry: &Appended| entry.meta.next_offset() <= offset;
            self.entries.partition_point(is_below)
        };
        let (gone, rest) = self.entries.split_at(below(start));
        let asked = below(self.start_wanted.max(self.start)).min(gone.len());
        let gone = &gone[asked..];
        // The youngest of them may have gone by age, those before them by size.
        let aged = |entry: &&Appended| {
            let ms = self.retention_ms.map(|ms| ms as i64);
            ms.is_some_and(|ms| entry.meta.max_timestamp + ms <= wall.0)
        };
        let by_age = gone.iter().rev().take_while(aged);
        let rest = rest.iter().chain(by_age.clone());
        let bytes: u64 = rest.map(|entry| u64::from(entry.meta.len)).sum();
        by_age.count() == gone.len() || self.retention_bytes.is_some_and(|least| bytes >= least)
    }

    /// Checks what a look-up by time found: an offset from which a scan meets the first record
    /// at or after `timestamp`, or nothing if there is none below `until`. The log began at `starts.start`
    /// when it was asked and begins at `starts.end` now, so it was answered from a start between them.
    ///
    /// # Errors
    /// When a record that qualifies is passed over, or the scan would begin outside the log.
    pub fn check_time(
        &self,
        timestamp: i64,
        starts: Range<Offset>,
        until: Offset,
        found: Option<Offset>,
    ) -> Result<(), Violation> {
        let Range {
            start: asked,
            end: start,
        } = starts;
        let inside =
            |entry: &&Appended| entry.meta.next_offset() > start && entry.meta.first_offset < until;
        let first = self.entries.iter().filter(inside);
        let mut late = first.filter(|entry| entry.meta.max_timestamp >= timestamp);
        let wanted = late.next().map(|entry| entry.meta.first_offset);
        let good = match (wanted, found) {
            (Some(wanted), Some(found)) => found <= wanted.max(start),
            (None, found) => found.is_none_or(|found| found >= asked),
            (Some(_), None) => false,
        };
        if good {
            return Ok(());
        }
        let what = format!(
            "{:?}: first record from {timestamp} in {asked} or {start}..{until} is in {wanted:?}, found {found:?}",
            self.log
        );
        Err(Violation::new(Kind::WrongData, what))
    }

    /// Deletion was asked for.
    pub fn dropping(&mut self) {
        self.life = Life::Dropping;
    }

    /// Deletion is durable.
    pub fn dropped(&mut self) {
        self.life = Life::Dropped;
        self.entries.clear();
        self.states.truncate(1);
    }

    /// The crash took the whole log.
    pub(super) fn vanish(&mut self, crash: Crash) -> Result<(), Violation> {
        if self.life == Life::Alive && self.promised(crash) > 0 {
            let what = format!(
                "{:?} with {} acknowledged entries is gone",
                self.log,
                self.promised(crash)
            );
            return Err(Violation::new(Kind::Lost, what));
        }
        if self.life == Life::Alive {
            self.entries.clear();
            self.states.truncate(1);
            (self.durable, self.written) = (0, 0);
            (self.start, self.start_wanted) = (Offset(0), Offset(0));
            self.forgotten = 0;
        } else {
            self.dropped();
        }
        Ok(())
    }

    fn promised(&self, crash: Crash) -> u64 {
        match crash {
            Crash::Power => self.durable,
            Crash::Kill | Crash::System => self.durable.max(self.written),
        }
    }

    pub(super) fn recover(
        &mut self,
        crash: Crash,
        found: &Found,
        wall: WallMs,
    ) -> Result<(), Violation> {
        let fail =
            |kind, what: String| Err(Violation::new(kind, format!("{:?}: {what}", self.log)));
        if self.life == Life::Dropped {
            return fail(Kind::Resurrected, "deleted, and back".to_owned());
        }
        let next = found.next.0;
        if next.0 < self.promised(crash) {
            let what = format!(
                "ends at {next} after {crash:?}, {} were acknowledged",
                self.promised(crash)
            );
            return fail(Kind::Lost, what);
        }
        if next.0 > self.entries.len() as u64 {
            let what = format!("ends at {next}, only {} can be there", self.entries.len());
            return fail(Kind::Resurrected, what);
        }
        if position(&self.entries, next) != found.next.1 {
            return fail(Kind::WrongData, format!("ends at offset {}", found.next.1));
        }
        if found.start.1 < self.start {
            let what = format!("starts at {} again, was {}", found.start.1, self.start);
            return fail(Kind::Resurrected, what);
        }
        self.check_start(found.start, wall)?;
        for (meta, bytes) in &found.tail {
            self.check_entry(meta, bytes, bytes.len() == meta.len as usize)?;
        }
        self.check_machine(found)?;
        self.entries.truncate(next.0 as usize);
        self.states.truncate(next.0 as usize + 1);
        // What recovery serves is durable, and readers see it.
        self.durable = next.0;
        self.written = next.0;
        self.start = found.start.1;
        Ok(())
    }

    fn check_entry(&self, meta: &EntryMeta, bytes: &[u8], whole: bool) -> Result<(), Violation> {
        let known = self.entries.get(meta.ordinal.0 as usize);
        let same = known.is_some_and(|known| {
            known.meta == *meta && known.bytes.starts_with(bytes) && !bytes.is_empty()
        });
        if same && whole {
            return Ok(());
        }
        let what = format!(
            "{:?}: recovered {meta:?} as {:?}, appended was {:?}",
            self.log,
            identify(bytes),
            known.map(|known| (known.meta, identify(&known.bytes)))
        );
        Err(Violation::new(Kind::WrongData, what))
    }

    fn check_machine(&self, found: &Found) -> Result<(), Violation> {
        let fail = |what: String| {
            let what = format!("{:?}: {what}", self.log);
            Err(Violation::new(Kind::MachineState, what))
        };
        let mut state = match &found.snapshot {
            None => MachineState::default(),
            Some((ordinal, bytes)) => match MachineState::restore(bytes) {
                Some(state) if state.next == *ordinal => state,
                other => return fail(format!("snapshot at {ordinal} holds {other:?}")),
            },
        };
        for (meta, bytes) in &found.replay {
            self.check_entry(meta, bytes, true)?;
            if meta.ordinal != state.next {
                return fail(format!("replay of {} after {}", meta.ordinal, state.next));
            }
            let Some(identity) = identify(bytes) else {
                return fail(format!("replay of {} is too short", meta.ordinal));
            };
            state = state.apply(identity.unique);
        }
        let wanted = self.state_at(found.next.0);
        if state != wanted {
            return fail(format!("rebuilt to {state:?}, entries give {wanted:?}"));
        }
        Ok(())
    }

    /// What a read gave is what was appended, goes from where it was asked for and is durable; where
    /// to read on.
    ///
    /// # Errors
    /// A broken promise.
    pub fn check_read(
        &self,
        range: ReadRange,
        data: &ReadData,
    ) -> Result<(Ordinal, Offset), Violation> {
        let fail = |what: String| {
            let what = format!("{:?}: read of {range:?}: {what}", self.log);
            Err(Violation::new(Kind::WrongData, what))
        };
        let mut next: Option<Ordinal> = None;
        for chunk in &data.chunks {
            let mut rest: &[u8] = chunk;
            while !rest.is_empty() {
                let Some(identity) = identify(rest) else {
                    return fail(format!("nonsense after {next:?}"));
                };
                let known = self.entries.get(identity.ordinal.0 as usize);
                let same = identity.log == self.log
                    && known.is_some_and(|known| rest.starts_with(&known.bytes));
                if !same {
                    return fail(format!("{identity:?} is not what was appended"));
                }
                let expected = next.is_none_or(|next| next == identity.ordinal);
                if !expected {
                    return fail(format!("{identity:?} follows {next:?}"));
                }
                next = Some(identity.ordinal.plus(1));
                rest = &rest[identity.len..];
                if identity.ordinal.0 >= self.durable && !self.memory_only {
                    return fail(format!("{identity:?} is not durable"));
                }
            }
        }
        let first = data.chunks.first().and_then(|chunk| identify(chunk));
        let (Some(first), Some(next)) = (first, next) else {
            return fail("gave nothing".to_owned());
        };
        let place = |ordinal| (ordinal, position(&self.entries, ordinal));
        let (begins, ends) = (place(first.ordinal), place(next));
        let told = |told: Option<Place>, (ordinal, offset)| {
            let told = told.filter(|told| told.ordinal == ordinal);
            told.is_some_and(|told| told.offset.is_none_or(|told| told == offset))
        };
        if !told(data.first, begins) || !told(data.next, ends) {
            return fail(format!(
                "{:?} to {:?} is {begins:?} to {ends:?}",
                data.first, data.next
            ));
        }
        let appended = self.entries[first.ordinal.0 as usize..].iter();
        let metas = appended.map(|entry| &entry.meta).take(data.metas.len());
        if !metas.eq(data.metas.iter().map(|read| &read.meta)) {
            return fail(format!("{:?} is not what is known of them", data.metas));
        }
        let fits = match range {
            ReadRange::Offsets(from, _) => begins.1 <= from && ends.1 > from,
            ReadRange::Ordinals(from, _) => begins.0 <= from && ends.0 > from,
        };
        match fits {
            true => Ok(ends),
            false => fail(format!("gave {begins:?} to {ends:?}")),
        }
    }

    /// Whether it has no offsets.
    pub fn is_machine(&self) -> bool {
        self.kind == LogKind::Machine
    }

    /// The ordinal of the entry that holds the offset.
    pub fn ordinal_of(&self, offset: Offset) -> Ordinal {
        let below = |entry: &Appended| entry.meta.next_offset() <= offset;
        Ordinal(self.entries.partition_point(below) as u64)
    }
}
