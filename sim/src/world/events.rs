//! What the workload asks of the stores, and what they answer, held against the oracle.

use leveret_storage::store::{
    AppendError, Event, Frontiers, ReadData, ReadError, ReadOutcome, ReadRange, State, TimeFound,
    TimeOutcome,
};
use leveret_storage::types::{EntryMeta, Level, LogId, LogKind, Offset, Term};

use super::process::{Looking, Reading, Waiting, new_entry};
use super::{Crash, World};
use crate::oracle::{Appended, Bounds, IDENTITY, Identity, build};
use crate::violation::{Kind, Violation};

impl World {
    /// The core that a log lives on.
    ///
    /// # Panics
    /// When no process runs or the log does not live.
    #[must_use]
    pub fn home(&self, log: LogId) -> usize {
        self.process.as_ref().expect("a process runs").home[&log]
    }

    pub(super) fn frontiers(&mut self, log: LogId) -> Frontiers {
        let core = self.home(log);
        self.core(core)
            .store
            .frontiers(log)
            .expect("the log is on this core")
    }

    /// Hands in an entry, now or, in order, when there is room.
    ///
    /// # Errors
    /// A broken promise.
    pub fn append(&mut self, log: LogId, len: usize, level: Level) -> Result<(), Violation> {
        let core = self.home(log);
        let waiting = Waiting { log, len, level };
        if self.core(core).waiting.is_empty() {
            self.try_append(core, waiting)?;
        } else {
            self.core(core).waiting.push_back(waiting);
        }
        Ok(())
    }

    /// True if the entry was taken (or refused for good), false if it waits at the front.
    fn try_append(&mut self, core: usize, waiting: Waiting) -> Result<bool, Violation> {
        let Waiting { log, len, level } = waiting;
        if !self.oracle.log(log).is_alive() {
            return Ok(true);
        }
        let now = self.now();
        let unique = self.oracle.unique();
        let (ordinal, first_offset) = self.oracle.log(log).next();
        let bytes = build(Identity {
            log,
            ordinal,
            unique,
            len: len.max(IDENTITY),
        });
        let is_topic = self.oracle.log(log).kind() == LogKind::Topic;
        let jitter = self.rng.below(50) as i64;
        let meta = EntryMeta {
            ordinal,
            term: Term(1),
            time: now.wall,
            first_offset,
            offsets: if is_topic {
                self.rng.between(1, 5) as u32
            } else {
                0
            },
            max_timestamp: if is_topic {
                now.wall.0 - jitter
            } else {
                i64::MIN
            },
            len: bytes.len() as u32,
        };
        let entry = Appended { meta, bytes, level };
        let new = new_entry(&entry);
        self.trace.note([unique, ordinal.0, log.0]);
        match self.core(core).store.append(log, new, level, now) {
            Ok(ordinal) => {
                self.trace.say(format_args!(
                    "{:>12} core {core} {log:?} {ordinal:?} appended, {len} bytes",
                    now.mono.0
                ));
                self.counters.appends += 1;
                self.counters.appended_bytes += len as u64;
                self.oracle.log_mut(log).append(ordinal, entry)?;
                if self.oracle.log(log).is_memory_only() {
                    self.check_forgotten(core, log)?;
                }
                Ok(true)
            }
            Err(error @ (AppendError::Full | AppendError::DiskFloor)) => {
                self.trace.say(format_args!(
                    "{:>12} core {core} {log:?} refused, {len} bytes: {error}",
                    now.mono.0
                ));
                self.core(core).waiting.push_front(waiting);
                Ok(false)
            }
            Err(AppendError::Stopped) if self.is_stopped(log) => Ok(true),
            Err(error) => Err(Violation::new(
                Kind::Stuck,
                format!("{log:?} refuses {len} bytes: {error}"),
            )),
        }
    }

    /// The logs of level `memory` of a core make room for what `latest` got.
    fn check_forgotten(&mut self, core: usize, latest: LogId) -> Result<(), Violation> {
        let process = self.process.as_ref().expect("a process runs");
        let store = &process.cores[core].store;
        let theirs = self
            .oracle
            .logs()
            .filter(|truth| truth.is_alive() && truth.is_memory_only());
        let begin: Vec<_> = theirs
            .filter_map(|truth| Some((truth.id(), store.frontiers(truth.id())?.start)))
            .collect();
        let bounds = Bounds {
            own: self.plan.store.memory_log_bytes as u64,
            together: self.plan.store.tail_cache_bytes as u64 / 2,
        };
        self.oracle.forgot(latest, &begin, bounds)
    }

