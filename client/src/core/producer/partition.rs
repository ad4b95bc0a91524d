//! The batches of one partition, from open to finished.
//!
//! The queue is in sequence order. What is in flight is a prefix of it, unless something has
//! failed: then the partition *drains* (sends nothing until everything in flight has come home)
//! and starts again from the front.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use leveret_record::BatchBuilder;
use leveret_wire::native::{
    ErrorCode, InitProducerOk, PartitionId, ProduceOk, ProducerId, TopicId,
};

use super::batch::{Batch, Fate, OpenBatch};
use super::{Appended, MAX_IN_FLIGHT, TopicIndex};
use crate::core::{Backoff, Mono};
use crate::{Error, Result};

/// The identity under which the broker takes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: i16,
}

impl From<InitProducerOk> for Identity {
    fn from(answer: InitProducerOk) -> Self {
        Self {
            id: answer.producer_id,
            epoch: answer.producer_epoch,
        }
    }
}

/// What a partition wants to do next.
pub(super) enum Step {
    Nothing,
    /// Get a new identity: the sequence of the old one has a gap.
    Identify,
    Send {
        serial: u64,
        batch: Bytes,
        /// Where it is to be sent.
        core: Option<u16>,
    },
}

/// A batch that has come to its end.
pub(super) struct Completed<T> {
    pub(super) tag: T,
    pub(super) size: usize,
    pub(super) result: Result<Appended>,
}

/// The identity whose sequence the next batches continue.
enum Naming {
    /// Nobody's yet: take the producer's shared identity.
    Fresh,
    /// This one's, which goes on with `next_sequence`.
    Running {
        who: Identity,
        next_sequence: i32,
        /// Whether the broker has a batch of it here. Before, it takes any sequence for the
        /// first, so that a second batch could overtake a first that was refused.
        established: bool,
    },
    /// The old sequence has a gap: batches that the broker does not have need a new identity.
    Broken,
    /// It has been asked for.
    Asked,
}

pub(super) struct Partition<T> {
    pub(super) topic: TopicIndex,
    pub(super) topic_id: TopicId,
    pub(super) number: PartitionId,
    pub(super) open: Option<OpenBatch<T>>,
    /// An empty builder whose buffers can be used again.
    pub(super) spare: Option<BatchBuilder>,
    /// Whether it stands in the producer's list of ready partitions.
    pub(super) queued: bool,
    /// Its entry among the producer's timers.
    pub(super) timer: Option<Mono>,
    queue: VecDeque<Batch<T>>,
    in_flight: usize,
    /// The core that owns it, as far as is known.
    pub(super) owner: Option<u16>,
    /// The owner that what is in flight was sent to.
    sent_to: Option<u16>,
    /// Something failed: send nothing until `in_flight` is 0 ...
    draining: bool,
    /// ... and not before this time.
    retry_at: Option<Mono>,
    naming: Naming,
    next_serial: u64,
    last_error: Option<Error>,
    backoff: Backoff,
}

impl<T> Partition<T> {
    pub(super) fn new(
        topic: TopicIndex,
        topic_id: TopicId,
        number: PartitionId,
        backoff: Backoff,
    ) -> Self {
        Self {
            topic,
            topic_id,
            number,
            open: None,
            spare: None,
            queued: false,
            timer: None,
            queue: VecDeque::new(),
            in_flight: 0,
            owner: None,
            sent_to: None,
            draining: false,
            retry_at: None,
            naming: Naming::Fresh,
            next_serial: 0,
            last_error: None,
            backoff,
        }
    }

    /// Number for the next open batch; the same until that is closed.
    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// What is attached to its unfinished batches.
    pub(super) fn tags(&self) -> impl Iterator<Item = &T> {
        let queued = self.queue.iter().filter_map(Batch::tag);
        queued.chain(self.open.as_ref().map(OpenBatch::tag))
    }

    pub(super) fn close_batch(&mut self) {
        if let Some(open) = self.open.take() {
            self.next_serial += 1;
            self.queue.push_back(open.close());
        }
    }

