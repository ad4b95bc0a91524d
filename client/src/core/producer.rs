//! A producer's behaviour: which partition, when a batch is sent, what happens to it.
//!
//! Records go into one open batch per partition. A batch is sent when it is full, when its
//! linger time is over, or when a flush asks for it; up to five batches per partition are in
//! flight, each stamped with producer id, epoch and sequence, so that the broker can drop
//! repetitions. After a failure that may pass, a partition lets everything in flight come home
//! and sends the same batches again, in order, until their delivery timeout.
//!
//! Refuses to: reorder a partition's batches, repeat a batch under another identity unless the
//! broker has said that it does not have it, buffer beyond its bound, or ask anybody what time
//! it is. It does not resolve topic names, only asks again what it knows, and does not know about
//! connections, only whether one was lost.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::BatchBuilder;
use leveret_wire::native::{
    ErrorCode, InitProducerOk, MetadataOk, Offset, PartitionId, Produce, ProduceOk, Response,
};
use thiserror::Error as ThisError;

use super::frames::unexpected;
use super::{Backoff, Frame, Mono, RequestId};
use crate::{Error, Result};

mod batch;
mod partition;
mod record;
mod settings;
mod topics;

pub use batch::NewRecord;
use batch::OpenBatch;
use partition::{Completed, Identity, Partition, Step};
pub use record::ProducerRecord;
pub use settings::{MAX_IN_FLIGHT, ProducerSettings};
use topics::Topic;

/// A topic that the producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIndex(usize);

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Ask for a producer id.
    InitProducer(RequestId),
    /// Ask for the metadata of the topic of that name.
    Metadata {
        /// Comes back with the answer.
        id: RequestId,
        /// The topic.
        name: Arc<str>,
    },
    /// Send a batch as the payload of `request`.
    Produce {
        /// Comes back with the answer.
        id: RequestId,
        /// The core that owns the partition, if that is known. What is in flight of a partition
        /// always has the same.
        core: Option<u16>,
        /// The header.
        request: Produce,
        /// The payload.
        batch: Bytes,
    },
}

/// What came back for a [`Transmit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// For `InitProducer`.
    Identity(InitProducerOk),
    /// For `Metadata`.
    Metadata(MetadataOk),
    /// For `Produce`.
    Produced(ProduceOk),
}

impl Answer {
    /// What a frame says.
    ///
    /// # Errors
    /// What the broker says instead, or [`Error::Protocol`] if it answers nothing of a producer's.
    pub fn read(frame: &Frame) -> Result<Self> {
        match frame.response()? {
            Response::InitProducer(identity) => Ok(Self::Identity(identity)),
            Response::Metadata(metadata) => Ok(Self::Metadata(metadata)),
            _ => produced(frame).map(Self::Produced),
        }
    }
}

/// What the answer to a batch says.
///
/// # Errors
/// What the broker says instead, or [`Error::Protocol`] if it answers something else.
pub fn produced(frame: &Frame) -> Result<ProduceOk> {
    match frame.response()? {
        Response::Produce(produced) => Ok(produced),
        other => Err(unexpected(&other)),
    }
}

/// Where a batch was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The partition.
    pub partition: PartitionId,
    /// Offset of the batch's first record; the others follow without gaps.
    pub base_offset: Offset,
}

impl Appended {
    /// Where the batch's record of that number is.
    #[must_use]
    pub fn ack(self, index: u32) -> Ack {
        Ack {
            partition: self.partition,
            offset: Offset(self.base_offset.0 + u64::from(index)),
        }
    }
}

/// Where a record was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset.
    pub offset: Offset,
}

/// A batch has come to its end.
#[derive(Clone, Debug)]
pub struct Completion<T> {
    /// What the caller attached to the batch.
    pub tag: T,
    /// What became of it.
    pub result: Result<Appended>,
}

