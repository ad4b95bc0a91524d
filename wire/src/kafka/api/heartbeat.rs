//! Heartbeat (12): a member of a group says that it is alive.

use crate::kafka::{
    ApiKey, ApiRequest, DecodeError, ErrorCode, Reader, Response, VersionRange, Writer,
};

/// Who is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest<'a> {
    /// The group.
    pub group: &'a str,
    /// The generation that the member is in.
    pub generation: i32,
    /// The member's id.
    pub member: &'a str,
    /// The instance id of a static member. From version 3.
    pub instance: Option<&'a str>,
}

impl<'a> ApiRequest<'a> for HeartbeatRequest<'a> {
    const KEY: i16 = 12;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };
    const FIRST_FLEXIBLE: i16 = 4;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            group: reader.string()?,
            generation: reader.i32()?,
            member: reader.string()?,
            instance: match reader.version() {
                3.. => reader.nullable_string()?,
                _ => None,
            },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Whether all is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatResponse {
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
    /// Whether the member is to go on as it does.
    pub error: ErrorCode,
}

impl Response for HeartbeatResponse {
    const API: ApiKey = ApiKey::Heartbeat;

    fn write(&self, w: &mut Writer<'_>) {
        if w.version() >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error(self.error);
        w.no_tags();
    }
}
