//! Look-ups of offsets. The ends of a log are known at once; the first record of a time is found by
//! a scan, from where storage says that it may be.
//!
//! A look-up by time does one bounded step after another: it asks storage where to scan, reads
//! there, and walks over the batches that it has read. All look-ups together do a slice of work in
//! each turn of the core, one after the other. None recurses, whatever stored headers say, and none
//! holds a decompressed batch.

use std::collections::VecDeque;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::{
    BatchError, BatchWalk, Deltas, HEADER_LEN, MAX_RECORDS_LEN, Pieces, Progress, Visit,
    parse_header,
};
use leveret_storage::io::BufPool;
use leveret_storage::store::{ReadData, ReadError, ReadOutcome, ReadToken, TimeFound, TimeOutcome};
use leveret_storage::types::{LogId, Mono, Now, Offset};
use slab::Slab;

use super::fetching::read_error;
use super::log::frontiers_of;
use super::reply::{FoundOffset, OffsetSpec, Reply, RequestId};
use super::trim::{Batches, trim};
use super::{Reader, Shard};
use crate::error::EngineError;

/// Read at once while scanning, bytes.
const SCAN_BYTES: usize = 64 << 10;
/// What a turn's look-ups may cost together, in bytes taken and given by decoders.
pub(super) const SLICE: usize = 512 << 10;
/// What a question to storage counts as, and a batch whose header is enough.
const QUESTION: usize = 4 << 10;
const HEADER_ONLY: usize = 64;
/// Look-ups that may be within a batch, each with a decoder.
const ACTIVE: usize = 2;

/// Slot of a look-up in [`Lookups`].
pub(super) type LookupKey = usize;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The first record at least this young.
    AtLeast(i64),
    /// The first of the youngest, which is as young as storage says, once it has.
    Latest(i64),
    /// The first of the youngest among all that are scanned: of those so far.
    LatestOfAll(Option<(Offset, i64)>),
}

/// What comes next.
enum Stage {
    /// To ask storage where to scan.
    Find,
    /// To read on.
    Read,
    /// Storage was asked.
    Waits(ReadToken),
    /// To walk over what was read.
    Scan(Box<Scan>),
}

/// Batches in hand.
struct Scan {
    batches: Batches,
    chunk: usize,
    /// Where in the chunk the next batch begins, or the one under walk.
    at: usize,
    walking: Option<Walking>,
}

struct Walking {
    pieces: Pieces,
    walk: BatchWalk,
    seeker: Seeker,
    batch: Bytes,
}

/// Looks at the records of one batch.
#[derive(Clone, Copy)]
struct Seeker {
    base: i64,
    from: Offset,
    goal: Goal,
    found: Option<(Offset, i64)>,
}

impl Visit for Seeker {
    fn record(&mut self, offset_delta: i32, timestamp: i64) {
        let offset = self.base.saturating_add(i64::from(offset_delta));
        let offset = Offset(u64::try_from(offset).unwrap_or(0));
        if offset < self.from {
            return;
        }
        let better = match (self.goal, self.found) {
            (Goal::AtLeast(least), found) => found.is_none() && timestamp >= least,
            (_, found) => found.is_none_or(|(_, latest)| timestamp > latest),
        };
        if better {
            self.found = Some((offset, timestamp));
        }
    }
}

/// A look-up by time.
struct Lookup {
    request: RequestId,
    log: LogId,
    goal: Goal,
    /// Where the scan goes on.
    from: Offset,
    /// High watermark when it began: it ends there.
    until: Offset,
    stage: Stage,
}

/// How a step ended.
enum Next {
    Step,
    Waits,
    Done(Result<Option<(Offset, i64)>, EngineError>),
}

/// All look-ups that are under way.
#[derive(Default)]
pub(super) struct Lookups {
    lookups: Slab<Lookup>,
    by_request: HashMap<RequestId, LookupKey, FixedState>,
    /// Those that do not wait, in turn.
    turns: VecDeque<LookupKey>,
    spare: Vec<Pieces>,
    /// The turn that `left` is for.
    turn: Mono,
    left: usize,
}

impl Lookups {
    fn insert(&mut self, lookup: Lookup) {
        let request = lookup.request;
        let key = self.lookups.insert(lookup);
        let before = self.by_request.insert(request, key);
        assert!(before.is_none(), "request ids are unique while under way");
        self.turns.push_back(key);
    }

