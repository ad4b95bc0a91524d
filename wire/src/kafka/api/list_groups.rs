//! ListGroups (16): tells which groups there are.

use bytes::BytesMut;

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, ErrorCode, Line, Reader, Text, VersionRange, Writer,
};

/// Which groups are to be told of.
#[derive(Clone, Copy, Debug)]
pub struct ListGroupsRequest<'a> {
    /// Those in one of these states, by Kafka's names; all if there is none. From version 4.
    pub states: Option<Array<'a, &'a str>>,
    /// Those of one of these types, by Kafka's names; all if there is none. From version 5.
    pub types: Option<Array<'a, &'a str>>,
}

impl<'a> ApiRequest<'a> for ListGroupsRequest<'a> {
    const KEY: i16 = 16;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };
    const FIRST_FLEXIBLE: i16 = 3;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            states: if version >= 4 {
                Some(reader.array()?)
            } else {
                None
            },
            types: if version >= 5 {
                Some(reader.array()?)
            } else {
                None
            },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// A group.
#[derive(Clone, Debug)]
pub struct ListedGroup<'a> {
    /// Its name.
    pub group: Text<'a>,
    /// What it is for.
    pub protocol_type: Text<'a>,
    /// Where it is, by Kafka's name. From version 4.
    pub state: Text<'a>,
    /// By which rules members come and go, by Kafka's name. From version 5.
    pub group_type: Text<'a>,
}

impl ListedGroup<'_> {
    /// Appends to `out` the frame around `count` groups that are encoded already and take `len` bytes. Returns how
    /// many bytes in front of the end of `out` they belong.
    ///
    /// # Panics
    /// As [`encode_around`](crate::kafka::encode_around).
    pub fn encode_around(
        out: &mut BytesMut,
        (version, correlation_id): (i16, i32),
        error: ErrorCode,
        count: usize,
        len: usize,
    ) -> usize {
        let mut w = Writer::begin(out, ApiKey::ListGroups, version, correlation_id);
        if version >= 1 {
            w.i32(0);
        }
        w.error(error);
        w.array_len(count);
        w.finish_around(len, |w| w.no_tags())
    }
}

impl Line for ListedGroup<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        w.string(&self.group);
        w.string(&self.protocol_type);
        if version >= 4 {
            w.string(&self.state);
        }
        if version >= 5 {
            w.string(&self.group_type);
        }
        w.no_tags();
    }
}
