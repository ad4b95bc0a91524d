//! Kafka's part of a session: its frames, and answers in the order of the requests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    self as wire, CheckedFrame, Checking, FetchResponse, HeaderError, LENGTH_PREFIX, Request,
    RequestHeader, Response, encode_response,
};

use super::changes::{ChangeOutline, What};
use super::describe_configs::DescribeOutline;
use super::fetch::FetchOutline;
use super::lane::Lane;
use super::metadata::MetadataAsked;
use super::{Asker, Outline};
use crate::core::Core;
use crate::core::boundary::{Action, ConnId};
use crate::core::intake::{Frame, Look};
use crate::core::session::{Session, Talk};

/// Longest request other than Produce, bytes. What is kept of one is up to some dozen times its
/// length.
const SMALL_REQUEST: usize = 1 << 20;
/// A step of the check of a long request, in the units of slices.
const CHECK: usize = 64 << 10;
/// How the header of Produce begins.
const PRODUCE: &[u8] = &(wire::ApiKey::Produce as i16).to_be_bytes();

/// Whether a frame, of which the beginning is there, is of Produce.
pub(in crate::core) fn is_produce(frame: &[u8]) -> bool {
    frame.get(LENGTH_PREFIX..LENGTH_PREFIX + 2) == Some(PRODUCE)
}

/// What a Kafka connection keeps.
#[derive(Debug, Default)]
pub(in crate::core) struct KafkaTalk {
    lane: Lane,
    /// What kind of client it is, if it said so.
    pub(super) software: Option<Box<str>>,
}

impl KafkaTalk {
    /// Bytes of answers that wait for the turn of an earlier one.
    pub(in crate::core) fn kept(&self) -> usize {
        self.lane.kept()
    }
}

/// What became of reading a frame.
enum Read<'a> {
    Request(RequestHeader<'a>, Request<'a>),
    Header(HeaderError),
    Body(wire::DecodeError),
}

impl<P: BufPool> Core<P> {
    /// The frame at the start of `input`.
    pub(in crate::core) fn look_kafka(&mut self, conn: ConnId, input: &[u8]) -> Look {
        match wire::frame_len(input, self.settings.kafka.request_bytes) {
            Ok(Some(len)) if len <= SMALL_REQUEST => Look::Frame(Frame { len, permit: len }),
            Ok(Some(len)) => match input.get(LENGTH_PREFIX..LENGTH_PREFIX + 2) {
                Some(PRODUCE) => Look::Frame(Frame { len, permit: len }),
                Some(_) => {
                    self.kafka_end(conn, "only Produce may be longer than 1 MiB");
                    Look::Refused
                }
                None => Look::NeedMore,
            },
            Ok(None) => Look::NeedMore,
            Err(_) if self.turn_away(conn, input) => Look::Refused,
            Err(error) => {
                self.kafka_end(conn, &error.to_string());
                Look::Refused
            }
        }
    }

    /// Takes one frame, of which `permit` bytes are held until its request is answered.
    pub(in crate::core) fn kafka_frame(
        &mut self,
        conn: ConnId,
        frame: BytesMut,
        permit: usize,
        now: Now,
    ) {
        if !is_produce(&frame) {
            self.slices.charge_reading(frame.len());
        }
        self.kafka_checked(conn, frame, Checking::default(), permit, now);
    }

    /// Checks a long frame that is all there, as far as the slice goes. Whether that was all.
    pub(in crate::core) fn kafka_check(
        &mut self,
        frame: &[u8],
        checking: &Checking,
        now: Now,
    ) -> bool {
        while self.slices.has_room(now.mono) {
            // If the codec has a mistake that is told when the request is read.
            let step = catch_unwind(AssertUnwindSafe(|| checking.go_on(frame, CHECK)));
            let Ok(step) = step else { return true };
            self.slices.charge(step.cost);
            if step.over {
                return true;
            }
        }
        false
    }

