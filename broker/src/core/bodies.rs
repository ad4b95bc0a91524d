//! Permits as connections see them: who gets one, who waits, and bodies that are received in pieces.
//!
//! A body above 16 KiB is received straight into its own buffer, a piece at a time, each with its
//! permit and its deadline: a peer that has sent little holds little, and one that sends slowly is
//! closed as soon as others wait for what it holds. One that has sent such a body to its end is
//! [served before](super::permits) those that never have.
//!
//! A [short](SHORT_FRAME) one that finds no memory does not wait in line beside those, which may be
//! many and come again: the kernel holds what has come of it, and once that is all it is like any other
//! request that has arrived whole. So who sends half of a request holds up others that do likewise, and
//! nobody who sends short ones.

use bytes::BytesMut;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{Mono, Now};
use leveret_wire::kafka::Checking;

use super::Core;
use super::boundary::{Action, ConnId, Protocol};
use super::inbound::Due;
use super::intake::{self, Frame, SHORT_FRAME};
use super::kafka::is_produce;
use super::permits::Lane;
use super::session::{Blocked, Large, Rest, Session};

/// The least rate of a body while others wait for permits, bytes a second.
const LEAST_RATE: u64 = 128 << 10;
/// What a piece has beyond the time of the least rate, nanoseconds.
const PATIENCE: u64 = 500_000_000;
/// How soon a slow piece is looked at again, nanoseconds.
const LOOK_AGAIN: u64 = 500_000_000;
/// A body that has taken so much of its peer's time and holds more than its share may be closed for others
/// that wait, nanoseconds.
const TAKES_LONG: u64 = 1_000_000_000;

impl<P: BufPool> Core<P> {
    /// Takes a permit, or blocks the connection until there is one. Whether it was taken.
    pub(super) fn permit(&mut self, conn: ConnId, bytes: usize, lane: Lane, now: Now) -> bool {
        if bytes == 0 || self.permits.take(conn, bytes, lane, now.mono) {
            return true;
        }
        self.block(conn, Blocked::Permit);
        false
    }

    /// Whoever waits for these bytes is served when the present step is [settled](Core::settle).
    pub(super) fn give_back_permit(&mut self, conn: ConnId, bytes: usize, now: Now) {
        if bytes > 0 {
            self.permits.give_back(conn, bytes, now.mono);
        }
    }

    /// The permit of a request that has been decoded and may now wait for others, as long as they
    /// like: it must keep nobody out meanwhile.
    pub(super) fn give_back_early(&mut self, conn: ConnId, permit: &mut usize, now: Now) {
        self.give_back_permit(conn, std::mem::take(permit), now);
    }

    /// Serves the next of those that wait for permits. Whether there was one.
    pub(super) fn serve_waiting(&mut self, now: Now) -> bool {
        let Some(conn) = self.permits.next() else {
            return false;
        };
        match self.sessions.get(conn).map(|session| session.blocked) {
            Some(Some(Blocked::Permit)) => {
                self.grant_request(now);
                self.unblock(conn, Blocked::Permit, now);
            }
            _ => self.permits.step_out(conn),
        }
        true
    }

    /// Begins to receive a frame into place, if there is memory for its first piece; otherwise blocks the
    /// connection. Whether it has begun.
    pub(super) fn begin_large(
        &mut self,
        conn: ConnId,
        frame: Frame,
        so_far: &[u8],
        now: Now,
    ) -> bool {
        if self.shard.breaks(Mutation::TrustsStrangers) {
            self.permits.trust(conn);
        }
        let session = self.sessions.get(conn).expect("looked at by the caller");
        let rest = session.rest;
        let (held, lane) = match rest {
            Rest::There => (frame.len, Lane::Whole),
            _ => {
                let whole = frame.len;
                (
                    intake::first_piece(whole, so_far.len()),
                    Lane::Body { whole },
                )
            }
        };
        if rest == Rest::Unknown && frame.len <= SHORT_FRAME {
            if !self.permits.take_at_once(conn, held, lane, now.mono) {
                self.await_rest(conn, frame.len - so_far.len());
                return false;
            }
        } else if !self.permit(conn, held, lane, now) {
            return false;
        }
        if let Lane::Body { whole } = lane {
            self.permits.begin_body(conn, held, whole);
        }
        let session = self.sessions.get(conn).expect("just seen");
        session.rest = Rest::Unknown;
        session.large = Some(Large {
            checking: Checking::default(),
            len: frame.len,
            held,
            partial: None,
            piece: 0,
            since: now.mono,
            spent: 0,
        });
        self.receive_piece(conn, intake::place(frame, so_far), now);
        true
    }

    /// Lets whatever lies below keep what comes of a frame until that is all.
    fn await_rest(&mut self, conn: ConnId, len: usize) {
        self.block(conn, Blocked::Arrival);
        self.actions.push_back(Action::Await { conn, len });
    }

    /// What was awaited is there as a whole, or has to be received in part.
    pub(super) fn rest_is_there(&mut self, conn: ConnId, whole: bool, now: Now) {
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        if let Some(session) = session.filter(|s| s.blocked == Some(Blocked::Arrival)) {
            session.rest = if whole { Rest::There } else { Rest::Partial };
            self.unblock(conn, Blocked::Arrival, now);
        }
    }

    /// Receives what the frame has a permit for and is not there.
    fn receive_piece(&mut self, conn: ConnId, mut into: BytesMut, now: Now) {
        let session = self.sessions.get(conn).expect("it sends a body");
        session.pieces = session.pieces.wrapping_add(1);
        let number = session.pieces;
        let large = session.large.as_mut().expect("it sends a body");
        let len = large.held - into.len();
        (large.piece, large.since) = (len, now.mono);
        let due = now.mono.after(large.time());
        intake::make_room(&mut into, len, large.len);
        self.deadlines.set(due, Due::Body(conn, number));
        self.actions.push_back(Action::Receive { conn, into, len });
    }

