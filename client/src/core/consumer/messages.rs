//! What goes in and out of a consumer: requests, answers, records, failures.

use std::sync::Arc;

use bytes::Bytes;
use leveret_record::{Record, RecordSet};
use leveret_wire::native::{
    FetchPartition, ListOffsets, ListOffsetsOk, Offset, PartitionId, Response, TopicId,
};

use crate::core::frames::unexpected;
use crate::core::{Fetched, Frame, RequestId};
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
    /// Fetch from some partitions of one topic.
    Fetch {
        /// Comes back with the answer.
        id: RequestId,
        /// The topic.
        topic_id: TopicId,
        /// Which partitions, from where.
        partitions: Vec<FetchPartition>,
    },
}

/// What came back for a [`ConsumerTransmit`].
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerAnswer {
    /// For `ListOffsets`.
    Offset(ListOffsetsOk),
    /// For `Fetch`.
    Fetched(Fetched),
}

impl ConsumerAnswer {
    /// What a frame says.
    pub(crate) fn read(frame: &Frame) -> Result<Self> {
        match frame.response()? {
            Response::ListOffsets(found) => Ok(Self::Offset(found)),
            Response::Fetch(_) => Fetched::decode(frame).map(Self::Fetched),
            other => Err(unexpected(&other)),
        }
    }
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
    /// Why.
    pub error: Error,
}
