//! The consumer: one owner reads records, the next ones are pushed meanwhile.
//!
//! Positions, subscriptions and credit are the core's; this keeps a connection and tells the core
//! the time. It has no task of its own: requests are sent, and answers taken, while the owner
//! awaits [`Consumer::next`] (the connection's tasks receive what comes in between, which credit
//! bounds).

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use futures_util::stream::{Stream, unfold};
use hashbrown::HashMap;
use leveret_wire::native::{
    CorrelationId, Items, Kind, Offset, PartitionId, Request, Subscribe, TopicId,
};

use super::client::{Client, millis};
use super::clock::Clock;
use super::connection::Connection;
use super::race::{Either, race, until};
use super::rt::{Pace, mpsc, sleep_until};
use crate::core::{
    self, ConsumeError, ConsumedBatch, ConsumedRecord, ConsumerAnswer, ConsumerOptions,
    ConsumerTransmit, Frame, Mono, RequestId, SoleOwner, StartAt,
};
use crate::{Error, Result};

/// Reads records of assigned partitions, each partition in order.
pub struct Consumer {
    client: Client,
    clock: Clock,
    core: core::Consumer,
    topics: HashMap<String, (Arc<str>, TopicId), FixedState>,
    link: Option<Link>,
    /// Which cores own the partitions that were ever assigned.
    owner: SoleOwner,
    /// Taken from the core and not sent yet: survives a cancelled call.
    unsent: Option<ConsumerTransmit>,
    /// Whether the core may have something to send.
    dirty: bool,
    /// An owner that never waits lets the connection have its turn before each batch.
    pace: Pace,
}

/// A connection and the answers that come over it.
struct Link {
    connection: Connection,
    queue: mpsc::UnboundedSender<(u64, Result<Frame>)>,
    answers: mpsc::UnboundedReceiver<(u64, Result<Frame>)>,
    /// The correlations of the subscriptions that stand.
    subscriptions: HashMap<u64, CorrelationId, FixedState>,
}

impl Consumer {
    pub(super) fn new(client: Client, options: ConsumerOptions) -> Self {
        Self {
            client,
            clock: Clock::start(),
            core: core::Consumer::new(options),
            topics: HashMap::with_hasher(FixedState::default()),
            link: None,
            owner: SoleOwner::default(),
            unsent: None,
            dirty: true,
            pace: Pace::new(),
        }
    }

    /// Reads these partitions of a topic, or all if none is named, from `start`. For a partition
    /// that is read already this is a seek.
    ///
    /// # Errors
    /// `UnknownTopic`, `UnknownPartition`, or what the connection met.
    pub async fn assign(
        &mut self,
        topic: &str,
        partitions: &[PartitionId],
        start: StartAt,
    ) -> Result<()> {
        let metadata = self.client.admin().metadata(topic).await?;
        if let Some(missing) = partitions
            .iter()
            .find(|number| number.0 >= metadata.partitions)
        {
            let message = format!("topic `{topic}` has no partition {missing}");
            return Err(Error::broker(
                leveret_wire::native::ErrorCode::UnknownPartition,
                &message,
            ));
        }
        if let Some((_, old)) = self.topics.get(topic)
            && *old != metadata.topic_id
        {
            self.core.unassign_topic(*old);
        }
        let name: Arc<str> = topic.into();
        self.topics
            .insert(topic.to_owned(), (Arc::clone(&name), metadata.topic_id));
        let all: Vec<PartitionId> = (0..metadata.partitions).map(PartitionId).collect();
        let chosen = if partitions.is_empty() {
            &all
        } else {
            partitions
        };
        for partition in chosen {
            self.owner
                .add(metadata.cores.get(partition.0 as usize).copied());
            self.core
                .assign(Arc::clone(&name), metadata.topic_id, *partition, start);
        }
        self.dirty = true;
        Ok(())
    }

