//! The network layer: from received bytes to frames, and everything that can make a connection wait or end,
//! whatever is spoken on it.
//!
//! Bytes go through the [`transport`], [`frames`] says how far a frame has come, [`bodies`] receives long ones into
//! place as far as permits go, [`pauses`] keeps why a connection is not read, [`timers`] how long its peer may take,
//! and [`hang_up`] ends it. What a frame is, and what becomes of it, is its protocol's ([`protocol`](super::protocol)).

mod bodies;
pub(super) mod frames;
mod hang_up;
mod pauses;
#[cfg(test)]
mod tests;
mod timers;
mod transport;

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::SMALL_ENTRY;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::boundary::{Action, ConnId, Protocol};
use super::permits::Lane;
use frames::{Look, Step};

pub(super) use hang_up::Input;
pub(super) use pauses::{Pause, Pauses};
pub(super) use timers::Due;
pub(super) use transport::Transport;

/// How much is allocated at a time for small frames, bytes. All of it stays as long as anything in it, such
/// as an answer that its peer does not take: so it is little, whatever lies beside.
const ARENA: usize = 32 * 1024;

impl<P: BufPool> Core<P> {
    pub(in crate::core) fn accept(
        &mut self,
        conn: ConnId,
        protocol: Protocol,
        peer: SocketAddr,
        now: Now,
    ) {
        tracing::debug!(core = self.id.0, %peer, protocol = protocol.name(), "connection accepted");
        self.accepted += 1;
        self.sessions.open(conn, protocol, now.mono).peer = Some(peer);
        if self.stop.begun() {
            self.actions.push_back(Action::Close(conn));
            return;
        }
        self.begin_patience(conn, now);
        self.bound_greeting();
    }

    /// Takes in a connection that another core accepted.
    pub(in crate::core) fn arrive(
        &mut self,
        conn: ConnId,
        protocol: Protocol,
        peer: SocketAddr,
        received: &[u8],
        now: Now,
    ) {
        tracing::debug!(core = self.id.0, %peer, protocol = protocol.name(), "connection taken over");
        let session = self.sessions.open(conn, protocol, now.mono);
        session.peer = Some(peer);
        session.stays = true;
        if self.stop.begun() {
            self.actions.push_back(Action::Close(conn));
            return;
        }
        self.begin_patience(conn, now);
        // Before looking whether too many have said no hello: it brings its own.
        self.receive(conn, received, now);
        self.bound_greeting();
    }

    /// Lets a connection go to the core that it named, with what it has sent so far.
    pub(in crate::core) fn depart(&mut self, conn: ConnId) -> BytesMut {
        let session = self.sessions.close(conn);
        let session = session.expect("the driver knows which are open");
        assert!(
            session.pauses.by(Pause::Departure) && session.waiting == 0,
            "only one that was handed over goes"
        );
        self.forget_answers(&session);
        self.permits.leave(conn);
        match self.shard.breaks(Mutation::HandOverForgets) {
            true => BytesMut::new(),
            false => session.rx,
        }
    }

