//! A toy that Kafka does not have, for the tests that show what a new API touches: where a
//! partition ends.

use crate::kafka::{
    ApiKey, ApiRequest, DecodeError, ErrorCode, Reader, Response, VersionRange, Writer,
};

/// Which partition is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyRequest<'a> {
    /// Its topic's name.
    pub topic: &'a str,
    /// Its number.
    pub partition: i32,
}

impl<'a> ApiRequest<'a> for ToyRequest<'a> {
    const KEY: i16 = 32_000;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };
    const FIRST_FLEXIBLE: i16 = 1;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            topic: reader.string()?,
            partition: reader.i32()?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyResponse {
    /// Whether that is known.
    pub error: ErrorCode,
    /// The offset behind its last record, or -1.
    pub end: i64,
}

impl Response for ToyResponse {
    const API: ApiKey = ApiKey::Toy;

    fn write(&self, w: &mut Writer<'_>) {
        w.error(self.error);
        w.i64(self.end);
        w.no_tags();
    }
}
