//! The producer: any number of tasks send, and one task exchanges requests with the broker.
//!
//! Batching, order and retries are the core's; this keeps the connections, tells the core the time,
//! and wakes whoever waits.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;

use bytes::Bytes;
use leveret_record::Header;
use leveret_wire::native::{ErrorCode, Request};

use super::client::Client;
use super::clock::{Clock, wall_ms};
use super::connection::Connection;
use super::delivery::{Delivery, Outcome};
use super::links::Links;
use super::race::{Either, race, until};
use super::rt::{self, Lock, Notify, Pace, Ptr, mpsc, sleep};
use crate::core::{
    self, Answer, Frame, NewRecord, ProducerOptions, ProducerRecord, PushError, Transmit, admin,
};
use crate::{Error, Result};

/// Sends records. Clones share buffer, connections and identity; when the last one goes, records
/// without an outcome fail with [`Error::Closed`] ([`flush`](Self::flush) first).
#[derive(Clone)]
pub struct Producer {
    handle: Ptr<Handle>,
}

/// Ends the task when dropped.
struct Handle(Ptr<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_one();
    }
}

struct Shared {
    client: Client,
    clock: Clock,
    state: Lock<State>,
    /// The task has something to do.
    wake: Notify,
    /// Senders that found the buffer full may look again.
    space: Notify,
    /// A sender that never waits lets the task have its turn after each batch.
    pace: Pace,
}

struct State {
    core: core::Producer<Ptr<Outcome>>,
    closed: bool,
    /// What went wrong last, and nothing has gone well since.
    trouble: Option<Error>,
}

/// Answers of one connection, by request.
type Answers = mpsc::UnboundedReceiver<(u64, Result<Frame>)>;