    /// Goes on reading an assigned partition from `start`.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn seek(&mut self, topic: &str, partition: PartitionId, start: StartAt) -> Result<()> {
        let (name, id) = self.assigned(topic, partition)?;
        self.core.assign(name, id, partition, start);
        self.dirty = true;
        Ok(())
    }

    /// Stops reading a partition.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn unassign(&mut self, topic: &str, partition: PartitionId) -> Result<()> {
        let (_, id) = self.assigned(topic, partition)?;
        self.core.unassign(id, partition);
        Ok(())
    }

    /// The offset after the last record that was handed out, or where reading will start;
    /// `None` if that is not known yet or the partition is not assigned.
    #[must_use]
    pub fn position(&self, topic: &str, partition: PartitionId) -> Option<Offset> {
        let (_, id) = self.topics.get(topic)?;
        self.core.position(*id, partition)
    }

    /// A partition's high watermark as of its last records; `None` before the first.
    #[must_use]
    pub fn high_watermark(&self, topic: &str, partition: PartitionId) -> Option<Offset> {
        let (_, id) = self.topics.get(topic)?;
        self.core.high_watermark(*id, partition)
    }

    /// The next record; waits for one to come. Cancelling it loses nothing.
    ///
    /// # Errors
    /// A partition that cannot be read on (the others go on with the next call; a
    /// [`seek`](Self::seek) starts it again), [`Error::NotAssigned`] if there is nothing to
    /// read, or that there was no connection for the client's `retry_timeout`.
    pub async fn next(&mut self) -> Result<ConsumedRecord> {
        self.next_of(core::Consumer::poll_record).await
    }

    /// The next batch, verified and still encoded; waits for one to come. Cancelling it loses
    /// nothing. Its first records may lie below [`ConsumedBatch::from`].
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_batch(&mut self) -> Result<ConsumedBatch> {
        self.next_of(core::Consumer::poll_batch).await
    }

    /// The records as a stream, which never ends: an error is an item, and the stream goes on after it as
    /// [`next`](Self::next) does. Dropping it loses nothing; the consumer goes on from there.
    pub fn records(&mut self) -> impl Stream<Item = Result<ConsumedRecord>> + '_ {
        unfold(self, async |consumer: &mut Self| {
            let read = consumer.next().await;
            Some((read, consumer))
        })
    }

    /// The batches of [`next_batch`](Self::next_batch) as a stream; in all else as [`records`](Self::records).
    pub fn batches(&mut self) -> impl Stream<Item = Result<ConsumedBatch>> + '_ {
        unfold(self, async |consumer: &mut Self| {
            let read = consumer.next_batch().await;
            Some((read, consumer))
        })
    }

    fn assigned(&self, topic: &str, partition: PartitionId) -> Result<(Arc<str>, TopicId)> {
        match self.topics.get(topic) {
            Some((name, id)) if self.core.is_assigned(*id, partition) => {
                Ok((Arc::clone(name), *id))
            }
            _ => Err(Error::NotAssigned),
        }
    }

    /// The next that `poll` takes out of the core; waits for one to come.
    async fn next_of<T>(
        &mut self,
        poll: impl Fn(&mut core::Consumer) -> Option<std::result::Result<T, ConsumeError>>,
    ) -> Result<T> {
        loop {
            self.advance().await?;
            let buffered = self.core.buffered();
            let ready = poll(&mut self.core);
            self.dirty |= self.core.buffered() != buffered;
            if let Some(ready) = ready {
                return ready.map_err(|failed| failed.error);
            }
            if !self.dirty {
                self.wait().await?;
            }
        }
    }

    /// Takes answers that have come and sends what should go out, without waiting for more.
    async fn advance(&mut self) -> Result<()> {
        self.take_answers();
        if !self.dirty {
            return Ok(());
        }
        self.pace.pay().await;
        loop {
            if self.unsent.is_none() {
                self.unsent = self.core.poll_transmit(self.clock.now());
            }
            let Some(transmit) = &self.unsent else {
                break;
            };
            let link = match &mut self.link {
                Some(link) => link,
                None => {
                    let limit = self.client.options().retry_timeout;
                    let core = self.owner.core();
                    let connect = || self.client.open_connection_for(core);
                    let connection = self.client.retry(limit, connect).await?;
                    self.link.insert(Link::new(connection))
                }
            };
            match link.send(transmit).await {
                Ok(()) => self.unsent = None,
                Err(error) => self.disconnect(&error),
            }
        }
        self.dirty = false;
        self.pace.owe();
        Ok(())
    }

    /// Takes what has come; a failed connection shows here.
    fn take_answers(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        while let Ok((number, frame)) = link.answers.try_recv() {
            let now = self.clock.now();
            link.take(&mut self.core, now, number, frame);
            self.dirty = true;
        }
        if self.dirty
            && let Some(error) = link.connection.failure()
        {
            self.disconnect(&error);
        }
    }

    /// Waits until something happens.
    async fn wait(&mut self) -> Result<()> {
        self.pace.forgive();
        if self.core.is_finished() {
            return Err(Error::NotAssigned);
        }
        let now = self.clock.now();
        let clock = self.clock;
        let timer = self.core.poll_timeout(now).map(|at| clock.instant(at));
        let patience = self.client.options().request_timeout;
        let Some(link) = &mut self.link else {
            match timer {
                Some(at) => sleep_until(at).await,
                None => return Err(Error::NotAssigned),
            }
            self.dirty = true;
            return Ok(());
        };
        let silent = self
            .core
            .waits_since()
            .map(|at| clock.instant(at) + patience);
        let next = timer.into_iter().chain(silent).min();
        match race(link.answers.recv(), until(next)).await {
            Either::First(Some((number, frame))) => {
                let now = self.clock.now();
                link.take(&mut self.core, now, number, frame);
            }
            Either::First(None) => unreachable!("the link itself can send"),
            Either::Second(()) if timer == next => {}
            Either::Second(()) => {
                let after_ms = millis(patience);
                self.disconnect(&Error::NoResponse { after_ms });
            }
        }
        self.dirty = true;
        Ok(())
    }

    fn disconnect(&mut self, reason: &Error) {
        tracing::debug!(error = %reason, "consumer connects again");
        self.link = None;
        // What was not sent would be asked for by an id that the core forgets.
        self.unsent = None;
        self.core.handle_disconnect();
        self.dirty = true;
    }
}

