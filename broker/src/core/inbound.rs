//! From received bytes to requests, and everything that can make a connection wait or end.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use leveret_engine::shard::RequestId;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};
use leveret_wire::native::{CorrelationId, ErrorCode, FrameHeader, FrameLimits, Kind};

use super::Core;
use super::boundary::{Action, ConnId};
use super::intake::{self, Step};
use super::pending::{Slot, Waiting};
use super::session::{Blocked, Stage};

/// A large frame that is not complete by then closes its connection, nanoseconds.
const BODY_DEADLINE: u64 = 60_000_000_000;
/// Requests of one connection that may wait for their answers.
const MAX_WAITING: usize = 8192;
/// How much is allocated at a time for the payloads of small frames, bytes.
const ARENA: usize = 256 * 1024;

/// What has a coarse deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection's hello.
    Hello(ConnId),
    /// The large frame with this correlation that the connection was sending.
    Body(ConnId, CorrelationId),
}

impl<P: BufPool> Core<P> {
    pub(super) fn accept(&mut self, conn: ConnId, peer: SocketAddr, now: Now) {
        tracing::debug!(core = self.id.0, %peer, "connection accepted");
        self.accepted += 1;
        self.sessions.open(conn);
        if self.stop.begun() {
            self.actions.push_back(Action::Close(conn));
            return;
        }
        let deadline = now.mono.after(self.settings.hello_ns);
        self.deadlines.set(deadline, Due::Hello(conn));
        self.bound_greeting();
    }

    /// Closes the connection that has been longest without a hello while too many have said none:
    /// who means well says it at once.
    fn bound_greeting(&mut self) {
        while self.sessions.greeting() > self.settings.hello_max {
            let oldest = self.sessions.oldest_greeting();
            let oldest = oldest.expect("each that is counted is listed");
            self.hello_evictions += 1;
            let message = "too many connections have not said hello";
            self.refuse_frame(oldest, CorrelationId(0), ErrorCode::Timeout, message);
        }
    }

    pub(super) fn receive(&mut self, conn: ConnId, bytes: &[u8], now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.rx.is_empty() && session.blocked.is_none() {
            let used = self.consume(conn, bytes, now);
            self.keep(conn, &bytes[used..]);
        } else {
            session.rx.extend_from_slice(bytes);
            self.go_on(conn, now);
        }
    }

    /// Looks again at what a connection has sent, as far as nothing blocks it.
    pub(super) fn go_on(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let mut kept = std::mem::take(&mut session.rx);
        let used = self.consume(conn, &kept, now);
        kept.advance(used);
        self.keep(conn, &kept);
    }

    fn keep(&mut self, conn: ConnId, rest: &[u8]) {
        if let Some(session) = self.sessions.get(conn)
            && session.stage != Stage::Closing
        {
            session.rx.extend_from_slice(rest);
        }
    }

