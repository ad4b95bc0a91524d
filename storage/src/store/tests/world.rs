//! One store, its disk, and what was appended.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::checksum::{KnownSum, crc};
use crate::class::Classes;
use crate::io::{FileName, IoError, IoErrorKind, Op, OpId, Output};
use crate::recovery::tests::disk::{Disk, Pool};
use crate::recovery::{Recovered, RecoveryConfig, RecoveryError, recover};
use crate::store::{
    AppendError, Event, LogSettings, NewEntry, ReadData, ReadError, ReadOutcome, Store,
    StoreConfig, TimeFound, TimeOutcome,
};
use crate::types::{Level, LogId, LogKind, Mono, Now, Offset, Ordinal, SlotId, Term, WallMs};

/// An entry that was accepted: its first offset, the next one, its bytes.
type Accepted = (Offset, Offset, Bytes);

pub(super) struct World {
    pub(super) store: Store<Pool>,
    pub(super) disk: Disk,
    pub(super) events: Vec<Event>,
    /// Fails the operations that it is true for.
    pub(super) fails: Is,
    /// Refuses the operations that it is true for, for want of space.
    pub(super) full: Is,
    /// Keeps the operations that it is true for in flight.
    pub(super) holds: Is,
    /// Free space that the disk reports.
    pub(super) free: u64,
    /// Answers `SnapshotWanted`.
    pub(super) snapshots: bool,
    /// Starts do not tell the store what is free.
    pub(super) untold: bool,
    pub(super) accepted: BTreeMap<LogId, Vec<Accepted>>,
    pub(super) now: Now,
    in_flight: Vec<(OpId, Op<Vec<u8>>)>,
    random: u64,
    recovery: RecoveryConfig,
    config: StoreConfig,
}

pub(super) const LOG: LogId = LogId(7);

/// Tells operations apart.
pub(super) type Is = fn(&Op<Vec<u8>>) -> bool;

/// What makes a segment's data durable, without a length given ahead and with one.
pub(super) const SEGMENT_SYNCS: [(u64, Is); 2] = [
    (0, |op| matches!(op, Op::Sync(FileName::Segment { .. }))),
    (64 << 20, |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Segment { .. },
                durable: true,
                ..
            }
        )
    }),
];

/// A ring of 8 files × 8 blocks, and thresholds to match.
pub(super) fn small() -> StoreConfig {
    StoreConfig {
        max_commit_bytes: 16 << 10,
        parallel_commit_bytes: 4 << 10,
        classes: Classes::default().with_bulk_from(24 << 10),
        write_behind_bytes: 12 << 10,
        backlog_bytes: 48 << 10,
        segment_write_bytes: 8 << 10,
        copy_forward_bytes: 4 << 10,
        span_bytes: 3000,
        tail_cache_bytes: 64 << 10,
        span_cache_bytes: 32 << 10,
        index_cache_bytes: 1 << 10,
        read_bytes: 16 << 10,
        reads_in_flight_bytes: 16 << 10,
        inline_snapshot_bytes: 256,
        ..StoreConfig::default()
    }
}

/// As [`small`], with segments made so much longer ahead.
pub(super) fn reserving(reserve_bytes: u64) -> StoreConfig {
    StoreConfig {
        reserve_bytes,
        ..small()
    }
}

impl World {
    pub(super) fn new(config: StoreConfig, seed: u64) -> Self {
        let mut recovery = RecoveryConfig {
            salt: seed,
            floor_bytes: config.disk_floor_bytes,
            classes: config.classes,
            ..RecoveryConfig::default()
        };
        recovery.geometry.file_bytes = 2 * config.max_commit_bytes as u64;
        recovery.geometry.files = 8;
        recovery.geometry.max_commit_bytes =
            u32::try_from(config.max_commit_bytes).expect("a small ring");
        let mut disk = Disk::default();
        let store = open(&mut disk, &recovery, &config, false);
        Self {
            store,
            disk,
            events: Vec::new(),
            fails: |_| false,
            full: |_| false,
            holds: |_| false,
            free: 1 << 40,
            snapshots: true,
            untold: false,
            accepted: BTreeMap::new(),
            now: Now {
                mono: Mono(1),
                wall: WallMs(1_000_000),
            },
            in_flight: Vec::new(),
            random: seed | 1,
            recovery,
            config,
        }
    }

