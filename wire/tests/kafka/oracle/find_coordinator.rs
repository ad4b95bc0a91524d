use bytes::BytesMut;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use leveret_wire::kafka::{self, ApiKey, CoordinatorKeys, Request, encode_response};

use super::{maybe_text, str_bytes, text};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct FindCoordinator;

impl Api for FindCoordinator {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;

    fn request(s: &mut Source<'_>, version: i16) -> FindCoordinatorRequest {
        let mut request = FindCoordinatorRequest::default();
        if version >= 1 {
            request.key_type = s.u8().cast_signed();
        }
        match version {
            4.. => request.coordinator_keys = s.list(Source::text),
            _ => request.key = s.text(),
        }
        request.with_unknown_tagged_fields(s.tags(version >= 3))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> FindCoordinatorRequest {
        let Request::FindCoordinator(ours) = ours else {
            panic!("{ours:?}")
        };
        let request = FindCoordinatorRequest::default().with_key_type(ours.key_type);
        match ours.keys {
            CoordinatorKeys::One(key) => request.with_key(str_bytes(key)),
            CoordinatorKeys::Many(keys) => {
                request.with_coordinator_keys(keys.iter().map(str_bytes).collect())
            }
        }
    }

    fn response(s: &mut Source<'_>, version: i16) -> FindCoordinatorResponse {
        let mut response = FindCoordinatorResponse::default();
        if version >= 1 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 4 {
            response.coordinators = s.list(|s| {
                Coordinator::default()
                    .with_key(s.text())
                    .with_node_id(BrokerId(s.i32()))
                    .with_host(s.text())
                    .with_port(s.i32())
                    .with_error_code(s.error())
                    .with_error_message(s.maybe(Source::text))
            });
            return response;
        }
        if version >= 1 {
            response.error_message = s.maybe(Source::text);
        }
        response
            .with_error_code(s.error())
            .with_node_id(BrokerId(s.i32()))
            .with_host(s.text())
            .with_port(s.i32())
    }

    fn write(theirs: &FindCoordinatorResponse, version: i16) -> Vec<u8> {
        let many = theirs.coordinators.iter().map(|line| kafka::Coordinator {
            key: text(&line.key),
            node_id: line.node_id.0,
            host: text(&line.host),
            port: line.port,
            error: error_code(line.error_code),
            error_message: maybe_text(&line.error_message),
        });
        let one = kafka::Coordinator {
            key: "".into(),
            node_id: theirs.node_id.0,
            host: text(&theirs.host),
            port: theirs.port,
            error: error_code(theirs.error_code),
            error_message: maybe_text(&theirs.error_message),
        };
        let ours = kafka::FindCoordinatorResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            coordinators: match version {
                4.. => many.collect(),
                _ => vec![one],
            },
        };
        let mut out = BytesMut::new();
        encode_response(&mut out, version, CORRELATION, &ours);
        out.to_vec()
    }
}
