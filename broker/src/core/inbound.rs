//! From received bytes to requests, and everything that can make a connection wait or end.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::SMALL_ENTRY;
use leveret_storage::types::{Mono, Now};
use leveret_wire::kafka::Checking;

use super::Core;
use super::boundary::{Action, ConnId, Protocol};
use super::hang_up::Input;
use super::intake::{self, Look, Step};
use super::kafka::carries_records;
use super::permits::Lane;
use super::session::Blocked;

/// How much is allocated at a time for small frames, bytes. All of it stays as long as anything in it, such
/// as an answer that its peer does not take: so it is little, whatever lies beside.
const ARENA: usize = 32 * 1024;

/// What has a coarse deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection's first words.
    Hello(ConnId),
    /// A look whether the connection in that slot is idle.
    Idle(u32),
    /// The connection's last words, to a peer that had taken so many bytes.
    Goodbye(ConnId, u64),
    /// A look at connections whose answers are not taken.
    Answers,
}

impl<P: BufPool> Core<P> {
    pub(super) fn accept(&mut self, conn: ConnId, protocol: Protocol, peer: SocketAddr, now: Now) {
        tracing::debug!(core = self.id.0, %peer, protocol = protocol.name(), "connection accepted");
        self.accepted += 1;
        self.sessions.open(conn, protocol, now.mono).peer = Some(peer);
        if self.stop.begun() {
            self.actions.push_back(Action::Close(conn));
            return;
        }
        self.begin_patience(conn, now.mono);
        self.bound_greeting();
    }

    /// Takes in a connection that another core accepted.
    pub(super) fn arrive(
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
        session.settled = true;
        if self.stop.begun() {
            self.actions.push_back(Action::Close(conn));
            return;
        }
        self.begin_patience(conn, now.mono);
        // Before looking whether too many have said no hello: it brings its own.
        self.receive(conn, received, now);
        self.bound_greeting();
    }

