//! One TCP connection: pipelined requests, one reader and one writer task.
//!
//! It does not reconnect: once failed it stays failed, and every request without a response
//! learns why.

use std::collections::VecDeque;

use bytes::Bytes;
use leveret_wire::native::{
    CorrelationId, Fetch, FetchPartition, FrameLimits, Items, Level, PartitionId, Produce,
    ProduceOk, Request, SubscribePartition, TopicId,
};

use super::pending::{Pending, Reply};
use super::race::{Either, race, timeout};
use super::rt::{self, COPY_LEN, Lock, Notify, Ptr, mpsc, oneshot};
use super::subscription::Subscription;
use super::transfer::{read_frames, write_frames};
use crate::core::{ClientOptions, Fetched, Frame, Outbox, ServerHello, Session, produced};
use crate::{Error, Result};

/// A connection to a broker. Clones share it; it closes when the last one goes.
#[derive(Clone)]
pub struct Connection {
    handle: Ptr<Handle>,
}

struct Handle {
    closer: Closer,
    server: ServerHello,
    request_timeout_ms: u32,
}

/// Ends both tasks when dropped.
struct Closer(Ptr<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.fail(Error::Closed("connection"));
    }
}

/// What the handles and the two tasks share.
pub(super) struct Shared {
    state: Lock<State>,
    /// The writer has something to do.
    queued: Notify,
    /// Callers that found no room may look again.
    room: Notify,
    /// The connection has failed.
    failed: Notify,
}

struct State {
    session: Session<Reply>,
    /// What waits for the writer.
    outbox: Outbox,
    /// Whether the handshake is done, and who waits for it.
    opened: Option<oneshot::Sender<Result<ServerHello>>>,
    failure: Option<Error>,
}

/// What became of a request.
enum Queued {
    Sent(CorrelationId),
    NoRoom(Reply),
}

impl Connection {
    /// Connects and shakes hands, once.
    ///
    /// # Errors
    /// [`Error::Connect`] if there is no such broker, [`Error::Broker`] or [`Error::Protocol`] if
    /// it will not speak with us.
    pub async fn open(options: &ClientOptions) -> Result<Self> {
        Self::open_on(options, None).await
    }

    /// The same, asking to be served by `core` of the broker; [`server`](Self::server) says which
    /// core it is.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(options: &ClientOptions, core: Option<u16>) -> Result<Self> {
        let opening = Self::open_unbounded(options, core);
        match timeout(options.connect_timeout, opening).await {
            Ok(result) => result,
            Err(_) => Err(connect_error(options, "no answer in time")),
        }
    }

    async fn open_unbounded(options: &ClientOptions, core: Option<u16>) -> Result<Self> {
        let (reader, writer) = rt::connect(&options.address)
            .await
            .map_err(|error| connect_error(options, error))?;
        let (opened, hello) = oneshot::channel();
        let shared = Ptr::new(Shared::new(options, core, opened));
        let limits = FrameLimits::for_responses(options.max_response_bytes);
        let read = Ptr::clone(&shared);
        rt::spawn(async move {
            let reading = read_frames(reader, limits, &read);
            if let Either::First(reason) = race(reading, read.failed.notified()).await {
                read.fail(reason);
            }
        });
        let write = Ptr::clone(&shared);
        rt::spawn(async move {
            let reason = write_frames(writer, &write).await;
            write.fail(reason);
        });
        let closer = Closer(shared);
        let server = hello.await.map_err(|_| Error::Closed("connection"))??;
        Ok(Self {
            handle: Ptr::new(Handle {
                closer,
                server,
                request_timeout_ms: u32::try_from(options.request_timeout.as_millis())
                    .unwrap_or(u32::MAX),
            }),
        })
    }

    /// What the broker said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerHello {
        &self.handle.server
    }

    /// Why the connection failed; `None` while it has not.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared().state.lock().failure.clone()
    }

    /// Sends one record batch, already encoded, to a partition. Waits for room in the queue, not
    /// for the response; batches leave in the order of these calls.
    ///
    /// # Errors
    /// Why the connection failed. What the broker says comes from the [`Pending`].
    pub async fn produce_batch(
        &self,
        topic_id: TopicId,
        partition: PartitionId,
        level: Option<Level>,
        batch: Bytes,
    ) -> Result<Pending<ProduceOk>> {
        let request = Request::Produce(Produce {
            topic_id,
            partition,
            level,
            timeout_ms: self.handle.request_timeout_ms,
        });
        self.send(&request, batch, produced).await
    }

    /// Asks for record batches. Waits for room in the queue, not for the response.
    ///
    /// # Errors
    /// Why the connection failed. What the broker says comes from the [`Pending`].
    pub async fn fetch(
        &self,
        topic_id: TopicId,
        partitions: &[FetchPartition],
        max_bytes: u32,
        min_bytes: u32,
        max_wait_ms: u32,
    ) -> Result<Pending<Fetched>> {
        let request = Request::Fetch(Fetch {
            topic_id,
            max_bytes,
            min_bytes,
            max_wait_ms,
            partitions: Items::from(partitions),
        });
        self.send(&request, Bytes::new(), Fetched::decode).await
    }

    /// Has record batches pushed as they become visible: at most `credit` bytes, which may be
    /// passed by one batch, until more credit is given.
    ///
    /// # Errors
    /// What the broker says, or why the connection failed.
    pub async fn subscribe(
        &self,
        credit: u64,
        partitions: &[SubscribePartition],
    ) -> Result<Subscription> {
        Subscription::open(self.clone(), credit, partitions).await
    }

    /// Sends any request; `decode` makes the result of its response.
    pub(super) async fn send<T>(
        &self,
        request: &Request<'_>,
        payload: Bytes,
        decode: fn(&Frame) -> Result<T>,
    ) -> Result<Pending<T>> {
        let (sender, receiver) = oneshot::channel();
        self.submit(request, payload, Reply::One(sender)).await?;
        Ok(Pending::new(receiver, decode))
    }

    /// Sends any request whose responses go, with `number`, to a queue of responses. Returns its
    /// correlation.
    pub(super) async fn send_numbered(
        &self,
        request: &Request<'_>,
        payload: Bytes,
        queue: &mpsc::UnboundedSender<(u64, Result<Frame>)>,
        number: u64,
    ) -> Result<CorrelationId> {
        let reply = Reply::Queue(queue.clone(), number);
        self.submit(request, payload, reply).await
    }

    /// Sends what concerns a subscription and is not answered by itself. Waits for nothing: it is
    /// small and seldom.
    pub(super) fn follow_up(
        &self,
        correlation: CorrelationId,
        request: &Request<'_>,
    ) -> Result<()> {
        let mut state = self.shared().state.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.follow_up(correlation, request);
        drop(state);
        self.shared().queued.notify_one();
        Ok(())
    }

    async fn submit(
        &self,
        request: &Request<'_>,
        payload: Bytes,
        mut reply: Reply,
    ) -> Result<CorrelationId> {
        loop {
            // Registered before the look, so that room made after the look is not missed.
            let room = self.shared().room.notified();
            match self.shared().queue(request, &payload, reply)? {
                Queued::Sent(correlation) => return Ok(correlation),
                Queued::NoRoom(refused) => reply = refused,
            }
            room.await;
        }
    }

    fn shared(&self) -> &Shared {
        &self.handle.closer.0
    }
}