    pub(super) fn receive_body(&mut self, conn: ConnId, frame: BytesMut, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.touched = now.mono;
        let large = session.large.as_mut();
        let large = large.expect("the driver hands back what was asked for");
        large.partial = Some(frame);
        large.spent += now.mono.since(large.since);
        match session.closing {
            true => self.take_body(conn, now),
            false => self.go_on_receiving(conn, now),
        }
    }

    /// A body that stood in line to be read is, unless something has come between.
    pub(super) fn read_body(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.blocked != Some(Blocked::Slice) || session.closing {
            return;
        }
        if session.asking.is_some() {
            session.blocked = Some(Blocked::Asks);
            return;
        }
        let Some(large) = session.large.take() else {
            return;
        };
        let frame = large.partial.as_deref().unwrap_or_default();
        let checked = self.kafka_check(frame, &large.checking, now);
        let session = self.sessions.get(conn).expect("just seen");
        session.large = Some(large);
        if !checked {
            return self.read_later(conn, now);
        }
        session.blocked = None;
        self.take_body(conn, now);
        if let Some(session) = self.sessions.get(conn)
            && session.blocked.is_none()
        {
            self.carry_on(conn, now);
        }
    }

    /// Takes a body that is complete; of a connection that is closing only what it holds.
    fn take_body(&mut self, conn: ConnId, now: Now) {
        let session = self.sessions.get(conn).expect("it has sent a body");
        let large = session.large.take().expect("it has sent a body");
        let closing = session.closing;
        self.permits.end_body(conn);
        match large.partial.filter(|_| !closing) {
            Some(frame) => self.take_large(conn, frame, large.checking, large.held, now),
            None => self.give_back_permit(conn, large.held, now),
        }
    }

    /// Goes on with a body of which a piece is there, if nothing blocks the connection. Once it is
    /// complete it is taken: records at once, what is read line by line when its turn comes.
    pub(super) fn go_on_receiving(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.blocked.is_some() || session.closing {
            return;
        }
        let Some(large) = &session.large else {
            return;
        };
        let (held, len) = (large.held, large.len);
        let Some(partial) = &large.partial else {
            return;
        };
        if partial.len() >= len {
            // Its peer has done its part, however long it waits here. A short one costs too little to prove
            // anything.
            match len > SHORT_FRAME {
                true => self.permits.finish_body(conn),
                false => self.permits.end_body(conn),
            }
            if session.protocol() == Protocol::Kafka && !is_produce(partial) {
                return self.read_later(conn, now);
            }
            self.take_body(conn, now);
            return self.go_on(conn, now);
        }
        let more = intake::next_piece(held, len, self.permits.is_contended());
        if !self.permit(conn, more, Lane::Body { whole: len }, now) {
            return;
        }
        let session = self.sessions.get(conn).expect("just seen");
        let large = session.large.as_mut().expect("just seen");
        large.held += more;
        let into = large.partial.take().expect("just seen");
        self.receive_piece(conn, into, now);
    }

    /// A piece is not there in the time that it has: what that means depends on who waits.
    pub(super) fn piece_is_due(&mut self, conn: ConnId, number: u32, now: Mono) {
        // Whoever has a body has a deadline, so somebody comes here as long as bodies keep others out.
        let sessions = &mut self.sessions;
        let takes_long = |conn| {
            let time = sessions
                .get(conn)
                .map_or(0, |session| session.body_time(now));
            time >= TAKES_LONG
        };
        for greedy in self.permits.in_the_way(now, takes_long) {
            self.slow_bodies += 1;
            let message = "a body held more than its share while others waited for memory";
            self.too_late(greedy, message);
        }
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let due = session.pieces == number && !session.closing;
        let held_up = session.is_held_up();
        let Some(large) = session.large.as_ref().filter(|_| due) else {
            return;
        };
        // Without its next permit it cannot send, nor while something of ours keeps it.
        let ours = large.partial.is_some() || held_up;
        let time = now.since(large.since);
        if ours || time < large.time() {
            return self.look_at_piece_again(conn, number, now);
        }
        // What has come of a piece is not seen before it is all there.
        if time >= self.settings.idle_ns {
            self.idle_closed += 1;
            return self.too_late(conn, "a request stood still in the middle for too long");
        }
        if !self.permits.is_contended() {
            return self.look_at_piece_again(conn, number, now);
        }
        self.slow_bodies += 1;
        let message = "a body came slower than 128 KiB/s while others waited for memory";
        self.too_late(conn, message);
    }

    fn look_at_piece_again(&mut self, conn: ConnId, number: u32, now: Mono) {
        self.deadlines
            .set(now.after(LOOK_AGAIN), Due::Body(conn, number));
    }

    /// Gives back what a connection that is gone held for its body, and its place in line.
    pub(super) fn drop_body(&mut self, conn: ConnId, large: Option<Large>, now: Now) {
        self.permits.leave(conn);
        if let Some(large) = large
            && !self.shard.breaks(Mutation::KeepsPermits)
        {
            self.give_back_permit(conn, large.held, now);
        }
    }
}

impl Session {
    /// What the body that is being received has taken of its peer's time, nanoseconds.
    fn body_time(&self, now: Mono) -> u64 {
        let Some(large) = &self.large else { return 0 };
        match large.partial.is_some() || self.is_held_up() {
            true => large.spent,
            false => large.spent + now.since(large.since),
        }
    }
}

impl Large {
    /// What the present piece may take while others wait for permits, nanoseconds.
    fn time(&self) -> u64 {
        PATIENCE + (self.piece as u64).saturating_mul(1_000_000_000) / LEAST_RATE
    }
}
