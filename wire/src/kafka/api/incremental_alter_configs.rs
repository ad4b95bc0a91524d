//! IncrementalAlterConfigs (44): changes single settings of a topic. Its response is that of AlterConfigs.

use super::describe_configs::ResourceType;
use crate::kafka::{ApiRequest, Array, DecodeError, Element, Reader, VersionRange};

/// Whose settings are to be changed.
#[derive(Clone, Copy, Debug)]
pub struct IncrementalAlterConfigsRequest<'a> {
    /// The topics and brokers.
    pub resources: Array<'a, IncrementalAlterConfigsResource<'a>>,
    /// Whether only to say if they could be.
    pub validate_only: bool,
}

/// A topic or broker whose settings are to be changed.
#[derive(Clone, Copy, Debug)]
pub struct IncrementalAlterConfigsResource<'a> {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: &'a str,
    /// The changes; all other settings stay.
    pub configs: Array<'a, IncrementalConfig<'a>>,
}

/// A change of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncrementalConfig<'a> {
    /// The setting's name.
    pub name: &'a str,
    /// What to do with it.
    pub operation: ConfigOperation,
    /// The value to do it with; `None` for null.
    pub value: Option<&'a str>,
}

/// What to do with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// It gets the value.
    Set,
    /// It falls back to its default.
    Delete,
    /// The value's words join the list.
    Append,
    /// The value's words leave the list.
    Subtract,
    /// A number that stands for nothing.
    Unknown(i8),
}

impl ConfigOperation {
    const fn from_i8(value: i8) -> Self {
        match value {
            0 => Self::Set,
            1 => Self::Delete,
            2 => Self::Append,
            3 => Self::Subtract,
            other => Self::Unknown(other),
        }
    }
}

impl<'a> ApiRequest<'a> for IncrementalAlterConfigsRequest<'a> {
    const KEY: i16 = 44;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };
    const FIRST_FLEXIBLE: i16 = 1;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            resources: reader.array()?,
            validate_only: reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for IncrementalAlterConfigsResource<'a> {
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

impl<'a> Element<'a> for IncrementalConfig<'a> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let config = Self {
            name: reader.string()?,
            operation: ConfigOperation::from_i8(reader.i8()?),
            value: reader.nullable_string()?,
        };
        reader.skip_tags()?;
        Ok(config)
    }
}
