//! From answers to bytes: small responses are encoded into the connection's buffer, batches
//! follow as they are.

use bytes::Bytes;
use leveret_engine::EngineError;
use leveret_engine::shard::{FetchedPartition, FoundOffset, Produced};
use leveret_engine::topology::TopicEntry;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::native::{
    self as wire, AlterTopicOk, CorrelationId, CreateTopicOk, ErrorCode, ErrorResponse, FetchOk,
    FrameHeader, ListOffsetsOk, PartitionId, ProduceOk, Response, TopicId, TopicLines,
};

use super::data::init_producer;
use super::fetch::FetchedPart;
use super::{Asker, errors};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::net::Pause;

/// From so many bytes on an answer is sent as it lies; a shorter one is copied together with others.
const LONG: usize = 16 << 10;

impl<P: BufPool> Core<P> {
    /// Gives a response to send.
    pub(in crate::core) fn respond(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Response<'_>,
    ) {
        self.respond_with(conn, correlation, response, Vec::new());
    }

    /// Gives a response to send; `payload` follows it uncopied.
    pub(super) fn respond_with(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        response: &Response<'_>,
        payload: Vec<Bytes>,
    ) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.closing {
            return;
        }
        let (first, before) = (session.out.is_empty(), session.out.len());
        let len = payload.iter().map(Bytes::len).sum();
        self.encoder
            .response(&mut session.out, correlation, response, len);
        self.slices.charge(session.out.len() - before);
        if payload.is_empty() {
            if first {
                self.unflushed.push(conn);
            }
            return self.weigh(conn);
        }
        let head = session.take_out();
        session.unsent += len;
        let sends = [head].into_iter().chain(payload);
        let sends = sends.map(|bytes| session.outgoing(bytes));
        self.actions.extend(sends);
        self.weigh(conn);
    }

    /// Answers a produce.
    pub(super) fn native_produced(
        &mut self,
        asker: Asker,
        reply: Result<Produced, EngineError>,
        now: Now,
    ) {
        let response = reply.map(|produced| {
            Response::Produce(ProduceOk {
                base_offset: wire::Offset(produced.base_offset.0),
                log_start_offset: wire::Offset(produced.start_offset.0),
                duplicate: produced.duplicate,
                append_time: produced.append_time,
            })
        });
        self.complete(asker, response, now);
    }

    /// Answers a look-up of an offset.
    pub(in crate::core) fn native_found(
        &mut self,
        asker: Asker,
        reply: Result<FoundOffset, EngineError>,
        now: Now,
    ) {
        let response = reply.map(|found| {
            Response::ListOffsets(ListOffsetsOk {
                offset: wire::Offset(found.offset.0),
                timestamp: found.timestamp,
            })
        });
        self.complete(asker, response, now);
    }

    /// Answers a change of a topic, for which later requests have waited.
    pub(in crate::core) fn native_changed(
        &mut self,
        asker: Asker,
        reply: Result<TopicEntry, EngineError>,
        now: Now,
    ) {
        let response = reply.map(|entry| match entry {
            TopicEntry::Created(topic) => Response::CreateTopic(CreateTopicOk {
                topic_id: TopicId(topic.id.0),
                partitions: topic.partitions(),
            }),
            TopicEntry::Altered(altered) => Response::AlterTopic(AlterTopicOk {
                topic_id: TopicId(altered.id.0),
                partitions: altered.partitions(),
            }),
            TopicEntry::Deleted(id) => Response::DeleteTopic(TopicId(id.0)),
        });
        self.complete(asker, response, now);
        self.unblock(asker.conn, Pause::Topology, now);
    }

    /// Answers a producer that waited for its id.
    pub(super) fn native_id_reserved(
        &mut self,
        asker: Asker,
        id: Result<i64, EngineError>,
        now: Now,
    ) {
        self.complete(asker, id.map(init_producer), now);
    }

    /// Completes a client's request that has waited for one answer.
    fn complete(&mut self, asker: Asker, response: Result<Response<'_>, EngineError>, now: Now) {
        let Asker {
            conn,
            correlation,
            permit,
        } = asker;
        self.give_back_permit(conn, permit, now);
        match response {
            Ok(response) => self.respond(conn, correlation, &response),
            Err(error) => self.respond_engine_error(conn, correlation, &error),
        }
        self.request_done(conn, now);
    }

    pub(super) fn respond_fetched(&mut self, asker: Asker, parts: Vec<FetchedPart>) {
        let mut payload = Vec::new();
        let mut partitions = Vec::with_capacity(parts.len());
        for part in parts {
            partitions.push(fetched(
                part.partition,
                part.error,
                part.fetched,
                &mut payload,
            ));
        }
        let partitions = partitions.as_slice().into();
        let response = Response::Fetch(FetchOk { partitions });
        self.respond_with(asker.conn, asker.correlation, &response, payload);
    }

    /// Gives an answer of lines to send; where it is long it is not copied.
    pub(super) fn respond_lines(&mut self, asker: Asker, lines: TopicLines) {
        let Asker {
            conn, correlation, ..
        } = asker;
        let (kind, header) = lines.finish();
        let Some(session) = self.sessions.get(conn).filter(|session| !session.closing) else {
            return;
        };
        let first = session.out.is_empty();
        let frame = FrameHeader::new(kind.as_u16(), correlation, header.len(), 0);
        frame.write(&mut session.out);
        if header.len() < LONG {
            session.out.extend_from_slice(&header);
            if first {
                self.unflushed.push(conn);
            }
        } else {
            let head = session.take_out();
            session.unsent += header.len();
            let sends = [head, header].map(|bytes| session.outgoing(bytes));
            self.actions.extend(sends);
        }
        self.weigh(conn);
    }

    pub(super) fn respond_engine_error(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        error: &EngineError,
    ) {
        self.respond_error(conn, correlation, errors::code(error), &error.to_string());
    }

    /// Answers a produce whose time-out has passed.
    pub(super) fn native_gave_up(&mut self, asker: Asker, now: Now) {
        let message = "the request's time-out passed; a batch may still become durable";
        self.refuse(asker, ErrorCode::Timeout, message, now);
        self.request_done(asker.conn, now);
    }

    pub(super) fn respond_error(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        code: ErrorCode,
        message: &str,
    ) {
        let error = ErrorResponse::new(code, message);
        self.respond(conn, correlation, &Response::Error(error));
    }

    /// The request fails before anything waits for it; its permit comes back.
    pub(super) fn refuse(&mut self, asker: Asker, code: ErrorCode, message: &str, now: Now) {
        self.respond_error(asker.conn, asker.correlation, code, message);
        self.give_back_permit(asker.conn, asker.permit, now);
    }

    /// The connection cannot go on: it hears why and is closed.
    pub(super) fn refuse_frame(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        code: ErrorCode,
        message: &str,
    ) {
        self.respond_error(conn, correlation, code, message);
        self.end(conn);
    }
}

/// One partition's line of a fetch response; its batches go to the end of `payload`.
fn fetched(
    partition: PartitionId,
    error: Option<ErrorCode>,
    part: Option<FetchedPartition>,
    payload: &mut Vec<Bytes>,
) -> wire::FetchedPartition {
    let mut line = wire::FetchedPartition {
        partition,
        error,
        high_watermark: wire::Offset(0),
        log_start_offset: wire::Offset(0),
        payload_len: 0,
    };
    match part.map(|part| part.result) {
        Some(Ok(records)) => {
            line.high_watermark = wire::Offset(records.high_watermark.0);
            line.log_start_offset = wire::Offset(records.start_offset.0);
            line.payload_len = u32::try_from(records.len()).expect("bounded by the request");
            payload.extend(records.batches);
        }
        Some(Err(error)) => {
            if let EngineError::OffsetOutOfRange {
                start,
                high_watermark,
                ..
            } = error
            {
                line.high_watermark = wire::Offset(high_watermark.0);
                line.log_start_offset = wire::Offset(start.0);
            }
            line.error = Some(errors::code(&error));
        }
        None => {}
    }
    line
}
