//! Fetch (1): reads record batches.

use bytes::{Bytes, BytesMut};

use crate::kafka::types::grouped;
use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Isolation, Reader, TopicGroup,
    TopicRef, VersionRange, Writer,
};

/// First version that names topics by id.
const BY_ID: i16 = 13;

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// The cluster to which the client believes that it is connected. From version 12.
    pub cluster_id: Option<&'a str>,
    /// -1 for consumers; the asking broker otherwise.
    pub replica_id: i32,
    /// How long the broker may wait for `min_bytes`, milliseconds.
    pub max_wait_ms: i32,
    /// Bytes below which the broker may wait.
    pub min_bytes: i32,
    /// Bytes of records beyond which no further partition is read; the first batch is always
    /// given whole.
    pub max_bytes: i32,
    /// Which records the consumer may see.
    pub isolation: Isolation,
    /// 0 if there is no session yet. From version 7.
    pub session_id: i32,
    /// -1: no session wanted; 0: a new one; otherwise the next of the session. From version 7.
    pub session_epoch: i32,
    /// By topic.
    pub topics: Array<'a, FetchTopic<'a>>,
    /// What is to leave the session; `None` before version 7.
    pub forgotten: Option<Array<'a, ForgottenTopic<'a>>>,
    /// Where the consumer is. From version 11.
    pub rack_id: &'a str,
}

/// What is to be read of one topic.
#[derive(Clone, Copy, Debug)]
pub struct FetchTopic<'a> {
    /// By name up to version 12, by id from 13.
    pub topic: TopicRef<'a>,
    /// By partition.
    pub partitions: Array<'a, FetchPartition>,
}

/// What is to be read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Its number.
    pub index: i32,
    /// The leader epoch that the client knows, or -1. From version 9.
    pub current_leader_epoch: i32,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The epoch of the last record that the client has, or -1. From version 12.
    pub last_fetched_epoch: i32,
    /// Where a follower's log begins, or -1. From version 5.
    pub log_start_offset: i64,
    /// Bytes of records beyond which no further batch of this partition is read.
    pub max_bytes: i32,
}

/// A topic of which partitions leave the session.
#[derive(Clone, Copy, Debug)]
pub struct ForgottenTopic<'a> {
    /// By name up to version 12, by id from 13.
    pub topic: TopicRef<'a>,
    /// Their numbers.
    pub partitions: Array<'a, i32>,
}

impl<'a> ApiRequest<'a> for FetchRequest<'a> {
    const KEY: i16 = 1;
    // Versions 15 and up differ for followers only, in tagged fields.
    const VERSIONS: VersionRange = VersionRange { min: 4, max: 18 };
    const FIRST_FLEXIBLE: i16 = 12;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let mut request = Self {
            cluster_id: None,
            replica_id: if version <= 14 { reader.i32()? } else { -1 },
            max_wait_ms: reader.i32()?,
            min_bytes: reader.i32()?,
            max_bytes: reader.i32()?,
            isolation: Isolation::from_i8(reader.i8()?),
            session_id: if version >= 7 { reader.i32()? } else { 0 },
            session_epoch: if version >= 7 { reader.i32()? } else { -1 },
            topics: reader.array()?,
            forgotten: match version {
                7.. => Some(reader.array()?),
                _ => None,
            },
            rack_id: if version >= 11 { reader.string()? } else { "" },
        };
        let Self {
            cluster_id,
            replica_id,
            ..
        } = &mut request;
        reader.tags(|tag, field| {
            match tag {
                0 => *cluster_id = field.nullable_string()?,
                // The replica's state, of which the epoch says nothing to a broker without
                // followers.
                1 if version >= 15 => *replica_id = field.i32()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(request)
    }
}

impl<'a> Element<'a> for FetchTopic<'a> {
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

impl<'a> Element<'a> for FetchPartition {
    const MIN_LEN: usize = 16;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let partition = Self {
            index: reader.i32()?,
            current_leader_epoch: if version >= 9 { reader.i32()? } else { -1 },
            fetch_offset: reader.i64()?,
            last_fetched_epoch: if version >= 12 { reader.i32()? } else { -1 },
            log_start_offset: if version >= 5 { reader.i64()? } else { -1 },
            max_bytes: reader.i32()?,
        };
        // A follower's directory and high watermark.
        reader.skip_tags()?;
        Ok(partition)
    }
}

