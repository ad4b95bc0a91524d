//! A consumer's behaviour: where it stands in each partition, what to subscribe to, how much may
//! come, what to hand out.
//!
//! Partitions whose position is known are subscribed to, as many as there are at a time; the broker
//! then pushes their records by itself. Credit is what the buffer has room for, and is given back
//! as records are handed out. After a seek, the subscription that brings what is not wanted any
//! more is ended, and its other partitions are subscribed to anew. Records below the position (a
//! batch comes whole) are skipped. Batches are verified before any record of them is handed out.
//!
//! Refuses to: hand out a record twice or out of order, guess where to go on when the log no
//! longer has the position (unless told), commit positions anywhere, or resolve topic names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::{MAX_RECORDS_LEN, Record, RecordSet};
use leveret_wire::native::{ErrorCode, Offset, PartitionId, TopicId};

use super::{Backoff, Mono, RequestId};
use crate::{Error, Result};

mod assignment;
mod messages;
mod planning;
mod settings;
mod subscriptions;

use assignment::Assignment;
pub use messages::{
    ConsumeError, ConsumedBatch, ConsumedRecord, ConsumerAnswer, ConsumerTransmit, PushedBatches,
};
pub use settings::{ConsumerSettings, OutOfRange, StartAt};
use subscriptions::{Assigned, Subscription, Subscriptions};

/// What can be handed out.
type Ready<T> = Result<T, ConsumeError>;

/// Names a partition of an assigned topic.
pub(super) type Key = (TopicId, PartitionId);

/// The consumer.
pub struct Consumer {
    settings: ConsumerSettings,
    assignments: BTreeMap<Key, Assignment>,
    /// Those that something is to be done for, at once or later: neither stopped, nor being looked
    /// up, nor subscribed to.
    to_plan: BTreeSet<Key>,
    look_ups: HashMap<u64, Assigned, FixedState>,
    subscriptions: Subscriptions,
    ping: Option<u64>,
    /// When the broker last said something.
    heard_at: Mono,
    /// When the first of what is awaited was asked for.
    asked_at: Mono,
    next_request: u64,
    next_generation: u64,
    /// Batches and failures in the order in which they came.
    came: VecDeque<Ready<Slice>>,
    buffered: usize,
    /// What is left of the batch whose records are being handed out.
    current: Option<Current>,
}

/// A batch that waits to be handed out.
struct Slice {
    key: Key,
    generation: u64,
    subscription: u64,
    batch: Bytes,
}

struct Current {
    key: Key,
    generation: u64,
    topic: Arc<str>,
    records: std::vec::IntoIter<Record>,
}

impl Consumer {
    /// A consumer of nothing.
    #[must_use]
    pub fn new(settings: ConsumerSettings) -> Self {
        Self {
            settings,
            assignments: BTreeMap::new(),
            to_plan: BTreeSet::new(),
            look_ups: HashMap::with_hasher(FixedState::default()),
            subscriptions: Subscriptions::default(),
            ping: None,
            heard_at: Mono(0),
            asked_at: Mono(0),
            next_request: 0,
            next_generation: 0,
            came: VecDeque::new(),
            buffered: 0,
            current: None,
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &ConsumerSettings {
        &self.settings
    }

    /// Reads a partition from `start`. If it is read already this is a seek: what was fetched
    /// from it and not handed out is dropped.
    pub fn assign(&mut self, topic: Arc<str>, id: TopicId, partition: PartitionId, start: StartAt) {
        let key = (id, partition);
        self.leave(key);
        self.drop_buffered(key);
        let generation = self.next_generation;
        self.next_generation += 1;
        let backoff = Backoff::new(
            self.settings.backoff_least,
            self.settings.backoff_most,
            self.settings.seed ^ generation,
        );
        self.assignments
            .insert(key, Assignment::new(topic, generation, start, backoff));
        self.to_plan.insert(key);
    }

    /// Stops reading a partition.
    pub fn unassign(&mut self, id: TopicId, partition: PartitionId) {
        let key = (id, partition);
        self.leave(key);
        self.drop_buffered(key);
        self.assignments.remove(&key);
        self.to_plan.remove(&key);
    }

    /// Stops reading all partitions of a topic.
    pub fn unassign_topic(&mut self, id: TopicId) {
        let keys: Vec<Key> = self
            .assignments
            .range((id, PartitionId(0))..=(id, PartitionId(u32::MAX)))
            .map(|(key, _)| *key)
            .collect();
        for (id, partition) in keys {
            self.unassign(id, partition);
        }
    }

    /// Whether a partition is read.
    #[must_use]
    pub fn is_assigned(&self, id: TopicId, partition: PartitionId) -> bool {
        self.assignments.contains_key(&(id, partition))
    }

    /// Whether nothing will come any more: no partition is read, or all have stopped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.came.is_empty() && self.assignments.values().all(Assignment::is_stopped)
    }

    /// The offset after the last record that was handed out, or where reading will start;
    /// `None` if that has not been looked up yet or the partition is not assigned.
    #[must_use]
    pub fn position(&self, id: TopicId, partition: PartitionId) -> Option<Offset> {
        self.assignments.get(&(id, partition))?.position()
    }

    /// The partition's high watermark as of its last records; `None` before the first.
    #[must_use]
    pub fn high_watermark(&self, id: TopicId, partition: PartitionId) -> Option<Offset> {
        self.assignments.get(&(id, partition))?.high_watermark
    }

    /// Bytes that wait to be handed out.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The next request to send, while there is a connection.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        let before = self.awaited();
        let transmit = self.plan(now);
        if before == 0 {
            self.asked_at = now;
        }
        transmit
    }

