//! ApiVersions: what is implemented, in which versions.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ApiVersionsRequest, ApiVersionsResponse, ErrorCode};

use super::missing::kind_of;
use super::{APIS, Asker};
use crate::core::Core;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_api_versions(
        &mut self,
        asker: Asker,
        request: &ApiVersionsRequest<'_>,
        now: Now,
    ) {
        tracing::debug!(
            core = self.id.0,
            client = request.client_software_name,
            version = request.client_software_version,
            "a Kafka client"
        );
        if let Some(talk) = self.kafka_talk(asker.conn) {
            talk.software = kind_of(request.client_software_name);
        }
        self.say_versions(asker, ErrorCode::None, now);
    }

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