    /// Lets a connection go to the core that it named, with what it has sent so far.
    pub(super) fn depart(&mut self, conn: ConnId) -> BytesMut {
        let session = self.sessions.close(conn);
        let session = session.expect("the driver knows which are open");
        assert!(
            session.blocked == Some(Blocked::Departure) && session.waiting == 0,
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
    pub(super) fn stay(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            session.settled = true;
        }
        self.unblock(conn, Blocked::Departure, now);
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

    pub(super) fn receive(&mut self, conn: ConnId, bytes: &[u8], now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.touched = now.mono;
        if session.rx.is_empty() && session.blocked.is_none() {
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
    pub(super) fn go_on(&mut self, conn: ConnId, now: Now) {
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
    /// [slice](super::slices) of work is used up. Returns the bytes used.
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
            if session.blocked.is_some() || rest.is_empty() {
                return used;
            }
            let look = match session.protocol() {
                Protocol::Native => self.look_native(conn, rest),
                Protocol::Kafka => self.look_kafka(conn, rest, now),
            };
            let frame = match look {
                Look::NeedMore => return used,
                Look::Refused => return input.len(),
                Look::Frame(frame) => frame,
            };
            let step = intake::step(frame, rest.len());
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
            self.take_whole(conn, &rest[..frame.len], frame.permit, now);
            used += frame.len;
        }
    }

    /// Takes a frame that arrived whole and lies where it was received.
    fn take_whole(&mut self, conn: ConnId, frame: &[u8], permit: usize, now: Now) {
        match self.sessions.get(conn).map(|session| session.protocol()) {
            Some(Protocol::Native) => self.native_whole(conn, frame, permit, now),
            Some(Protocol::Kafka) => {
                let frame = match carries_records(frame) {
                    true => self.copy_records(frame),
                    false => copy(&mut self.arena, frame),
                };
                self.kafka_frame(conn, frame, permit, now);
            }
            None => self.give_back_permit(conn, permit, now),
        }
    }

    /// Takes a frame that was received into place.
    pub(super) fn take_large(
        &mut self,
        conn: ConnId,
        frame: BytesMut,
        checking: Checking,
        permit: usize,
        now: Now,
    ) {
        match self.sessions.get(conn).map(|session| session.protocol()) {
            Some(Protocol::Native) => self.native_large(conn, frame, permit, now),
            Some(Protocol::Kafka) => self.kafka_checked(conn, frame, checking, permit, now),
            None => self.give_back_permit(conn, permit, now),
        }
    }

    /// A copy of a frame of records or of a part of it, in a buffer of its own if it stays in that.
    pub(super) fn copy_records(&mut self, bytes: &[u8]) -> BytesMut {
        match bytes.len() <= SMALL_ENTRY {
            true => copy(&mut self.records, bytes),
            false => BytesMut::from(bytes),
        }
    }

    pub(super) fn block(&mut self, conn: ConnId, why: Blocked) {
        if let Some(session) = self.sessions.get(conn)
            && session.blocked.is_none()
        {
            session.blocked = Some(why);
            if session.is_held_up() {
                self.sessions.hold_up_hello(conn);
            }
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
        let held_up = session.is_held_up();
        if held_up {
            session.let_go_on(now.mono);
        }
        session.blocked = session.asking.map(|_| Blocked::Asks);
        let goes_on = session.blocked.is_none();
        if held_up {
            self.sessions.await_hello(conn);
        }
        if goes_on {
            self.carry_on(conn, now);
        }
    }

    /// Nothing blocks the connection any more: it goes on with what it has sent, and is read again.
    pub(super) fn carry_on(&mut self, conn: ConnId, now: Now) {
        match self.sessions.get(conn).map(|session| &session.large) {
            Some(Some(_)) => self.go_on_receiving(conn, now),
            _ => self.go_on(conn, now),
        }
        if let Some(session) = self.sessions.get(conn)
            && session.blocked.is_none()
        {
            self.actions.push_back(Action::Resume(conn));
        }
        self.end_if_answered(conn);
    }

    pub(super) fn sent(&mut self, conn: ConnId, bytes: usize, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.unsent = session.unsent.saturating_sub(bytes);
        session.sent += bytes as u64;
        session.touched = now.mono;
        self.relieve(conn, now);
        self.push_on(conn, now);
        self.end_if_answered(conn);
    }

    /// One request of the connection fewer waits for its answer.
    pub(super) fn request_done(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            session.waiting -= 1;
            session.touched = now.mono;
            if session.asking.is_none() {
                self.unblock(conn, Blocked::Asks, now);
            }
        }
        self.relieve(conn, now);
        self.end_if_answered(conn);
    }

    pub(super) fn disconnected(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.close(conn) else {
            return;
        };
        self.forget_answers(&session);
        self.drop_body(conn, session.large, now);
        if self.shard.breaks(Mutation::LeavesUnserved) {
            self.permits.turn_deaf();
        }
        for gather in session.fetches {
            self.give_up_fetch(gather, now);
        }
        for subscription in session.subscribed.keys {
            self.drop_subscription(subscription);
        }
    }

    pub(super) fn deadline_passed(&mut self, due: Due, now: Now) {
        match due {
            Due::Hello(conn) => self.hello_is_due(conn, now.mono),
            Due::Idle(slot) => self.idle_is_due(slot, now.mono),
            Due::Goodbye(conn, sent) => self.goodbye_is_due(conn, sent, now.mono),
            Due::Answers => self.look_at_unread(now),
        }
    }

    /// Ends a connection that took too long, in its protocol's way.
    pub(super) fn too_late(&mut self, conn: ConnId, message: &str) {
        match self.sessions.get(conn).map(|session| session.protocol()) {
            Some(Protocol::Native) => self.native_too_late(conn, message),
            Some(Protocol::Kafka) => self.kafka_end(conn, message),
            None => {}
        }
    }

    /// Hands what was encoded for the connection to the driver.
    pub(super) fn flush(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if !session.out.is_empty() {
            let bytes = session.take_out();
            self.actions.push_back(Action::Send { conn, bytes });
        }
    }

    /// Closes a connection once what it was given to send has left.
    pub(super) fn end(&mut self, conn: ConnId) {
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

    /// When a request with this time-out is given up; `None` for 0, which is none.
    pub(super) fn give_up_at(&mut self, timeout_ms: u32, now: Now) -> Option<Mono> {
        let deadline = (timeout_ms > 0).then(|| now.mono.after(u64::from(timeout_ms) * 1_000_000));
        if deadline.is_some() {
            self.sweep.expect(now.mono);
        }
        deadline
    }

    /// One request of the connection more waits for its answer.
    pub(super) fn owe_answer(&mut self, conn: ConnId) {
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
