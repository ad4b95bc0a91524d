//! From answers to bytes: small responses are encoded into the connection's buffer, batches
//! follow as they are.

use bytes::Bytes;
use leveret_engine::EngineError;
use leveret_engine::shard::{FetchedPartition, Reply};
use leveret_engine::topology::{ClusterNamed, ProducerIdsReserved, TopicEntry, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::native::{
    self as wire, AlterTopicOk, CorrelationId, CreateTopicOk, ErrorCode, ErrorResponse, FetchOk,
    FrameHeader, ListOffsetsOk, PartitionId, ProduceOk, Response, TopicId, TopicLines,
};

use super::gathered::FetchedPart;
use super::{Asker, errors};
use crate::core::Core;
use crate::core::boundary::{Action, ConnId};
use crate::core::hop::Answer;
use crate::core::session::Blocked;

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
        self.actions.push_back(Action::Send { conn, bytes: head });
        let sends = payload.into_iter();
        let sends = sends.map(|bytes| Action::Send { conn, bytes });
        self.actions.extend(sends);
        self.weigh(conn);
    }

    /// Completes one of a client's waiting requests.
    pub(in crate::core) fn native_answered(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        answer: Answer,
        now: Now,
    ) {
        match answer {
            Answer::Engine(reply) => self.answer_engine(conn, correlation, reply, now),
            answer => unreachable!("gathered, not answered at once: {answer:?}"),
        }
        self.request_done(conn, now);
    }

    fn answer_engine(&mut self, conn: ConnId, correlation: CorrelationId, reply: Reply, now: Now) {
        let response = match reply {
            Reply::Produced(produced) => Response::Produce(ProduceOk {
                base_offset: wire::Offset(produced.base_offset.0),
                log_start_offset: wire::Offset(produced.start_offset.0),
                duplicate: produced.duplicate,
                append_time: produced.append_time,
            }),
            Reply::Offset(found) => Response::ListOffsets(ListOffsetsOk {
                offset: wire::Offset(found.offset.0),
                timestamp: found.timestamp,
            }),
            Reply::Topology(entry) => {
                self.answer_change(conn, correlation, &entry);
                return self.unblock(conn, Blocked::Topology, now);
            }
            Reply::Failed(error) => {
                self.respond_engine_error(conn, correlation, &error);
                return self.unblock(conn, Blocked::Topology, now);
            }
            Reply::Fetched(_) => unreachable!("fetches are gathered"),
        };
        self.respond(conn, correlation, &response);
    }

    fn answer_change(&mut self, conn: ConnId, correlation: CorrelationId, entry: &TopologyEntry) {
        match entry {
            TopologyEntry::Topic(TopicEntry::Created(topic)) => {
                let topic_id = TopicId(topic.id.0);
                let ok = CreateTopicOk {
                    topic_id,
                    partitions: topic.partitions(),
                };
                self.respond(conn, correlation, &Response::CreateTopic(ok));
            }
            TopologyEntry::Topic(TopicEntry::Altered(altered)) => {
                let ok = AlterTopicOk {
                    topic_id: TopicId(altered.id.0),
                    partitions: altered.partitions(),
                };
                self.respond(conn, correlation, &Response::AlterTopic(ok));
            }
            TopologyEntry::Topic(TopicEntry::Deleted(id)) => {
                self.respond(conn, correlation, &Response::DeleteTopic(TopicId(id.0)));
            }
            TopologyEntry::ProducerIds(ProducerIdsReserved { first, count }) => {
                self.producer_ids.refill(*first, *count);
                let id = self.producer_ids.take().expect("a block is never empty");
                self.respond_producer(conn, correlation, id);
            }
            TopologyEntry::Cluster(ClusterNamed(_)) => unreachable!("no client asks for it"),
        }
    }

    pub(super) fn respond_fetched(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        parts: Vec<FetchedPart>,
    ) {
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
        self.respond_with(conn, correlation, &response, payload);
    }

    /// Gives an answer of lines to send; where it is long it is not copied.
    pub(super) fn respond_lines(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        lines: TopicLines,
    ) {
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
            let sends = [head, header].map(|bytes| Action::Send { conn, bytes });
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

    /// Answers a request whose time-out has passed.
    pub(in crate::core) fn native_gave_up(&mut self, conn: ConnId, correlation: CorrelationId) {
        let message = "the request's time-out passed; a batch may still become durable";
        self.respond_error(conn, correlation, ErrorCode::Timeout, message);
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
