//! SyncGroup (14): the leader brings the assignments, every member gets its own.

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text,
    VersionRange, Writer,
};

/// Who wants its assignment.
#[derive(Clone, Copy, Debug)]
pub struct SyncGroupRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// The generation that the member is in.
    pub generation: i32,
    /// The member's id.
    pub member: &'a str,
    /// The instance id of a static member. From version 3.
    pub instance: Option<&'a str>,
    /// What the member takes the group to be for. From version 5.
    pub protocol_type: Option<&'a str>,
    /// How the member takes it to be assigned. From version 5.
    pub protocol: Option<&'a str>,
    /// Of the leader: what each member gets.
    pub assignments: Array<'a, SyncGroupAssignment<'a>>,
}

/// What a member gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncGroupAssignment<'a> {
    /// The member's id.
    pub member: &'a str,
    /// Its assignment.
    pub assignment: &'a [u8],
}

impl<'a> ApiRequest<'a> for SyncGroupRequest<'a> {
    const KEY: i16 = 14;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };
    const FIRST_FLEXIBLE: i16 = 4;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            group: reader.string()?,
            generation: reader.i32()?,
            member: reader.string()?,
            instance: match version {
                3.. => reader.nullable_string()?,
                _ => None,
            },
            protocol_type: match version {
                5.. => reader.nullable_string()?,
                _ => None,
            },
            protocol: match version {
                5.. => reader.nullable_string()?,
                _ => None,
            },
            assignments: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for SyncGroupAssignment<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let assignment = Self {
            member: reader.string()?,
            assignment: reader.bytes()?,
        };
        reader.skip_tags()?;
        Ok(assignment)
    }
}

/// The member's assignment.
#[derive(Clone, Debug)]
pub struct SyncGroupResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
    /// Whether it has one.
    pub error: ErrorCode,
    /// What the group is for. From version 5.
    pub protocol_type: Option<Text<'a>>,
    /// How it was assigned. From version 5.
    pub protocol: Option<Text<'a>>,
    /// What the leader made for this member.
    pub assignment: &'a [u8],
}

impl Response for SyncGroupResponse<'_> {
    const API: ApiKey = ApiKey::SyncGroup;

    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error(self.error);
        if version >= 5 {
            w.nullable_string(self.protocol_type.as_deref());
            w.nullable_string(self.protocol.as_deref());
        }
        w.bytes(self.assignment);
        w.no_tags();
    }
}
