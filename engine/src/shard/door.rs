//! The door: a batch's records are walked once before it is appended, so that whatever is
//! acknowledged can be read, and its timestamps are true.
//!
//! A short batch is walked at once. A long one stands in its log's line and is walked in slices, a
//! few logs in turn, so that it delays neither the core nor another log; batches behind it for the
//! same log wait in that line. There the checksum of a very long batch is verified, too, before
//! anything else of it is believed. The door holds no decompressed records, and decides nothing
//! about offsets and sequences.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::{
    BatchError, BatchHeader, BatchSum, BatchWalk, Compression, Deltas, HEADER_LEN, MAX_RECORDS_LEN,
    Pieces, Progress, Times, repair_max_timestamp, validate_header,
};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{LogId, Mono, Now};

use super::Shard;
use super::hosted::Line;
use super::produce::Produce;
use super::reply::RequestId;
use super::room::Room;
use crate::error::EngineError;
use crate::partition::Decision;
use crate::topology::{TimestampType, TopicSettings};

/// Bytes taken and given by decoders that batches walked at once may cost in a turn together.
const AT_ONCE: usize = 256 << 10;
/// Uncompressed records up to this are walked at once whatever the turn has cost: that is less
/// than their checksum costs.
const PLAIN_AT_ONCE: usize = 2 << 20;
/// The checksum of a batch up to this length is looked at as it comes.
const SUMMED_AT_ONCE: usize = 2 << 20;
/// Bytes that are summed at a step, and how many of them cost as much as one that is copied.
const SUMMED: (usize, usize) = (1 << 20, 8);
/// Bytes of a slice of the lines' work, but for the last piece.
const SLICE: usize = 512 << 10;
/// Logs whose lines are walked in turn; others wait for one of them, so that there are no more
/// decoders than these.
const ACTIVE: usize = 2;

/// A walk that goes on in the next slice.
struct Walking {
    pieces: Pieces,
    walk: BatchWalk,
    times: Times,
}

struct AtDoor {
    produce: Produce,
    stage: Stage,
}

/// How far a batch is, of which only the first of a line has begun.
enum Stage {
    /// Its checksum is being looked at: nothing of it is known to be what its producer meant.
    Summing(BatchSum),
    /// It is what its producer meant.
    Summed,
    /// Its records are being walked over.
    Walking(Box<Walking>),
}

/// How far a walk came.
enum Outcome {
    Whole(Times),
    Refused(BatchError),
    More,
}

/// The lines, in one room.
pub(super) struct Door {
    lines: HashMap<LogId, VecDeque<AtDoor>, FixedState>,
    /// The logs that have a line, each once; the first [`ACTIVE`] are walked.
    turns: VecDeque<LogId>,
    /// Decoders that nobody uses, one for what is walked at once among them.
    spare: Vec<Pieces>,
    /// The turn that `left` is for.
    turn: Mono,
    left: usize,
    room: Room,
}

impl Door {
    pub(super) fn new(room: Room) -> Self {
        Self {
            lines: HashMap::default(),
            turns: VecDeque::new(),
            spare: Vec::new(),
            turn: Mono::default(),
            left: AT_ONCE,
            room,
        }
    }

    /// Whether a slice of work waits.
    pub(super) fn has_work(&self) -> bool {
        !self.turns.is_empty()
    }

    fn begin(&mut self, header: &BatchHeader) -> Result<Walking, BatchError> {
        let mut pieces = self.spare.pop().unwrap_or_default();
        let walk = BatchWalk::begin(header, Deltas::Dense, MAX_RECORDS_LEN, &mut pieces)?;
        Ok(Walking {
            pieces,
            walk,
            times: Times::default(),
        })
    }

    fn end(&mut self, walking: Walking) {
        if self.spare.len() <= ACTIVE {
            self.spare.push(walking.pieces);
        }
    }

