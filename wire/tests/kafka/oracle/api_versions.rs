use bytes::BytesMut;
use kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use leveret_wire::kafka::{self, ApiKey, Request, encode_response};

use super::str_bytes;
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    const KEY: ApiKey = ApiKey::ApiVersions;
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> ApiVersionsRequest {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = s.text();
            request.client_software_version = s.text();
        }
        request.with_unknown_tagged_fields(s.tags(version >= 3))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> ApiVersionsRequest {
        let Request::ApiVersions(ours) = ours else {
            panic!("{ours:?}")
        };
        ApiVersionsRequest::default()
            .with_client_software_name(str_bytes(ours.client_software_name))
            .with_client_software_version(str_bytes(ours.client_software_version))
    }

    fn response(s: &mut Source<'_>, version: i16) -> ApiVersionsResponse {
        let mut response = ApiVersionsResponse::default().with_error_code(s.error());
        let apis = ApiKey::ALL.iter().filter(|_| s.bool()).map(|api| {
            ApiVersion::default()
                .with_api_key(api.as_i16())
                .with_min_version(api.versions().min)
                .with_max_version(api.versions().max)
        });
        response.api_keys = apis.collect();
        if version >= 1 {
            response.throttle_time_ms = s.i32();
        }
        response
    }

    fn write(theirs: &ApiVersionsResponse, version: i16) -> Vec<u8> {
        let key = |api: &ApiVersion| ApiKey::from_i16(api.api_key).unwrap();
        let apis: Vec<_> = theirs.api_keys.iter().map(key).collect();
        let ours = kafka::ApiVersionsResponse {
            error: error_code(theirs.error_code),
            apis: &apis,
            throttle_time_ms: theirs.throttle_time_ms,
        };
        let mut out = BytesMut::new();
        encode_response(&mut out, version, CORRELATION, &ours);
        out.to_vec()
    }
}