    /// When it wants to be looked at.
    pub(super) fn next_timer(&self, linger: Duration, delivery_timeout: Duration) -> Option<Mono> {
        let open = self.open.as_ref().map(|open| open.since().after(linger));
        let oldest = self
            .queue
            .iter()
            .find(|batch| batch.tag().is_some())
            .map(|batch| batch.since().after(delivery_timeout));
        let retry = self.retry_at.filter(|_| self.in_flight == 0);
        [open, oldest, retry].into_iter().flatten().min()
    }

    /// Its timer has fired: what was due is cleared, so that it does not fire again.
    pub(super) fn handle_timeout(&mut self, now: Mono) {
        self.timer = None;
        if self.in_flight == 0 {
            self.retry_at = self.retry_at.filter(|at| *at > now);
        }
    }

    pub(super) fn next_step(&mut self, now: Mono, shared: Identity, max_in_flight: usize) -> Step {
        assert!(
            self.in_flight <= MAX_IN_FLIGHT,
            "more in flight than allowed"
        );
        if self.in_flight == 0 {
            self.draining = false;
            self.retry_at = self.retry_at.filter(|at| *at > now);
            self.sent_to = self.owner;
        }
        // On two connections at once batches could overtake each other.
        let moving = self.sent_to != self.owner;
        if moving || self.draining || self.retry_at.is_some() || self.in_flight >= max_in_flight {
            return Step::Nothing;
        }
        let Some(position) = self.queue.iter().position(|batch| !batch.is_in_flight()) else {
            return Step::Nothing;
        };
        // The broker recognises repetitions among its last five batches only: whatever it may
        // have of the oldest unfinished one must not leave that window.
        if self.queue[position].serial() >= self.queue[0].serial() + max_in_flight as u64 {
            return Step::Nothing;
        }
        // What may have been appended is repeated as it was, whatever its identity.
        if self.queue[position].fate() != Fate::Unknown
            && let Some(step) = self.name(position, shared)
        {
            return step;
        }
        let batch = &mut self.queue[position];
        self.in_flight += 1;
        Step::Send {
            serial: batch.serial(),
            batch: batch.send(),
            core: self.sent_to,
        }
    }

    /// Gives a batch its identity and sequence, unless it has them; or says what has to come
    /// before that.
    fn name(&mut self, position: usize, shared: Identity) -> Option<Step> {
        match &mut self.naming {
            Naming::Asked => return Some(Step::Nothing),
            Naming::Broken if self.in_flight > 0 => return Some(Step::Nothing),
            Naming::Broken => {
                self.naming = Naming::Asked;
                return Some(Step::Identify);
            }
            Naming::Fresh => {
                self.naming = Naming::Running {
                    who: shared,
                    next_sequence: 0,
                    established: false,
                };
            }
            Naming::Running { .. } => {}
        }
        let Naming::Running {
            who,
            next_sequence,
            established,
        } = &mut self.naming
        else {
            unreachable!("named above");
        };
        if !*established && self.in_flight > 0 {
            return Some(Step::Nothing);
        }
        let batch = &mut self.queue[position];
        if !batch.is_stamped() {
            let (next, builder) = batch.stamp(*who, *next_sequence);
            *next_sequence = next;
            self.spare = builder.or(self.spare.take());
        }
        None
    }

    pub(super) fn take_identity(&mut self, who: Identity) {
        assert!(matches!(self.naming, Naming::Asked), "nobody asked");
        self.naming = Naming::Running {
            who,
            next_sequence: 0,
            established: false,
        };
        for batch in &mut self.queue {
            if batch.fate() == Fate::NotAppended {
                batch.unstamp();
            }
        }
    }

    pub(super) fn retry_identity(&mut self, now: Mono) {
        self.naming = Naming::Broken;
        self.retry_at = Some(now.after(self.backoff.next_wait()));
    }

