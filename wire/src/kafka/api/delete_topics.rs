//! DeleteTopics (20): deletes topics and their records.

use crate::kafka::{
    ApiRequest, Array, DecodeError, Element, ErrorCode, Line, Reader, Text, Uuid, VersionRange,
    Writer,
};

/// Which topics are to be deleted.
#[derive(Clone, Copy, Debug)]
pub struct DeleteTopicsRequest<'a> {
    /// The topics.
    pub topics: Array<'a, TopicToDelete<'a>>,
    /// How long the broker may take, milliseconds.
    pub timeout_ms: i32,
}

/// A topic to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicToDelete<'a> {
    /// Its name; from version 6 it may be missing.
    pub name: Option<&'a str>,
    /// Its id, or [`Uuid::ZERO`] where the name tells. From version 6.
    pub id: Uuid,
}

impl<'a> ApiRequest<'a> for DeleteTopicsRequest<'a> {
    const KEY: i16 = 20;
    const VERSIONS: VersionRange = VersionRange { min: 1, max: 6 };
    const FIRST_FLEXIBLE: i16 = 4;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            topics: reader.array()?,
            timeout_ms: reader.i32()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> Element<'a> for TopicToDelete<'a> {
    const MIN_LEN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // Before version 6 these were bare names, without tagged fields.
        if reader.version() < 6 {
            return Ok(Self {
                name: Some(reader.string()?),
                id: Uuid::ZERO,
            });
        }
        let topic = Self {
            name: reader.nullable_string()?,
            id: reader.uuid()?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

/// What became of one topic.
#[derive(Clone, Debug)]
pub struct DeletedTopic<'a> {
    /// Its name. `None`, for an id that is not known, may stand from version 6, the first that
    /// asks by id.
    pub name: Option<Text<'a>>,
    /// Its id. From version 6.
    pub id: Uuid,
    /// Whether it was deleted.
    pub error: ErrorCode,
    /// What to tell the user. From version 5.
    pub error_message: Option<Text<'a>>,
}

impl Line for DeletedTopic<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let version = w.version();
        match self.name.as_deref() {
            None if version >= 6 => w.nullable_string(None),
            name => w.string(name.unwrap_or_default()),
        }
        if version >= 6 {
            w.uuid(self.id);
        }
        w.error(self.error);
        if version >= 5 {
            w.nullable_string(self.error_message.as_deref());
        }
        w.no_tags();
    }
}
