//! AlterConfigs (33): replaces all settings of a topic.

use super::describe_configs::ResourceType;
use crate::kafka::{
    ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, VersionRange, Writer,
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
    pub configs: Array<'a, ConfigValue<'a>>,
}

/// A setting and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigValue<'a> {
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

impl<'a> Element<'a> for ConfigValue<'a> {
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

impl Line for AlteredResource<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.error(self.error);
        w.nullable_string(self.error_message.as_deref());
        w.i8(self.resource_type.0);
        w.string(&self.name);
        w.no_tags();
    }
}