    /// Walks over a batch at once, as far as the turn has something left for that.
    fn walk_now(
        &mut self,
        produce: &Produce,
        now: Now,
    ) -> Result<Result<Times, BatchError>, Box<Walking>> {
        if self.turn != now.mono {
            (self.turn, self.left) = (now.mono, AT_ONCE);
        }
        let mut walking = match self.begin(&produce.header) {
            Ok(walking) => walking,
            Err(error) => return Ok(Err(error)),
        };
        let payload = &produce.batch[HEADER_LEN..];
        let plain = produce.header.attributes.compression() == Ok(Compression::None);
        let mut unlimited = usize::MAX;
        let budget = match plain && payload.len() <= PLAIN_AT_ONCE {
            true => &mut unlimited,
            false => &mut self.left,
        };
        let outcome = walking.go_on(payload, budget);
        let result = match outcome {
            Outcome::Whole(times) => Ok(times),
            Outcome::Refused(error) => Err(error),
            Outcome::More => return Err(Box::new(walking)),
        };
        self.end(walking);
        Ok(result)
    }

    /// Puts a batch at the end of its log's line; gives it back if there is no room.
    fn push(&mut self, produce: Produce, stage: Stage) -> Result<(), Produce> {
        if !self.room.enter(produce.batch.len()) {
            return Err(produce);
        }
        let log = produce.log;
        let line = self.lines.entry(log).or_default();
        if line.is_empty() {
            self.turns.push_back(log);
        }
        line.push_back(AtDoor { produce, stage });
        Ok(())
    }

    /// The first of a log's line leaves it.
    fn pop(&mut self, log: LogId) -> Option<AtDoor> {
        let line = self.lines.get_mut(&log)?;
        let first = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&log);
        }
        self.room.leave(first.produce.batch.len());
        Some(first)
    }

    /// Empties a log's line.
    pub(super) fn take_line(&mut self, log: LogId) -> Vec<RequestId> {
        self.turns.retain(|other| *other != log);
        let mut requests = Vec::new();
        while let Some(first) = self.pop(log) {
            if let Stage::Walking(walking) = first.stage {
                self.end(*walking);
            }
            requests.push(first.produce.request);
        }
        requests
    }

    /// Empties all lines.
    pub(super) fn take_all(&mut self) -> Vec<RequestId> {
        let logs: Vec<_> = self.turns.iter().copied().collect();
        let lines = logs.into_iter().flat_map(|log| self.take_line(log));
        lines.collect()
    }

    /// Goes on with the lines, at most as far as `budget` goes; the batch that has been walked.
    fn slice(&mut self, budget: &mut usize) -> Option<(Produce, Result<Times, BatchError>)> {
        while *budget > 0 {
            let log = self.turns.pop_front()?;
            // A share of the slice, so that the lines go on side by side.
            let before = (*budget).min(SLICE / ACTIVE);
            let mut share = before;
            let result = self.go_on_with(log, &mut share);
            *budget = budget.saturating_sub((before - share).max(1));
            let Some(result) = result else {
                let at = self.turns.len().min(ACTIVE - 1);
                self.turns.insert(at, log);
                continue;
            };
            let first = self.pop(log).expect("a line with a turn");
            if self.lines.contains_key(&log) {
                self.turns.push_back(log);
            }
            return Some((first.produce, result));
        }
        None
    }

    /// Goes on with the first of a log's line; what has come of it, if that is known.
    fn go_on_with(&mut self, log: LogId, share: &mut usize) -> Option<Result<Times, BatchError>> {
        let first = &mut self.lines.get_mut(&log).expect("a line with a turn")[0];
        let header = first.produce.header;
        let walking = match std::mem::replace(&mut first.stage, Stage::Summed) {
            Stage::Summing(mut sum) => {
                let batch = &first.produce.batch;
                match go_on_summing(&mut sum, batch, &header, share) {
                    Err(error) => return Some(Err(error)),
                    Ok(Progress::Done) => {}
                    Ok(Progress::More) => first.stage = Stage::Summing(sum),
                }
                return None;
            }
            Stage::Walking(walking) => Ok(walking),
            Stage::Summed => self.begin(&header).map(Box::new),
        };
        let mut walking = match walking {
            Ok(walking) => walking,
            Err(error) => return Some(Err(error)),
        };
        let first = &mut self.lines.get_mut(&log).expect("just seen")[0];
        let result = match walking.go_on(&first.produce.batch[HEADER_LEN..], share) {
            Outcome::More => {
                first.stage = Stage::Walking(walking);
                return None;
            }
            Outcome::Whole(times) => Ok(times),
            Outcome::Refused(error) => Err(error),
        };
        self.end(*walking);
        Some(result)
    }
}

/// Whether a batch's checksum is looked at as it comes, and not at the door.
pub(super) fn is_summed_at_once(batch: &[u8]) -> bool {
    batch.len() <= SUMMED_AT_ONCE
}

