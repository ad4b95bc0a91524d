//! The native protocol's part of a session: its frames, and how far a connection has come.

use std::fmt::Display;

use bytes::BytesMut;
use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::native::{
    CorrelationId, ErrorCode, ErrorResponse, FrameHeader, FrameLimits, Kind, Response,
};
use leveret_wire::speech::Speech;

use super::Asker;
use super::subscriptions::Subscribed;
use crate::core::boundary::ConnId;
use crate::core::net::frames::{Frame, Look, SMALL_FRAME, detach};
use crate::core::protocol::Spoken;
use crate::core::{Core, Ports};

/// The native protocol.
pub(in crate::core) struct Native;

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing but `Hello` is taken.
    #[default]
    Hello,
    /// Any request but `Hello`.
    Request,
}

/// What a native connection keeps.
#[derive(Debug, Default)]
pub(in crate::core) struct NativeState {
    pub(super) expect: Expect,
    /// What is pushed to it.
    pub(super) subscribed: Subscribed,
}

impl Spoken for Native {
    const NAME: &'static str = "native";
    const SPEECH: Option<Speech> = Some(Speech::Native);

    type State = NativeState;
    type Produces = Asker;
    type WantsId = Asker;

    fn look<P: BufPool>(core: &mut Core<P>, conn: ConnId, input: &[u8], _now: Now) -> Look {
        let header = match FrameHeader::parse(input, &core.frame_limits()) {
            Ok(Some(header)) => header,
            Ok(None) => return Look::NeedMore,
            Err(_) if core.turn_away(conn, input) => return Look::Refused,
            Err(error) if !core.said_hello(conn) => {
                core.refuse_unknown(conn, input, &error);
                return Look::Refused;
            }
            Err(error) => {
                let message = error.to_string();
                core.refuse_frame(conn, CorrelationId(0), ErrorCode::BadFrame, &message);
                return Look::Refused;
            }
        };
        let len = header.frame_len();
        let large = len > SMALL_FRAME && input.len() < len;
        if large && (!core.said_hello(conn) || header.kind != Kind::Produce.as_u16()) {
            let message = "only Produce may be longer than 16 KiB";
            core.refuse_frame(conn, header.correlation, ErrorCode::BadFrame, message);
            return Look::Refused;
        }
        // Of a small frame the payload is copied and kept, of a large one all that was received.
        let permit = if large { len } else { header.payload_len() };
        Look::Frame(Frame { len, permit })
    }

    fn take<P: BufPool>(core: &mut Core<P>, conn: ConnId, frame: &[u8], permit: usize, now: Now) {
        let header = core.header_of(frame);
        let head = &frame[header.header_range()];
        if header.kind == Kind::Hello.as_u16() && core.hands_over(conn, frame, head) {
            // It is looked at again, here or there.
            return core.give_back_permit(conn, permit, now);
        }
        let payload = core.copy_records(&frame[header.payload_range()]);
        core.dispatch(conn, &header, head, payload, permit, now);
    }

    fn take_long<P: BufPool>(
        core: &mut Core<P>,
        conn: ConnId,
        mut frame: BytesMut,
        permit: usize,
        now: Now,
    ) {
        let header = core.header_of(&frame);
        let whole = frame.len();
        let payload = frame.split_off(header.payload_range().start);
        let payload = detach(payload, whole);
        let head = &frame[header.header_range()];
        core.dispatch(conn, &header, head, payload, permit, now);
    }

    fn late<P: BufPool>(core: &mut Core<P>, conn: ConnId, why: &str) {
        core.refuse_frame(conn, CorrelationId(0), ErrorCode::Timeout, why);
    }

    fn push_on<P: BufPool>(core: &mut Core<P>, conn: ConnId, now: Now) -> bool {
        core.push_subscribed(conn, now)
    }

    fn hung_up<P: BufPool>(core: &mut Core<P>, conn: ConnId) {
        let keys = core.native_state(conn).map(|s| s.subscribed.keys.clone());
        for key in keys.unwrap_or_default() {
            core.drop_subscription(key);
        }
    }

    fn gone<P: BufPool>(core: &mut Core<P>, state: NativeState) {
        for key in state.subscribed.keys {
            core.drop_subscription(key);
        }
    }

    fn stops<P: BufPool>(core: &mut Core<P>) {
        core.end_subscriptions();
    }

    fn waits(state: &NativeState) -> bool {
        !state.subscribed.keys.is_empty()
    }

    fn produced<P: BufPool>(
        core: &mut Core<P>,
        client: Asker,
        reply: Option<Result<Produced, EngineError>>,
        now: Now,
    ) {
        match reply {
            Some(reply) => core.native_produced(client, reply, now),
            None => core.native_gave_up(client, now),
        }
    }

    fn id_reserved<P: BufPool>(
        core: &mut Core<P>,
        client: Asker,
        id: Result<i64, EngineError>,
        now: Now,
    ) {
        core.native_id_reserved(client, id, now);
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn frame_limits(&self) -> FrameLimits {
        FrameLimits::for_requests(self.settings.max_batch_bytes)
    }

    fn header_of(&self, frame: &[u8]) -> FrameHeader {
        let header = FrameHeader::parse(frame, &self.frame_limits());
        header.ok().flatten().expect("it was looked at")
    }

    pub(super) fn native_state(&mut self, conn: ConnId) -> Option<&mut NativeState> {
        self.state::<Native>(conn)
    }

    /// What may come next of the connection, if it is still there.
    pub(super) fn expects(&mut self, conn: ConnId) -> Option<Expect> {
        self.native_state(conn).map(|state| state.expect)
    }

    fn said_hello(&mut self, conn: ConnId) -> bool {
        self.expects(conn) == Some(Expect::Request)
    }

    /// What the peer said first is nothing that is known: both sides are told what it was, and the connection
    /// is closing.
    fn refuse_unknown(&mut self, conn: ConnId, first: &[u8], error: &dyn Display) {
        let sentence = self.note_unknown(conn, first, error);
        let mut refusal = ErrorResponse::new(ErrorCode::BadFrame, sentence.as_str());
        refusal.remedy = remedy(&self.settings.ports).into();
        self.respond(conn, CorrelationId(0), &Response::Error(refusal));
        self.end(conn);
    }
}

/// What a peer can do whose protocol is not known.
fn remedy(ports: &Ports) -> String {
    let mut remedy = "use a client of that protocol here".to_owned();
    if let Some(kafka) = ports.of(Speech::Kafka) {
        remedy.push_str(&format!("; Kafka clients connect to {kafka}"));
    }
    if let Some(http) = ports.of(Speech::Http) {
        remedy.push_str(&format!(
            "; health, metrics and status are served over HTTP at {http}"
        ));
    }
    remedy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_hears_what_is_served_where() {
        let mut ports = Ports::default();
        ports.serve(Speech::Kafka, "127.0.0.1:9092".into());
        let remedy = remedy(&ports);
        assert!(
            remedy.contains("Kafka clients connect to 127.0.0.1:9092"),
            "{remedy}"
        );
        assert!(!remedy.contains("HTTP"), "{remedy}");
    }
}