/// Where a record went.
#[derive(Debug)]
pub struct Pushed<'a, T> {
    /// What is attached to its batch.
    pub tag: &'a T,
    /// Its number within the batch, from 0.
    pub index: u32,
    /// Its partition.
    pub partition: PartitionId,
    /// Whether [`Producer::poll_transmit`] or [`Producer::poll_timeout`] may say something new.
    pub wake: bool,
}

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum PushError {
    /// The buffer is full: push again after a completion.
    #[error("the producer's buffer is full")]
    Full,
    /// The topic has no such partition, as far as is known: it may have grown.
    #[error("there is no partition {asked}; the topic has {known}")]
    NoPartition {
        /// The partition that the record names.
        asked: u32,
        /// Partitions known.
        known: NonZeroU32,
    },
    /// It can never be sent.
    #[error(transparent)]
    Invalid(#[from] Error),
}

/// The producer. `T` is made for each batch and comes back with its completion.
pub struct Producer<T> {
    settings: ProducerSettings,
    topics: Vec<Topic>,
    names: HashMap<String, TopicIndex, FixedState>,
    /// Topics whose metadata is to be asked for again.
    stale: VecDeque<TopicIndex>,
    partitions: Vec<Partition<T>>,
    /// Partitions that may have something to send, each at most once.
    ready: VecDeque<usize>,
    /// When partitions want to be looked at, each at most once.
    timers: BTreeSet<(Mono, usize)>,
    /// What requests in flight are for.
    in_flight: HashMap<u64, Target, FixedState>,
    next_request: u64,
    /// Identity that partitions start with.
    identity: Shared,
    completions: VecDeque<Completion<T>>,
    /// Waits between attempts to get the shared identity.
    backoff: Backoff,
    buffered: usize,
}

enum Target {
    /// The identity that partitions start with.
    SharedIdentity,
    /// A new identity of one partition.
    Identity(usize),
    /// A topic's metadata.
    Topic(TopicIndex),
    /// A batch of a partition.
    Batch { partition: usize, serial: u64 },
}

enum Shared {
    /// Not asked for; if there is a time, not before it.
    Wanted(Option<Mono>),
    Asked,
    Known(Identity),
}

impl<T: Default> Producer<T> {
    /// A producer without topics.
    ///
    /// # Panics
    /// If `max_in_flight` is not 1 to 5.
    #[must_use]
    pub fn new(settings: ProducerSettings) -> Self {
        assert!(
            (1..=MAX_IN_FLIGHT).contains(&settings.max_in_flight),
            "max_in_flight is 1 to {MAX_IN_FLIGHT}"
        );
        Self {
            backoff: Backoff::new(settings.backoff_least, settings.backoff_most, settings.seed),
            settings,
            topics: Vec::new(),
            names: HashMap::with_hasher(FixedState::default()),
            stale: VecDeque::new(),
            partitions: Vec::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            in_flight: HashMap::with_hasher(FixedState::default()),
            next_request: 0,
            identity: Shared::Wanted(None),
            completions: VecDeque::new(),
            buffered: 0,
        }
    }

    /// The topic of that name, if it has been [added](Self::add_topic).
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<TopicIndex> {
        self.names.get(name).copied()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &ProducerSettings {
        &self.settings
    }

    /// Requests without an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Bytes of records that have no outcome yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// What is attached to the batches that have no outcome yet.
    pub fn unfinished(&self) -> impl Iterator<Item = &T> {
        self.partitions.iter().flat_map(Partition::tags)
    }

    /// Takes a record into the open batch of its partition: the one it names, else the one of
    /// its key's hash, else the one that records without a key go to just now.
    ///
    /// # Errors
    /// [`PushError::Full`] if it would pass the buffer's bound; [`PushError::NoPartition`] if it
    /// names one that is not known; [`PushError::Invalid`] if it never fits.
    pub fn push(
        &mut self,
        now: Mono,
        topic: TopicIndex,
        record: &NewRecord<'_>,
    ) -> Result<Pushed<'_, T>, PushError> {
        let size = record.size();
        let limit = self.settings.buffer_bytes;
        if size > limit {
            let reason = format!("its {size} bytes pass the buffer of {limit} bytes");
            return Err(Error::InvalidRecord(reason.into()).into());
        }
        if self.buffered + size > limit {
            return Err(PushError::Full);
        }
        let (number, index) = self.choose_partition(topic, record)?;
        let mut wake = self.note_use(now, topic);
        if self.partitions[index]
            .open
            .as_ref()
            .is_some_and(|open| !open.has_room(size, self.settings.max_batch_bytes))
        {
            self.close_batch(index);
            wake = true;
        }
        let partition = &mut self.partitions[index];
        let serial = partition.next_serial();
        let fresh = partition.open.is_none();
        let open = partition.open.get_or_insert_with(|| {
            let builder = partition
                .spare
                .take()
                .unwrap_or_else(|| BatchBuilder::new(self.settings.compression));
            OpenBatch::new(serial, now, T::default(), builder)
        });
        let position = open.push(record)?;
        self.buffered += size;
        if fresh {
            wake = true;
            self.reschedule(index);
        }
        let open = self.partitions[index].open.as_ref().expect("just pushed");
        Ok(Pushed {
            tag: open.tag(),
            index: position,
            partition: PartitionId(number),
            wake,
        })
    }

    /// Sends every open batch without waiting for more records.
    pub fn flush(&mut self) {
        for index in 0..self.partitions.len() {
            if self.partitions[index].open.is_some() {
                self.close_batch(index);
            }
        }
    }

    /// The next request to send, while there is a connection.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<Transmit> {
        if let Some(question) = self.next_question() {
            return Some(question);
        }
        while let Some(&index) = self.ready.front() {
            let identity = match &self.identity {
                Shared::Known(identity) => *identity,
                Shared::Asked | Shared::Wanted(Some(_)) => return None,
                Shared::Wanted(None) => {
                    self.identity = Shared::Asked;
                    let id = self.request(Target::SharedIdentity);
                    return Some(Transmit::InitProducer(id));
                }
            };
            self.ready.pop_front();
            let max_in_flight = self.settings.max_in_flight;
            let partition = &mut self.partitions[index];
            partition.queued = false;
            match partition.next_step(now, identity, max_in_flight) {
                Step::Nothing => {}
                Step::Identify => {
                    let id = self.request(Target::Identity(index));
                    return Some(Transmit::InitProducer(id));
                }
                Step::Send {
                    serial,
                    batch,
                    core,
                } => {
                    let request = Produce {
                        topic_id: partition.topic_id,
                        partition: partition.number,
                        level: self.settings.level,
                        timeout_ms: u32::try_from(self.settings.request_timeout.as_millis())
                            .unwrap_or(u32::MAX),
                    };
                    let id = self.request(Target::Batch {
                        partition: index,
                        serial,
                    });
                    self.make_ready(index);
                    return Some(Transmit::Produce {
                        id,
                        core,
                        request,
                        batch,
                    });
                }
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let identity = match self.identity {
            Shared::Wanted(at) => at,
            Shared::Asked | Shared::Known(_) => None,
        };
        timer.into_iter().chain(identity).min()
    }

    /// The next batch that has come to its end.
    pub fn poll_completion(&mut self) -> Option<Completion<T>> {
        self.completions.pop_front()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Shared::Wanted(Some(at)) = self.identity
            && at <= now
        {
            self.identity = Shared::Wanted(None);
        }
        while let Some((at, index)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            self.partitions[index].handle_timeout(now);
            let lingered = self.partitions[index]
                .open
                .as_ref()
                .is_some_and(|open| open.since().after(self.settings.linger) <= now);
            if lingered {
                self.close_batch(index);
            }
            let timeout = self.settings.delivery_timeout;
            let given_up = self.partitions[index].give_up(now, timeout);
            for completed in given_up {
                self.complete(completed);
            }
            self.make_ready(index);
            self.reschedule(index);
        }
    }

    /// The answer to a request, or why there is none. Answers to requests from before a lost
    /// connection are ignored.
    pub fn handle_answer(&mut self, now: Mono, id: RequestId, answer: Result<Answer>) {
        let Some(target) = self.in_flight.remove(&id.0) else {
            return;
        };
        match target {
            Target::SharedIdentity => {
                self.identity = match answer {
                    Ok(Answer::Identity(identity)) => Shared::Known(identity.into()),
                    _ => Shared::Wanted(Some(now.after(self.backoff.next_wait()))),
                };
            }
            Target::Topic(index) => {
                let metadata = match answer {
                    Ok(Answer::Metadata(metadata)) => Some(metadata),
                    _ => None,
                };
                self.take_metadata(now, index, metadata);
            }
            Target::Identity(index) => {
                let partition = &mut self.partitions[index];
                match answer {
                    Ok(Answer::Identity(identity)) => partition.take_identity(identity.into()),
                    _ => partition.retry_identity(now),
                }
                self.make_ready(index);
                self.reschedule(index);
            }
            Target::Batch { partition, serial } => {
                let result = match answer {
                    Ok(Answer::Produced(produced)) => Ok(produced),
                    Ok(Answer::Identity(_) | Answer::Metadata(_)) => {
                        Err(Error::protocol("a batch was answered with something else"))
                    }
                    Err(error) => Err(error),
                };
                self.handle_batch(now, partition, serial, result);
            }
        }
    }

    /// The connection was lost: nothing in flight will be answered.
    pub fn handle_disconnect(&mut self, reason: &Error) {
        self.in_flight.clear();
        self.forget_questions();
        self.doubt_owners();
        if let Shared::Asked = self.identity {
            self.identity = Shared::Wanted(None);
        }
        for index in 0..self.partitions.len() {
            if self.partitions[index].handle_disconnect(reason) {
                self.make_ready(index);
                self.reschedule(index);
            }
        }
    }

    /// Fails everything that is unfinished: the producer closes.
    pub fn abort(&mut self, reason: &Error) {
        for index in 0..self.partitions.len() {
            for completed in self.partitions[index].abort(reason) {
                self.complete(completed);
            }
        }
    }

    fn handle_batch(
        &mut self,
        now: Mono,
        index: usize,
        serial: u64,
        result: Result<ProduceOk, Error>,
    ) {
        let unknown_topic =
            matches!(&result, Err(error) if error.code() == Some(ErrorCode::UnknownTopic));
        let completed = self.partitions[index].handle_result(now, serial, result);
        if let Some(completed) = completed {
            self.complete(completed);
        }
        if unknown_topic {
            let id = self.partitions[index].topic_id;
            self.forget_topic(id);
        }
        self.make_ready(index);
        self.reschedule(index);
    }

    /// Closes the open batch of a partition, so that it can be sent.
    fn close_batch(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        partition.close_batch();
        let topic = &mut self.topics[partition.topic.0];
        if topic.sticky == partition.number.0 {
            topic.sticky = (topic.sticky + 1) % topic.partitions();
        }
        self.make_ready(index);
        self.reschedule(index);
    }

    fn complete(&mut self, completed: Completed<T>) {
        self.buffered -= completed.size;
        self.completions.push_back(Completion {
            tag: completed.tag,
            result: completed.result,
        });
    }

    fn request(&mut self, target: Target) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        self.in_flight.insert(id, target);
        RequestId(id)
    }

    fn make_ready(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        if !partition.queued {
            partition.queued = true;
            self.ready.push_back(index);
        }
    }

    fn reschedule(&mut self, index: usize) {
        let settings = &self.settings;
        let partition = &mut self.partitions[index];
        let wanted = partition.next_timer(settings.linger, settings.delivery_timeout);
        if partition.timer == wanted {
            return;
        }
        if let Some(at) = partition.timer {
            self.timers.remove(&(at, index));
        }
        partition.timer = wanted;
        if let Some(at) = wanted {
            self.timers.insert((at, index));
        }
    }
}

#[cfg(test)]
mod tests;
