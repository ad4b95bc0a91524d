//! Subscriptions: what is asked for, what is pushed, and the bounds of both.

use flatbuffers::FlatBufferBuilder;

use super::generated::leveret::native as fb;
use super::items::{Items, WireItem};
use super::table::{DecodeError, offset, root};
use super::types::{Offset, PartitionId, TopicId};
use super::{ErrorCode, Kind};

/// Most bytes of credit that a subscription may have at a time.
pub const MAX_CREDIT: u64 = 1 << 30;

/// Most partitions of one subscription: so many fit a small frame.
pub const MAX_SUBSCRIPTION_PARTITIONS: usize = 512;

/// Most subscriptions of one connection.
pub const MAX_SUBSCRIPTIONS: usize = 64;

/// One partition of a [`Subscribe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribePartition {
    /// Its topic.
    pub topic_id: TopicId,
    /// Which partition.
    pub partition: PartitionId,
    /// First offset wanted; the batch that holds it comes whole.
    pub offset: Offset,
    /// Most bytes of one [`Push`]. Its first batch comes even if it is longer.
    pub max_bytes: u32,
}

/// Wants record batches as they become visible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// Payload bytes that may be pushed before more credit is given, at most [`MAX_CREDIT`].
    pub credit: u64,
    /// Between one and [`MAX_SUBSCRIPTION_PARTITIONS`].
    pub partitions: Items<'a, SubscribePartition>,
}

/// Batches of one partition, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// Place of the partition in its [`Subscribe`], from 0.
    pub index: u32,
    /// Why nothing more comes of this partition; then there is no payload.
    pub error: Option<ErrorCode>,
    /// The offset after the last record that is visible.
    pub high_watermark: Offset,
    /// First offset that the partition still has.
    pub log_start_offset: Offset,
}

impl WireItem for SubscribePartition {
    const LEN: usize = size_of::<fb::SubscribePartition>();

    fn read(bytes: &[u8]) -> Self {
        let raw = fb::SubscribePartition(bytes.try_into().expect("one entry"));
        Self {
            topic_id: TopicId(raw.topic_id()),
            partition: PartitionId(raw.partition()),
            offset: Offset(raw.offset()),
            max_bytes: raw.max_bytes(),
        }
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let kind = Kind::Subscribe;
        let table = root::<fb::Subscribe<'_>>(kind, header)?;
        let partitions: Items<'_, SubscribePartition> =
            Items::from_wire(table.partitions().bytes());
        if partitions.is_empty() || partitions.len() > MAX_SUBSCRIPTION_PARTITIONS {
            let field = "partitions";
            return Err(DecodeError::Field { kind, field });
        }
        for partition in partitions.iter() {
            offset(kind, "offset", partition.offset.0)?;
        }
        Ok(Self {
            credit: credit(kind, "credit", table.credit())?,
            partitions,
        })
    }

    pub(super) fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let partitions = fbb.create_vector_from_iter(self.partitions.iter().map(|partition| {
            fb::SubscribePartition::new(
                partition.topic_id.0,
                partition.offset.0,
                partition.partition.0,
                partition.max_bytes,
            )
        }));
        let args = fb::SubscribeArgs {
            credit: self.credit,
            partitions: Some(partitions),
        };
        let root = fb::Subscribe::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

/// Reads the header of a `Credit`: its bytes.
pub(super) fn decode_credit(header: &[u8]) -> Result<u64, DecodeError> {
    let table = root::<fb::Credit<'_>>(Kind::Credit, header)?;
    credit(Kind::Credit, "bytes", table.bytes())
}

pub(super) fn build_credit(bytes: u64, fbb: &mut FlatBufferBuilder<'_>) {
    let root = fb::Credit::create(fbb, &fb::CreditArgs { bytes });
    fbb.finish_minimal(root);
}

fn credit(kind: Kind, field: &'static str, bytes: u64) -> Result<u64, DecodeError> {
    if bytes > MAX_CREDIT {
        return Err(DecodeError::Field { kind, field });
    }
    Ok(bytes)
}

impl Push {
    pub(super) fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let kind = Kind::Push;
        let table = root::<fb::Push<'_>>(kind, header)?;
        Ok(Self {
            index: table.index(),
            error: match table.error() {
                0 => None,
                code => Some(ErrorCode::from_u16(code)),
            },
            high_watermark: offset(kind, "high_watermark", table.high_watermark())?,
            log_start_offset: offset(kind, "log_start_offset", table.log_start_offset())?,
        })
    }

    pub(super) fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::PushArgs {
            index: self.index,
            error: self.error.map_or(0, ErrorCode::as_u16),
            high_watermark: self.high_watermark.0,
            log_start_offset: self.log_start_offset.0,
        };
        let root = fb::Push::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}
