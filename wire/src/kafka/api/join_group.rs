//! JoinGroup (11): becomes a member of a group's next generation.

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text,
    VersionRange, Writer,
};

/// Who joins.
#[derive(Clone, Copy, Debug)]
pub struct JoinGroupRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// How long the member may be silent, milliseconds.
    pub session_timeout_ms: i32,
    /// How long it takes to join again, milliseconds. From version 1; -1 before, where it is the session timeout.
    pub rebalance_timeout_ms: i32,
    /// The member's id; empty of one that has none.
    pub member: &'a str,
    /// The instance id of a static member. From version 5.
    pub instance: Option<&'a str>,
    /// What the group is for.
    pub protocol_type: &'a str,
    /// The ways to assign that the member knows, the one that it likes best first.
    pub protocols: Array<'a, JoinGroupProtocol<'a>>,
    /// Why it joins, for people. From version 8.
    pub reason: Option<&'a str>,
}

/// A way to assign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinGroupProtocol<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What the member says to whoever assigns so.
    pub metadata: &'a [u8],
}

impl<'a> ApiRequest<'a> for JoinGroupRequest<'a> {
    const KEY: i16 = 11;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 9 };
    const FIRST_FLEXIBLE: i16 = 6;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let version = reader.version();
        let request = Self {
            group: reader.string()?,
            session_timeout_ms: reader.i32()?,
            rebalance_timeout_ms: if version >= 1 { reader.i32()? } else { -1 },
            member: reader.string()?,
            instance: match version {
                5.. => reader.nullable_string()?,
                _ => None,
            },
            protocol_type: reader.string()?,
            protocols: reader.array()?,
            reason: match version {
                8.. => reader.nullable_string()?,
                _ => None,
            },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for JoinGroupProtocol<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let protocol = Self {
            name: reader.string()?,
            metadata: reader.bytes()?,
        };
        reader.skip_tags()?;
        Ok(protocol)
    }
}

/// The generation that the member is in.
#[derive(Clone, Debug)]
pub struct JoinGroupResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 2.
    pub throttle_time_ms: i32,
    /// Whether it is in one.
    pub error: ErrorCode,
    /// Its number, or -1.
    pub generation: i32,
    /// What the group is for. From version 7.
    pub protocol_type: Option<Text<'a>>,
    /// How the leader is to assign. `None`, for nothing, may stand from version 7; empty before.
    pub protocol: Option<Text<'a>>,
    /// The leader's member id.
    pub leader: Text<'a>,
    /// Whether the leader is to assign nothing. From version 9.
    pub skip_assignment: bool,
    /// The member's id.
    pub member: Text<'a>,
    /// All members, for the leader.
    pub members: Vec<JoinGroupMember<'a>>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug)]
pub struct JoinGroupMember<'a> {
    /// Its id.
    pub member: Text<'a>,
    /// Its instance id, if it is static. From version 5.
    pub instance: Option<Text<'a>>,
    /// What it says to whoever assigns.
    pub metadata: &'a [u8],
}

impl Response for JoinGroupResponse<'_> {
    const API: ApiKey = ApiKey::JoinGroup;

    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.error(self.error);
        w.i32(self.generation);
        if version >= 7 {
            w.nullable_string(self.protocol_type.as_deref());
            w.nullable_string(self.protocol.as_deref());
        } else {
            w.string(self.protocol.as_deref().unwrap_or_default());
        }
        w.string(&self.leader);
        if version >= 9 {
            w.bool(self.skip_assignment);
        }
        w.string(&self.member);
        w.array(&self.members, |w, member| {
            w.string(&member.member);
            if version >= 5 {
                w.nullable_string(member.instance.as_deref());
            }
            w.bytes(member.metadata);
            w.no_tags();
        });
        w.no_tags();
    }
}
