//! Kafka's part of a session: its frames, and answers in the order of the requests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    self as wire, ApiKey, ApiRequest, Checking, FetchResponse, HeaderError, LENGTH_PREFIX,
    RequestHeader, Response, encode_response,
};
use leveret_wire::speech::Speech;

use super::api::{Api, Frame, Incoming, Read, SMALL_REQUEST};
use super::lane::Lane;
use super::single::SingleProduce;
use super::{Asker, Known, declared};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::net::frames::{self, Look};
use crate::core::protocol::{Listed, Spoken};
use crate::core::session::Session;

/// A step of the check of a long request, in the units of slices.
const CHECK: usize = 64 << 10;

/// What a frame, of which the beginning is there, asks for, if this broker's codec knows it.
pub(super) fn api_of(frame: &[u8]) -> Option<ApiKey> {
    let key = frame.get(LENGTH_PREFIX..)?.first_chunk::<2>()?;
    ApiKey::from_i16(i16::from_be_bytes(*key))
}

/// Whether a frame, of which the beginning is there, carries records that stay in memory.
fn carries_records(frame: &[u8]) -> bool {
    api_of(frame)
        .and_then(declared)
        .is_some_and(|declared| declared.carries_records)
}

/// Kafka's protocol.
pub(in crate::core) struct Kafka;

/// What a Kafka connection keeps.
#[derive(Debug, Default)]
pub(in crate::core) struct KafkaState {
    lane: Lane,
    /// What kind of client it is, if it said so.
    pub(super) software: Option<Box<str>>,
    /// How far the long request was checked that stands in line.
    checking: Checking,
}

impl Spoken for Kafka {
    const NAME: &'static str = "kafka";
    const SPEECH: Option<Speech> = Some(Speech::Kafka);
    // Answers leave in the order of the requests, so complete ones would pile up behind one that waits.
    const FETCHES: usize = 4;

    type State = KafkaState;
    type Produces = SingleProduce;
    type WantsId = Asker;

    fn look<P: BufPool>(core: &mut Core<P>, conn: ConnId, input: &[u8], now: Now) -> Look {
        match wire::frame_len(input, core.settings.kafka.request_bytes) {
            Ok(Some(len)) if len <= SMALL_REQUEST => {
                Look::Frame(frames::Frame { len, permit: len })
            }
            Ok(Some(_)) if input.len() < LENGTH_PREFIX + 2 => Look::NeedMore,
            Ok(Some(len)) => {
                let declared = api_of(input).and_then(declared);
                let longest = declared.map_or(SMALL_REQUEST, |declared| declared.longest);
                if len <= longest {
                    return Look::Frame(frames::Frame { len, permit: len });
                }
                let why = format!("a request of {len} bytes, which may have {longest}");
                core.kafka_refuse_rest(conn, &why, now);
                Look::Refused
            }
            Ok(None) => Look::NeedMore,
            Err(_) if core.turn_away(conn, input) => Look::Refused,
            Err(error) => {
                core.kafka_refuse_rest(conn, &error, now);
                Look::Refused
            }
        }
    }

    fn take<P: BufPool>(core: &mut Core<P>, conn: ConnId, frame: &[u8], permit: usize, now: Now) {
        let bytes = match carries_records(frame) {
            true => core.copy_records(frame),
            false => {
                core.slices.charge_reading(frame.len());
                core.copy_frame(frame)
            }
        };
        let checking = Checking::default();
        core.kafka_dispatch(conn, Frame { bytes, checking }, permit, now);
    }

    fn take_long<P: BufPool>(
        core: &mut Core<P>,
        conn: ConnId,
        bytes: BytesMut,
        permit: usize,
        now: Now,
    ) {
        let state = core.kafka_state(conn);
        let checking = state.map(|state| std::mem::take(&mut state.checking));
        let checking = checking.unwrap_or_default();
        core.kafka_dispatch(conn, Frame { bytes, checking }, permit, now);
    }

    fn reads_in_line(frame: &[u8]) -> bool {
        !carries_records(frame)
    }

