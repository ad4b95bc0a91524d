//! Produce: validate, let in at the door, decide, assign, append, and answer when the frontier has
//! passed.

use std::sync::Arc;

use bytes::BytesMut;
use leveret_record::{
    BatchError, BatchHeader, CRC_FROM, assign, parse_header, stamp_append_time, validate_frame,
    validate_produce,
};
use leveret_storage::checksum::KnownSum;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::{AppendError, NewEntry};
use leveret_storage::types::{EntryMeta, Level, LogId, Mono, Now, Offset};

use super::Shard;
use super::door::is_summed_at_once;
use super::log::{WaitingProduce, frontiers_of};
use super::parked::ParkedProduce;
use super::reply::{Produced, Reply, RequestId};
use crate::error::{EngineError, Fault};
use crate::partition::{AppendRefusal, Decision, offsets_of};
use crate::topology::TimestampType;

/// Batches that are refused in one call because they have waited too long for space.
const GIVEN_UP: usize = 256;

impl<P: BufPool> Shard<P> {
    /// Appends one batch, whose reply leaves when it is durable in the sense of `level` or of the
    /// log, whichever is weaker. Replies of one log leave in the order of its offsets.
    pub fn produce(
        &mut self,
        request: RequestId,
        log: LogId,
        batch: BytesMut,
        level: Level,
        now: Now,
    ) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        let Some(state) = self.logs.get(&log) else {
            // It may be installed in a moment, before the next batch comes.
            if let Ok(header) = parse_header(&batch) {
                self.note_refusal(log, &header);
            }
            return self.fail(request, EngineError::UnknownLog);
        };
        let longest = state.max_batch_bytes();
        let checked = match is_summed_at_once(&batch) {
            true => validate_produce(&batch, longest),
            // The rest is looked at at the door, when its turn comes.
            false => validate_frame(&batch, longest),
        };
        let header = match checked {
            Ok(header) => header,
            Err(error) => return self.fail(request, error.into()),
        };
        let produce = ParkedProduce {
            request,
            log,
            batch,
            header,
            level,
        };
        self.arrive(produce, now);
        self.drain();
    }

    /// Appends a batch that was let in, or puts it into the line of those who wait for space.
    pub(super) fn append_or_park(&mut self, produce: ParkedProduce, now: Now) {
        // Nobody overtakes those who wait for space: batches of a producer stay in order.
        let refused = match self.parked.is_empty() {
            true => self.append(produce, now),
            false => Err(produce),
        };
        if let Err(produce) = refused {
            let deadline = now.mono.after(self.settings.parked_ns);
            if let Err(produce) = self.parked.push(produce, deadline) {
                self.overloaded(&produce);
            }
        }
    }

    /// Appends, or answers why not; gives the produce back if the journal has no room.
    fn append(&mut self, mut produce: ParkedProduce, now: Now) -> Result<(), ParkedProduce> {
        let request = produce.request;
        let Some(state) = self.logs.get(&produce.log) else {
            self.fail(request, EngineError::UnknownLog);
            return Ok(());
        };
        if let Some(reason) = &state.stopped {
            let reason = reason.to_string();
            self.fail(request, EngineError::LogStopped { reason });
            return Ok(());
        }
        let decision = state.machine.decide(&produce.header, now.wall);
        match decision.and_then(|decision| self.check_refused(&produce, decision)) {
            Err(refusal) => self.fail(request, refusal.into()),
            Ok(Decision::Duplicate {
                base_offset,
                next_offset,
                timestamp,
            }) => {
                let stamped = state.settings.timestamps == TimestampType::LogAppend;
                self.duplicates += 1;
                self.await_frontier(
                    produce.log,
                    WaitingProduce {
                        request,
                        level: produce.level.min(state.settings.level),
                        base_offset,
                        until: next_offset,
                        append_time: stamped.then_some(timestamp),
                        duplicate: true,
                    },
                );
            }
            Ok(Decision::Append { base_offset }) => {
                let epoch = i32::try_from(state.term.0).expect("leader epochs are 31 bits");
                let base = i64::try_from(base_offset.0).expect("offsets are 63 bits");
                assign(&mut produce.batch, base, epoch);
                if state.settings.timestamps == TimestampType::LogAppend {
                    stamp_append_time(&mut produce.batch, &mut produce.header, now.wall.0);
                }
                return self.append_at(base_offset, produce, now);
            }
        }
        Ok(())
    }

    fn append_at(
        &mut self,
        base_offset: Offset,
        produce: ParkedProduce,
        now: Now,
    ) -> Result<(), ParkedProduce> {
        let ParkedProduce {
            request,
            log,
            batch,
            header,
            level,
        } = produce;
        let state = self.logs.get_mut(&log).expect("the caller has looked");
        let len = batch.len();
        let bytes = batch.freeze();
        let entry = NewEntry {
            term: state.term,
            time: now.wall,
            first_offset: base_offset,
            offsets: offsets_of(&header),
            max_timestamp: header.max_timestamp,
            bytes: bytes.clone(),
            sum: Some(KnownSum {
                from: CRC_FROM,
                crc: header.crc,
            }),
        };
        let ordinal = match self.store.append(log, entry, level, now) {
            Ok(ordinal) => ordinal,
            Err(AppendError::Full) => {
                // The store has let go of its clone, so this takes the same memory back.
                let batch = BytesMut::from(bytes);
                return Err(ParkedProduce {
                    request,
                    log,
                    batch,
                    header,
                    level,
                });
            }
            Err(refusal) => {
                let stopped = state.stopped.as_ref();
                let error = refused(refusal, stopped, len, state.max_batch_bytes());
                if error.fault() == Fault::Moment {
                    self.note_refusal(log, &header);
                }
                self.fail(request, error);
                return Ok(());
            }
        };
        let meta = EntryMeta {
            ordinal,
            term: state.term,
            time: now.wall,
            first_offset: base_offset,
            offsets: offsets_of(&header),
            max_timestamp: header.max_timestamp,
            len: u32::try_from(len).expect("batches are bounded below 2^31"),
        };
        state.machine.apply(&meta, &header);
        self.refused.appended(log, &header);
        if state.is_awaited() {
            state.hasten(&mut self.store, log);
        }
        if self.store.breaks(Mutation::UnsyncedVisible) {
            // The fault that is switched on.
            state.visible = meta.next_offset();
        }
        let records = u64::from(header.record_count.unsigned_abs());
        for counters in [&mut state.counters, &mut self.counters] {
            counters.batches_in += 1;
            counters.records_in += records;
            counters.bytes_in += len as u64;
        }
        let waiting = WaitingProduce {
            request,
            level: level.min(state.settings.level),
            base_offset,
            until: meta.next_offset(),
            append_time: header
                .attributes
                .is_log_append_time()
                .then_some(header.max_timestamp),
            duplicate: false,
        };
        self.await_frontier(log, waiting);
        Ok(())
    }

    /// Answers at once if the frontier has passed and nobody waits before; else it waits.
    fn await_frontier(&mut self, log: LogId, produce: WaitingProduce) {
        let state = self.logs.get_mut(&log).expect("the caller has looked");
        state.waiting.push_back(produce);
        // Frontier events tell of writes; what memory alone decides is answered here.
        if state.waiting.len() == 1 {
            self.release_produces(log);
        }
    }

    /// Answers every produce that the frontiers have passed, in order.
    pub(super) fn release_produces(&mut self, log: LogId) {
        let Some(state) = self.logs.get_mut(&log) else {
            return;
        };
        if state.waiting.is_empty() {
            return;
        }
        let frontiers = frontiers_of(&self.store, log);
        while let Some(produce) = state.pop_durable(&frontiers) {
            let produced = Produced {
                base_offset: produce.base_offset,
                start_offset: frontiers.start.1,
                append_time: produce.append_time,
                duplicate: produce.duplicate,
            };
            let reply = Reply::Produced(produced);
            self.replies.push_back((produce.request, reply));
        }
        if state.waiting.is_empty() {
            // An idle partition keeps no buffer.
            state.waiting.shrink_to(16);
        }
    }

    /// There is room in the journal again, for some at least.
    pub(super) fn retry_parked(&mut self, now: Now) {
        while let Some((deadline, produce)) = self.parked.pop() {
            if let Err(produce) = self.append(produce, now) {
                return self.parked.put_back(deadline, produce);
            }
        }
    }

    /// Refuses those who waited for space too long, a slice of them: the rest is due at once.
    pub(super) fn give_up_parked(&mut self, now: Now) {
        let late = |at: Mono| at <= now.mono;
        for _ in 0..GIVEN_UP {
            if !self.parked.next_deadline().is_some_and(late) {
                return;
            }
            let (_, produce) = self.parked.pop().expect("it has a deadline");
            self.overloaded(&produce);
        }
    }

    pub(super) fn overloaded(&mut self, produce: &ParkedProduce) {
        self.note_refusal(produce.log, &produce.header);
        self.fail(produce.request, EngineError::Overloaded);
    }

    /// A batch is refused for the moment: what its producer has sent after it shall not overtake
    /// it.
    fn note_refusal(&mut self, log: LogId, header: &BatchHeader) {
        if header.is_idempotent() {
            let expiry_ns = self.settings.producers.expiry_ms.saturating_mul(1_000_000);
            self.refused.note(log, header, self.now.mono, expiry_ns);
        }
    }

    /// Whether the batch may follow those of its producer that were refused.
    fn check_refused(
        &self,
        produce: &ParkedProduce,
        decision: Decision,
    ) -> Result<Decision, AppendRefusal> {
        if self.refused.is_empty() || !produce.header.is_idempotent() {
            return Ok(decision);
        }
        let state = self.logs.get(&produce.log);
        let known = state.is_some_and(|state| state.machine.knows(&produce.header, self.now.wall));
        if !known && !self.store.breaks(Mutation::OvertakesRefused) {
            let now = self.now.mono;
            self.refused.check(produce.log, &produce.header, now)?;
        }
        Ok(decision)
    }
}

/// Why the store did not take a batch, other than for want of journal space.
fn refused(
    refusal: AppendError,
    stopped: Option<&Arc<str>>,
    len: usize,
    max: usize,
) -> EngineError {
    match (refusal, stopped) {
        (AppendError::Full, _) => EngineError::Overloaded,
        (AppendError::DiskFloor, _) => EngineError::DiskFull,
        (AppendError::TooLarge, _) => EngineError::Batch(BatchError::TooLarge { len, max }),
        (AppendError::UnknownLog, _) => EngineError::UnknownLog,
        (AppendError::Stopped, Some(reason)) => EngineError::LogStopped {
            reason: reason.to_string(),
        },
        (AppendError::Stopped, None) => EngineError::Stopping,
    }
}