    /// The broker's answer for a batch in flight, or why there is none.
    pub(super) fn handle_result(
        &mut self,
        now: Mono,
        serial: u64,
        result: Result<ProduceOk>,
    ) -> Option<Completed<T>> {
        let position = self
            .queue
            .iter()
            .position(|batch| batch.serial() == serial)
            .expect("a batch in flight is in the queue");
        self.in_flight -= 1;
        let error = match result {
            Ok(produced) => {
                self.last_error = None;
                self.backoff.reset();
                if let Naming::Running {
                    who, established, ..
                } = &mut self.naming
                {
                    *established |= self.queue[position].stamped_as() == Some(*who);
                }
                return self.finish(
                    position,
                    Ok(Appended {
                        partition: self.number,
                        base_offset: produced.base_offset,
                    }),
                );
            }
            Err(error) => error,
        };
        // Behind a batch that was refused this only says that that one is missing.
        let follows = self.draining && error.code() == Some(ErrorCode::OutOfOrderSequence);
        if !follows || self.last_error.is_none() {
            self.last_error = Some(error.clone());
        }
        if self.queue[position].is_abandoned() {
            self.leave_gap();
            return self.finish(position, Err(error));
        }
        match error.code() {
            Some(ErrorCode::OutOfOrderSequence | ErrorCode::InvalidProducerEpoch) => {
                self.queue[position].set_fate(Fate::NotAppended);
                self.draining = true;
                // With an unfinished batch before it this only says that that one failed.
                if position == 0 {
                    self.leave_gap();
                }
                None
            }
            _ if error.is_retriable() => {
                self.queue[position].set_fate(Fate::Unknown);
                self.draining = true;
                self.retry_at = Some(now.after(self.backoff.next_wait()));
                None
            }
            _ => {
                self.draining = true;
                self.leave_gap();
                self.finish(position, Err(error))
            }
        }
    }

    /// Nothing in flight will be answered. Returns whether there is something to send again.
    pub(super) fn handle_disconnect(&mut self, reason: &Error) -> bool {
        if matches!(self.naming, Naming::Asked) {
            self.naming = Naming::Broken;
        }
        if !self.queue.is_empty() {
            self.last_error = Some(reason.clone());
        }
        self.in_flight = 0;
        let abandoned = self.queue.iter().any(Batch::is_abandoned);
        if abandoned {
            self.leave_gap();
            self.queue.retain(|batch| !batch.is_abandoned());
        }
        for batch in &mut self.queue {
            if batch.is_in_flight() {
                batch.set_fate(Fate::Unknown);
            }
        }
        !self.queue.is_empty()
    }

    /// Gives up the batches whose time has passed. One in flight stays in its place, without its
    /// tag, until its answer shows whether it left a gap.
    pub(super) fn give_up(&mut self, now: Mono, timeout: Duration) -> Vec<Completed<T>> {
        let mut completed = Vec::new();
        let number_of_expired = self
            .queue
            .iter()
            .take_while(|batch| batch.since().after(timeout) <= now)
            .count();
        for batch in self.queue.iter_mut().take(number_of_expired) {
            let Some((tag, size)) = batch.abandon() else {
                continue;
            };
            let last = self.last_error.clone().unwrap_or(Error::NoResponse {
                after_ms: millis(now.since(batch.since())),
            });
            completed.push(Completed {
                tag,
                size,
                result: Err(Error::Deadline {
                    after_ms: millis(now.since(batch.since())),
                    last: Box::new(last),
                }),
            });
        }
        let before = self.queue.len();
        self.queue
            .retain(|batch| !batch.is_abandoned() || batch.is_in_flight());
        if self.queue.len() < before {
            self.leave_gap();
        }
        completed
    }

    /// Fails everything.
    pub(super) fn abort(&mut self, reason: &Error) -> Vec<Completed<T>> {
        self.close_batch();
        self.queue
            .iter_mut()
            .filter_map(Batch::abandon)
            .map(|(tag, size)| Completed {
                tag,
                size,
                result: Err(reason.clone()),
            })
            .collect()
    }

    fn finish(&mut self, position: usize, result: Result<Appended>) -> Option<Completed<T>> {
        let mut batch = self
            .queue
            .remove(position)
            .expect("a position in the queue");
        let completed = batch
            .abandon()
            .map(|(tag, size)| Completed { tag, size, result });
        if let (Some(builder), Some(memory)) = (&mut self.spare, batch.into_memory()) {
            builder.reuse(memory);
        }
        completed
    }

    /// A sequence will never arrive: what follows it needs another identity.
    fn leave_gap(&mut self) {
        if let Naming::Running { .. } = self.naming {
            self.naming = Naming::Broken;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