    /// The connection is served here although it named another core.
    pub(in crate::core) fn stay(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            session.stays = true;
        }
        self.unblock(conn, Pause::Departure, now);
    }

    /// Closes the connection that has been longest without a hello while too many have said none:
    /// who means well says it at once.
    fn bound_greeting(&mut self) {
        while self.sessions.greeting() > self.settings.hello_max {
            let oldest = self.sessions.oldest_greeting();
            let oldest = oldest.expect("each that is counted is listed");
            self.hello_evictions += 1;
            let message = "too many connections have not said hello";
            self.too_late(oldest, message);
        }
    }

    pub(in crate::core) fn receive(&mut self, conn: ConnId, bytes: &[u8], now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.touched = now.mono;
        let bytes = session.transport.inward(bytes);
        if session.rx.is_empty() && !session.pauses.any() {
            let used = self.consume(conn, bytes, now);
            let rest = &bytes[used..];
            if let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) {
                session.rx.extend_from_slice(rest);
            }
        } else {
            session.rx.extend_from_slice(bytes);
            self.go_on(conn, now);
        }
    }

    /// Looks again at what a connection has sent, as far as nothing blocks it.
    pub(in crate::core) fn go_on(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let mut kept = std::mem::take(&mut session.rx);
        let used = self.consume(conn, &kept, now);
        kept.advance(used);
        if let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) {
            // Put back where it lies, however often a slice takes a little of it. Only a hello that
            // goes along to another core stands before it.
            match session.rx.is_empty() {
                true => session.rx = kept,
                false => session.rx.extend_from_slice(&kept),
            }
        }
    }

    /// Takes whole frames from the start of `input` until it ends, something blocks, or the
    /// [slice](crate::core::slices) of work is used up. Returns the bytes used.
    fn consume(&mut self, conn: ConnId, input: &[u8], now: Now) -> usize {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let Some(session) = self.sessions.get(conn) else {
                return input.len();
            };
            if session.closing || session.input == Input::Unheard {
                return input.len();
            }
            if session.pauses.any() || rest.is_empty() {
                return used;
            }
            let spoken = (conn, session.protocol());
            let frame = match self.look(spoken, rest, now) {
                Look::NeedMore => return used,
                Look::Refused => return input.len(),
                Look::Frame(frame) => frame,
            };
            let step = frames::step(frame, rest.len());
            if step == Step::NeedMore {
                return used;
            }
            if !self.slices.has_room(now.mono) {
                self.stand_in_line(conn, now);
                return used;
            }
            self.slices.charge_request(frame.len.min(rest.len()));
            if step == Step::Large {
                return match self.begin_large(conn, frame, rest, now) {
                    true => input.len(),
                    false => used,
                };
            }
            if !self.permit(conn, frame.permit, Lane::Whole, now) {
                return used;
            }
            self.take_whole(spoken, &rest[..frame.len], frame.permit, now);
            used += frame.len;
        }
    }

    /// A copy of a frame of records or of a part of it, in a buffer of its own if it stays in that.
    pub(in crate::core) fn copy_records(&mut self, bytes: &[u8]) -> BytesMut {
        match bytes.len() <= SMALL_ENTRY {
            true => copy(&mut self.records, bytes),
            false => BytesMut::from(bytes),
        }
    }

    pub(in crate::core) fn sent(&mut self, conn: ConnId, bytes: usize, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.unsent = session.unsent.saturating_sub(bytes);
        session.sent += bytes as u64;
        session.touched = now.mono;
        let protocol = session.protocol();
        self.relieve(conn, now);
        self.push_on((conn, protocol), now);
        self.end_if_answered(conn);
    }

    /// One request of the connection fewer waits for its answer.
    pub(in crate::core) fn request_done(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            session.waiting -= 1;
            session.touched = now.mono;
            if session.pauses.by(Pause::Asks) {
                self.asks_no_more(conn, now);
            }
        }
        self.relieve(conn, now);
        self.end_if_answered(conn);
    }

    pub(in crate::core) fn disconnected(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.close(conn) else {
            return;
        };
        self.forget_answers(&session);
        self.drop_body(conn, session.large, now);
        if self.shard.breaks(Mutation::LeavesUnserved) {
            self.permits.turn_deaf();
        }
        for fan_out in session.fetches {
            self.give_up_fetch(fan_out, now);
        }
        for call in session.group_calls {
            self.give_up_group_call(call, now);
        }
        session.state.gone(self);
    }

    /// Hands what was encoded for the connection to the driver.
    pub(in crate::core) fn flush(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if !session.out.is_empty() {
            let bytes = session.take_out();
            self.actions.push_back(session.outgoing(bytes));
        }
    }

    /// Closes a connection once what it was given to send has left.
    pub(in crate::core) fn end(&mut self, conn: ConnId) {
        self.flush(conn);
        if let Some(session) = self.sessions.get(conn)
            && !session.closing
        {
            session.closing = true;
            session.rx.clear();
            self.slices.charge_close();
            self.permits.step_out(conn);
            self.actions.push_back(Action::Close(conn));
        }
    }

    /// A copy of a frame that is not kept for long, beside others.
    pub(in crate::core) fn copy_frame(&mut self, bytes: &[u8]) -> BytesMut {
        copy(&mut self.arena, bytes)
    }

    /// When a request with this time-out is given up; `None` for 0, which is none.
    pub(in crate::core) fn give_up_at(&mut self, timeout_ms: u32, now: Now) -> Option<Mono> {
        let deadline = (timeout_ms > 0).then(|| now.mono.after(u64::from(timeout_ms) * 1_000_000));
        if deadline.is_some() {
            self.sweep.expect(now.mono);
        }
        deadline
    }

    /// One request of the connection more waits for its answer.
    pub(in crate::core) fn owe_answer(&mut self, conn: ConnId) {
        let session = self.sessions.get(conn);
        session.expect("a request comes from a connection").waiting += 1;
        self.weigh(conn);
    }
}

/// A copy, many to an allocation.
fn copy(arena: &mut BytesMut, bytes: &[u8]) -> BytesMut {
    if bytes.is_empty() {
        return BytesMut::new();
    }
    if arena.capacity() < bytes.len() {
        // The same memory again, if nothing in it is held any more.
        arena.reserve(ARENA.max(bytes.len()));
    }
    arena.extend_from_slice(bytes);
    arena.split()
}