/// Goes on with a batch's checksum; once that is true, its header is looked at.
fn go_on_summing(
    sum: &mut BatchSum,
    batch: &[u8],
    header: &BatchHeader,
    budget: &mut usize,
) -> Result<Progress, BatchError> {
    while *budget > 0 {
        let (most, cost) = SUMMED;
        *budget = budget.saturating_sub(most / cost);
        if sum.step(batch, header, most)? == Progress::Done {
            validate_header(header, batch.len())?;
            return Ok(Progress::Done);
        }
    }
    Ok(Progress::More)
}

impl Walking {
    fn go_on(&mut self, payload: &[u8], budget: &mut usize) -> Outcome {
        while *budget > 0 {
            let before = self.pieces.done();
            match self.walk.step(&mut self.pieces, payload, &mut self.times) {
                Err(error) => return Outcome::Refused(error),
                Ok(Progress::Done) => return Outcome::Whole(self.times),
                Ok(Progress::More) => {}
            }
            *budget = budget.saturating_sub((self.pieces.done() - before).max(1));
        }
        Outcome::More
    }
}

impl<P: BufPool> Shard<P> {
    /// A batch stands at the door that is one, and whose header is in order if its [checksum](is_summed_at_once)
    /// has been looked at.
    pub(super) fn arrive(&mut self, produce: Produce, now: Now) {
        let Some(state) = self.hosted.partition(produce.log) else {
            return self.fail(produce.request, EngineError::UnknownLog);
        };
        if !is_summed_at_once(&produce.batch) {
            return self.line_up(produce, Stage::Summing(BatchSum::default()));
        }
        if self.door.lines.contains_key(&produce.log) {
            return self.line_up(produce, Stage::Summed);
        }
        // What is not appended now needs no walk.
        let decision = state.hosted.machine.decide(&produce.header, now.wall);
        let needless =
            !matches!(decision, Ok(Decision::Append { .. })) && self.parked.is_empty(Line::Data);
        if needless || self.store.breaks(Mutation::NoWalk) {
            return self.carry_out_or_park(produce, now);
        }
        match self.door.walk_now(&produce, now) {
            Ok(walked) => self.walked(produce, walked, now),
            Err(walking) => self.line_up(produce, Stage::Walking(walking)),
        }
    }

    fn line_up(&mut self, produce: Produce, stage: Stage) {
        if let Err(produce) = self.door.push(produce, stage) {
            self.overloaded(&produce.into());
        }
    }

    /// A slice of the work at the door.
    pub(super) fn work_at_door(&mut self, now: Now) {
        let mut budget = SLICE;
        while let Some((produce, walked)) = self.door.slice(&mut budget) {
            self.walked(produce, walked, now);
        }
        self.drain();
    }

    fn walked(&mut self, mut produce: Produce, walked: Result<Times, BatchError>, now: Now) {
        let Some(state) = self.hosted.partition(produce.log) else {
            return self.fail(produce.request, EngineError::UnknownLog);
        };
        let checked = walked.and_then(|times| {
            let creates = state.settings.timestamps == TimestampType::Create;
            if creates {
                check_times(&times, &state.settings, now)?;
            }
            Ok((times, creates))
        });
        match checked {
            Err(error) => self.fail(produce.request, error.into()),
            Ok((times, creates)) => {
                // A batch that is stamped gets its maximum then.
                if creates && !self.store.breaks(Mutation::NoRepair) {
                    repair_max_timestamp(&mut produce.batch, &mut produce.header, times.max);
                }
                self.carry_out_or_park(produce, now);
            }
        }
    }
}

/// Whether a topic takes records of these times at `now`.
fn check_times(times: &Times, settings: &TopicSettings, now: Now) -> Result<(), BatchError> {
    let wall = now.wall.0;
    let outside = |timestamp| BatchError::TimestampOutOfBounds {
        timestamp,
        now: wall,
    };
    let limit = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    // Where no record states a time, neither end is outside.
    if wall.saturating_sub(times.min) > limit(settings.timestamp_before_max_ms) {
        return Err(outside(times.min));
    }
    if times.max.saturating_sub(wall) > limit(settings.timestamp_after_max_ms) {
        return Err(outside(times.max));
    }
    Ok(())
}
