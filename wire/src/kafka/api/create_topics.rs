//! CreateTopics (19): creates topics.

use super::alter_configs::ConfigValue;
use crate::kafka::{
    ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, Uuid, VersionRange,
    Writer,
};

/// Which topics are to be created.
#[derive(Clone, Copy, Debug)]
pub struct CreateTopicsRequest<'a> {
    /// The topics.
    pub topics: Array<'a, CreatableTopic<'a>>,
    /// How long the broker may take, milliseconds.
    pub timeout_ms: i32,
    /// Whether only to say if they could be.
    pub validate_only: bool,
}

/// A topic to be created.
#[derive(Clone, Copy, Debug)]
pub struct CreatableTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions; -1 for the broker's default (from version 4) or where `assignments`
    /// tell.
    pub num_partitions: i32,
    /// How many replicas; -1 likewise.
    pub replication_factor: i16,
    /// Which brokers are to have which partition; empty: as the broker likes.
    pub assignments: Array<'a, ReplicaAssignment<'a>>,
    /// Its settings, where they differ from the broker's defaults.
    pub configs: Array<'a, ConfigValue<'a>>,
}

/// Which brokers are to have a partition.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaAssignment<'a> {
    /// The partition.
    pub partition: i32,
    /// The brokers.
    pub broker_ids: Array<'a, i32>,
}

impl<'a> ApiRequest<'a> for CreateTopicsRequest<'a> {
    const KEY: i16 = 19;
    const VERSIONS: VersionRange = VersionRange { min: 2, max: 7 };
    const FIRST_FLEXIBLE: i16 = 5;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            topics: reader.array()?,
            timeout_ms: reader.i32()?,
            validate_only: reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for CreatableTopic<'a> {
    const MIN_LEN: usize = 10;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            name: reader.string()?,
            num_partitions: reader.i32()?,
            replication_factor: reader.i16()?,
            assignments: reader.array()?,
            configs: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl<'a> Element<'a> for ReplicaAssignment<'a> {
    const MIN_LEN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let assignment = Self {
            partition: reader.i32()?,
            broker_ids: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(assignment)
    }
}

/// What became of one topic.
#[derive(Clone, Debug)]
pub struct CreatedTopic<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its id. From version 7.
    pub id: Uuid,
    /// Whether it was created.
    pub error: ErrorCode,
    /// What to tell the user.
    pub error_message: Option<Text<'a>>,
    /// How many partitions it has, or -1. From version 5.
    pub num_partitions: i32,
    /// How many replicas it has, or -1. From version 5.
    pub replication_factor: i16,
    /// All its settings; `None` if they are not to be told. From version 5.
    pub configs: Option<Vec<CreatedTopicConfig<'a>>>,
}

/// A setting of a topic as it is in force.
#[derive(Clone, Debug)]
pub struct CreatedTopicConfig<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its value.
    pub value: Option<Text<'a>>,
    /// Whether it cannot be changed.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: super::describe_configs::ConfigSource,
    /// Whether the value is secret.
    pub is_sensitive: bool,
}

impl Line for CreatedTopic<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.string(&self.name);
        if w.version() >= 7 {
            w.uuid(self.id);
        }
        w.error(self.error);
        w.nullable_string(self.error_message.as_deref());
        if w.version() >= 5 {
            w.i32(self.num_partitions);
            w.i16(self.replication_factor);
            match &self.configs {
                Some(configs) => w.array(configs, config),
                None => w.null_array(),
            }
        }
        w.no_tags();
    }
}

fn config(w: &mut Writer<'_>, config: &CreatedTopicConfig<'_>) {
    w.string(&config.name);
    w.nullable_string(config.value.as_deref());
    w.bool(config.read_only);
    w.i8(config.source as i8);
    w.bool(config.is_sensitive);
    w.no_tags();
}
