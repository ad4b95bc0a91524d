//! What goes in and out of a consumer: requests, answers, records, failures.

use std::sync::Arc;

use bytes::Bytes;
use leveret_record::{Record, RecordSet};
use leveret_wire::native::{
    ListOffsets, ListOffsetsOk, Offset, PartitionId, Push, Response, SubscribePartition,
};

use crate::core::frames::unexpected;
use crate::core::{Frame, RequestId};
use crate::{Error, Result};

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerTransmit {
    /// Look an offset up.
    ListOffsets {
        /// Comes back with the answer.
        id: RequestId,
        /// The request.
        request: ListOffsets,
    },
    /// Subscribe to some partitions.
    Subscribe {
        /// Comes back with every answer.
        id: RequestId,
        /// Bytes that may come.
        credit: u64,
        /// Which partitions, from where.
        partitions: Vec<SubscribePartition>,
    },
    /// Give a subscription credit; it has no answer.
    Credit {
        /// Its `Subscribe`.
        subscription: RequestId,
        /// So many bytes more.
        bytes: u64,
    },
    /// End a subscription; the answer is its last.
    Unsubscribe {
        /// Its `Subscribe`.
        subscription: RequestId,
    },
    /// Ask whether the broker is there.
    Ping {
        /// Comes back with the answer.
        id: RequestId,
    },
}

/// What came back for a [`ConsumerTransmit`].
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerAnswer {
    /// For `ListOffsets`.
    Offset(ListOffsetsOk),
    /// For `Subscribe`, first.
    Subscribed,
    /// For `Subscribe`, then, any number of times.
    Pushed(PushedBatches),
    /// For `Unsubscribe`, with the id of `Subscribe`.
    Unsubscribed,
    /// For `Ping`.
    Pong,
}

impl ConsumerAnswer {
    /// What a frame says.
    ///
    /// # Errors
    /// What the broker says instead, or [`Error::Protocol`] if it answers nothing of a consumer's.
    pub fn read(frame: &Frame) -> Result<Self> {
        match frame.response()? {
            Response::Push(push) => Ok(Self::Pushed(PushedBatches {
                push,
                batches: frame.payload.clone(),
            })),
            Response::ListOffsets(found) => Ok(Self::Offset(found)),
            Response::Subscribed => Ok(Self::Subscribed),
            Response::Unsubscribed => Ok(Self::Unsubscribed),
            Response::Pong => Ok(Self::Pong),
            other => Err(unexpected(&other)),
        }
    }
}

/// What a subscription brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedBatches {
    /// Of which partition, and where that stands.
    pub push: Push,
    /// Record batches back to back.
    pub batches: Bytes,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: PartitionId,
    /// Offset, timestamp, key, value and headers.
    pub record: Record,
}

/// A verified batch that was read, still encoded.
#[derive(Clone, Debug)]
pub struct ConsumedBatch {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: PartitionId,
    /// Records below this offset were not asked for.
    pub from: Offset,
    /// The records.
    pub records: RecordSet<Bytes>,
}

/// A partition that cannot be read on; it is skipped until a seek.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumeError {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: PartitionId,
    /// Why it failed.
    pub error: Error,
}
