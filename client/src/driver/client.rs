//! A client: where the broker is, and how to get there again.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use leveret_wire::native::Request;

use super::admin::Admin;
use super::connection::Connection;
use super::consumer::Consumer;
use super::producer::Producer;
use super::race::timeout;
use super::rt::{Instant, Lock, Mutex, Ptr, sleep};
use crate::core::{Backoff, ClientOptions, ConsumerOptions, Frame, ProducerOptions};
use crate::{Error, Result};

/// A client of one broker. Clones share its settings and its connection.
#[derive(Clone)]
pub struct Client {
    inner: Ptr<Inner>,
}

struct Inner {
    options: ClientOptions,
    /// The connection for requests that are not of a producer or consumer.
    connection: Mutex<Option<Connection>>,
    /// How many have asked for waits; each gets a jitter of its own.
    users: Lock<u64>,
    /// Why the last attempt at a connection failed, if it did.
    trouble: Lock<Option<Error>>,
}

impl Client {
    /// Connects to the broker at `address` (`host:port`) with default settings.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connect(address: impl Into<String>) -> Result<Self> {
        Self::with_options(ClientOptions::new(address)).await
    }

    /// Connects with settings of one's own.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn with_options(options: ClientOptions) -> Result<Self> {
        let client = Self::lazy(options);
        client.connection().await?;
        Ok(client)
    }

    /// A client that connects when it first has to, so that the broker may start later.
    #[must_use]
    pub fn lazy(options: ClientOptions) -> Self {
        Self {
            inner: Ptr::new(Inner {
                options,
                connection: Mutex::new(None),
                users: Lock::new(0),
                trouble: Lock::new(None),
            }),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// Topics, offsets, status.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// A producer with a connection and a task of its own. Has to be called within a runtime.
    #[must_use]
    pub fn producer(&self, options: ProducerOptions) -> Producer {
        Producer::start(self.clone(), options)
    }

    /// A consumer with a connection of its own; nothing is assigned to it yet.
    #[must_use]
    pub fn consumer(&self, options: ConsumerOptions) -> Consumer {
        Consumer::new(self.clone(), options)
    }

    /// The client's shared connection, opened again if it has failed; one attempt.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connection(&self) -> Result<Connection> {
        let mut slot = self.inner.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|open| open.failure().is_none()) {
            return Ok(connection.clone());
        }
        let connection = self.open_connection().await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// A connection of one's own; one attempt.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_connection(&self) -> Result<Connection> {
        self.open_connection_for(None).await
    }

    /// The same, served by `core` of the broker, if the options want that and the broker can: for
    /// requests about partitions that this core owns.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_connection_for(&self, core: Option<u16>) -> Result<Connection> {
        let options = &self.inner.options;
        let core = core.filter(|_| options.connection_per_core);
        let opened = Connection::open_on(options, core).await;
        *self.inner.trouble.lock() = opened.as_ref().err().cloned();
        opened
    }

    /// Why the last attempt at a connection failed, of this client or of its producers and
    /// consumers; `None` when it did not. While they try again by themselves, this says what is in
    /// their way.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.inner.trouble.lock().clone()
    }

    pub(super) fn backoff(&self) -> Backoff {
        let mut users = self.inner.users.lock();
        *users += 1;
        self.inner.options.backoff(*users)
    }

    /// Sends a request on the shared connection and waits for its response; one attempt.
    pub(super) async fn call<T>(
        &self,
        request: &Request<'_>,
        decode: fn(&Frame) -> Result<T>,
    ) -> Result<T> {
        let after = self.inner.options.request_timeout;
        let exchange = async {
            let connection = self.connection().await?;
            connection.send(request, Bytes::new(), decode).await?.await
        };
        timeout(after, exchange).await.unwrap_or_else(|_| {
            Err(Error::NoResponse {
                after_ms: millis(after),
            })
        })
    }

    /// [`call`](Self::call) for requests that may be repeated: again while they fail in ways
    /// that may pass, until `limit`.
    pub(super) async fn call_again<T>(
        &self,
        request: &Request<'_>,
        decode: fn(&Frame) -> Result<T>,
        limit: Duration,
    ) -> Result<T> {
        self.retry(limit, || self.call(request, decode)).await
    }

    /// Runs `attempt` until it succeeds, fails for good, or `limit` has passed.
    pub(super) async fn retry<T, A>(
        &self,
        limit: Duration,
        mut attempt: impl FnMut() -> A,
    ) -> Result<T>
    where
        A: Future<Output = Result<T>>,
    {
        let start = Instant::now();
        let mut backoff = self.backoff();
        loop {
            let error = match attempt().await {
                Err(error) if error.is_retriable() => error,
                outcome => return outcome,
            };
            let wait = backoff.next_wait();
            if start.elapsed() + wait > limit {
                return Err(Error::Deadline {
                    after_ms: millis(start.elapsed()),
                    last: Box::new(error),
                });
            }
            tracing::debug!(%error, ?wait, "trying again");
            sleep(wait).await;
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
