//! The producer: any number of tasks send, one task talks to the broker.
//!
//! Batching, order and retries are the core's; this keeps a connection, tells the core the time,
//! and wakes whoever waits.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::tokio::sync::{Notify, mpsc};
use ::tokio::time::{Instant, sleep, sleep_until};
use bytes::Bytes;
use leveret_record::Header;
use leveret_wire::native::{PartitionId, Request, Response};

use super::client::Client;
use super::clock::{Clock, wall_ms};
use super::connection::Connection;
use super::delivery::{Delivery, Outcome};
use super::pending::{produced, unexpected};
use crate::core::{
    self, Answer, Frame, NewRecord, ProducerSettings, PushError, RequestId, Transmit,
};
use crate::{Error, Result};

/// How a producer behaves.
pub type ProducerOptions = ProducerSettings;

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Where to; chosen by key or in turn if `None`.
    pub partition: Option<PartitionId>,
    /// Milliseconds since the Unix epoch; the time of sending if `None`.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers, in order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl ProducerRecord {
    /// A record with a value and nothing else.
    #[must_use]
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// The same with a key: records of one key stay in order in one partition.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Sends records. Clones share buffer, connection and identity; when the last one goes, records
/// without an outcome fail with [`Error::Closed`] ([`flush`](Self::flush) first).
#[derive(Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Ends the task when dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

struct Shared {
    client: Client,
    clock: Clock,
    state: Mutex<State>,
    /// The task has something to do.
    wake: Notify,
    /// Senders that found the buffer full may look again.
    space: Notify,
}

struct State {
    core: core::Producer<Arc<Outcome>>,
    closed: bool,
}

/// Answers of one connection, by request.
type Answers = mpsc::UnboundedReceiver<(u64, Result<Frame>)>;

impl Producer {
    pub(super) fn start(client: Client, options: ProducerOptions) -> Self {
        let shared = Arc::new(Shared {
            client,
            clock: Clock::start(),
            state: Mutex::new(State {
                core: core::Producer::new(options),
                closed: false,
            }),
            wake: Notify::new(),
            space: Notify::new(),
        });
        ::tokio::spawn(Arc::clone(&shared).run());
        Self {
            handle: Arc::new(Handle(shared)),
        }
    }

    /// Takes a record for sending: waits while the buffer is full, and once per topic for its
    /// metadata. Records of one task go to their partitions in the order of these calls.
    ///
    /// # Errors
    /// [`Error::InvalidRecord`] if it can never be sent; `UnknownTopic`; what resolving the topic
    /// met. What becomes of the record comes from the [`Delivery`].
    pub async fn send(&self, topic: &str, record: ProducerRecord) -> Result<Delivery> {
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        let new = NewRecord {
            partition: record.partition,
            timestamp: record.timestamp.unwrap_or_else(wall_ms),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let mut looked_again = false;
        loop {
            // Registered before the look, so that space made after the look is not missed.
            let space = self.shared().space.notified();
            match self.push(topic, &new)? {
                Push::Taken(delivery) => return Ok(delivery),
                Push::UnknownTopic => self.resolve(topic).await?,
                // It may have grown since it was resolved.
                Push::NoPartition(_) if !std::mem::replace(&mut looked_again, true) => {
                    self.resolve(topic).await?;
                }
                Push::NoPartition(reason) => return Err(Error::InvalidRecord(reason.into())),
                Push::Full => space.await,
            }
        }
    }

    /// Sends what waits for more records, and waits until every record taken so far has an
    /// outcome.
    ///
    /// # Errors
    /// The first of the failures, if there were any.
    pub async fn flush(&self) -> Result<()> {
        let outcomes: Vec<Arc<Outcome>> = {
            let mut state = self.shared().lock();
            state.core.flush();
            state.core.unfinished().cloned().collect()
        };
        self.shared().wake.notify_one();
        let mut first_failure = Ok(());
        for outcome in outcomes {
            let result = Delivery::new(outcome, 0).await;
            first_failure = first_failure.and(result.map(drop));
        }
        first_failure
    }

    /// Bytes of records that have no outcome yet.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.shared().lock().core.buffered()
    }

    fn push(&self, topic: &str, record: &NewRecord<'_>) -> Result<Push> {
        let now = self.shared().clock.now();
        let mut state = self.shared().lock();
        let Some(index) = state.core.topic(topic) else {
            return Ok(Push::UnknownTopic);
        };
        match state.core.push(now, index, record) {
            Ok(pushed) => {
                let delivery = Delivery::new(Arc::clone(pushed.tag), pushed.index);
                let wake = pushed.wake;
                drop(state);
                if wake {
                    self.shared().wake.notify_one();
                }
                Ok(Push::Taken(delivery))
            }
            Err(PushError::Full) => Ok(Push::Full),
            Err(error @ PushError::NoPartition { .. }) => Ok(Push::NoPartition(error.to_string())),
            Err(PushError::Invalid(error)) => Err(error),
        }
    }

    async fn resolve(&self, topic: &str) -> Result<()> {
        let decode = |frame: &Frame| match frame.response()? {
            Response::Metadata(metadata) => Ok(metadata),
            other => Err(unexpected(&other)),
        };
        let shared = self.shared();
        let limit = shared.lock().core.settings().delivery_timeout;
        let request = Request::Metadata(topic);
        let metadata = shared.client.call_again(&request, decode, limit).await?;
        let partitions = NonZeroU32::new(metadata.partitions)
            .ok_or_else(|| Error::protocol("a topic without partitions"))?;
        let mut state = shared.lock();
        state.core.add_topic(topic, metadata.topic_id, partitions);
        Ok(())
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }
}