    /// Takes whole frames from the start of `input` until it ends or something blocks. Returns
    /// the bytes used.
    fn consume(&mut self, conn: ConnId, input: &[u8], now: Now) -> usize {
        let limits = FrameLimits::for_requests(self.settings.max_batch_bytes);
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let Some(session) = self.sessions.get(conn) else {
                return input.len();
            };
            if session.stage == Stage::Closing {
                return input.len();
            }
            if session.blocked.is_some() || rest.is_empty() {
                return used;
            }
            match intake::look(rest, &limits) {
                Ok(Step::NeedMore) => return used,
                Ok(Step::Whole(header)) => {
                    let Some(permit) = self.permit(conn, header.payload_len()) else {
                        return used;
                    };
                    let payload = self.copy_payload(&rest[header.payload_range()]);
                    self.dispatch(
                        conn,
                        &header,
                        &rest[header.header_range()],
                        payload,
                        permit,
                        now,
                    );
                    used += header.frame_len();
                }
                Ok(Step::Large(header)) => {
                    if session.stage == Stage::ExpectHello || header.kind != Kind::Produce.as_u16()
                    {
                        let message = "only Produce may be longer than 16 KiB";
                        self.refuse_frame(conn, header.correlation, ErrorCode::BadFrame, message);
                        return input.len();
                    }
                    if self.permit(conn, header.frame_len()).is_none() {
                        return used;
                    }
                    self.begin_large(conn, header, rest, now);
                    return input.len();
                }
                Err(error) => {
                    let message = error.to_string();
                    self.refuse_frame(conn, CorrelationId(0), ErrorCode::BadFrame, &message);
                    return input.len();
                }
            }
        }
    }

    /// Takes a permit, or blocks the connection until there is one.
    fn permit(&mut self, conn: ConnId, bytes: usize) -> Option<usize> {
        if bytes == 0 || self.permits.take(conn, bytes) {
            return Some(bytes);
        }
        self.block(conn, Blocked::Permit);
        None
    }

    pub(super) fn give_back_permit(&mut self, bytes: usize, now: Now) {
        if bytes == 0 {
            return;
        }
        self.permits.give_back(bytes);
        while let Some(conn) = self.permits.next_waiting() {
            self.unblock(conn, Blocked::Permit, now);
            // Still first in line: what is free is not enough for it yet.
            if self.permits.next_waiting() == Some(conn) {
                break;
            }
        }
    }

    fn copy_payload(&mut self, payload: &[u8]) -> BytesMut {
        if payload.is_empty() {
            return BytesMut::new();
        }
        if self.arena.capacity() < payload.len() {
            self.arena = BytesMut::with_capacity(ARENA.max(payload.len()));
        }
        self.arena.extend_from_slice(payload);
        self.arena.split()
    }

    fn begin_large(&mut self, conn: ConnId, header: FrameHeader, so_far: &[u8], now: Now) {
        let (into, len) = intake::place(&header, so_far);
        let session = self.sessions.get(conn).expect("looked at by the caller");
        session.large = Some(header);
        self.deadlines.set(
            now.mono.after(BODY_DEADLINE),
            Due::Body(conn, header.correlation),
        );
        self.actions.push_back(Action::Receive { conn, into, len });
    }

    pub(super) fn receive_body(&mut self, conn: ConnId, mut frame: BytesMut, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let header = session
            .large
            .take()
            .expect("the driver hands back what was asked for");
        if session.stage == Stage::Closing {
            self.give_back_permit(header.frame_len(), now);
            return;
        }
        let payload = frame.split_off(header.payload_range().start);
        let head = &frame[header.header_range()];
        self.dispatch(conn, &header, head, payload, header.frame_len(), now);
    }

    pub(super) fn block(&mut self, conn: ConnId, why: Blocked) {
        if let Some(session) = self.sessions.get(conn)
            && session.blocked.is_none()
        {
            session.blocked = Some(why);
            self.actions.push_back(Action::Pause(conn));
        }
    }

    /// What blocked the connection for that reason is over.
    pub(super) fn unblock(&mut self, conn: ConnId, why: Blocked, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.blocked != Some(why) {
            return;
        }
        session.blocked = None;
        self.go_on(conn, now);
        if let Some(session) = self.sessions.get(conn)
            && session.blocked.is_none()
        {
            self.actions.push_back(Action::Resume(conn));
        }
    }

    /// Blocks a connection that has too much under way; see [`Core::relieve`].
    pub(super) fn bound_peer(&mut self, conn: ConnId) {
        let most = self.settings.response_bytes;
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.unsent + session.out.len() > most || session.waiting >= MAX_WAITING {
            self.block(conn, Blocked::Peer);
        }
    }

    fn relieve(&mut self, conn: ConnId, now: Now) {
        let most = self.settings.response_bytes;
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let eased = session.unsent + session.out.len() <= most / 2;
        if session.blocked == Some(Blocked::Peer) && eased && session.waiting < MAX_WAITING / 2 {
            self.unblock(conn, Blocked::Peer, now);
        }
    }

    pub(super) fn sent(&mut self, conn: ConnId, bytes: usize, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.unsent = session.unsent.saturating_sub(bytes);
        self.relieve(conn, now);
    }

    /// One request of the connection fewer waits for its answer.
    pub(super) fn request_done(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            session.waiting -= 1;
        }
        self.relieve(conn, now);
    }

    pub(super) fn disconnected(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.close(conn) else {
            return;
        };
        self.permits.leave(conn);
        if let Some(large) = session.large {
            self.give_back_permit(large.frame_len(), now);
        }
        for gather in session.fetches {
            self.cancel_gather(gather);
        }
    }

    pub(super) fn deadline_passed(&mut self, due: Due) {
        match due {
            Due::Hello(conn) => {
                let Some(session) = self.sessions.get(conn) else {
                    return;
                };
                if session.stage == Stage::ExpectHello {
                    let message = "no hello in time";
                    self.refuse_frame(conn, CorrelationId(0), ErrorCode::Timeout, message);
                }
            }
            Due::Body(conn, correlation) => {
                let Some(session) = self.sessions.get(conn) else {
                    return;
                };
                if session
                    .large
                    .is_some_and(|large| large.correlation == correlation)
                {
                    let message = "the frame was not complete within 60 s";
                    self.refuse_frame(conn, correlation, ErrorCode::Timeout, message);
                }
            }
        }
    }

    /// A client's request has waited too long: it is answered now, and its late answer dropped.
    pub(super) fn give_up(&mut self, slot: Slot, now: Now) {
        if let Some(Waiting::Client {
            conn,
            correlation,
            permit,
            ..
        }) = self.pending.take(slot)
        {
            self.shard.cancel(RequestId(slot.0));
            self.latencies.gave_up();
            self.give_back_permit(permit, now);
            let message = "the request's time-out passed; a batch may still become durable";
            self.respond_error(conn, correlation, ErrorCode::Timeout, message);
            self.request_done(conn, now);
        }
    }

    /// Remembers that a client's request will be answered, within `timeout_ms` if that is not 0.
    pub(super) fn client(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        permit: usize,
        timeout_ms: u32,
        now: Now,
    ) -> Waiting {
        let session = self
            .sessions
            .get(conn)
            .expect("a request comes from a connection");
        session.waiting += 1;
        let deadline: Option<Mono> =
            (timeout_ms > 0).then(|| now.mono.after(u64::from(timeout_ms) * 1_000_000));
        if deadline.is_some() && self.sweep.is_none() {
            self.sweep = Some(now.mono.after(super::SWEEP));
        }
        self.bound_peer(conn);
        Waiting::Client {
            conn,
            correlation,
            permit,
            deadline,
        }
    }
}