    /// Takes one frame of which so much was checked.
    pub(in crate::core) fn kafka_checked(
        &mut self,
        conn: ConnId,
        frame: BytesMut,
        checking: Checking,
        permit: usize,
        now: Now,
    ) {
        // The bytes are a stranger's: if the codec has a mistake it costs that connection only.
        let read = catch_unwind(AssertUnwindSafe(|| read(&frame, &checking)));
        let (header, request) = match read {
            Ok(Read::Request(header, request)) => (header, request),
            Ok(Read::Header(HeaderError::UnsupportedVersion {
                api: wire::ApiKey::ApiVersions,
                correlation_id,
                ..
            })) => {
                let asker = self.kafka_asker(conn, 0, correlation_id, permit);
                return self.refuse_api_versions(asker, now);
            }
            Ok(Read::Header(error)) => {
                self.tell_missing(conn, &error);
                return self.kafka_drop(conn, permit, &error, now);
            }
            Ok(Read::Body(error)) => return self.kafka_drop(conn, permit, &error, now),
            Err(_) => return self.kafka_drop(conn, permit, &"reading a request failed", now),
        };
        self.sessions.greeted(conn);
        if self.stop.begun() {
            return self.kafka_drop(conn, permit, &"the broker is stopping", now);
        }
        if let Request::Produce(produce) = request {
            // Its batches are cut out of the frame, which nothing may borrow then.
            let plan = self.plan_produce(&produce, header.version, &frame);
            let (version, correlation) = (header.version, header.correlation_id);
            return self.kafka_produce(conn, version, correlation, permit, plan, frame, now);
        }
        let asker = self.kafka_asker(conn, header.version, header.correlation_id, permit);
        let outline = match request {
            Request::ApiVersions(request) => {
                return self.kafka_api_versions(asker, &request, now);
            }
            Request::InitProducerId(request) => {
                return self.kafka_init_producer(asker, &request, now);
            }
            request => outline(&request),
        };
        let frame = CheckedFrame::new(frame.freeze(), checking);
        self.kafka_dispatch(asker, outline, frame, now);
    }

    /// Who asks, with the next turn of the connection.
    pub(super) fn kafka_asker(
        &mut self,
        conn: ConnId,
        version: i16,
        correlation: i32,
        permit: usize,
    ) -> Asker {
        let turn = self
            .kafka_talk(conn)
            .map_or(0, |talk| talk.lane.take_turn());
        Asker {
            conn,
            version,
            correlation,
            turn,
            permit,
        }
    }

    pub(super) fn kafka_talk(&mut self, conn: ConnId) -> Option<&mut KafkaTalk> {
        self.sessions.get(conn).map(talk_of)
    }

    /// Answers a request at once.
    pub(super) fn kafka_answer(&mut self, asker: Asker, response: &impl Response, now: Now) {
        self.kafka_respond(asker, response);
        self.give_back_permit(asker.conn, asker.permit, now);
    }

    /// Gives a response to send when its turn comes.
    pub(super) fn kafka_respond<R: Response>(&mut self, asker: Asker, response: &R) {
        let conn = asker.conn;
        let Some(session) = self.sessions.get(conn).filter(|session| !session.closing) else {
            return;
        };
        if talk_of(session).lane.is_next(asker.turn) {
            let first = session.out.is_empty();
            let len = encode_response(&mut session.out, asker.version, asker.correlation, response);
            self.slices.charge(len);
            talk_of(session).lane.pass();
            if first {
                self.unflushed.push(conn);
            }
            self.send_kept(conn);
            return self.weigh(conn);
        }
        let len = encode_response(&mut self.arena, asker.version, asker.correlation, response);
        self.slices.charge(len);
        let answer = vec![self.arena.split().freeze()];
        self.keep_answer(asker, answer);
    }