enum Push {
    Taken(Delivery),
    UnknownTopic,
    NoPartition(String),
    Full,
}

/// The last handle has gone.
struct Closed;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug of ours; its invariants are checked by assertions.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        let Err(Closed) = self.serve().await;
        let mut state = self.lock();
        state.core.abort(&Error::Closed("producer"));
        self.settle(&mut state);
    }

    /// Connects, talks, and connects again, until closed.
    async fn serve(&self) -> Result<std::convert::Infallible, Closed> {
        let mut backoff = self.client.backoff();
        loop {
            let reason = match self.meanwhile(self.client.open_connection()).await? {
                Ok(connection) => {
                    backoff.reset();
                    self.talk(&connection).await?
                }
                Err(error) => error,
            };
            self.lock().core.handle_disconnect(&reason);
            let wait = backoff.next_wait();
            tracing::debug!(error = %reason, ?wait, "producer connects again");
            self.meanwhile(sleep(wait)).await?;
        }
    }

    /// Sends and receives until the connection fails; returns why it did.
    async fn talk(&self, connection: &Connection) -> Result<Error, Closed> {
        let (queue, mut answers) = mpsc::unbounded_channel();
        let mut progress = Instant::now();
        loop {
            while let Some(transmit) = self.next_transmit() {
                if let Err(error) = self.meanwhile(send(connection, transmit, &queue)).await? {
                    return Ok(error);
                }
            }
            let silent_until = progress + self.client.options().request_timeout;
            match self.wait(&mut answers, silent_until).await? {
                Event::Answered => {
                    progress = Instant::now();
                    if let Some(error) = connection.failure() {
                        return Ok(error);
                    }
                }
                Event::Woken if self.lock().core.in_flight() == 0 => progress = Instant::now(),
                Event::Woken => {}
                Event::Silent => {
                    return Ok(Error::NoResponse {
                        after_ms: super::client::millis(progress.elapsed()),
                    });
                }
            }
        }
    }

    fn next_transmit(&self) -> Option<Transmit> {
        let now = self.clock.now();
        self.lock().core.poll_transmit(now)
    }

    /// Waits for the next thing to happen, and lets the core deal with it.
    async fn wait(&self, answers: &mut Answers, silent_until: Instant) -> Result<Event, Closed> {
        let mut received = Vec::new();
        let (timer, in_flight) = {
            let state = self.lock();
            (state.core.poll_timeout(), state.core.in_flight())
        };
        ::tokio::select! {
            biased;
            _ = answers.recv_many(&mut received, 1024) => {
                self.handle_answers(received);
                return Ok(Event::Answered);
            }
            () = self.wake.notified() => {}
            () = self.sleep_until(timer) => self.handle_timeout(),
            () = sleep_until(silent_until), if in_flight > 0 => return Ok(Event::Silent),
        }
        if self.lock().closed {
            return Err(Closed);
        }
        Ok(Event::Woken)
    }

    /// Waits for `future` while time goes on for the core.
    async fn meanwhile<F: Future>(&self, future: F) -> Result<F::Output, Closed> {
        let mut future = pin!(future);
        loop {
            let timer = self.lock().core.poll_timeout();
            ::tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                () = self.wake.notified() => {}
                () = self.sleep_until(timer) => self.handle_timeout(),
            }
            if self.lock().closed {
                return Err(Closed);
            }
        }
    }

    async fn sleep_until(&self, timer: Option<crate::core::Mono>) {
        match timer {
            Some(at) => sleep_until(self.clock.instant(at)).await,
            None => std::future::pending().await,
        }
    }

    fn handle_timeout(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.core.handle_timeout(now);
        self.settle(&mut state);
    }

    fn handle_answers(&self, received: Vec<(u64, Result<Frame>)>) {
        let now = self.clock.now();
        let mut state = self.lock();
        for (number, frame) in received {
            let answer = frame.and_then(|frame| read_answer(&frame));
            state.core.handle_answer(now, RequestId(number), answer);
        }
        self.settle(&mut state);
    }

    /// Tells whoever waits for a batch what became of it.
    fn settle(&self, state: &mut State) {
        let mut settled = false;
        while let Some(completion) = state.core.poll_completion() {
            completion.tag.settle(completion.result);
            settled = true;
        }
        if settled {
            self.space.notify_waiters();
        }
    }
}

enum Event {
    Answered,
    Woken,
    /// Requests are in flight and nothing has come for too long.
    Silent,
}

async fn send(
    connection: &Connection,
    transmit: Transmit,
    queue: &mpsc::UnboundedSender<(u64, Result<Frame>)>,
) -> Result<()> {
    let name;
    let (id, request, payload) = match transmit {
        Transmit::InitProducer(id) => (id, Request::InitProducer, Bytes::new()),
        Transmit::Metadata { id, name: asked } => {
            name = asked;
            (id, Request::Metadata(&name), Bytes::new())
        }
        Transmit::Produce { id, request, batch } => (id, Request::Produce(request), batch),
    };
    let sent = connection.send_numbered(&request, payload, queue, id.0);
    sent.await.map(drop)
}

fn read_answer(frame: &Frame) -> Result<Answer> {
    match frame.response()? {
        Response::InitProducer(identity) => Ok(Answer::Identity(identity)),
        Response::Metadata(metadata) => Ok(Answer::Metadata(metadata)),
        _ => produced(frame).map(Answer::Produced),
    }
}
