//! Metadata (3): brokers, topics and partitions.

use bytes::BytesMut;

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, Uuid,
    VersionRange, Writer,
};

/// Says that authorized operations were not asked for or are not known.
const NO_OPERATIONS: i32 = i32::MIN;

/// Which topics are to be described.
#[derive(Clone, Copy, Debug)]
pub struct MetadataRequest<'a> {
    /// `None`: all that there are (null, and in version 0 an empty list).
    pub topics: Option<Array<'a, MetadataRequestTopic<'a>>>,
    /// Whether topics that are missing may be created. From version 4; true before.
    pub allow_auto_topic_creation: bool,
}

/// A topic to be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataRequestTopic<'a> {
    /// Its id, or [`Uuid::ZERO`] where the name tells. From version 10.
    pub id: Uuid,
    /// Its name; from version 10 it may be missing.
    pub name: Option<&'a str>,
}

impl<'a> ApiRequest<'a> for MetadataRequest<'a> {
    const KEY: i16 = 3;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 13 };
    const FIRST_FLEXIBLE: i16 = 9;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let topics = reader.nullable_array::<MetadataRequestTopic<'_>>()?;
        let request = Self {
            topics: topics.filter(|topics| version >= 1 || !topics.is_empty()),
            allow_auto_topic_creation: match version {
                4.. => reader.bool()?,
                _ => true,
            },
        };
        // Whether to list the operations that the client may do, which the response leaves open.
        if (8..=10).contains(&version) {
            reader.bool()?;
        }
        if version >= 8 {
            reader.bool()?;
        }
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for MetadataRequestTopic<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = match reader.version() {
            10.. => Self {
                id: reader.uuid()?,
                name: reader.nullable_string()?,
            },
            _ => Self {
                id: Uuid::ZERO,
                name: Some(reader.string()?),
            },
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

/// Which brokers there are; topics stand within, an error for each that is not there.
#[derive(Clone, Debug)]
pub struct MetadataResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 3.
    pub throttle_time_ms: i32,
    /// The brokers.
    pub brokers: Vec<MetadataBroker<'a>>,
    /// The cluster's name. From version 2.
    pub cluster_id: Option<Text<'a>>,
    /// The broker that takes administrative requests. From version 1.
    pub controller_id: i32,
    /// Whether the request failed as a whole. From version 13.
    pub error: ErrorCode,
}

/// A broker.
#[derive(Clone, Debug)]
pub struct MetadataBroker<'a> {
    /// Its number.
    pub node_id: i32,
    /// Where clients reach it.
    pub host: Text<'a>,
    /// Where clients reach it.
    pub port: i32,
    /// Where it stands. From version 1.
    pub rack: Option<Text<'a>>,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct MetadataTopic<'a> {
    /// Whether it could be described.
    pub error: ErrorCode,
    /// Its name. `None`, for an id that is not known, may stand from version 12; before, the name
    /// is then empty.
    pub name: Option<Text<'a>>,
    /// Its id. From version 10.
    pub id: Uuid,
    /// Whether it is the broker's own. From version 1.
    pub is_internal: bool,
    /// Its partitions.
    pub partitions: Vec<MetadataPartition<'a>>,
}

/// A partition.
#[derive(Clone, Copy, Debug)]
pub struct MetadataPartition<'a> {
    /// Whether it can be used.
    pub error: ErrorCode,
    /// Its number.
    pub index: i32,
    /// The broker that serves it, or -1.
    pub leader_id: i32,
    /// How often the leader changed. From version 7.
    pub leader_epoch: i32,
    /// The brokers that have it.
    pub replicas: &'a [i32],
    /// Those of them that have all of it.
    pub in_sync_replicas: &'a [i32],
    /// Those of them that cannot serve it. From version 5.
    pub offline_replicas: &'a [i32],
}

impl MetadataResponse<'_> {
    /// Appends to `out` a response frame without its topics, of which `count` are encoded already and
    /// take `len` bytes. Returns how many bytes in front of the end of `out` they belong.
    ///
    /// # Panics
    /// If the version is not one of Metadata's, or the frame would pass 2 GiB.
    pub fn encode_around(
        &self,
        out: &mut BytesMut,
        version: i16,
        correlation_id: i32,
        count: usize,
        len: usize,
    ) -> usize {
        let mut w = Writer::begin(out, ApiKey::Metadata, version, correlation_id);
        self.head(&mut w, count);
        w.finish_around(len, |w| self.tail(w))
    }

    /// What stands before so many topics.
    fn head(&self, w: &mut Writer<'_>, topics: usize) {
        let version = w.version();
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.brokers, |w, broker| {
            w.i32(broker.node_id);
            w.string(&broker.host);
            w.i32(broker.port);
            if version >= 1 {
                w.nullable_string(broker.rack.as_deref());
            }
            w.no_tags();
        });
        if version >= 2 {
            w.nullable_string(self.cluster_id.as_deref());
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        w.array_len(topics);
    }

    /// What stands behind the topics.
    fn tail(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if (8..=10).contains(&version) {
            w.i32(NO_OPERATIONS);
        }
        if version >= 13 {
            w.error(self.error);
        }
        w.no_tags();
    }
}

impl Line for MetadataTopic<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        w.error(self.error);
        match self.name.as_deref() {
            None if version >= 12 => w.nullable_string(None),
            name => w.string(name.unwrap_or_default()),
        }
        if version >= 10 {
            w.uuid(self.id);
        }
        if version >= 1 {
            w.bool(self.is_internal);
        }
        w.array(&self.partitions, partition);
        if version >= 8 {
            w.i32(NO_OPERATIONS);
        }
        w.no_tags();
    }
}

fn partition(w: &mut Writer<'_>, partition: &MetadataPartition<'_>) {
    w.error(partition.error);
    w.i32(partition.index);
    w.i32(partition.leader_id);
    if w.version() >= 7 {
        w.i32(partition.leader_epoch);
    }
    w.i32s(partition.replicas);
    w.i32s(partition.in_sync_replicas);
    if w.version() >= 5 {
        w.i32s(partition.offline_replicas);
    }
    w.no_tags();
}