    /// Ends the process without a word and starts it again on what was carried out so far.
    pub(super) fn restart(&mut self, settings: LogSettings) {
        self.in_flight.clear();
        self.store = open(&mut self.disk, &self.recovery, &self.config, self.untold);
        for (log, _) in self.store.log_ids().collect::<Vec<_>>() {
            self.store.configure(log, settings);
        }
    }

    /// The next starts make rings of so many files.
    pub(super) fn set_ring_files(&mut self, files: u16) {
        self.recovery.geometry.files = files;
    }

    /// What recovery makes of a copy of the disk.
    pub(super) fn recovery_of(&self, disk: &Disk) -> Recovered {
        let task = recover(self.recovery.clone(), Pool);
        let recovered = disk.clone().drive(task).expect("recovery ends");
        recovered.expect("it recovers")
    }

    /// Starts on this disk, killed after so many operations; whether it was.
    pub(super) fn killed_start(&self, disk: &mut Disk, ops: u64) -> bool {
        disk.dies_at = Some(disk.ops + ops);
        let task = recover(self.recovery.clone(), Pool);
        let ended = disk.drive(task).expect("recovery ends");
        disk.dies_at = None;
        ended.is_err()
    }

    /// Completes so many operations.
    pub(super) fn settle_ops(&mut self, ops: u64) {
        for _ in 0..ops {
            self.issue();
            if !self.complete_one() {
                return;
            }
        }
    }

    /// What recovery would say now, on a copy of the disk; where each log ends.
    pub(super) fn recovers(&self) -> Result<Vec<Ordinal>, RecoveryError> {
        let mut disk = self.disk.clone();
        let task = recover(self.recovery.clone(), Pool);
        let recovered = disk.drive(task).expect("recovery ends");
        if recovered.is_err() {
            assert_eq!(disk.files, self.disk.files, "refusing changes nothing");
        }
        let logs = recovered?.cores.into_iter().flat_map(|core| core.logs);
        Ok(logs.map(|log| log.next.0).collect())
    }

