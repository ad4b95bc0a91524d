use bytes::BytesMut;
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::{ProducerId, TransactionalId};
use leveret_wire::kafka::{self, ApiKey, Request, encode_response};

use super::str_bytes;
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    const KEY: ApiKey = ApiKey::InitProducerId;
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;

    fn request(s: &mut Source<'_>, version: i16) -> InitProducerIdRequest {
        let mut request = InitProducerIdRequest::default()
            .with_transactional_id(s.maybe(Source::text).map(TransactionalId))
            .with_transaction_timeout_ms(s.i32());
        if version >= 3 {
            request.producer_id = ProducerId(s.i64());
            request.producer_epoch = s.i16();
        }
        request.with_unknown_tagged_fields(s.tags(version >= 2))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> InitProducerIdRequest {
        let Request::InitProducerId(ours) = ours else {
            panic!("{ours:?}")
        };
        InitProducerIdRequest::default()
            .with_transactional_id(ours.transactional_id.map(str_bytes).map(TransactionalId))
            .with_transaction_timeout_ms(ours.transaction_timeout_ms)
            .with_producer_id(ProducerId(ours.producer_id))
            .with_producer_epoch(ours.producer_epoch)
    }

    fn response(s: &mut Source<'_>, _: i16) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_throttle_time_ms(s.i32())
            .with_error_code(s.error())
            .with_producer_id(ProducerId(s.i64()))
            .with_producer_epoch(s.i16())
    }

    fn write(theirs: &InitProducerIdResponse, version: i16) -> Vec<u8> {
        let ours = kafka::InitProducerIdResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
            producer_id: theirs.producer_id.0,
            producer_epoch: theirs.producer_epoch,
        };
        let mut out = BytesMut::new();
        encode_response(&mut out, version, CORRELATION, &ours);
        out.to_vec()
    }
}