    /// What each core counts as held in memory is what its logs hold.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_counts(&self) -> Result<(), Violation> {
        for core in self.process.iter().flat_map(|process| &process.cores) {
            let logs = core.store.log_ids();
            let stats = logs.filter_map(|(log, _)| core.store.log_stats(log));
            let held: u64 = stats.map(|stats| stats.cached_bytes).sum();
            let counted = core.store.stats().tail_bytes;
            if held != counted {
                let what = format!("{held} bytes are held, {counted} are counted");
                return Err(Violation::new(Kind::Memory, what));
            }
        }
        Ok(())
    }

    fn is_stopped(&self, log: LogId) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.stopped.contains(&log))
    }

    pub(super) fn handle_event(&mut self, core: usize, event: Event) -> Result<(), Violation> {
        match event {
            Event::Frontier { log } => self.hear_frontiers(log),
            Event::ReadDone { token, result } => {
                let reading = self.core(core).reading.remove(&token);
                let reading = reading.ok_or_else(|| unasked(&token))?;
                self.check_read(reading, result)
            }
            Event::TimeDone { token, result } => {
                let looking = self.core(core).looking.remove(&token);
                let looking = looking.ok_or_else(|| unasked(&token))?;
                self.check_time(&looking, result)
            }
            Event::SnapshotWanted { log } => {
                self.snapshot(log);
                Ok(())
            }
            Event::Trimmed { log, start } => {
                let wall = self.now().wall;
                self.counters.trims += 1;
                self.oracle.log_mut(log).trimmed(start, wall)
            }
            Event::Dropped { log } => {
                self.counters.drops += 1;
                self.oracle.log_mut(log).dropped();
                Ok(())
            }
            Event::Stopped { log, reason } => {
                if self.plan.faults.segment_errors == 0 && !self.gives_up_space() {
                    let what = format!("{log:?} stopped on a sound device: {reason}");
                    return Err(Violation::new(Kind::Stuck, what));
                }
                self.counters.stopped_logs += 1;
                let process = self.process.as_mut().expect("a process runs");
                process.stopped.push(log);
                Ok(())
            }
            Event::SpaceAvailable => {
                while let Some(waiting) = self.core(core).waiting.pop_front() {
                    if !self.try_append(core, waiting)? {
                        break;
                    }
                }
                Ok(())
            }
            Event::DiskShort { .. } => {
                self.counters.full_disks += 1;
                if self.plan.faults.lack_space() {
                    return Ok(());
                }
                let what = "takes the disk for full, and it is not";
                Err(Violation::new(Kind::Stuck, what))
            }
            Event::DiskHasRoom => Ok(()),
            Event::Flushed => {
                self.core(core).flushed = true;
                Ok(())
            }
            Event::Fatal(reason) => {
                if self.plan.faults.journal_errors == 0 && !self.gives_up_space() {
                    let what = format!("gives up on a sound device: {reason}");
                    return Err(Violation::new(Kind::Stuck, what));
                }
                self.crash(Crash::Kill);
                Ok(())
            }
        }
    }

    /// A process that stops does not wait for space: what needs some is an error then.
    fn gives_up_space(&self) -> bool {
        let process = self.process.as_ref();
        self.plan.faults.lack_space() && process.is_some_and(|process| process.stopping)
    }

    fn hear_frontiers(&mut self, log: LogId) -> Result<(), Violation> {
        let core = self.home(log);
        let Some(frontiers) = self.core(core).store.frontiers(log) else {
            // An event can outlive the log of which it tells, if that was deleted meanwhile.
            return match self.oracle.log(log).is_alive() {
                true => Err(Violation::new(Kind::Lost, format!("{log:?} is gone"))),
                false => Ok(()),
            };
        };
        let before = self.oracle.log(log).unacknowledged();
        let truth = self.oracle.log_mut(log);
        truth.hear_frontiers(frontiers.written, frontiers.durable)?;
        self.counters.acknowledged += before - self.oracle.log(log).unacknowledged();
        Ok(())
    }

    /// Hands in a snapshot of the machine over a log.
    pub fn snapshot(&mut self, log: LogId) {
        let truth = self.oracle.log_mut(log);
        if !truth.is_alive() {
            return;
        }
        let len = self.rng.between(16, self.logs[log.0 as usize].snapshot) as usize;
        let mut bytes = truth.snapshot(len);
        self.counters.snapshots += 1;
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let len = self.rng.between(1, bytes.len() as u64) as usize;
            pieces.push(bytes.split_to(len));
        }
        let core = self.home(log);
        let store = &mut self.core(core).store;
        store.put_snapshot(log, State::of(pieces), None);
    }

    /// Reads from `from` to the durable frontier, once or to the end.
    ///
    /// # Errors
    /// A broken promise.
    pub fn read(&mut self, log: LogId, from: Offset, follow: bool) -> Result<(), Violation> {
        let frontiers = self.frontiers(log);
        let (start, end) = (frontiers.start, frontiers.durable);
        let from = from.max(start.1);
        let by_ordinal = self.oracle.log(log).is_machine() || self.rng.chance(1, 3);
        let range = match by_ordinal {
            true => {
                let from = self.oracle.log(log).ordinal_of(from).max(start.0);
                (from < end.0).then_some(ReadRange::Ordinals(from, end.0))
            }
            false => (from < end.1).then_some(ReadRange::Offsets(from, end.1)),
        };
        if let Some(range) = range {
            self.ask(Reading { log, range, follow })?;
        }
        Ok(())
    }

    fn ask(&mut self, reading: Reading) -> Result<(), Violation> {
        let core = self.home(reading.log);
        let max = self.rng.magnitude(100, 60_000) as usize;
        let now = self.now();
        let store = &mut self.core(core).store;
        match store.read(reading.log, reading.range, max, now) {
            ReadOutcome::Ready(data) => self.check_read(reading, Ok(data)),
            ReadOutcome::Failed(error) => self.check_read(reading, Err(error)),
            ReadOutcome::Pending(token) => {
                self.core(core).reading.insert(token, reading);
                Ok(())
            }
        }
    }

    fn check_read(
        &mut self,
        reading: Reading,
        result: Result<ReadData, ReadError>,
    ) -> Result<(), Violation> {
        let Reading { log, range, follow } = reading;
        if !self.oracle.log(log).is_alive() {
            return Ok(());
        }
        // What moved meanwhile may be read before its event is heard.
        self.hear_frontiers(log)?;
        let moved = self.frontiers(log).start;
        let passed = |start| match range {
            ReadRange::Offsets(from, _) => start > from,
            ReadRange::Ordinals(from, _) => moved.0 > from,
        };
        let truth = self.oracle.log(log);
        match result {
            Ok(data) => {
                let next = truth.check_read(range, &data)?;
                self.counters.entries_read += 1;
                let rest = match range {
                    ReadRange::Offsets(from, until) => {
                        self.trace.note([log.0, from.0, next.1.0]);
                        (next.1 < until).then_some(ReadRange::Offsets(next.1, until))
                    }
                    ReadRange::Ordinals(from, until) => {
                        self.trace.note([log.0, from.0, next.0.0]);
                        (next.0 < until).then_some(ReadRange::Ordinals(next.0, until))
                    }
                };
                match rest {
                    Some(range) if follow => self.ask(Reading { range, ..reading }),
                    _ => Ok(()),
                }
            }
            Err(ReadError::OutOfRange { start, .. }) if passed(start) => {
                // The start moved meanwhile, and perhaps again since the answer was given: one
                // index that was read can answer a read and then tell retention what may go.
                let moved = moved.1;
                if start <= moved {
                    return Ok(());
                }
                let what = format!("{log:?}: started at {start}, starts at {moved} again");
                Err(Violation::new(Kind::WrongData, what))
            }
            Err(ReadError::Io(_)) if self.plan.faults.read_errors > 0 => Ok(()),
            Err(error) => Err(Violation::new(
                Kind::ReadFailed,
                format!("{log:?}: read of {range:?}: {error}"),
            )),
        }
    }

    /// Looks for the first offset at or after a time that lies among the log's entries.
    ///
    /// # Errors
    /// A broken promise.
    pub fn look_up(&mut self, log: LogId, timestamp: i64) -> Result<(), Violation> {
        let frontiers = self.frontiers(log);
        let (start, until) = (frontiers.start.1, frontiers.durable.1);
        let core = self.home(log);
        let now = self.now();
        let looking = Looking {
            log,
            timestamp,
            start,
            until,
        };
        match self.core(core).store.find_time(log, timestamp, until, now) {
            TimeOutcome::Found(found) => self.check_time(&looking, Ok(Some(found))),
            TimeOutcome::NotFound => self.check_time(&looking, Ok(None)),
            TimeOutcome::Failed(error) => self.check_time(&looking, Err(error)),
            TimeOutcome::Pending(token) => {
                self.core(core).looking.insert(token, looking);
                Ok(())
            }
        }
    }

    fn check_time(
        &mut self,
        looking: &Looking,
        found: Result<Option<TimeFound>, ReadError>,
    ) -> Result<(), Violation> {
        let (log, timestamp) = (looking.log, looking.timestamp);
        let truth = self.oracle.log(log);
        if !truth.is_alive() {
            return Ok(());
        }
        self.counters.time_lookups += 1;
        match found {
            Ok(found) => {
                let start = self.frontiers(log).start.1;
                self.oracle.log(log).check_time(
                    timestamp,
                    looking.start..start,
                    looking.until,
                    found.map(|found| found.offset),
                )
            }
            Err(ReadError::Io(_)) if self.plan.faults.read_errors > 0 => Ok(()),
            Err(error) => Err(Violation::new(
                Kind::ReadFailed,
                format!("{log:?}: look-up of {timestamp}: {error}"),
            )),
        }
    }
}

fn unasked(token: &impl std::fmt::Debug) -> Violation {
    Violation::new(
        Kind::WrongData,
        format!("an answer to {token:?}, never asked"),
    )
}
