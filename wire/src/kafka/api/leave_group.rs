//! LeaveGroup (13): members go, or are sent away.

use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text,
    VersionRange, Writer,
};

/// Who goes.
#[derive(Clone, Copy, Debug)]
pub struct LeaveGroupRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// Who.
    pub members: Leavers<'a>,
}

/// Those who go: one in old versions, several from version 3.
#[derive(Clone, Copy, Debug)]
pub enum Leavers<'a> {
    /// The member with this id.
    One(&'a str),
    /// These.
    Several(Array<'a, LeaveGroupMember<'a>>),
}

/// One who goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveGroupMember<'a> {
    /// Its id; empty where the instance id says who.
    pub member: &'a str,
    /// Its instance id, if it is static.
    pub instance: Option<&'a str>,
    /// Why, for people. From version 5.
    pub reason: Option<&'a str>,
}

impl<'a> ApiRequest<'a> for LeaveGroupRequest<'a> {
    const KEY: i16 = 13;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };
    const FIRST_FLEXIBLE: i16 = 4;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            group: reader.string()?,
            members: match reader.version() {
                3.. => Leavers::Several(reader.array()?),
                _ => Leavers::One(reader.string()?),
            },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for LeaveGroupMember<'a> {
    const MIN_LEN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let member = Self {
            member: reader.string()?,
            instance: reader.nullable_string()?,
            reason: match reader.version() {
                5.. => reader.nullable_string()?,
                _ => None,
            },
        };
        reader.skip_tags()?;
        Ok(member)
    }
}

/// What became of those who go.
#[derive(Clone, Debug)]
pub struct LeaveGroupResponse<'a> {
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
    /// Whether the request was taken; before version 3 also whether the one member went.
    pub error: ErrorCode,
    /// What became of each, in the order of the request. From version 3.
    pub members: Vec<LeftMember<'a>>,
}

/// What became of one.
#[derive(Clone, Debug)]
pub struct LeftMember<'a> {
    /// Its id, as it was asked for.
    pub member: Text<'a>,
    /// Its instance id, as it was asked for.
    pub instance: Option<Text<'a>>,
    /// Whether it has gone.
    pub error: ErrorCode,
}

impl Response for LeaveGroupResponse<'_> {
    const API: ApiKey = ApiKey::LeaveGroup;

    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error(self.error);
        if version >= 3 {
            w.array(&self.members, |w, member| {
                w.string(&member.member);
                w.nullable_string(member.instance.as_deref());
                w.error(member.error);
                w.no_tags();
            });
        }
        w.no_tags();
    }
}