impl Link {
    fn new(connection: Connection) -> Self {
        let (queue, answers) = mpsc::unbounded_channel();
        Self {
            connection,
            queue,
            answers,
            subscriptions: HashMap::with_hasher(FixedState::default()),
        }
    }

    async fn send(&mut self, transmit: &ConsumerTransmit) -> Result<()> {
        let (id, request) = match transmit {
            ConsumerTransmit::ListOffsets { id, request } => (id, Request::ListOffsets(*request)),
            ConsumerTransmit::Ping { id } => (id, Request::Ping),
            ConsumerTransmit::Subscribe {
                id,
                credit,
                partitions,
            } => {
                let subscribe = Subscribe {
                    credit: *credit,
                    partitions: Items::from(&partitions[..]),
                };
                (id, Request::Subscribe(subscribe))
            }
            ConsumerTransmit::Credit {
                subscription,
                bytes,
            } => return self.follow_up(*subscription, &Request::Credit(*bytes)),
            ConsumerTransmit::Unsubscribe { subscription } => {
                return self.follow_up(*subscription, &Request::Unsubscribe);
            }
        };
        let sent = self
            .connection
            .send_numbered(&request, Bytes::new(), &self.queue, id.0);
        let correlation = sent.await?;
        if matches!(request, Request::Subscribe(_)) {
            self.subscriptions.insert(id.0, correlation);
        }
        Ok(())
    }

    fn follow_up(&self, subscription: RequestId, request: &Request<'_>) -> Result<()> {
        match self.subscriptions.get(&subscription.0) {
            Some(correlation) => self.connection.follow_up(*correlation, request),
            // Its last frame waits to be taken.
            None => Ok(()),
        }
    }

    /// Gives the core an answer.
    fn take(&mut self, core: &mut core::Consumer, now: Mono, number: u64, frame: Result<Frame>) {
        let goes_on = |frame: &Frame| Kind::from_u16(frame.kind).is_some_and(Kind::goes_on);
        if !frame.as_ref().is_ok_and(goes_on) {
            self.subscriptions.remove(&number);
        }
        let answer = frame.and_then(|frame| ConsumerAnswer::read(&frame));
        core.handle_answer(now, RequestId(number), answer);
    }
}
