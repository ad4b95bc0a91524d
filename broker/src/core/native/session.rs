//! The native protocol's part of a session: its frames, and how far a connection has come.

use bytes::BytesMut;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::native::{CorrelationId, ErrorCode, FrameHeader, FrameLimits, Kind};

use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::intake::{Frame, Look, SMALL_FRAME, detach};
use crate::core::session::ProtocolState;

/// How far a connection has come. Named for what may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) enum NativeState {
    /// Nothing but `Hello` is taken.
    #[default]
    ExpectHello,
    /// Any request but `Hello`.
    ExpectRequest,
}

impl<P: BufPool> Core<P> {
    /// The frame at the start of `input`.
    pub(in crate::core) fn look_native(&mut self, conn: ConnId, input: &[u8]) -> Look {
        let header = match FrameHeader::parse(input, &self.frame_limits()) {
            Ok(Some(header)) => header,
            Ok(None) => return Look::NeedMore,
            Err(_) if self.turn_away(conn, input) => return Look::Refused,
            Err(error) if !self.said_hello(conn) => {
                self.refuse_unknown(conn, input, &error);
                return Look::Refused;
            }
            Err(error) => {
                let message = error.to_string();
                self.refuse_frame(conn, CorrelationId(0), ErrorCode::BadFrame, &message);
                return Look::Refused;
            }
        };
        let len = header.frame_len();
        let large = len > SMALL_FRAME && input.len() < len;
        if large && (!self.said_hello(conn) || header.kind != Kind::Produce.as_u16()) {
            let message = "only Produce may be longer than 16 KiB";
            self.refuse_frame(conn, header.correlation, ErrorCode::BadFrame, message);
            return Look::Refused;
        }
        // Of a small frame the payload is copied and kept, of a large one all that was received.
        let permit = if large { len } else { header.payload_len() };
        Look::Frame(Frame { len, permit })
    }

    /// Takes a frame where it was received.
    pub(in crate::core) fn native_whole(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        permit: usize,
        now: Now,
    ) {
        let header = self.header_of(frame);
        let head = &frame[header.header_range()];
        if header.kind == Kind::Hello.as_u16() && self.hands_over(conn, frame, head) {
            // It is looked at again, here or there.
            return self.give_back_permit(conn, permit, now);
        }
        let payload = self.copy_records(&frame[header.payload_range()]);
        self.dispatch(conn, &header, head, payload, permit, now);
    }

    /// Takes a frame in a buffer of its own.
    pub(in crate::core) fn native_large(
        &mut self,
        conn: ConnId,
        mut frame: BytesMut,
        permit: usize,
        now: Now,
    ) {
        let header = self.header_of(&frame);
        let whole = frame.len();
        let payload = frame.split_off(header.payload_range().start);
        let payload = detach(payload, whole);
        let head = &frame[header.header_range()];
        self.dispatch(conn, &header, head, payload, permit, now);
    }

    /// The connection did not say in time what it had to say.
    pub(in crate::core) fn native_too_late(&mut self, conn: ConnId, message: &str) {
        self.refuse_frame(conn, CorrelationId(0), ErrorCode::Timeout, message);
    }

    pub(super) fn frame_limits(&self) -> FrameLimits {
        FrameLimits::for_requests(self.settings.max_batch_bytes)
    }

    fn header_of(&self, frame: &[u8]) -> FrameHeader {
        let header = FrameHeader::parse(frame, &self.frame_limits());
        header.ok().flatten().expect("it was looked at")
    }

    fn said_hello(&mut self, conn: ConnId) -> bool {
        let session = self.sessions.get(conn);
        session.is_some_and(|session| {
            matches!(
                session.state,
                ProtocolState::Native(NativeState::ExpectRequest)
            )
        })
    }
}
