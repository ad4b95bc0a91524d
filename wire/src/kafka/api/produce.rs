//! Produce (0): appends record batches.

use std::ops::Range;

use crate::kafka::types::grouped;
use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Fault, Reader, Response, Text,
    TopicGroup, TopicRef, VersionRange, Writer,
};

/// What is to be appended.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRequest<'a> {
    /// The producer's transaction, if there is one. From version 3.
    pub transactional_id: Option<&'a str>,
    /// 0: answer nothing; 1 and -1: answer when it is appended, by the leader or by all.
    pub acks: i16,
    /// How long the broker may wait for the acknowledgement, milliseconds.
    pub timeout_ms: i32,
    /// By topic.
    pub topics: Array<'a, ProduceTopic<'a>>,
}

/// What is to be appended to one topic.
#[derive(Clone, Copy, Debug)]
pub struct ProduceTopic<'a> {
    /// By name: ids come in versions that are not advertised.
    pub topic: TopicRef<'a>,
    /// By partition.
    pub partitions: Array<'a, ProducePartition>,
}

/// What is to be appended to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartition {
    /// Its number.
    pub index: i32,
    /// Where the record batches lie in the frame (from the first byte of its length); `None` for
    /// null.
    pub records: Option<Range<usize>>,
}

/// Topics and partitions that one request may name, together. A client's longest request by default,
/// 1 MiB, holds fewer batches; 32 MiB without any would take a core for seconds, and a gigabyte.
const MOST_NAMED: usize = 16_384;

impl<'a> ApiRequest<'a> for ProduceRequest<'a> {
    const KEY: i16 = 0;
    // Versions 0 to 2 carry old message formats and are read only so that they can be answered.
    // From version 12 on clients take it that transactions go by KIP-890, which is not built.
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 11 };
    const FIRST_FLEXIBLE: i16 = 9;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let transactional_id = match reader.version() {
            3.. => reader.nullable_string()?,
            _ => None,
        };
        let (acks, timeout_ms) = (reader.i16()?, reader.i32()?);
        names_few(*reader)?;
        let topics = reader.array()?;
        reader.skip_tags()?;
        Ok(Self {
            transactional_id,
            acks,
            timeout_ms,
            topics,
        })
    }
}

/// Refuses topics that are too many with their partitions, after reading no more than may be.
fn names_few(mut reader: Reader<'_>) -> Result<(), DecodeError> {
    if reader.remaining() / ProduceTopic::MIN_LEN <= MOST_NAMED {
        return Ok(());
    }
    let mut named = 0;
    let mut next = |reader: &mut Reader<'_>| {
        let at = reader.position();
        let count = reader.wide_len()?.unwrap_or(0);
        named += count;
        match named <= MOST_NAMED {
            true => Ok(count),
            false => Err(DecodeError::new(at, Fault::TooManyNamed(MOST_NAMED))),
        }
    };
    for _ in 0..next(&mut reader)? {
        reader.topic(false)?;
        for _ in 0..next(&mut reader)? {
            ProducePartition::read(&mut reader)?;
        }
        reader.skip_tags()?;
    }
    Ok(())
}

impl<'a> Element<'a> for ProduceTopic<'a> {
    const MIN_LEN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            topic: reader.topic(false)?,
            partitions: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl<'a> Element<'a> for ProducePartition {
    const MIN_LEN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let partition = Self {
            index: reader.i32()?,
            records: reader.nullable_bytes()?,
        };
        reader.skip_tags()?;
        Ok(partition)
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub struct ProduceResponse<'a> {
    /// The topics of the request, each with the number of its partitions in `partitions`.
    pub topics: &'a [TopicGroup<'a>],
    /// The partitions of all topics, in the order of the topics.
    pub partitions: &'a [ProducedPartition<'a>],
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
}

/// What became of one partition's batches.
#[derive(Clone, Debug)]
pub struct ProducedPartition<'a> {
    /// Its number.
    pub index: i32,
    /// Whether it was appended.
    pub error: ErrorCode,
    /// The offset of the first record, or -1.
    pub base_offset: i64,
    /// The broker's time where that is what records get, or -1. Milliseconds.
    pub log_append_time_ms: i64,
    /// Where the log begins, or -1. From version 5.
    pub log_start_offset: i64,
    /// Which records are to blame. From version 8.
    pub record_errors: &'a [RecordError<'a>],
    /// What to tell the user. From version 8.
    pub error_message: Option<Text<'a>>,
}

/// A record for whose sake a batch was refused.
#[derive(Clone, Debug)]
pub struct RecordError<'a> {
    /// Its place in the batch, from 0.
    pub batch_index: i32,
    /// What is wrong with it.
    pub message: Option<Text<'a>>,
}

impl ProducedPartition<'_> {
    /// A partition to which nothing was appended.
    #[must_use]
    pub const fn failed(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: &[],
            error_message: None,
        }
    }
}

impl Response for ProduceResponse<'_> {
    const API: ApiKey = ApiKey::Produce;

    fn write(&self, w: &mut Writer<'_>) {
        w.array_len(self.topics.len());
        for (topic, partitions) in grouped(self.topics, self.partitions) {
            w.topic(topic, false);
            w.array(partitions, partition);
            w.no_tags();
        }
        if w.version() >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.no_tags();
    }
}

fn partition(w: &mut Writer<'_>, partition: &ProducedPartition<'_>) {
    w.i32(partition.index);
    w.error(partition.error);
    w.i64(partition.base_offset);
    if w.version() >= 2 {
        w.i64(partition.log_append_time_ms);
    }
    if w.version() >= 5 {
        w.i64(partition.log_start_offset);
    }
    if w.version() >= 8 {
        w.array(partition.record_errors, |w, error| {
            w.i32(error.batch_index);
            w.nullable_string(error.message.as_deref());
            w.no_tags();
        });
        w.nullable_string(partition.error_message.as_deref());
    }
    w.no_tags();
}