    /// When [`poll_transmit`](Self::poll_transmit) may say something new without anything else
    /// happening.
    #[must_use]
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let retry = |key: &Key| self.assignments[key].retry_at;
        let retries = self.to_plan.iter().filter_map(retry);
        retries.chain(self.ping_at()).filter(|at| *at > now).min()
    }

    /// Since when the broker owes an answer and has said nothing; `None` if it owes none.
    #[must_use]
    pub fn waits_since(&self) -> Option<Mono> {
        (self.awaited() > 0).then_some(self.heard_at.max(self.asked_at))
    }

    /// The next record.
    pub fn poll_record(&mut self) -> Option<Ready<ConsumedRecord>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(record) = current.records.next() {
                    let (key, generation) = (current.key, current.generation);
                    let topic = Arc::clone(&current.topic);
                    self.handed_out(key, generation, record.offset + 1);
                    return Some(Ok(ConsumedRecord {
                        topic,
                        partition: key.1,
                        record,
                    }));
                }
                self.current = None;
            }
            match self.open_slice()? {
                Ok((slice, batch)) => {
                    if let Err(error) = self.start_records(&slice, &batch) {
                        return Some(Err(error));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The next batch, whole. What is left of a batch whose records were being handed out one
    /// by one is not handed out again.
    pub fn poll_batch(&mut self) -> Option<Ready<ConsumedBatch>> {
        self.current = None;
        let opened = self.open_slice()?;
        Some(opened.map(|(slice, batch)| {
            self.handed_out(
                slice.key,
                slice.generation,
                batch.records.header().next_offset(),
            );
            batch
        }))
    }

    /// The answer to a request, or why there is none.
    pub fn handle_answer(&mut self, now: Mono, id: RequestId, answer: Result<ConsumerAnswer>) {
        self.heard_at = self.heard_at.max(now);
        if let Some(assigned) = self.look_ups.remove(&id.0) {
            self.handle_look_up(now, assigned, answer);
        } else if self.ping == Some(id.0) {
            self.ping = None;
        } else if let Some(subscription) = self.subscriptions.get(id.0) {
            match answer {
                Ok(ConsumerAnswer::Subscribed) => subscription.confirm(),
                Ok(ConsumerAnswer::Pushed(pushed)) => self.handle_push(now, id.0, &pushed),
                Ok(ConsumerAnswer::Unsubscribed) => self.handle_end(now, id.0, None),
                Ok(_) => self.handle_end(now, id.0, Some(&misfit())),
                Err(error) => self.handle_end(now, id.0, Some(&error)),
            }
        }
    }

    /// The connection was lost: nothing in flight will be answered.
    pub fn handle_disconnect(&mut self) {
        self.look_ups.clear();
        self.subscriptions.clear();
        self.ping = None;
        for (key, assignment) in &mut self.assignments {
            assignment.subscription = None;
            if !assignment.is_stopped() {
                self.to_plan.insert(*key);
            }
        }
    }

    fn next_id(&mut self) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        RequestId(id)
    }

    fn handle_look_up(&mut self, now: Mono, assigned: Assigned, answer: Result<ConsumerAnswer>) {
        match answer {
            Ok(ConsumerAnswer::Offset(found)) => {
                if let Some(assignment) = self.current_assignment(assigned) {
                    assignment.handle_offset(found.offset);
                    self.to_plan.insert(assigned.0);
                }
            }
            Ok(_) => self.fail(now, assigned, &misfit()),
            Err(error) => self.fail(now, assigned, &error),
        }
    }

    fn handle_push(&mut self, now: Mono, id: u64, pushed: &PushedBatches) {
        let policy = self.settings.out_of_range;
        let Some(subscription) = self.subscriptions.get(id) else {
            return;
        };
        subscription.came(pushed.batches.len());
        let Some(assigned) = subscription.at(pushed.push.index) else {
            subscription.end();
            let live: Vec<Assigned> = subscription.live().collect();
            return self.fail_all(now, id, live, &misfit());
        };
        if pushed.push.error.is_some() {
            subscription.partition_ended(pushed.push.index);
        }
        let Some(assignment) = self.subscribed(id, assigned) else {
            // It was left before.
            if let Some(subscription) = self.subscriptions.get(id) {
                subscription.end();
            }
            return;
        };
        if let Some(code) = pushed.push.error {
            assignment.subscription = None;
            if code == ErrorCode::OffsetOutOfRange && assignment.jump(policy) {
                self.to_plan.insert(assigned.0);
            } else {
                self.fail(now, assigned, &Error::broker(code, code.name()));
            }
            return;
        }
        assignment.high_watermark = Some(pushed.push.high_watermark);
        match assignment.handle_batches(&pushed.batches) {
            Ok(slices) => self.keep(id, assigned, slices),
            Err(error) => {
                self.leave(assigned.0);
                self.fail(now, assigned, &error);
            }
        }
    }

    fn keep(&mut self, id: u64, (key, generation): Assigned, slices: Vec<Bytes>) {
        let bytes = slices.iter().map(Bytes::len).sum();
        self.buffered += bytes;
        let subscription = self.subscriptions.get(id);
        subscription.expect("it has just pushed").keep(bytes);
        let slices = slices.into_iter().map(|batch| {
            Ok(Slice {
                key,
                generation,
                subscription: id,
                batch,
            })
        });
        self.came.extend(slices);
    }

    /// A subscription is no more: asked for, or for a reason.
    fn handle_end(&mut self, now: Mono, id: u64, reason: Option<&Error>) {
        let ended = self.subscriptions.remove(id);
        let live: Vec<Assigned> = ended.iter().flat_map(Subscription::live).collect();
        if let Some(error) = reason {
            return self.fail_all(now, id, live, error);
        }
        for assigned in live {
            if let Some(assignment) = self.subscribed(id, assigned) {
                assignment.subscription = None;
                self.to_plan.insert(assigned.0);
            }
        }
    }

    /// The assignment that a request was made for, if it still stands.
    fn current_assignment(&mut self, (key, generation): Assigned) -> Option<&mut Assignment> {
        let assignment = self.assignments.get_mut(&key)?;
        (assignment.generation == generation).then_some(assignment)
    }

    /// The same, if that subscription brings it.
    fn subscribed(&mut self, id: u64, assigned: Assigned) -> Option<&mut Assignment> {
        let assignment = self.current_assignment(assigned)?;
        (assignment.subscription == Some(id)).then_some(assignment)
    }

    /// The partition's subscription, if it has one, brings nothing for it any more.
    fn leave(&mut self, key: Key) {
        let assignment = self.assignments.get_mut(&key);
        let left = assignment.and_then(|assignment| assignment.subscription.take());
        if let Some(subscription) = left.and_then(|id| self.subscriptions.get(id)) {
            subscription.leave();
        }
    }

    fn fail_all(&mut self, now: Mono, id: u64, all: Vec<Assigned>, error: &Error) {
        for assigned in all {
            if let Some(assignment) = self.subscribed(id, assigned) {
                assignment.subscription = None;
                self.fail(now, assigned, error);
            }
        }
    }

    /// Tries again later, or reports and stops.
    fn fail(&mut self, now: Mono, assigned: Assigned, error: &Error) {
        let Some(assignment) = self.current_assignment(assigned) else {
            return;
        };
        let key = assigned.0;
        if error.is_retriable() {
            assignment.retry(now);
            self.to_plan.insert(key);
            return;
        }
        assignment.stop();
        let topic = Arc::clone(&assignment.topic);
        self.to_plan.remove(&key);
        self.came.push_back(Err(ConsumeError {
            topic,
            partition: key.1,
            error: error.clone(),
        }));
    }

    /// Takes the next slice that still matters and opens it.
    fn open_slice(&mut self) -> Option<Ready<(Slice, ConsumedBatch)>> {
        loop {
            let slice = match self.came.pop_front()? {
                Ok(slice) => slice,
                Err(error) => return Some(Err(error)),
            };
            self.buffered -= slice.batch.len();
            self.subscriptions
                .take(slice.subscription, slice.batch.len());
            let Some(assignment) = self.assignments.get(&slice.key) else {
                continue;
            };
            if assignment.generation != slice.generation || assignment.is_stopped() {
                continue;
            }
            let topic = Arc::clone(&assignment.topic);
            let from = assignment.position().expect("it has been read");
            let opened = RecordSet::from_bytes(slice.batch.clone(), MAX_RECORDS_LEN);
            return Some(match opened {
                Ok(records) => {
                    let batch = ConsumedBatch {
                        topic,
                        partition: slice.key.1,
                        from,
                        records,
                    };
                    Ok((slice, batch))
                }
                Err(error) => Err(self.damaged(slice.key, topic, &error)),
            });
        }
    }

    /// Makes the records of a batch the current ones.
    fn start_records(&mut self, slice: &Slice, batch: &ConsumedBatch) -> Result<(), ConsumeError> {
        let from = i64::try_from(batch.from.0).expect("offsets fit");
        let records: Result<Vec<Record>, _> = batch
            .records
            .records()
            .filter(|record| !matches!(record, Ok(record) if record.offset < from))
            .collect();
        let topic = Arc::clone(&batch.topic);
        match records {
            Ok(records) => {
                if records.is_empty() {
                    let next = batch.records.header().next_offset();
                    self.handed_out(slice.key, slice.generation, next);
                }
                self.current = Some(Current {
                    key: slice.key,
                    generation: slice.generation,
                    topic,
                    records: records.into_iter(),
                });
                Ok(())
            }
            Err(error) => Err(self.damaged(slice.key, topic, &error)),
        }
    }

    fn damaged(&mut self, key: Key, topic: Arc<str>, reason: &impl ToString) -> ConsumeError {
        self.leave(key);
        self.to_plan.remove(&key);
        if let Some(assignment) = self.assignments.get_mut(&key) {
            assignment.stop();
        }
        ConsumeError {
            error: Error::Corrupt {
                topic: Arc::clone(&topic),
                partition: key.1.0,
                reason: reason.to_string().into(),
            },
            topic,
            partition: key.1,
        }
    }

    fn handed_out(&mut self, key: Key, generation: u64, next: i64) {
        if let Some(assignment) = self.assignments.get_mut(&key)
            && assignment.generation == generation
        {
            assignment.handed_out(Offset(
                u64::try_from(next).expect("offsets are not negative"),
            ));
        }
    }

    fn drop_buffered(&mut self, key: Key) {
        let (buffered, subscriptions) = (&mut self.buffered, &mut self.subscriptions);
        self.came.retain(|entry| match entry {
            Ok(slice) if slice.key == key => {
                *buffered -= slice.batch.len();
                subscriptions.take(slice.subscription, slice.batch.len());
                false
            }
            _ => true,
        });
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.key == key)
        {
            self.current = None;
        }
    }
}

fn misfit() -> Error {
    Error::protocol("an answer that does not fit its request")
}

#[cfg(test)]
mod tests;
