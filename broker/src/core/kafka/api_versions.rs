//! ApiVersions: what is implemented, in which versions.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ApiVersionsRequest, ApiVersionsResponse, ErrorCode};

use super::api::{Api, Incoming, Read};
use super::missing::kind_of;
use super::{APIS, Asker, Known};
use crate::core::Core;

pub(super) struct ApiVersions;

/// What a client says of itself.
pub(super) struct Software {
    name: Option<Box<str>>,
    version: Option<Box<str>>,
}

impl Api for ApiVersions {
    type Request<'a> = ApiVersionsRequest<'a>;
    type Outline = Software;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Software {
        Software {
            name: kind_of(read.request.client_software_name),
            version: kind_of(read.request.client_software_version),
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, client) = (request.asker, request.outline);
        tracing::debug!(
            core = core.id.0,
            client = client.name.as_deref(),
            version = client.version.as_deref(),
            "a Kafka client"
        );
        if let Some(state) = core.kafka_state(asker.conn) {
            state.software = client.name;
        }
        core.say_versions(asker, ErrorCode::None, now);
    }
}

impl<P: BufPool> Core<P> {
    /// The request is of a version that is not known: the asker answers in version 0.
    pub(super) fn refuse_api_versions(&mut self, asker: Asker, now: Now) {
        self.say_versions(asker, ErrorCode::UnsupportedVersion, now);
    }

    fn say_versions(&mut self, asker: Asker, error: ErrorCode, now: Now) {
        let response = ApiVersionsResponse {
            error,
            apis: APIS,
            throttle_time_ms: 0,
        };
        self.kafka_answer(asker, &response, now);
    }
}
