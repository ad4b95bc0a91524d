//! CreatePartitions (37): adds partitions to topics.

use crate::kafka::{
    ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, VersionRange, Writer,
};

/// Which topics are to get more partitions.
#[derive(Clone, Copy, Debug)]
pub struct CreatePartitionsRequest<'a> {
    /// The topics.
    pub topics: Array<'a, CreatePartitionsTopic<'a>>,
    /// How long the broker may take, milliseconds.
    pub timeout_ms: i32,
    /// Whether only to say if they could.
    pub validate_only: bool,
}

/// A topic that is to get more partitions.
#[derive(Clone, Copy, Debug)]
pub struct CreatePartitionsTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many it shall have then, those that it has included.
    pub count: i32,
    /// Which brokers are to have each new one; `None`: as the broker likes.
    pub assignments: Option<Array<'a, CreatePartitionsAssignment<'a>>>,
}

/// Which brokers are to have a new partition.
#[derive(Clone, Copy, Debug)]
pub struct CreatePartitionsAssignment<'a> {
    /// The brokers.
    pub broker_ids: Array<'a, i32>,
}

impl<'a> ApiRequest<'a> for CreatePartitionsRequest<'a> {
    const KEY: i16 = 37;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };
    const FIRST_FLEXIBLE: i16 = 2;

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

impl<'a> Element<'a> for CreatePartitionsTopic<'a> {
    const MIN_LEN: usize = 7;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let topic = Self {
            name: reader.string()?,
            count: reader.i32()?,
            assignments: reader.nullable_array()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

impl<'a> Element<'a> for CreatePartitionsAssignment<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let assignment = Self {
            broker_ids: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(assignment)
    }
}

/// What became of one topic.
#[derive(Clone, Debug)]
pub struct CreatePartitionsResult<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Whether it got them.
    pub error: ErrorCode,
    /// What to tell the user.
    pub error_message: Option<Text<'a>>,
}

impl Line for CreatePartitionsResult<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.string(&self.name);
        w.error(self.error);
        w.nullable_string(self.error_message.as_deref());
        w.no_tags();
    }
}