impl Shared {
    fn new(
        options: &ClientOptions,
        core: Option<u16>,
        opened: oneshot::Sender<Result<ServerHello>>,
    ) -> Self {
        let mut outbox = Outbox::new(options.max_queued_bytes, COPY_LEN);
        let session = outbox.push(&Bytes::new(), |out| {
            Session::on_core(&options.session(), core, out)
        });
        let shared = Self {
            state: Lock::new(State {
                session,
                outbox,
                opened: Some(opened),
                failure: None,
            }),
            queued: Notify::new(),
            room: Notify::new(),
            failed: Notify::new(),
        };
        shared.queued.notify_one();
        shared
    }

    /// Ends the connection, once: everybody who waits learns `reason`.
    pub(super) fn fail(&self, reason: Error) {
        let (replies, opened) = {
            let mut state = self.state.lock();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(reason.clone());
            state.outbox.clear();
            (state.session.close(), state.opened.take())
        };
        if let Some(opened) = opened {
            drop(opened.send(Err(reason.clone())));
        }
        for reply in replies {
            reply.deliver(Err(reason.clone()));
        }
        self.failed.notify_one();
        self.queued.notify_one();
        self.room.notify_waiters();
    }

    /// Delivers received frames, in order, and empties the list.
    pub(super) fn handle_frames(&self, frames: &mut Vec<Frame>) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let mut deliveries = Vec::with_capacity(frames.len());
        let outcome = {
            let mut state = self.state.lock();
            frames
                .drain(..)
                .try_for_each(|frame| state.handle_frame(frame, &mut deliveries))
        };
        for (reply, frame) in deliveries {
            reply.deliver(Ok(frame));
        }
        self.room.notify_waiters();
        outcome
    }

    /// Moves everything that is queued to `chunks`.
    pub(super) fn take_queued(&self, chunks: &mut VecDeque<Bytes>) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.outbox.take(chunks);
        drop(state);
        self.room.notify_waiters();
        Ok(())
    }

    /// Waits until [`take_queued`](Self::take_queued) may find something.
    pub(super) async fn wait_for_queued(&self) {
        self.queued.notified().await;
    }

    /// Queues a request, or gives `reply` back if there is no room.
    fn queue(&self, request: &Request<'_>, payload: &Bytes, reply: Reply) -> Result<Queued> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        if !state.outbox.has_room(payload.len()) || !state.session.has_room() {
            return Ok(Queued::NoRoom(reply));
        }
        let correlation = state.queue(request, payload, reply);
        drop(state);
        self.queued.notify_one();
        Ok(Queued::Sent(correlation))
    }
}

impl State {
    fn queue(&mut self, request: &Request<'_>, payload: &Bytes, reply: Reply) -> CorrelationId {
        let Self {
            session, outbox, ..
        } = self;
        let queued = outbox.push(payload, |out| {
            session.request(out, request, payload.len(), reply)
        });
        queued.expect("room was checked")
    }

    fn follow_up(&mut self, correlation: CorrelationId, request: &Request<'_>) {
        let session = &mut self.session;
        self.outbox.push(&Bytes::new(), |out| {
            session.follow_up(out, correlation, request);
        });
    }

    fn handle_frame(&mut self, frame: Frame, deliveries: &mut Vec<(Reply, Frame)>) -> Result<()> {
        if let Some(subscriber) = self.session.subscriber(&frame)? {
            let reply = subscriber.again();
            let reply = reply.ok_or_else(|| Error::protocol("several answers to one request"))?;
            deliveries.push((reply, frame));
        } else if let Some(delivery) = self.session.handle_frame(frame)? {
            deliveries.push(delivery);
        } else if let (Some(opened), Some(server)) = (self.opened.take(), self.session.server()) {
            drop(opened.send(Ok(server.clone())));
        }
        Ok(())
    }
}

fn connect_error(options: &ClientOptions, reason: impl ToString) -> Error {
    Error::Connect {
        address: options.address.as_str().into(),
        reason: reason.to_string().into(),
    }
}
