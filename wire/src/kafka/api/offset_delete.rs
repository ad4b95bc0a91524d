//! OffsetDelete (47): forgets how far a group has come in some partitions.

use crate::kafka::types::grouped;
use crate::kafka::{
    ApiKey, ApiRequest, Array, CommittedPartition, DecodeError, Element, ErrorCode, Reader,
    Response, TopicGroup, VersionRange, Writer,
};

/// What is to be forgotten.
#[derive(Clone, Copy, Debug)]
pub struct OffsetDeleteRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// By topic.
    pub topics: Array<'a, OffsetDeleteTopic<'a>>,
}

/// What is to be forgotten of one topic.
#[derive(Clone, Copy, Debug)]
pub struct OffsetDeleteTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// The numbers of partitions.
    pub partitions: Array<'a, i32>,
}

impl<'a> ApiRequest<'a> for OffsetDeleteRequest<'a> {
    const KEY: i16 = 47;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };
    // No version is.
    const FIRST_FLEXIBLE: i16 = i16::MAX;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.string()?,
            topics: reader.array()?,
        })
    }
}

impl<'a> Element<'a> for OffsetDeleteTopic<'a> {
    const MIN_LEN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.string()?,
            partitions: reader.array()?,
        })
    }
}

/// What is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct OffsetDeleteResponse<'a> {
    /// Whether anything can be.
    pub error: ErrorCode,
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
    /// The topics, by name.
    pub topics: &'a [TopicGroup<'a>],
    /// Their partitions, one topic's behind the other's.
    pub partitions: &'a [CommittedPartition],
}

impl Response for OffsetDeleteResponse<'_> {
    const API: ApiKey = ApiKey::OffsetDelete;

    /// # Panics
    /// If the topics' counts do not add up to the partitions, or one is named by its id.
    fn write(&self, w: &mut Writer<'_>) {
        w.error(self.error);
        w.i32(self.throttle_time_ms);
        w.array_len(self.topics.len());
        for (topic, partitions) in grouped(self.topics, self.partitions) {
            w.topic(topic, false);
            w.array(partitions, |w, partition| {
                w.i32(partition.index);
                w.error(partition.error);
            });
        }
    }
}
