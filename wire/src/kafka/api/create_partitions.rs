//! CreatePartitions (37): adds partitions to topics.

use bytes::BytesMut;

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text,
    VersionRange, Writer,
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

/// What became of it.
#[derive(Clone, Debug)]
pub struct CreatePartitionsResponse<'a> {
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
    /// One for each topic of the request.
    pub results: Vec<CreatePartitionsResult<'a>>,
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

impl Response for CreatePartitionsResponse<'_> {
    const API: ApiKey = ApiKey::CreatePartitions;

    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.throttle_time_ms);
        w.array(&self.results, result);
        w.no_tags();
    }
}

impl CreatePartitionsResult<'_> {
    /// Appends it to `out` as it stands in a response of this version, for one that is put together in
    /// pieces; see [`encode_around`](crate::kafka::encode_around).
    ///
    /// # Panics
    /// If the version is not one of CreatePartitions'.
    pub fn encode(&self, out: &mut BytesMut, version: i16) {
        result(
            &mut Writer::fields(out, ApiKey::CreatePartitions, version),
            self,
        );
    }
}

fn result(w: &mut Writer<'_>, result: &CreatePartitionsResult<'_>) {
    w.string(&result.name);
    w.error(result.error);
    w.nullable_string(result.error_message.as_deref());
    w.no_tags();
}
