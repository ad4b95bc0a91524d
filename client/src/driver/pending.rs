//! Responses that have not come yet.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::rt::{mpsc, oneshot};
use crate::core::Frame;
use crate::{Error, Result};

/// A response that will come: await it, in any order with others. Dropping it does not cancel
/// the request.
#[derive(Debug)]
#[must_use = "the outcome of a request should be looked at"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<Frame>>,
    decode: fn(&Frame) -> Result<T>,
}

impl<T> Pending<T> {
    pub(super) fn new(
        receiver: oneshot::Receiver<Result<Frame>>,
        decode: fn(&Frame) -> Result<T>,
    ) -> Self {
        Self { receiver, decode }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decode = self.decode;
        Pin::new(&mut self.receiver)
            .poll(cx)
            .map(|answer| match answer {
                Ok(frame) => decode(&frame?),
                Err(_) => Err(Error::Closed("connection")),
            })
    }
}

/// Where a connection delivers a response, or why there is none.
#[derive(Debug)]
pub(super) enum Reply {
    /// To whoever holds the [`Pending`].
    One(oneshot::Sender<Result<Frame>>),
    /// To a task that takes all its responses from one queue, each with its number. The queue is
    /// as bounded as what is in flight.
    Queue(mpsc::UnboundedSender<(u64, Result<Frame>)>, u64),
}

impl Reply {
    /// For one of several responses; `None` where only one can be taken.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Queue(sender, number) => Some(Self::Queue(sender.clone(), *number)),
        }
    }

    /// Delivers. A receiver that has gone away does not want it any more.
    pub(super) fn deliver(self, answer: Result<Frame>) {
        match self {
            Self::One(sender) => drop(sender.send(answer)),
            Self::Queue(sender, number) => drop(sender.send((number, answer))),
        }
    }
}