    /// What a look-up reads.
    pub(super) fn place(&self, key: LookupKey) -> (LogId, Offset) {
        let lookup = &self.lookups[key];
        (lookup.log, lookup.from)
    }

    fn remove(&mut self, key: LookupKey) -> Lookup {
        let mut lookup = self.lookups.remove(key);
        self.by_request.remove(&lookup.request);
        if let Stage::Scan(scan) = &mut lookup.stage
            && let Some(walking) = scan.walking.take()
        {
            self.give_back(walking.pieces);
        }
        lookup
    }

    fn give_back(&mut self, pieces: Pieces) {
        if self.spare.len() < ACTIVE {
            self.spare.push(pieces);
        }
    }

    /// Whether a slice of work waits.
    pub(super) fn has_work(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Whether a look-up holds a decoder.
    fn is_within_batch(&self, key: LookupKey) -> bool {
        matches!(&self.lookups[key].stage, Stage::Scan(scan) if scan.walking.is_some())
    }
}

impl<P: BufPool> Shard<P> {
    /// Looks up an offset of a log.
    ///
    /// # Panics
    /// If a look-up of that id is under way.
    pub fn list_offsets(&mut self, request: RequestId, log: LogId, spec: OffsetSpec, now: Now) {
        self.now = now;
        let Some(state) = self.hosted.partition(log) else {
            return self.fail(request, EngineError::UnknownLog);
        };
        let frontiers = frontiers_of(&self.store, log);
        let high_watermark = state.high_watermark(&frontiers);
        let end = |offset| FoundOffset {
            offset,
            timestamp: None,
        };
        let goal = match spec {
            OffsetSpec::Earliest => {
                return self.reply(request, Reply::Offset(end(frontiers.start.1)));
            }
            OffsetSpec::Latest => return self.reply(request, Reply::Offset(end(high_watermark))),
            OffsetSpec::Timestamp(timestamp) => Goal::AtLeast(timestamp),
            OffsetSpec::MaxTimestamp => Goal::Latest(i64::MAX),
        };
        self.lookups.insert(Lookup {
            request,
            log,
            goal,
            from: frontiers.start.1,
            until: high_watermark,
            stage: Stage::Find,
        });
        self.look_up(now);
        self.drain();
    }

    /// A slice of the work of all look-ups.
    pub(super) fn work_at_lookups(&mut self, now: Now) {
        (self.lookups.turn, self.lookups.left) = (now.mono, SLICE);
        self.look_up(now);
        self.drain();
    }

    /// Goes on with look-ups in turn, as far as this turn of the core has something left for them.
    pub(super) fn look_up(&mut self, now: Now) {
        if self.lookups.turn != now.mono {
            (self.lookups.turn, self.lookups.left) = (now.mono, SLICE);
        }
        while self.lookups.left > 0
            && let Some(key) = self.lookups.turns.pop_front()
        {
            match self.look_step(key, now) {
                Next::Waits => {}
                Next::Done(found) => self.finish_lookup(key, found),
                Next::Step if self.lookups.is_within_batch(key) => {
                    let at = self.lookups.turns.len().min(ACTIVE - 1);
                    self.lookups.turns.insert(at, key);
                }
                Next::Step => self.lookups.turns.push_back(key),
            }
        }
    }

    fn look_step(&mut self, key: LookupKey, now: Now) -> Next {
        let lookup = &mut self.lookups.lookups[key];
        match &mut lookup.stage {
            Stage::Find => self.look_where(key, now),
            Stage::Read if lookup.from >= lookup.until => self.not_in_scan(key),
            Stage::Read => self.look_there(key, now),
            Stage::Waits(_) => Next::Waits,
            Stage::Scan(_) => self.look_through(key),
        }
    }

    /// Asks storage where the scan begins.
    fn look_where(&mut self, key: LookupKey, now: Now) -> Next {
        self.lookups.left = self.lookups.left.saturating_sub(QUESTION);
        let lookup = &mut self.lookups.lookups[key];
        let (log, until) = (lookup.log, lookup.until);
        let outcome = match lookup.goal {
            Goal::AtLeast(timestamp) => self.store.find_time(log, timestamp, until, now),
            Goal::Latest(below) => self.store.find_latest(log, below, until, now),
            Goal::LatestOfAll(_) => unreachable!("it begins at the start"),
        };
        match outcome {
            TimeOutcome::Found(found) => lookup.found(Ok(Some(found))),
            TimeOutcome::NotFound => lookup.found(Ok(None)),
            TimeOutcome::Failed(error) => lookup.found(Err(error)),
            TimeOutcome::Pending(token) => self.lookup_waits(key, token),
        }
    }