    /// Gives a fetch's answer to send when its turn comes; the batches leave uncopied.
    pub(super) fn kafka_respond_fetch(
        &mut self,
        asker: Asker,
        response: &FetchResponse<'_>,
        records: Vec<Vec<Bytes>>,
    ) {
        let mut cuts = Vec::with_capacity(records.len());
        let (version, correlation) = (asker.version, asker.correlation);
        response.encode(&mut self.arena, &mut cuts, version, correlation);
        let head = self.arena.split().freeze();
        self.slices.charge(head.len());
        let mut answer = Vec::new();
        wire::interleave(head, &cuts, records, |bytes| answer.push(bytes));
        self.keep_answer(asker, answer);
    }

    /// Keeps an answer for its turn, and sends what has its turn now.
    pub(super) fn keep_answer(&mut self, asker: Asker, answer: Vec<Bytes>) {
        let conn = asker.conn;
        let Some(session) = self.sessions.get(conn).filter(|session| !session.closing) else {
            return;
        };
        session.unsent += answer.iter().map(Bytes::len).sum::<usize>();
        talk_of(session).lane.keep(asker.turn, answer);
        self.send_kept(conn);
        self.weigh(conn);
    }

    fn send_kept(&mut self, conn: ConnId) {
        while let Some(answer) = self.kafka_talk(conn).and_then(|talk| talk.lane.pop_kept()) {
            self.flush(conn);
            let sends = answer.into_iter().map(|bytes| Action::Send { conn, bytes });
            self.actions.extend(sends);
        }
    }

    /// The connection cannot go on; Kafka's protocol has no words for it.
    pub(in crate::core) fn kafka_end(&mut self, conn: ConnId, why: &str) {
        tracing::debug!(core = self.id.0, why, "a Kafka connection is closed");
        self.end(conn);
    }

    fn kafka_drop(&mut self, conn: ConnId, permit: usize, why: &dyn std::fmt::Display, now: Now) {
        self.kafka_end(conn, &why.to_string());
        self.give_back_permit(conn, permit, now);
    }
}

fn talk_of(session: &mut Session) -> &mut KafkaTalk {
    match &mut session.talk {
        Talk::Kafka(talk) => talk,
        Talk::Native(_) => unreachable!("Kafka's frames come of Kafka connections"),
    }
}

/// What a request asks, without its frame.
fn outline(request: &Request<'_>) -> Outline {
    let change = |what, named, validate_only| {
        Outline::Change(ChangeOutline {
            what,
            named,
            validate_only,
        })
    };
    match request {
        Request::Fetch(fetch) => Outline::Fetch(FetchOutline::of(fetch)),
        Request::ListOffsets(list) => Outline::ListOffsets(list.topics.iter().place()),
        Request::Metadata(metadata) => Outline::Metadata(MetadataAsked::of(metadata)),
        Request::DeleteTopics(delete) => Outline::DeleteTopics(delete.topics.iter().place()),
        Request::DescribeConfigs(describe) => {
            Outline::DescribeConfigs(DescribeOutline::of(describe))
        }
        Request::CreateTopics(create) => {
            let named = create.topics.iter().place();
            change(What::CreateTopics, named, create.validate_only)
        }
        Request::CreatePartitions(create) => {
            let named = create.topics.iter().place();
            change(What::CreatePartitions, named, create.validate_only)
        }
        Request::AlterConfigs(alter) => {
            let named = alter.resources.iter().place();
            change(What::AlterConfigs, named, alter.validate_only)
        }
        Request::IncrementalAlterConfigs(alter) => {
            let named = alter.resources.iter().place();
            change(What::IncrementalAlterConfigs, named, alter.validate_only)
        }
        Request::Produce(_) | Request::ApiVersions(_) | Request::InitProducerId(_) => {
            unreachable!("taken otherwise")
        }
    }
}

fn read<'a>(frame: &'a [u8], checking: &'a Checking) -> Read<'a> {
    let (header, body) = match RequestHeader::parse(frame) {
        Ok(parsed) => parsed,
        Err(error) => return Read::Header(error),
    };
    let mut body = body.with_checking(checking);
    match Request::decode(header.api, &mut body) {
        Ok(request) => Read::Request(header, request),
        Err(error) => Read::Body(error),
    }
}
