//! InitProducerId (22): asks for a producer id.

use crate::kafka::{
    ApiKey, ApiRequest, DecodeError, ErrorCode, Reader, Response, VersionRange, Writer,
};

/// Who wants a producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest<'a> {
    /// The producer's transaction; `None` if it is only idempotent.
    pub transactional_id: Option<&'a str>,
    /// How long a transaction may stay open, milliseconds.
    pub transaction_timeout_ms: i32,
    /// The id that it has already, or -1. From version 3.
    pub producer_id: i64,
    /// The epoch that it has already, or -1. From version 3.
    pub producer_epoch: i16,
}

impl<'a> ApiRequest<'a> for InitProducerIdRequest<'a> {
    const KEY: i16 = 22;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };
    const FIRST_FLEXIBLE: i16 = 2;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let resumes = reader.version() >= 3;
        let request = Self {
            transactional_id: reader.nullable_string()?,
            transaction_timeout_ms: reader.i32()?,
            producer_id: if resumes { reader.i64()? } else { -1 },
            producer_epoch: if resumes { reader.i16()? } else { -1 },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// The producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerIdResponse {
    /// How long the client shall be quiet, milliseconds.
    pub throttle_time_ms: i32,
    /// Whether it got one.
    pub error: ErrorCode,
    /// The id, or -1.
    pub producer_id: i64,
    /// The epoch, or -1.
    pub producer_epoch: i16,
}

impl Response for InitProducerIdResponse {
    const API: ApiKey = ApiKey::InitProducerId;

    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.throttle_time_ms);
        w.error(self.error);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.no_tags();
    }
}
