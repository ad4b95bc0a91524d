//! A subscription of one connection: what the broker pushes, as it comes.

use bytes::Bytes;
use leveret_wire::native::{CorrelationId, Items, Request, Subscribe, SubscribePartition};

use super::connection::Connection;
use super::rt::mpsc;
use crate::core::{ConsumerAnswer, Frame, PushedBatches};
use crate::{Error, Result};

/// Record batches of some partitions, pushed while credit lasts. Dropping it ends it.
///
/// It neither looks into batches nor reconnects; a [`Consumer`](super::Consumer) does.
pub struct Subscription {
    connection: Connection,
    correlation: CorrelationId,
    pushes: mpsc::UnboundedReceiver<(u64, Result<Frame>)>,
    ended: bool,
}

impl Subscription {
    pub(super) async fn open(
        connection: Connection,
        credit: u64,
        partitions: &[SubscribePartition],
    ) -> Result<Self> {
        // As long as credit lets it be.
        let (queue, pushes) = mpsc::unbounded_channel();
        let request = Request::Subscribe(Subscribe {
            credit,
            partitions: Items::from(partitions),
        });
        let sent = connection.send_numbered(&request, Bytes::new(), &queue, 0);
        let correlation = sent.await?;
        let mut subscription = Self {
            connection,
            correlation,
            pushes,
            ended: false,
        };
        match subscription.answer().await? {
            ConsumerAnswer::Subscribed => Ok(subscription),
            _ => Err(subscription.misfit()),
        }
    }

    /// The next batches of one of the partitions, or its end. Cancelling it loses nothing.
    ///
    /// # Errors
    /// Why the subscription, or the connection, has ended.
    pub async fn next(&mut self) -> Result<PushedBatches> {
        match self.answer().await? {
            ConsumerAnswer::Pushed(pushed) => Ok(pushed),
            _ => Err(self.misfit()),
        }
    }

    /// Lets so many bytes more be pushed.
    ///
    /// # Errors
    /// Why the connection failed.
    pub fn credit(&self, bytes: u64) -> Result<()> {
        self.connection
            .follow_up(self.correlation, &Request::Credit(bytes))
    }

    async fn answer(&mut self) -> Result<ConsumerAnswer> {
        let frame = match self.pushes.recv().await {
            Some((_, frame)) => frame,
            None => Err(Error::Closed("subscription")),
        };
        let answer = frame.and_then(|frame| ConsumerAnswer::read(&frame));
        self.ended |= answer.is_err();
        answer
    }

    fn misfit(&self) -> Error {
        Error::protocol(format_args!(
            "subscription {} was answered otherwise",
            self.correlation
        ))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.ended {
            // On a connection that has failed there is nothing to end.
            drop(
                self.connection
                    .follow_up(self.correlation, &Request::Unsubscribe),
            );
        }
    }
}
