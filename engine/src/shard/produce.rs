//! Produce: validate, let in at the door, decide, assign, append, and answer when the frontier has
//! passed.

use bytes::BytesMut;
use leveret_record::{
    BatchError, BatchHeader, CRC_FROM, assign, parse_header, stamp_append_time, validate_frame,
    validate_produce,
};
use leveret_storage::checksum::KnownSum;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::{AppendError, NewEntry};
use leveret_storage::types::{Level, LogId, Now, Offset, Ordinal};

use super::Shard;
use super::door::is_summed_at_once;
use super::hosted::{Ask, Line, Waiting};
use super::log::{Placed, frontiers_of};
use super::reply::RequestId;
use crate::error::{EngineError, Fault};
use crate::partition::{AppendRefusal, Decision, offsets_of};
use crate::topology::TimestampType;

/// A batch that is one, and is not in its log yet.
pub(super) struct Produce {
    pub(super) request: RequestId,
    pub(super) log: LogId,
    pub(super) batch: BytesMut,
    pub(super) header: BatchHeader,
    pub(super) level: Level,
}

impl<P: BufPool> Ask<P> for Produce {
    const LINE: Line = Line::Data;

    fn carry_out(self, shard: &mut Shard<P>, now: Now) -> Result<(), Self> {
        shard.append(self, now)
    }
}

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
        let Some(state) = self.hosted.partition(log) else {
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
        let produce = Produce {
            request,
            log,
            batch,
            header,
            level,
        };
        self.arrive(produce, now);
        self.drain();
    }

    /// Appends, or answers why not; gives the produce back if the journal has no room.
    fn append(&mut self, mut produce: Produce, now: Now) -> Result<(), Produce> {
        let request = produce.request;
        let Some(state) = self.hosted.partition(produce.log) else {
            self.fail(request, EngineError::UnknownLog);
            return Ok(());
        };
        if let Some(reason) = &state.hosted.stopped {
            let reason = reason.to_string();
            self.fail(request, EngineError::LogStopped { reason });
            return Ok(());
        }
        let decision = state.hosted.machine.decide(&produce.header, now.wall);
        match decision.and_then(|decision| self.check_refused(&produce, decision)) {
            Err(refusal) => self.fail(request, refusal.into()),
            Ok(Decision::Duplicate {
                base_offset,
                next_offset,
                timestamp,
            }) => {
                let stamped = state.settings.timestamps == TimestampType::LogAppend;
                let placed = Placed {
                    base_offset,
                    append_time: stamped.then_some(timestamp),
                    duplicate: true,
                };
                self.duplicates += 1;
                let Produce { log, level, .. } = produce;
                self.await_frontier(log, request, level, next_offset, placed);
            }
            Ok(Decision::Append { base_offset }) => {
                let epoch = i32::try_from(state.hosted.term.0).expect("leader epochs are 31 bits");
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
        produce: Produce,
        now: Now,
    ) -> Result<(), Produce> {
        let Produce {
            request,
            log,
            batch,
            header,
            level,
        } = produce;
        let state = self.hosted.partition_mut(log);
        let state = state.expect("the caller has looked");
        let len = batch.len();
        let bytes = batch.freeze();
        let entry = NewEntry {
            term: state.hosted.term,
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
        let what = (entry, &header);
        let meta = match state.hosted.append(&mut self.store, log, what, level, now) {
            Ok(meta) => meta,
            Err(AppendError::Full) => {
                // The store has let go of its clone, so this takes the same memory back.
                let batch = BytesMut::from(bytes);
                return Err(Produce {
                    request,
                    log,
                    batch,
                    header,
                    level,
                });
            }
            Err(refusal) => {
                let stopped = state.hosted.stopped.as_ref();
                let error = refused(refusal, stopped, len, state.max_batch_bytes());
                if error.fault() == Fault::Moment {
                    self.note_refusal(log, &header);
                }
                self.fail(request, error);
                return Ok(());
            }
        };
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
        let stamped = header.attributes.is_log_append_time();
        let placed = Placed {
            base_offset,
            append_time: stamped.then_some(header.max_timestamp),
            duplicate: false,
        };
        self.await_frontier(log, request, level, meta.next_offset(), placed);
        Ok(())
    }

    /// Answers at once if the frontier has passed and nobody waits before; else it waits.
    fn await_frontier(
        &mut self,
        log: LogId,
        request: RequestId,
        level: Level,
        until: Offset,
        placed: Placed,
    ) {
        let state = self.hosted.partition_mut(log);
        let state = state.expect("the caller has looked");
        state.hosted.wait(Waiting {
            request,
            level: level.min(state.settings.level),
            until: (Ordinal(0), until),
            then: placed,
        });
        // Frontier events tell of writes; what memory alone decides is answered here.
        if state.hosted.waiting() == 1 {
            state.release(&frontiers_of(&self.store, log), &mut self.replies);
        }
    }

    /// A batch is refused for the moment: what its producer has sent after it shall not overtake
    /// it.
    pub(super) fn note_refusal(&mut self, log: LogId, header: &BatchHeader) {
        if header.is_idempotent() {
            let expiry_ns = self.settings.producers.expiry_ms.saturating_mul(1_000_000);
            self.refused.note(log, header, self.now.mono, expiry_ns);
        }
    }

    /// Whether the batch may follow those of its producer that were refused.
    fn check_refused(
        &self,
        produce: &Produce,
        decision: Decision,
    ) -> Result<Decision, AppendRefusal> {
        if self.refused.is_empty() || !produce.header.is_idempotent() {
            return Ok(decision);
        }
        let state = self.hosted.partition(produce.log);
        let known =
            state.is_some_and(|state| state.hosted.machine.knows(&produce.header, self.now.wall));
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
    stopped: Option<&std::sync::Arc<str>>,
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