impl Producer {
    pub(super) fn start(client: Client, options: ProducerOptions) -> Self {
        let shared = Ptr::new(Shared {
            client,
            clock: Clock::start(),
            state: Lock::new(State {
                core: core::Producer::new(options),
                closed: false,
                trouble: None,
            }),
            wake: Notify::new(),
            space: Notify::new(),
            pace: Pace::new(),
        });
        rt::spawn(Ptr::clone(&shared).run());
        Self {
            handle: Ptr::new(Handle(shared)),
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
        self.shared().pace.pay().await;
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
        let outcomes: Vec<Ptr<Outcome>> = {
            let mut state = self.shared().state.lock();
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
        self.shared().state.lock().core.buffered()
    }

    /// What keeps records waiting: why the last answer refused them, or the connection was lost.
    /// `None` when the last answer was an acknowledgement.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.shared().state.lock().trouble.clone()
    }

    fn push(&self, topic: &str, record: &NewRecord<'_>) -> Result<Push> {
        let now = self.shared().clock.now();
        let mut state = self.shared().state.lock();
        let Some(index) = state.core.topic(topic) else {
            return Ok(Push::UnknownTopic);
        };
        match state.core.push(now, index, record) {
            Ok(pushed) => {
                let delivery = Delivery::new(Ptr::clone(pushed.tag), pushed.index);
                let wake = pushed.wake;
                drop(state);
                if wake {
                    self.shared().wake.notify_one();
                    self.shared().pace.owe();
                }
                Ok(Push::Taken(delivery))
            }
            Err(PushError::Full) => Ok(Push::Full),
            Err(error @ PushError::NoPartition { .. }) => Ok(Push::NoPartition(error.to_string())),
            Err(PushError::Invalid(error)) => Err(error),
        }
    }

    async fn resolve(&self, topic: &str) -> Result<()> {
        let shared = self.shared();
        let limit = shared.state.lock().core.settings().delivery_timeout;
        let request = Request::Metadata(topic);
        let metadata = shared
            .client
            .call_again(&request, admin::metadata, limit)
            .await?;
        let partitions = NonZeroU32::new(metadata.partitions)
            .ok_or_else(|| Error::protocol("a topic without partitions"))?;
        let mut state = shared.state.lock();
        let index = state.core.add_topic(topic, metadata.topic_id, partitions);
        state.core.set_owners(index, &metadata.cores);
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
    async fn run(self: Ptr<Self>) {
        let Err(Closed) = self.serve().await;
        let mut state = self.state.lock();
        state.core.abort(&Error::Closed("producer"));
        self.tell_outcomes(&mut state);
    }

    /// Connects, sends and receives, and connects again, until closed.
    async fn serve(&self) -> Result<std::convert::Infallible, Closed> {
        let mut backoff = self.client.backoff();
        loop {
            let reason = match self.meanwhile(self.client.open_connection()).await? {
                Ok(connection) => {
                    backoff.reset();
                    self.send_and_receive(connection).await?
                }
                Err(error) => error,
            };
            {
                let mut state = self.state.lock();
                state.core.handle_disconnect(&reason);
                state.trouble = Some(reason.clone());
            }
            let wait = backoff.next_wait();
            tracing::debug!(error = %reason, ?wait, "producer connects again");
            self.meanwhile(sleep(wait)).await?;
        }
    }

    /// Sends and receives until a connection fails; returns why it did.
    async fn send_and_receive(&self, first: Connection) -> Result<Error, Closed> {
        let (queue, mut answers) = mpsc::unbounded_channel();
        let mut links = Links::new(&self.client, first);
        loop {
            while let Some(transmit) = self.next_transmit() {
                let sending = send(&mut links, transmit, &queue);
                if let Err(error) = self.meanwhile(sending).await? {
                    return Ok(error);
                }
            }
            match self.wait(&mut answers, &mut links).await? {
                Event::Answered => {
                    if let Some(error) = links.failure() {
                        return Ok(error);
                    }
                }
                Event::Woken => {}
                Event::Silent => {
                    let patience = self.client.options().request_timeout;
                    let after_ms = super::client::millis(patience);
                    return Ok(Error::NoResponse { after_ms });
                }
            }
        }
    }

    fn next_transmit(&self) -> Option<Transmit> {
        let now = self.clock.now();
        self.state.lock().core.poll_transmit(now)
    }

    /// Waits for the next thing to happen, and lets the core deal with it.
    async fn wait(&self, answers: &mut Answers, links: &mut Links) -> Result<Event, Closed> {
        let mut received = Vec::new();
        let timer = self.state.lock().core.poll_timeout();
        let timer = timer.map(|at| self.clock.instant(at));
        let next = timer.into_iter().chain(links.silent_at()).min();
        let woken = race(self.wake.notified(), until(next));
        match race(answers.recv_many(&mut received, 1024), woken).await {
            Either::First(_) => {
                self.handle_answers(received, links);
                return Ok(Event::Answered);
            }
            Either::Second(Either::First(())) => self.pace.forgive(),
            Either::Second(Either::Second(())) if timer == next => self.handle_timeout(),
            Either::Second(Either::Second(())) => return Ok(Event::Silent),
        }
        if self.state.lock().closed {
            return Err(Closed);
        }
        Ok(Event::Woken)
    }

    /// Waits for `future` while time goes on for the core.
    async fn meanwhile<F: Future>(&self, future: F) -> Result<F::Output, Closed> {
        let mut future = pin!(future);
        loop {
            let timer = self.state.lock().core.poll_timeout();
            let timer = timer.map(|at| self.clock.instant(at));
            let woken = race(self.wake.notified(), until(timer));
            match race(future.as_mut(), woken).await {
                Either::First(output) => return Ok(output),
                Either::Second(Either::First(())) => {}
                Either::Second(Either::Second(())) => self.handle_timeout(),
            }
            if self.state.lock().closed {
                return Err(Closed);
            }
        }
    }

    fn handle_timeout(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.core.handle_timeout(now);
        self.tell_outcomes(&mut state);
    }

    fn handle_answers(&self, received: Vec<(u64, Result<Frame>)>, links: &mut Links) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        for (number, frame) in received {
            let answer = frame.and_then(|frame| Answer::read(&frame));
            state.note(&answer);
            let id = links.answered(number);
            state.core.handle_answer(now, id, answer);
        }
        self.tell_outcomes(&mut state);
    }

    /// Tells whoever waits for a batch what became of it.
    fn tell_outcomes(&self, state: &mut State) {
        let mut told = false;
        while let Some(completion) = state.core.poll_completion() {
            completion.tag.complete(completion.result);
            told = true;
        }
        if told {
            self.space.notify_waiters();
        }
    }
}

impl State {
    fn note(&mut self, answer: &Result<Answer>) {
        match answer {
            Ok(Answer::Produced(_)) => self.trouble = None,
            // It follows from a refusal before it, which says more.
            Err(error)
                if error.code() == Some(ErrorCode::OutOfOrderSequence)
                    && self.trouble.is_some() => {}
            Err(error) => self.trouble = Some(error.clone()),
            Ok(Answer::Identity(_) | Answer::Metadata(_)) => {}
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
    links: &mut Links,
    transmit: Transmit,
    queue: &mpsc::UnboundedSender<(u64, Result<Frame>)>,
) -> Result<()> {
    let name;
    let (id, core, request, payload) = match transmit {
        Transmit::InitProducer(id) => (id, None, Request::InitProducer, Bytes::new()),
        Transmit::Metadata { id, name: asked } => {
            name = asked;
            (id, None, Request::Metadata(&name), Bytes::new())
        }
        Transmit::Produce {
            id,
            core,
            request,
            batch,
        } => (id, core, Request::Produce(request), batch),
    };
    links.send(core, &request, payload, queue, id).await
}
