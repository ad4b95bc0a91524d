//! AlterConfigs (33): replaces all settings of a topic.

use bytes::BytesMut;

use super::describe_configs::ResourceType;
use crate::kafka::{
    ApiKey, ApiRequest, Array, DecodeError, Element, ErrorCode, Reader, Response, Text,
    VersionRange, Writer,
};

/// Whose settings are to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct AlterConfigsRequest<'a> {
    /// The topics and brokers.
    pub resources: Array<'a, AlterConfigsResource<'a>>,
    /// Whether only to say if they could be.
    pub validate_only: bool,
}

/// A topic or broker whose settings are to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct AlterConfigsResource<'a> {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: &'a str,
    /// The settings that it shall have; all others fall back to their defaults.
    pub configs: Array<'a, AlterableConfig<'a>>,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlterableConfig<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value; `None` for null.
    pub value: Option<&'a str>,
}

impl<'a> ApiRequest<'a> for AlterConfigsRequest<'a> {
    const KEY: i16 = 33;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };
    const FIRST_FLEXIBLE: i16 = 2;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            resources: reader.array()?,
            validate_only: reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for AlterConfigsResource<'a> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let resource = Self {
            resource_type: ResourceType(reader.i8()?),
            name: reader.string()?,
            configs: reader.array()?,
        };
        reader.skip_tags()?;
        Ok(resource)
    }
}

impl<'a> Element<'a> for AlterableConfig<'a> {
    const MIN_LEN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let config = Self {
            name: reader.string()?,
            value: reader.nullable_string()?,
        };
        reader.skip_tags()?;
        Ok(config)
    }
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct AlterConfigsResponse<'a> {
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
    /// By topic or broker.
    pub resources: Vec<AlteredResource<'a>>,
}

/// What became of the settings of one topic or broker.
#[derive(Clone, Debug)]
pub struct AlteredResource<'a> {
    /// Whether they were changed.
    pub error: ErrorCode,
    /// What to tell the user.
    pub error_message: Option<Text<'a>>,
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Text<'a>,
}

impl Response for AlterConfigsResponse<'_> {
    const API: ApiKey = ApiKey::AlterConfigs;

    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.throttle_time_ms);
        w.array(&self.resources, altered);
        w.no_tags();
    }
}

impl AlteredResource<'_> {
    /// Appends it to `out` as it stands in a response of this version of AlterConfigs or
    /// IncrementalAlterConfigs, for one that is put together in pieces; see
    /// [`encode_around`](crate::kafka::encode_around).
    ///
    /// # Panics
    /// If the version is not one of the API's.
    pub fn encode(&self, out: &mut BytesMut, api: ApiKey, version: i16) {
        altered(&mut Writer::fields(out, api, version), self);
    }
}

pub(super) fn altered(w: &mut Writer<'_>, resource: &AlteredResource<'_>) {
    w.error(resource.error);
    w.nullable_string(resource.error_message.as_deref());
    w.i8(resource.resource_type.0);
    w.string(&resource.name);
    w.no_tags();
}
