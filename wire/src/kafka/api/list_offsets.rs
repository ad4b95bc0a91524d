//! ListOffsets (2): finds offsets by timestamp.

use bytes::BytesMut;

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Isolation, Line, Reader,
    VersionRange, Writer,
};

/// Which offsets are to be found.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetsRequest<'a> {
    /// -1 for consumers; the asking broker otherwise.
    pub replica_id: i32,
    /// Which records count. From version 2.
    pub isolation: Isolation,
    /// By topic.
    pub topics: Array<'a, ListOffsetsTopic<'a>>,
    /// How long the broker may look, milliseconds. From version 10; 0 before.
    pub timeout_ms: i32,
}

/// What is to be found in one topic.
#[derive(Clone, Copy, Debug)]
pub struct ListOffsetsTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// By partition.
    pub partitions: Array<'a, ListOffsetsPartition>,
}

/// What is to be found in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// Its number.
    pub index: i32,
    /// The leader epoch that the client knows, or -1. From version 4.
    pub current_leader_epoch: i32,
    /// Milliseconds; the first record not older is wanted. Or [`LATEST`](Self::LATEST) and its
    /// like.
    pub timestamp: i64,
}

impl ListOffsetsPartition {
    /// Wants the offset after the last record.
    pub const LATEST: i64 = -1;
    /// Wants the first offset.
    pub const EARLIEST: i64 = -2;
    /// Wants the offset of the record with the highest timestamp. From version 7.
    pub const MAX_TIMESTAMP: i64 = -3;
    /// Wants the first offset that lies on the broker itself. From version 8.
    pub const EARLIEST_LOCAL: i64 = -4;
    /// Wants the last offset that lies in tiered storage. From version 9.
    pub const LATEST_TIERED: i64 = -5;
    /// Wants the first offset that tiered storage does not have yet. From version 11.
    pub const EARLIEST_PENDING_UPLOAD: i64 = -6;
}

impl<'a> ApiRequest<'a> for ListOffsetsRequest<'a> {
    const KEY: i16 = 2;
    const VERSIONS: VersionRange = VersionRange { min: 1, max: 11 };
    const FIRST_FLEXIBLE: i16 = 6;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            replica_id: reader.i32()?,
            isolation: match version {
                2.. => Isolation::from_i8(reader.i8()?),
                _ => Isolation::ReadUncommitted,
            },
            topics: reader.array()?,
            timeout_ms: if version >= 10 { reader.i32()? } else { 0 },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for ListOffsetsTopic<'a> {
    const MIN_LEN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            name: reader.string()?,
            partitions: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl<'a> Element<'a> for ListOffsetsPartition {
    const MIN_LEN: usize = 12;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let partition = Self {
            index: reader.i32()?,
            current_leader_epoch: match reader.version() {
                4.. => reader.i32()?,
                _ => -1,
            },
            timestamp: reader.i64()?,
        };
        reader.skip_tags()?;
        Ok(partition)
    }
}

/// What stands in front of what was found in the partitions of one topic.
#[derive(Clone, Copy, Debug)]
pub struct ListedTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions follow, and then [`ListedTopic::encode_end`].
    pub partitions: usize,
}

/// What was found in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedPartition {
    /// Its number.
    pub index: i32,
    /// Whether it could be searched.
    pub error: ErrorCode,
    /// The record's timestamp, or -1 where no record is meant. Milliseconds.
    pub timestamp: i64,
    /// The offset, or -1 if there is none.
    pub offset: i64,
    /// The leader epoch of the record, or -1. From version 4.
    pub leader_epoch: i32,
}

impl ListedTopic<'_> {
    /// Appends to `out` a response frame without its topics, of which `count` are encoded already and
    /// take `len` bytes. Returns how many bytes in front of the end of `out` they belong.
    ///
    /// # Panics
    /// If the version is not one of ListOffsets', or the frame would pass 2 GiB.
    pub fn encode_around(
        out: &mut BytesMut,
        version: i16,
        correlation_id: i32,
        count: usize,
        len: usize,
    ) -> usize {
        let mut w = Writer::begin(out, ApiKey::ListOffsets, version, correlation_id);
        if version >= 2 {
            w.i32(0);
        }
        w.array_len(count);
        w.finish_around(len, |w| w.no_tags())
    }

    /// Appends what stands behind a topic's partitions.
    ///
    /// # Panics
    /// If the version is not one of ListOffsets'.
    pub fn encode_end(out: &mut BytesMut, version: i16) {
        Writer::fields(out, ApiKey::ListOffsets, version).no_tags();
    }
}

impl Line for ListedTopic<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.string(self.name);
        w.array_len(self.partitions);
    }
}

impl Line for ListedPartition {
    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.index);
        w.error(self.error);
        w.i64(self.timestamp);
        w.i64(self.offset);
        if w.version() >= 4 {
            w.i32(self.leader_epoch);
        }
        w.no_tags();
    }
}
