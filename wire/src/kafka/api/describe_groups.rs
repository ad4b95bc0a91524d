//! DescribeGroups (15): tells what groups are like.

use bytes::BytesMut;

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, ErrorCode, Line, Reader, Text, VersionRange, Writer,
};

/// Which groups are to be told of.
#[derive(Clone, Copy, Debug)]
pub struct DescribeGroupsRequest<'a> {
    /// Their names.
    pub groups: Array<'a, &'a str>,
    /// Whether to tell what the client may do with each. From version 3.
    pub include_authorized_operations: bool,
}

impl<'a> ApiRequest<'a> for DescribeGroupsRequest<'a> {
    const KEY: i16 = 15;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };
    const FIRST_FLEXIBLE: i16 = 5;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            groups: reader.array()?,
            include_authorized_operations: reader.version() >= 3 && reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// What one group is like.
#[derive(Clone, Debug)]
pub struct DescribedGroup<'a> {
    /// Whether it can be told.
    pub error: ErrorCode,
    /// What to tell the user. From version 6.
    pub error_message: Option<Text<'a>>,
    /// Its name.
    pub group: Text<'a>,
    /// Where it is, by Kafka's name; empty if it is not known.
    pub state: Text<'a>,
    /// What it is for.
    pub protocol_type: Text<'a>,
    /// How it is assigned.
    pub protocol: Text<'a>,
    /// Who is in it.
    pub members: Vec<DescribedGroupMember<'a>>,
    /// What the client may do, a bit for each, or [`NOT_ASKED`](Self::NOT_ASKED). From version 3.
    pub authorized_operations: i32,
}

/// What one member is like.
#[derive(Clone, Debug)]
pub struct DescribedGroupMember<'a> {
    /// Its id.
    pub member: Text<'a>,
    /// Its instance id, if it is static. From version 4.
    pub instance: Option<Text<'a>>,
    /// What its client calls itself.
    pub client_id: Text<'a>,
    /// Where it comes from.
    pub client_host: Text<'a>,
    /// What it says to whoever assigns.
    pub metadata: &'a [u8],
    /// What it was assigned.
    pub assignment: &'a [u8],
}

impl DescribedGroup<'_> {
    /// Nobody asked what the client may do.
    pub const NOT_ASKED: i32 = i32::MIN;

    /// As [`encode_around`](crate::kafka::encode_around); of the first version, which tells no time to be quiet, as well.
    ///
    /// # Panics
    /// As that.
    pub fn encode_around(
        out: &mut BytesMut,
        version: i16,
        correlation_id: i32,
        count: usize,
        len: usize,
    ) -> usize {
        let mut w = Writer::begin(out, ApiKey::DescribeGroups, version, correlation_id);
        if version >= 1 {
            w.i32(0);
        }
        w.array_len(count);
        w.finish_around(len, |w| w.no_tags())
    }
}

impl Line for DescribedGroup<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        w.error(self.error);
        if version >= 6 {
            w.nullable_string(self.error_message.as_deref());
        }
        for text in [
            &self.group,
            &self.state,
            &self.protocol_type,
            &self.protocol,
        ] {
            w.string(text);
        }
        w.array(&self.members, |w, member| {
            w.string(&member.member);
            if version >= 4 {
                w.nullable_string(member.instance.as_deref());
            }
            w.string(&member.client_id);
            w.string(&member.client_host);
            w.bytes(member.metadata);
            w.bytes(member.assignment);
            w.no_tags();
        });
        if version >= 3 {
            w.i32(self.authorized_operations);
        }
        w.no_tags();
    }
}