impl<'a> Element<'a> for ForgottenTopic<'a> {
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

/// What was read, without the batches themselves.
#[derive(Clone, Copy, Debug)]
pub struct FetchResponse<'a> {
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
    /// Whether the request failed as a whole. From version 7.
    pub error: ErrorCode,
    /// 0: the broker keeps no session. From version 7.
    pub session_id: i32,
    /// The topics of the request, each with the number of its partitions in `partitions`.
    pub topics: &'a [TopicGroup<'a>],
    /// The partitions of all topics, in the order of the topics.
    pub partitions: &'a [FetchedPartition],
}

/// What was read of one partition. There are no aborted transactions, no preferred replica and
/// no diverging epoch to tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its number.
    pub index: i32,
    /// Whether it could be read.
    pub error: ErrorCode,
    /// The offset after the last record that consumers may see, or -1.
    pub high_watermark: i64,
    /// The same without open transactions, or -1.
    pub last_stable_offset: i64,
    /// Where the log begins, or -1. From version 5.
    pub log_start_offset: i64,
    /// Bytes of the batches that are sent in this place.
    pub records_len: usize,
}

impl FetchedPartition {
    /// A partition of which nothing was read.
    #[must_use]
    pub const fn failed(index: i32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            records_len: 0,
        }
    }
}

impl FetchResponse<'_> {
    /// Appends a response frame without its batches to `out`, and for each partition to `cuts`
    /// where in `out` its batches belong (so that they can be sent between slices of it:
    /// [`interleave`]). Returns the bytes of the whole frame, batches included.
    ///
    /// # Panics
    /// If the version is not one of Fetch's, or the frame would pass 2 GiB.
    pub fn encode(
        &self,
        out: &mut BytesMut,
        cuts: &mut Vec<usize>,
        version: i16,
        correlation_id: i32,
    ) -> usize {
        let mut writer = Writer::begin(out, ApiKey::Fetch, version, correlation_id);
        let w = &mut writer;
        w.i32(self.throttle_time_ms);
        if version >= 7 {
            w.error(self.error);
            w.i32(self.session_id);
        }
        w.array_len(self.topics.len());
        for (topic, partitions) in grouped(self.topics, self.partitions) {
            w.topic(topic, version >= BY_ID);
            w.array(partitions, |w, line| {
                partition(w, line);
                cuts.push(w.position());
                w.no_tags();
            });
            w.no_tags();
        }
        w.no_tags();
        let records = self.partitions.iter().map(|line| line.records_len).sum();
        writer.finish(records)
    }
}

/// Up to and with the length of the batches.
fn partition(w: &mut Writer<'_>, partition: &FetchedPartition) {
    w.i32(partition.index);
    w.error(partition.error);
    w.i64(partition.high_watermark);
    w.i64(partition.last_stable_offset);
    if w.version() >= 5 {
        w.i64(partition.log_start_offset);
    }
    // No aborted transactions: null, as Kafka answers readers of uncommitted records, and as all
    // clients take it.
    w.null_array();
    if w.version() >= 11 {
        w.i32(-1);
    }
    w.bytes_len(partition.records_len);
}

/// Gives slices of `head` and the batches between them to `out`, in the order in which they are
/// to be sent. `records` gives each partition's batches, as many bytes as its `records_len`.
///
/// # Panics
/// If `records` ends before `cuts` does.
pub fn interleave<R: IntoIterator<Item = Bytes>>(
    mut head: Bytes,
    cuts: &[usize],
    records: impl IntoIterator<Item = R>,
    mut out: impl FnMut(Bytes),
) {
    let mut given = 0;
    let mut records = records.into_iter();
    for cut in cuts {
        let mut batches = records.next().expect("a partition per cut").into_iter();
        let Some(first) = batches.next() else {
            continue;
        };
        out(head.split_to(cut - given));
        given = *cut;
        out(first);
        batches.for_each(&mut out);
    }
    if !head.is_empty() {
        out(head);
    }
}
