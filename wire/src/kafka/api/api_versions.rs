//! ApiVersions (18): which versions of which requests the broker knows.

use crate::kafka::{
    ApiKey, ApiRequest, DecodeError, ErrorCode, Reader, Response, VersionRange, Writer,
};

/// The first request of most clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersionsRequest<'a> {
    /// Which library asks. From version 3; empty before.
    pub client_software_name: &'a str,
    /// In which of its versions. From version 3; empty before.
    pub client_software_version: &'a str,
}

impl<'a> ApiRequest<'a> for ApiVersionsRequest<'a> {
    const KEY: i16 = 18;
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };
    const FIRST_FLEXIBLE: i16 = 3;
    // Its client does not know yet what the broker speaks.
    const TAGGED_RESPONSE_HEADER: bool = false;

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let told = reader.version() >= 3;
        let request = Self {
            client_software_name: if told { reader.string()? } else { "" },
            client_software_version: if told { reader.string()? } else { "" },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Which requests may be sent. There are no features (KIP-584) to tell of.
#[derive(Clone, Copy, Debug)]
pub struct ApiVersionsResponse<'a> {
    /// [`ErrorCode::UnsupportedVersion`], if the request itself came in a version that is not
    /// known; the response is then of version 0.
    pub error: ErrorCode,
    /// What is advertised, each API in [its versions](ApiKey::versions).
    pub apis: &'a [ApiKey],
    /// How long the client shall be quiet, milliseconds. From version 1.
    pub throttle_time_ms: i32,
}

impl Response for ApiVersionsResponse<'_> {
    const API: ApiKey = ApiKey::ApiVersions;

    fn write(&self, w: &mut Writer<'_>) {
        w.error(self.error);
        w.array(self.apis, |w, api| {
            let versions = api.versions();
            w.i16(api.as_i16());
            w.i16(versions.min);
            w.i16(versions.max);
            w.no_tags();
        });
        if w.version() >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.no_tags();
    }
}
