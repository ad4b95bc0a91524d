//! OffsetCommit (8): keeps how far a group has come.

use crate::kafka::types::grouped;
use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, TopicGroup,
    TopicRef, VersionRange, Writer,
};

/// The first version that names topics by id.
const BY_ID: i16 = 10;

/// How far a group has come.
#[derive(Clone, Copy, Debug)]
pub struct OffsetCommitRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// The generation, or the epoch, that the member is in; -1 of one that is in none.
    pub generation: i32,
    /// The member's id; empty of one that has none.
    pub member: &'a str,
    /// The instance id of a static member. From version 7.
    pub instance: Option<&'a str>,
    /// How long to keep it, milliseconds, or -1 for as long as others. Up to version 4.
    pub retention_time_ms: i64,
    /// By topic.
    pub topics: Array<'a, OffsetCommitTopic<'a>>,
}

/// How far it has come in one topic.
#[derive(Clone, Copy, Debug)]
pub struct OffsetCommitTopic<'a> {
    /// By id from version 10, by name before.
    pub topic: TopicRef<'a>,
    /// By partition.
    pub partitions: Array<'a, OffsetCommitPartition<'a>>,
}

/// How far it has come in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCommitPartition<'a> {
    /// Its number.
    pub index: i32,
    /// The offset to go on with.
    pub offset: i64,
    /// The leader epoch of the record before it, or -1. From version 6.
    pub leader_epoch: i32,
    /// What the client says beside it.
    pub metadata: Option<&'a str>,
}

impl<'a> ApiRequest<'a> for OffsetCommitRequest<'a> {
    const KEY: i16 = 8;
    const VERSIONS: VersionRange = VersionRange { min: 2, max: 10 };
    const FIRST_FLEXIBLE: i16 = 8;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            group: reader.string()?,
            generation: reader.i32()?,
            member: reader.string()?,
            instance: match version {
                7.. => reader.nullable_string()?,
                _ => None,
            },
            retention_time_ms: if version <= 4 { reader.i64()? } else { -1 },
            topics: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for OffsetCommitTopic<'a> {
    const MIN_LEN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            topic: reader.topic(reader.version() >= BY_ID)?,
            partitions: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl<'a> Element<'a> for OffsetCommitPartition<'a> {
    const MIN_LEN: usize = 13;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let partition = Self {
            index: reader.i32()?,
            offset: reader.i64()?,
            leader_epoch: match reader.version() {
                6.. => reader.i32()?,
                _ => -1,
            },
            metadata: reader.nullable_string()?,
        };
        reader.skip_tags()?;
        Ok(partition)
    }
}

/// Which of it is kept.
#[derive(Clone, Copy, Debug)]
pub struct OffsetCommitResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 3.
    pub throttle_time_ms: i32,
    /// The topics, as the request named them.
    pub topics: &'a [TopicGroup<'a>],
    /// Their partitions, one topic's behind the other's.
    pub partitions: &'a [CommittedPartition],
}

/// Whether the offset of one partition is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedPartition {
    /// Its number.
    pub index: i32,
    /// Whether it is.
    pub error: ErrorCode,
}

impl Response for OffsetCommitResponse<'_> {
    const API: ApiKey = ApiKey::OffsetCommit;

    /// # Panics
    /// If the topics' counts do not add up to the partitions, or they are named otherwise than the version has it.
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array_len(self.topics.len());
        for (topic, partitions) in grouped(self.topics, self.partitions) {
            w.topic(topic, version >= BY_ID);
            w.array(partitions, |w, partition| {
                w.i32(partition.index);
                w.error(partition.error);
                w.no_tags();
            });
            w.no_tags();
        }
        w.no_tags();
    }
}
