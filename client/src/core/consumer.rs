//! A consumer's behaviour: where it stands in each partition, what to fetch next, what to hand
//! out.
//!
//! A partition has at most one request in flight; while its records wait to be handed out the
//! next fetch is already on its way, up to a bound of buffered bytes. Records below the position
//! (a batch comes whole) are skipped. Batches are verified before any record of them is handed
//! out.
//!
//! Refuses to: hand out a record twice or out of order, guess where to go on when the log no
//! longer has the position (unless told), commit positions anywhere, or resolve topic names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::{Record, RecordSet};
use leveret_wire::native::{
    ErrorCode, FetchPartition, FetchedPartition, ListOffsets, Offset, PartitionId, TopicId,
};

use super::{Backoff, Mono, RequestId};
use crate::{Error, Result};

mod assignment;
mod messages;
mod settings;

use assignment::Assignment;
pub use messages::{ConsumeError, ConsumedBatch, ConsumedRecord, ConsumerAnswer, ConsumerTransmit};
pub use settings::{ConsumerSettings, OutOfRange, StartAt};

/// What can be handed out.
type Ready<T> = Result<T, ConsumeError>;

/// Names a partition of an assigned topic.
pub(super) type Key = (TopicId, PartitionId);

/// The consumer.
pub struct Consumer {
    settings: ConsumerSettings,
    assignments: BTreeMap<Key, Assignment>,
    /// Where the next plan starts, so that all partitions get their turn.
    turn: Option<Key>,
    in_flight: HashMap<u64, Asked, FixedState>,
    next_request: u64,
    next_generation: u64,
    /// Batches and failures in the order in which they came.
    fetched: VecDeque<Ready<Slice>>,
    buffered: usize,
    /// What is left of the batch whose records are being handed out.
    current: Option<Current>,
}

/// What a request in flight is for: assignments with their generations.
enum Asked {
    Offset((Key, u64)),
    Fetch(Vec<(Key, u64)>),
}