    fn read_on<P: BufPool>(core: &mut Core<P>, conn: ConnId, frame: &[u8], now: Now) -> bool {
        let Some(state) = core.sessions.get(conn).map(state_of) else {
            return true;
        };
        while core.slices.has_room(now.mono) {
            // If the codec has a mistake that is told when the request is read.
            let step = catch_unwind(AssertUnwindSafe(|| state.checking.go_on(frame, CHECK)));
            let Ok(step) = step else { return true };
            core.slices.charge(step.cost);
            if step.over {
                return true;
            }
        }
        false
    }

    fn late<P: BufPool>(core: &mut Core<P>, conn: ConnId, why: &str) {
        core.kafka_end(conn, why);
    }

    fn held_back(state: &KafkaState) -> usize {
        state.lane.kept()
    }

    fn produced<P: BufPool>(
        core: &mut Core<P>,
        client: SingleProduce,
        reply: Option<Result<Produced, EngineError>>,
        now: Now,
    ) {
        core.kafka_produced(&client, reply, now);
    }

    fn id_reserved<P: BufPool>(
        core: &mut Core<P>,
        client: Asker,
        id: Result<i64, EngineError>,
        now: Now,
    ) {
        core.kafka_id_reserved(client, id, now);
    }
}

/// What was read of a frame.
struct Told<O> {
    version: i16,
    correlation: i32,
    outline: O,
}

impl<P: BufPool> Core<P> {
    /// Reads a request of that API, and begins with it.
    pub(super) fn kafka_take<A: Api>(
        &mut self,
        conn: ConnId,
        frame: Frame,
        permit: usize,
        now: Now,
    ) {
        let known = self.known(conn, now);
        // The bytes are a stranger's: if the codec has a mistake it costs that connection only.
        let read = catch_unwind(AssertUnwindSafe(|| read::<A>(&frame, &known)));
        let told = match read {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => return self.kafka_refuse(conn, &error, permit, now),
            Err(_) => return self.kafka_drop(conn, permit, &"reading a request failed", now),
        };
        if self.sessions.greeted(conn) {
            self.name_kafka_client(conn, frame.bytes.as_ref());
        }
        if self.stop.begun() {
            return self.kafka_drop(conn, permit, &"the broker is stopping", now);
        }
        let mut asker = Asker {
            conn,
            version: told.version,
            correlation: told.correlation,
            turn: None,
            permit,
        };
        if A::is_answered(&told.outline) {
            self.take_turn(&mut asker);
        }
        let outline = told.outline;
        let request = Incoming {
            asker,
            outline,
            frame,
        };
        A::start(self, request, now);
    }

    /// A client calls itself the same in all that it sends: what it says first is kept.
    fn name_kafka_client(&mut self, conn: ConnId, frame: &[u8]) {
        if let Ok((header, _)) = RequestHeader::parse(frame) {
            let name = header.client_id.unwrap_or_default();
            self.sessions.name_client(conn, name);
        }
    }

    /// The peer in words.
    fn who(&mut self, conn: ConnId) -> String {
        self.sessions.get(conn).map(|s| s.who()).unwrap_or_default()
    }