    /// Reads where the scan has come to.
    fn look_there(&mut self, key: LookupKey, now: Now) -> Next {
        self.lookups.left = self.lookups.left.saturating_sub(QUESTION);
        let lookup = &mut self.lookups.lookups[key];
        let (log, from, until) = (lookup.log, lookup.from, lookup.until);
        match self.store.read(log, from..until, SCAN_BYTES, now) {
            ReadOutcome::Pending(token) => self.lookup_waits(key, token),
            ReadOutcome::Ready(data) => lookup.read(Ok(data)),
            ReadOutcome::Failed(error) => lookup.read(Err(error)),
        }
    }

    /// Walks over a piece of a batch, or passes one over.
    fn look_through(&mut self, key: LookupKey) -> Next {
        let lookups = &mut self.lookups;
        let lookup = &mut lookups.lookups[key];
        let Stage::Scan(scan) = &mut lookup.stage else {
            unreachable!("it has something in hand");
        };
        let from = lookup.from;
        let fault = |error: BatchError| Next::Done(Err(scan_error(from, &error)));
        let Some(mut walking) = scan.walking.take() else {
            let Some(chunk) = scan.batches.chunks.get(scan.chunk) else {
                lookup.from = scan.batches.next;
                lookup.stage = Stage::Read;
                return Next::Step;
            };
            lookups.left = lookups.left.saturating_sub(HEADER_ONLY);
            let header = match parse_header(&chunk[scan.at..]) {
                Ok(header) => header,
                Err(error) => return fault(error),
            };
            let behind = scan.at.saturating_add(header.total_len());
            if behind > chunk.len() {
                let (needed, present) = (header.total_len(), chunk.len() - scan.at);
                return fault(BatchError::Truncated { needed, present });
            }
            let batch = chunk.slice(scan.at..behind);
            (scan.chunk, scan.at) = match behind == chunk.len() {
                true => (scan.chunk + 1, 0),
                false => (scan.chunk, behind),
            };
            if !lookup.goal.cares_for(header.latest_timestamp()) {
                return Next::Step;
            }
            let mut pieces = lookups.spare.pop().unwrap_or_default();
            match BatchWalk::begin(&header, Deltas::Growing, MAX_RECORDS_LEN, &mut pieces) {
                Err(error) => return fault(error),
                Ok(walk) => {
                    let (base, goal) = (header.base_offset, lookup.goal.within_batch());
                    let seeker = Seeker {
                        base,
                        from,
                        goal,
                        found: goal.so_far(),
                    };
                    scan.walking = Some(Walking {
                        pieces,
                        walk,
                        seeker,
                        batch,
                    });
                }
            }
            return Next::Step;
        };
        let before = walking.pieces.done();
        let payload = &walking.batch[HEADER_LEN..];
        let step = walking
            .walk
            .step(&mut walking.pieces, payload, &mut walking.seeker);
        let cost = (walking.pieces.done() - before).max(HEADER_ONLY);
        lookups.left = lookups.left.saturating_sub(cost);
        let found = walking.seeker.found;
        let first = matches!(walking.seeker.goal, Goal::AtLeast(_)) && found.is_some();
        match step {
            Err(error) => fault(error),
            Ok(Progress::More) if !first => {
                scan.walking = Some(walking);
                Next::Step
            }
            Ok(_) => {
                if let Goal::LatestOfAll(latest) = &mut lookup.goal {
                    *latest = found;
                }
                lookups.give_back(walking.pieces);
                match first {
                    true => Next::Done(Ok(found)),
                    false => Next::Step,
                }
            }
        }
    }

    /// Nothing that was scanned is what storage meant: it lies below the start, is not visible yet,
    /// or an old header was not true. What was looked for by its time is nowhere then; the latest is
    /// another one, and all that may be read is gone through for it, once.
    fn not_in_scan(&mut self, key: LookupKey) -> Next {
        let lookup = &mut self.lookups.lookups[key];
        let Some(frontiers) = self.store.frontiers(lookup.log) else {
            return Next::Done(Err(EngineError::UnknownLog));
        };
        match &mut lookup.goal {
            Goal::AtLeast(_) => return Next::Done(Ok(None)),
            Goal::LatestOfAll(latest) => return Next::Done(Ok(*latest)),
            Goal::Latest(_) => lookup.goal = Goal::LatestOfAll(None),
        }
        lookup.from = frontiers.start.1;
        Next::Step
    }