/// A batch that waits to be handed out.
struct Slice {
    key: Key,
    generation: u64,
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
            turn: None,
            in_flight: HashMap::with_hasher(FixedState::default()),
            next_request: 0,
            next_generation: 0,
            fetched: VecDeque::new(),
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
    }

    /// Stops reading a partition.
    pub fn unassign(&mut self, id: TopicId, partition: PartitionId) {
        self.drop_buffered((id, partition));
        self.assignments.remove(&(id, partition));
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
        self.fetched.is_empty() && self.assignments.values().all(Assignment::is_stopped)
    }

    /// The offset after the last record that was handed out, or where reading will start;
    /// `None` if that has not been looked up yet or the partition is not assigned.
    #[must_use]
    pub fn position(&self, id: TopicId, partition: PartitionId) -> Option<Offset> {
        self.assignments.get(&(id, partition))?.position()
    }

    /// The partition's high watermark as of its last fetch; `None` before the first.
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
        let look_up = self
            .assignments
            .iter()
            .find_map(|(key, assignment)| Some((*key, assignment.wants_look_up(now)?)));
        if let Some((key, spec)) = look_up {
            let request = ListOffsets {
                topic_id: key.0,
                partition: key.1,
                spec,
            };
            let asked = Asked::Offset(self.make_busy(key));
            let id = self.request(asked);
            return Some(ConsumerTransmit::ListOffsets { id, request });
        }
        if self.buffered >= self.settings.buffer_bytes {
            return None;
        }
        self.plan_fetch(now)
    }

    /// When [`poll_transmit`](Self::poll_transmit) may say something new without anything else
    /// happening.
    #[must_use]
    pub fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        self.assignments
            .values()
            .filter_map(|assignment| assignment.retry_at.filter(|at| *at > now))
            .min()
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
        let Some(asked) = self.in_flight.remove(&id.0) else {
            return;
        };
        match (asked, answer) {
            (Asked::Offset(key), Ok(ConsumerAnswer::Offset(found))) => {
                if let Some(assignment) = self.current_assignment(key) {
                    assignment.handle_offset(found.offset);
                }
            }
            (Asked::Fetch(keys), Ok(ConsumerAnswer::Fetched(fetched)))
                if fetched.partitions.len() == keys.len() =>
            {
                for (key, (partition, batches)) in keys.into_iter().zip(fetched.partitions) {
                    self.handle_partition(now, key, &partition, &batches);
                }
            }
            (asked, answer) => {
                let error = answer
                    .err()
                    .unwrap_or_else(|| Error::protocol("an answer that does not fit its request"));
                match asked {
                    Asked::Offset(key) => self.fail_all(now, &[key], &error),
                    Asked::Fetch(keys) => self.fail_all(now, &keys, &error),
                }
            }
        }
    }

    /// The connection was lost: nothing in flight will be answered.
    pub fn handle_disconnect(&mut self) {
        self.in_flight.clear();
        for assignment in self.assignments.values_mut() {
            assignment.busy = false;
        }
    }

    /// One fetch for all idle partitions of the topic whose turn it is.
    fn plan_fetch(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        let first = self.next_idle(now)?;
        let topic_id = first.0;
        let max_bytes = self.settings.max_partition_bytes;
        let of_topic = |from: Key, to: Key| {
            self.assignments
                .range(from..=to)
                .filter_map(|(key, assignment)| Some((*key, assignment.wants_fetch(now)?)))
        };
        let last = (topic_id, PartitionId(u32::MAX));
        let chosen: Vec<(Key, Offset)> = of_topic(first, last)
            .chain(of_topic((topic_id, PartitionId(0)), first).filter(|(key, _)| *key != first))
            .take(MAX_PARTITIONS)
            .collect();
        let partitions = chosen
            .iter()
            .map(|(key, offset)| FetchPartition {
                offset: *offset,
                partition: key.1,
                max_bytes,
            })
            .collect();
        self.turn = Some(first);
        let asked = chosen
            .into_iter()
            .map(|(key, _)| self.make_busy(key))
            .collect();
        let id = self.request(Asked::Fetch(asked));
        Some(ConsumerTransmit::Fetch {
            id,
            topic_id,
            partitions,
        })
    }

    /// The first partition after the last turn's that wants a fetch.
    fn next_idle(&self, now: Mono) -> Option<Key> {
        let wants =
            |(key, assignment): (&Key, &Assignment)| assignment.wants_fetch(now).map(|_| *key);
        let Some(turn) = self.turn else {
            return self.assignments.iter().find_map(wants);
        };
        self.assignments
            .range(turn..)
            .skip_while(|(key, _)| **key == turn)
            .chain(self.assignments.range(..=turn))
            .find_map(wants)
    }

    fn make_busy(&mut self, key: Key) -> (Key, u64) {
        let assignment = self.assignments.get_mut(&key).expect("chosen from the map");
        assignment.busy = true;
        (key, assignment.generation)
    }

    fn request(&mut self, asked: Asked) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        self.in_flight.insert(id, asked);
        RequestId(id)
    }

    /// The assignment that a request was made for, if it still stands, now idle.
    fn current_assignment(&mut self, (key, generation): (Key, u64)) -> Option<&mut Assignment> {
        let assignment = self.assignments.get_mut(&key)?;
        if assignment.generation != generation {
            return None;
        }
        assignment.busy = false;
        Some(assignment)
    }

    fn handle_partition(
        &mut self,
        now: Mono,
        key: (Key, u64),
        partition: &FetchedPartition,
        batches: &Bytes,
    ) {
        let policy = self.settings.out_of_range;
        let Some(assignment) = self.current_assignment(key) else {
            return;
        };
        if partition.partition != key.0.1 {
            let error = Error::protocol("a fetch lists other partitions than it was asked for");
            self.fail_all(now, &[key], &error);
            return;
        }
        if let Some(code) = partition.error {
            if code == ErrorCode::OffsetOutOfRange && assignment.jump(policy) {
                return;
            }
            let error = Error::broker(code, code.name());
            self.fail_all(now, &[key], &error);
            return;
        }
        assignment.high_watermark = Some(partition.high_watermark);
        match assignment.handle_batches(batches) {
            Ok(slices) => {
                self.buffered += slices.iter().map(Bytes::len).sum::<usize>();
                self.fetched.extend(slices.into_iter().map(|batch| {
                    Ok(Slice {
                        key: key.0,
                        generation: key.1,
                        batch,
                    })
                }));
            }
            Err(error) => self.fail_all(now, &[key], &error),
        }
    }

    /// Tries again later, or reports and stops.
    fn fail_all(&mut self, now: Mono, keys: &[(Key, u64)], error: &Error) {
        for key in keys {
            let Some(assignment) = self.current_assignment(*key) else {
                continue;
            };
            if error.is_retriable() {
                assignment.retry(now);
                continue;
            }
            assignment.stop();
            let topic = Arc::clone(&assignment.topic);
            self.fetched.push_back(Err(ConsumeError {
                topic,
                partition: key.0.1,
                error: error.clone(),
            }));
        }
    }

    /// Takes the next slice that still matters and opens it.
    fn open_slice(&mut self) -> Option<Ready<(Slice, ConsumedBatch)>> {
        loop {
            let slice = match self.fetched.pop_front()? {
                Ok(slice) => slice,
                Err(error) => return Some(Err(error)),
            };
            self.buffered -= slice.batch.len();
            let Some(assignment) = self.assignments.get(&slice.key) else {
                continue;
            };
            if assignment.generation != slice.generation || assignment.is_stopped() {
                continue;
            }
            let topic = Arc::clone(&assignment.topic);
            let from = assignment.position().expect("it has been fetched from");
            let opened = RecordSet::from_bytes(slice.batch.clone(), self.settings.decompress);
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
        let buffered = &mut self.buffered;
        self.fetched.retain(|entry| match entry {
            Ok(slice) if slice.key == key => {
                *buffered -= slice.batch.len();
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

/// Most partitions of one fetch: so many fit the bound on request headers.
const MAX_PARTITIONS: usize = 2000;

#[cfg(test)]
mod tests;