    /// Takes a request of none of the APIs that are carried out.
    pub(super) fn kafka_unknown(&mut self, conn: ConnId, frame: &Frame, permit: usize, now: Now) {
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            match RequestHeader::parse(&frame.bytes) {
                Ok((header, _)) => HeaderError::UnknownApi {
                    key: header.api.as_i16(),
                    version: header.version,
                },
                Err(error) => error,
            }
        }));
        match parsed {
            Ok(error) => self.kafka_refuse(conn, &error, permit, now),
            Err(_) => self.kafka_drop(conn, permit, &"reading a request failed", now),
        }
    }

    /// A request cannot be read: its connection ends, unless it asks which versions can be.
    fn kafka_refuse(&mut self, conn: ConnId, error: &HeaderError, permit: usize, now: Now) {
        if let HeaderError::UnsupportedVersion {
            api: ApiKey::ApiVersions,
            correlation_id,
            ..
        } = *error
        {
            let mut asker = Asker {
                conn,
                version: 0,
                correlation: correlation_id,
                turn: None,
                permit,
            };
            self.take_turn(&mut asker);
            // It has spoken this protocol: what follows is not told in another one's words.
            self.sessions.greeted(conn);
            return self.refuse_api_versions(asker, now);
        }
        self.tell_missing(conn, error);
        self.kafka_drop(conn, permit, error, now);
    }

    /// The answer gets the connection's next turn.
    fn take_turn(&mut self, asker: &mut Asker) {
        let state = self.kafka_state(asker.conn);
        asker.turn = state.map(|state| state.lane.take_turn());
    }

    pub(super) fn kafka_state(&mut self, conn: ConnId) -> Option<&mut KafkaState> {
        self.state::<Kafka>(conn)
    }

    /// Answers a request at once.
    pub(super) fn kafka_answer(&mut self, asker: Asker, response: &impl Response, now: Now) {
        self.kafka_respond(asker, response);
        self.give_back_permit(asker.conn, asker.permit, now);
    }

    /// Gives a response to send when its turn comes.
    pub(super) fn kafka_respond<R: Response>(&mut self, asker: Asker, response: &R) {
        let conn = asker.conn;
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        let (Some(session), Some(turn)) = (session, asker.turn) else {
            return;
        };
        if state_of(session).lane.is_next(turn) {
            let first = session.out.is_empty();
            let len = encode_response(&mut session.out, asker.version, asker.correlation, response);
            self.slices.charge(len);
            state_of(session).lane.pass();
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
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        let (Some(session), Some(turn)) = (session, asker.turn) else {
            return;
        };
        session.unsent += answer.iter().map(Bytes::len).sum::<usize>();
        state_of(session).lane.keep(turn, answer);
        self.send_kept(conn);
        self.weigh(conn);
    }

    fn send_kept(&mut self, conn: ConnId) {
        while let Some(answer) = self
            .kafka_state(conn)
            .and_then(|state| state.lane.pop_kept())
        {
            self.flush(conn);
            let Some(session) = self.sessions.get(conn) else {
                return;
            };
            let sends = answer.into_iter().map(|bytes| session.outgoing(bytes));
            self.actions.extend(sends);
        }
    }

    /// What came last is not answered, nor is what follows: Kafka's protocol has no words for it. A client that
    /// has sent others before gets their answers, as it does of Apache Kafka, which takes one after the other.
    fn kafka_refuse_rest(&mut self, conn: ConnId, why: &dyn std::fmt::Display, now: Now) {
        let peer = self.who(conn);
        tracing::debug!(core = self.id.0, peer, %why, "a Kafka connection is heard no more");
        self.hear_no_more(conn, now);
    }

    /// The connection cannot go on; Kafka's protocol has no words for it.
    pub(super) fn kafka_end(&mut self, conn: ConnId, why: &str) {
        let peer = self.who(conn);
        tracing::debug!(core = self.id.0, peer, why, "a Kafka connection is closed");
        self.end(conn);
    }

    fn kafka_drop(&mut self, conn: ConnId, permit: usize, why: &dyn std::fmt::Display, now: Now) {
        self.kafka_refuse_rest(conn, why, now);
        self.give_back_permit(conn, permit, now);
    }
}

fn state_of(session: &mut Session) -> &mut KafkaState {
    Kafka::own(&mut session.state).expect("Kafka's frames come of Kafka connections")
}

fn read<A: Api>(frame: &Frame, known: &Known<'_>) -> Result<Told<A::Outline>, HeaderError> {
    let (header, mut body) = RequestHeader::parse(&frame.bytes)?;
    if !A::CARRIES_RECORDS {
        body = body.with_checking(&frame.checking);
    }
    let read = Read::<A> {
        request: A::Request::decode(&mut body)?,
        version: header.version,
        frame: &frame.bytes,
    };
    Ok(Told {
        version: header.version,
        correlation: header.correlation_id,
        outline: A::outline(&read, known),
    })
}