    /// Storage has said where the scan begins.
    pub(super) fn lookup_found(
        &mut self,
        key: LookupKey,
        result: Result<Option<TimeFound>, ReadError>,
        now: Now,
    ) {
        let next = self.lookups.lookups[key].found(result);
        self.lookup_goes_on(key, next, now);
    }

    /// A part of the scan was read.
    pub(super) fn lookup_read(
        &mut self,
        key: LookupKey,
        result: Result<ReadData, ReadError>,
        now: Now,
    ) {
        let next = self.lookups.lookups[key].read(result);
        self.lookup_goes_on(key, next, now);
    }

    fn lookup_goes_on(&mut self, key: LookupKey, next: Next, now: Now) {
        match next {
            Next::Done(found) => self.finish_lookup(key, found),
            Next::Step | Next::Waits => self.lookups.turns.push_back(key),
        }
        self.look_up(now);
    }

    pub(super) fn cancel_lookup(&mut self, request: RequestId) {
        let Some(key) = self.lookups.by_request.get(&request).copied() else {
            return;
        };
        self.lookups.turns.retain(|other| *other != key);
        if let Stage::Waits(token) = self.lookups.remove(key).stage {
            self.readers.remove(&token);
        }
    }

    fn lookup_waits(&mut self, key: LookupKey, token: ReadToken) -> Next {
        self.lookups.lookups[key].stage = Stage::Waits(token);
        self.readers.insert(token, Reader::Lookup(key));
        Next::Waits
    }

    fn finish_lookup(&mut self, key: LookupKey, found: Result<Option<(Offset, i64)>, EngineError>) {
        let lookup = self.lookups.remove(key);
        let reply = match found {
            Ok(found) => Reply::Offset(FoundOffset {
                offset: found.map_or(lookup.until, |(offset, _)| offset),
                timestamp: found.map(|(_, timestamp)| timestamp),
            }),
            Err(error) => Reply::Failed(error),
        };
        self.reply(lookup.request, reply);
    }
}

impl Lookup {
    fn found(&mut self, result: Result<Option<TimeFound>, ReadError>) -> Next {
        match result {
            Ok(Some(found)) => {
                // The span may begin below the start; the records there are gone for readers.
                self.from = self.from.max(found.offset);
                if let Goal::Latest(youngest) = &mut self.goal {
                    *youngest = found.timestamp;
                }
                self.stage = Stage::Read;
                Next::Step
            }
            Ok(None) => Next::Done(Ok(None)),
            Err(error) => Next::Done(Err(read_error(error, self.from, self.until))),
        }
    }

    fn read(&mut self, result: Result<ReadData, ReadError>) -> Next {
        let (from, until) = (self.from, self.until);
        let data = result.map_err(|error| read_error(error, from, until));
        let batches =
            data.and_then(|data| trim(data, from, until).map_err(|error| scan_error(from, &error)));
        match batches {
            Err(error) => Next::Done(Err(error)),
            Ok(batches) if batches.next <= from => Next::Done(Err(EngineError::Storage {
                reason: format!("no batch at offset {from}"),
            })),
            Ok(batches) => {
                self.stage = Stage::Scan(Box::new(Scan {
                    batches,
                    chunk: 0,
                    at: 0,
                    walking: None,
                }));
                Next::Step
            }
        }
    }
}

impl Goal {
    /// Whether a batch with that newest record may change the answer.
    fn cares_for(self, newest: i64) -> bool {
        match self {
            Self::AtLeast(least) => newest >= least,
            Self::Latest(youngest) => newest >= youngest,
            Self::LatestOfAll(latest) => latest.is_none_or(|(_, latest)| newest > latest),
        }
    }

    /// What to look for in a batch: where storage says how young the youngest is, the first that is
    /// so young ends the look-up.
    fn within_batch(self) -> Self {
        match self {
            Self::Latest(youngest) => Self::AtLeast(youngest),
            other => other,
        }
    }

    fn so_far(self) -> Option<(Offset, i64)> {
        match self {
            Self::LatestOfAll(latest) => latest,
            _ => None,
        }
    }
}

fn scan_error(from: Offset, error: &BatchError) -> EngineError {
    EngineError::Storage {
        reason: format!("scan from offset {from}: {error}"),
    }
}