    pub(super) fn topic(&mut self, log: LogId, settings: LogSettings) {
        self.store
            .create_log(log, SlotId(0), LogKind::Topic, settings);
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Appends once there is space, which must come.
    pub(super) fn must_append(&mut self, log: LogId, len: usize) {
        for _ in 0..20 {
            if self.append(log, len).is_ok() {
                return;
            }
            self.settle();
        }
        panic!("space never comes: {}", self.standing());
    }

    pub(super) fn append(&mut self, log: LogId, len: usize) -> Result<Ordinal, AppendError> {
        self.append_at(log, len, Level::Synced)
    }

    pub(super) fn append_at(
        &mut self,
        log: LogId,
        len: usize,
        level: Level,
    ) -> Result<Ordinal, AppendError> {
        let next = self.store.frontiers(log).expect("log exists").ordered.1;
        let word = (log.0 << 40 | next.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bytes = word.to_le_bytes().into_iter().cycle().take(len);
        self.append_bytes(log, bytes.collect(), level)
    }

    pub(super) fn append_bytes(
        &mut self,
        log: LogId,
        bytes: Bytes,
        level: Level,
    ) -> Result<Ordinal, AppendError> {
        let next = self.store.frontiers(log).expect("log exists").ordered.1;
        let entry = NewEntry {
            term: Term(1),
            time: self.now.wall,
            first_offset: next,
            offsets: 3,
            max_timestamp: self.now.wall.0,
            bytes: bytes.clone(),
            sum: Some(KnownSum {
                from: 1,
                crc: crc(&bytes[1..]),
            }),
        };
        let ordinal = self.store.append(log, entry, level, self.now)?;
        let list = self.accepted.entry(log).or_default();
        list.push((next, next.plus(3), bytes));
        Ok(ordinal)
    }

    /// What was accepted of a log, in order.
    pub(super) fn accepted(&self, log: LogId) -> impl Iterator<Item = &Bytes> {
        self.accepted[&log].iter().map(|(.., bytes)| bytes)
    }

    /// Takes what the store wants done; nothing is complete yet.
    pub(super) fn issue(&mut self) {
        while let Some(op) = self.store.poll_op() {
            self.in_flight.push(op);
        }
    }

    /// Completes one operation in flight, any one that is not held. `false`: there is none.
    pub(super) fn complete_one(&mut self) -> bool {
        let free = |(at, (_, op)): (usize, &(OpId, _))| (!(self.holds)(op)).then_some(at);
        let free: Vec<usize> = self.in_flight.iter().enumerate().filter_map(free).collect();
        if free.is_empty() {
            return false;
        }
        let at = free[usize::try_from(self.random(free.len() as u64)).unwrap()];
        let (id, op) = self.in_flight.swap_remove(at);
        self.now.mono = self.now.mono.after(50_000);
        let fails = |kind, message: &str| {
            let message = message.to_owned();
            Err(IoError { kind, message })
        };
        let result = if (self.full)(&op) {
            fails(IoErrorKind::NoSpace, "the test's full disk")
        } else if (self.fails)(&op) {
            // It may be done for all that.
            let _done = self.disk.run(op);
            fails(IoErrorKind::Other, "the test's fault")
        } else {
            match self.disk.run(op) {
                Ok(Output::Free(free)) => Ok(Output::Free(free.min(self.free))),
                result => result,
            }
        };
        self.store.handle_completion(id, result, self.now);
        self.take_events();
        true
    }

    fn take_events(&mut self) {
        while let Some(event) = self.store.poll_event() {
            if let Event::SnapshotWanted { log } = event
                && self.snapshots
            {
                self.store
                    .put_snapshot(log, Bytes::from_static(b"state"), None);
            }
            self.events.push(event);
        }
    }

    /// Where the log's start was said to have moved to, durably, in order.
    pub(super) fn trimmed(&self, log: LogId) -> Vec<Offset> {
        let start = |event: &Event| match event {
            Event::Trimmed { log: of, start } if *of == log => Some(start.1),
            _ => None,
        };
        self.events.iter().filter_map(start).collect()
    }

    /// Whether an operation for which `is` is true is in flight.
    pub(super) fn waits_for(&self, is: Is) -> bool {
        self.in_flight.iter().any(|(_, op)| is(op))
    }

    /// The operations that are in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &Op<Vec<u8>>> {
        self.in_flight.iter().map(|(_, op)| op)
    }

    /// Bytes that are being read, of whatever file.
    pub(super) fn being_read(&self) -> usize {
        let lens = self.in_flight.iter().map(|(_, op)| match op {
            Op::Read { len, .. } => *len,
            _ => 0,
        });
        lens.sum()
    }

    /// Until nothing is in flight but what is held.
    pub(super) fn settle(&mut self) {
        for _ in 0..200_000 {
            self.issue();
            if !self.complete_one() {
                self.take_events();
                self.issue();
                if self.store.has_work() {
                    self.next_turn();
                    continue;
                }
                if self.in_flight.iter().all(|(_, op)| (self.holds)(op)) {
                    return;
                }
            }
        }
        panic!("the store never comes to rest");
    }

    /// Another turn of the core begins, and nothing else has happened.
    pub(super) fn next_turn(&mut self) {
        self.now.mono = self.now.mono.after(1);
        self.store.handle_timeout(self.now);
    }

    /// Settles, then lets time pass.
    pub(super) fn sleep(&mut self, nanos: u64) {
        self.settle();
        self.now.mono = self.now.mono.after(nanos);
        self.now.wall.0 += i64::try_from(nanos / 1_000_000).unwrap();
        self.store.handle_timeout(self.now);
        self.settle();
    }

    pub(super) fn read(
        &mut self,
        log: LogId,
        from: Offset,
        max_bytes: usize,
    ) -> Result<ReadData, ReadError> {
        let until = self.store.frontiers(log).expect("log exists").durable.1;
        match self.store.read(log, from..until, max_bytes, self.now) {
            ReadOutcome::Ready(data) => Ok(data),
            ReadOutcome::Failed(error) => Err(error),
            ReadOutcome::Pending(token) => {
                self.settle();
                let mut done = self.events.drain(..).filter_map(|event| match event {
                    Event::ReadDone { token: of, result } if of == token => Some(result),
                    _ => None,
                });
                done.next().expect("a pending read ends")
            }
        }
    }

    pub(super) fn find_time(&mut self, log: LogId, timestamp: i64) -> Option<Offset> {
        let until = self.store.frontiers(log).expect("log exists").durable.1;
        let outcome = self.store.find_time(log, timestamp, until, self.now);
        self.time_outcome(outcome).map(|found| found.offset)
    }

    /// Why a look-up in a log fails.
    pub(super) fn find_time_error(&mut self, log: LogId) -> Option<ReadError> {
        let until = self.store.frontiers(log).expect("log exists").durable.1;
        match self.store.find_time(log, i64::MAX, until, self.now) {
            TimeOutcome::Failed(error) => Some(error),
            _ => None,
        }
    }

    pub(super) fn find_latest(&mut self, log: LogId, below: i64) -> Option<TimeFound> {
        let until = self.store.frontiers(log).expect("log exists").durable.1;
        let outcome = self.store.find_latest(log, below, until, self.now);
        self.time_outcome(outcome)
    }

    fn time_outcome(&mut self, outcome: TimeOutcome) -> Option<TimeFound> {
        match outcome {
            TimeOutcome::Found(found) => Some(found),
            TimeOutcome::NotFound => None,
            TimeOutcome::Failed(error) => panic!("{error}"),
            TimeOutcome::Pending(token) => {
                self.settle();
                let mut done = self.events.drain(..).filter_map(|event| match event {
                    Event::TimeDone { token: of, result } if of == token => Some(result),
                    _ => None,
                });
                done.next()
                    .expect("a pending look-up ends")
                    .expect("no fault")
            }
        }
    }

    /// Reads the log from its start to its durable end, in pieces, and compares every byte.
    pub(super) fn check_log(&mut self, log: LogId, max_bytes: usize) {
        let frontiers = self.store.frontiers(log).expect("log exists");
        let accepted = self.accepted.get(&log).cloned().unwrap_or_default();
        let mut at = frontiers.start.1;
        while at < frontiers.durable.1 {
            let data = self.read(log, at, max_bytes).expect("readable");
            let bytes: Vec<u8> = data.chunks.concat();
            assert_eq!(bytes.len(), data.bytes);
            at = compare(&accepted, at, &bytes);
        }
        assert_eq!(at, frontiers.durable.1, "reads end where the log does");
    }

    /// What the store waits for, when a test says that it stands still.
    pub(super) fn standing(&self) -> String {
        let store = &self.store;
        format!(
            "granted {}, {:?}, {:?}, {:?}: {:?}",
            store.journal.ring.granted(),
            store.commits.lines,
            store.writing,
            store.reclaim,
            store.stats(),
        )
    }

    pub(super) fn files_of(&self, log: LogId) -> usize {
        let of = |file: &&FileName| match file {
            FileName::Segment { log: id, .. } => *id == log,
            _ => false,
        };
        self.disk.files.keys().filter(of).count()
    }
}

fn open(
    disk: &mut Disk,
    recovery: &RecoveryConfig,
    config: &StoreConfig,
    untold: bool,
) -> Store<Pool> {
    let task = recover(recovery.clone(), Pool);
    let recovered = disk.drive(task).expect("recovery ends").expect("recovers");
    let mut core = recovered.cores.into_iter().next().expect("one core");
    core.free = core.free.filter(|_| !untold);
    let now = Now {
        mono: Mono(1),
        wall: WallMs(1_000_000),
    };
    Store::open(config.clone(), Pool, core, now)
}

/// `bytes` must be whole entries that begin with, or before, the one that holds `at`; the offset
/// after the last.
pub(super) fn compare(accepted: &[Accepted], at: Offset, bytes: &[u8]) -> Offset {
    let holding = accepted
        .iter()
        .position(|(first, next, _)| *first <= at && at < *next)
        .expect("an accepted offset");
    for first in (0..=holding).rev() {
        let mut rest = bytes;
        for (_, next, entry) in &accepted[first..] {
            let Some(after) = rest.strip_prefix(&entry[..]) else {
                break;
            };
            rest = after;
            if rest.is_empty() {
                assert!(*next > at, "a read gives at least the entry asked for");
                return *next;
            }
        }
    }
    let looks_like = accepted
        .iter()
        .position(|(_, _, entry)| bytes.starts_with(entry));
    panic!(
        "a read at {at} gave {} bytes that are not from entry {holding} on; like {looks_like:?}",
        bytes.len()
    );
}
