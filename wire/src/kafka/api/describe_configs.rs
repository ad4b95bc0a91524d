//! DescribeConfigs (32): settings of topics and brokers.

use crate::kafka::{
    ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, VersionRange, Writer,
};

/// What has settings. Other numbers than these stand for things that only Kafka has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceType(pub i8);

impl ResourceType {
    /// A topic, by its name.
    pub const TOPIC: Self = Self(2);
    /// A broker, by its number in decimal; the empty name means the defaults of all.
    pub const BROKER: Self = Self(4);
}

/// Whose settings are to be told.
#[derive(Clone, Copy, Debug)]
pub struct DescribeConfigsRequest<'a> {
    /// The topics and brokers.
    pub resources: Array<'a, DescribeConfigsResource<'a>>,
    /// Whether to tell where else a value could come from.
    pub include_synonyms: bool,
    /// Whether to explain each setting. From version 3.
    pub include_documentation: bool,
}

/// A topic or broker whose settings are to be told.
#[derive(Clone, Copy, Debug)]
pub struct DescribeConfigsResource<'a> {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: &'a str,
    /// The settings wanted; `None`: all.
    pub keys: Option<Array<'a, &'a str>>,
}

impl<'a> ApiRequest<'a> for DescribeConfigsRequest<'a> {
    const KEY: i16 = 32;
    const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };
    const FIRST_FLEXIBLE: i16 = 4;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            resources: reader.array()?,
            include_synonyms: reader.bool()?,
            include_documentation: reader.version() >= 3 && reader.bool()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for DescribeConfigsResource<'a> {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let resource = Self {
            resource_type: ResourceType(reader.i8()?),
            name: reader.string()?,
            keys: reader.nullable_array()?,
        };
        reader.skip_tags()?;
        Ok(resource)
    }
}

/// The settings of one topic or broker.
#[derive(Clone, Debug)]
pub struct DescribedResource<'a> {
    /// Whether they can be told.
    pub error: ErrorCode,
    /// What to tell the user.
    pub error_message: Option<Text<'a>>,
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Text<'a>,
    /// The settings.
    pub configs: Vec<ConfigEntry<'a>>,
}

/// A setting.
#[derive(Clone, Debug)]
pub struct ConfigEntry<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its value; `None` if it is secret or has none.
    pub value: Option<Text<'a>>,
    /// Whether it cannot be changed.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is secret.
    pub is_sensitive: bool,
    /// Where the value could come from, the strongest first; only where it was asked for.
    pub synonyms: Vec<ConfigSynonym<'a>>,
    /// How the value is to be read. From version 3.
    pub config_type: ConfigType,
    /// What it is for; only where it was asked for. From version 3.
    pub documentation: Option<Text<'a>>,
}

/// One of the places that a value could come from.
#[derive(Clone, Debug)]
pub struct ConfigSynonym<'a> {
    /// What the setting is called there.
    pub name: Text<'a>,
    /// Its value there.
    pub value: Option<Text<'a>>,
    /// The place.
    pub source: ConfigSource,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// It was set for this topic.
    Topic = 1,
    /// It was set for this broker while it ran.
    DynamicBroker = 2,
    /// It was set for all brokers while they ran.
    DynamicDefaultBroker = 3,
    /// It stood in the configuration that the broker was started with.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
}

/// How a value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// A number of 32 bits.
    Int = 3,
    /// A number of 16 bits.
    Short = 4,
    /// A number of 64 bits.
    Long = 5,
    /// A number with a fraction.
    Double = 6,
    /// Words between commas.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// A secret.
    Password = 9,
}

impl Line for DescribedResource<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.error(self.error);
        w.nullable_string(self.error_message.as_deref());
        w.i8(self.resource_type.0);
        w.string(&self.name);
        w.array(&self.configs, entry);
        w.no_tags();
    }
}

fn entry(w: &mut Writer<'_>, entry: &ConfigEntry<'_>) {
    w.string(&entry.name);
    w.nullable_string(entry.value.as_deref());
    w.bool(entry.read_only);
    w.i8(entry.source as i8);
    w.bool(entry.is_sensitive);
    w.array(&entry.synonyms, |w, synonym| {
        w.string(&synonym.name);
        w.nullable_string(synonym.value.as_deref());
        w.i8(synonym.source as i8);
        w.no_tags();
    });
    if w.version() >= 3 {
        w.i8(entry.config_type as i8);
        w.nullable_string(entry.documentation.as_deref());
    }
    w.no_tags();
}
