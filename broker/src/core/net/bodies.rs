//! Permits as connections see them: who gets one, who waits, and bodies that are received in pieces.
//!
//! A body above 16 KiB is received straight into its own buffer, a piece at a time, each with its
//! permit: a peer that has sent little holds little. A peer that falls [behind](crate::core::pace) is
//! [closed](Core::judge_body) when others wait for the memory that it holds; the one that is behind longest goes
//! first. A peer that has sent many whole bodies is [served before](crate::core::permits) one that has not.
//!
//! A [short](SHORT_FRAME) body that finds no memory does not stand in line with the long ones, which may be many
//! and come again. The kernel holds the part of it that has arrived; when all of it has, it is treated like any
//! other request that arrived whole. A long body joins the line when as much of it has arrived as a short one may
//! have. So peers that send half of a request hold up each other, and nobody who sends short requests, however
//! slowly.

use std::cmp::Reverse;

use bytes::BytesMut;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{Mono, Now};

use crate::core::Core;
use crate::core::boundary::{Action, ConnId, Inflow};
use crate::core::pace::{Collecting, Pace, least_rate};
use crate::core::permits::Lane;
use crate::core::session::{Large, Rest, Session};

use super::Pause;
use super::frames::{self, Frame, SHORT_FRAME};

/// So many bodies at most are looked at, at a time, for one that stands still: some microseconds each, and as
/// many to close it.
const LOOKS: usize = 32;

impl<P: BufPool> Core<P> {
    /// Takes a permit, or blocks the connection until there is one. Whether it was taken.
    pub(in crate::core) fn permit(
        &mut self,
        conn: ConnId,
        bytes: usize,
        lane: Lane,
        now: Now,
    ) -> bool {
        if bytes == 0 || self.permits.take(conn, bytes, lane, now.mono) {
            return true;
        }
        self.block(conn, Pause::Permit);
        false
    }

    /// Whoever waits for these bytes is served when the present event [ends](Core::end_event).
    pub(in crate::core) fn give_back_permit(&mut self, conn: ConnId, bytes: usize, now: Now) {
        if bytes > 0 {
            self.permits.give_back(conn, bytes, now.mono);
        }
    }

    /// The permit of a request that has been decoded and may now wait for others, as long as they
    /// like: it must keep nobody out meanwhile.
    pub(in crate::core) fn give_back_early(&mut self, conn: ConnId, permit: &mut usize, now: Now) {
        self.give_back_permit(conn, std::mem::take(permit), now);
    }

    /// Serves the next of those that wait for permits. Whether there was one.
    pub(in crate::core) fn serve_waiting(&mut self, now: Now) -> bool {
        let Some(conn) = self.permits.next() else {
            return false;
        };
        match self.sessions.get(conn).map(|session| session.pauses) {
            Some(pauses) if pauses.by(Pause::Permit) => self.let_take_permit(conn, now),
            _ => self.permits.step_out(conn),
        }
        true
    }

    /// Begins to receive a frame into place, if there is memory for its first piece; otherwise blocks the
    /// connection. Whether it has begun.
    pub(in crate::core) fn begin_large(
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
        let short = frame.len <= SHORT_FRAME;
        let (held, lane) = match rest {
            Rest::There if short => (frame.len, Lane::Whole),
            _ => {
                let whole = frame.len;
                (
                    frames::first_piece(whole, so_far.len()),
                    Lane::Body { whole },
                )
            }
        };
        let awaited = frame.len.min(SHORT_FRAME).saturating_sub(so_far.len());
        if rest == Rest::Unknown && awaited > 0 {
            if !self.permits.take_at_once(conn, held, lane, now.mono) {
                self.await_rest(conn, awaited, now.mono);
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
            len: frame.len,
            held,
            partial: None,
            pace: Pace::new(now.mono),
        });
        self.receive_piece(conn, frames::place(frame, so_far), now);
        true
    }

    /// Lets whatever lies below keep what comes of a frame until that is so much.
    fn await_rest(&mut self, conn: ConnId, len: usize, now: Mono) {
        self.block(conn, Pause::Arrival);
        if let Some(session) = self.sessions.get(conn) {
            session.collecting = Some(Collecting { since: now, len });
        }
        self.actions.push_back(Action::Await { conn, len });
    }

    /// What was awaited is there as a whole, or has to be received before more comes.
    pub(in crate::core) fn rest_is_there(&mut self, conn: ConnId, whole: bool, now: Now) {
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        if let Some(session) = session.filter(|s| s.pauses.by(Pause::Arrival)) {
            session.rest = if whole { Rest::There } else { Rest::Partial };
            if let Some(collecting) = session.collecting.take().filter(|_| whole) {
                session
                    .steady
                    .has_sent(collecting.len, now.mono.since(collecting.since));
            }
            self.unblock(conn, Pause::Arrival, now);
        }
    }

    /// Receives what the frame has a permit for and is not there.
    fn receive_piece(&mut self, conn: ConnId, mut into: BytesMut, now: Now) {
        let session = self.sessions.get(conn).expect("it sends a body");
        let large = session.large.as_mut().expect("it sends a body");
        let len = (large.held - into.len()).min(frames::MOST_AT_A_TIME);
        large.pace.begin_piece(now.mono);
        // Who waits for memory later wants to know how it has come from now on.
        if large.pace.is_unseen() && large.len > SHORT_FRAME {
            self.actions.push_back(Action::Measure(conn));
        }
        frames::make_room(&mut into, len, large.len);
        self.actions.push_back(Action::Receive { conn, into, len });
    }

    pub(in crate::core) fn receive_body(&mut self, conn: ConnId, frame: BytesMut, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        session.touched = now.mono;
        let large = session.large.as_mut();
        let large = large.expect("the driver hands back what was asked for");
        large.partial = Some(frame);
        large.pace.end_piece(now.mono);
        match session.closing {
            true => self.take_body(conn, now),
            false => self.go_on_receiving(conn, now),
        }
    }

    /// A body that stood in line to be read is, unless something has come between.
    pub(in crate::core) fn read_body(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if !session.pauses.by(Pause::Slice) || session.closing {
            return;
        }
        let mut others = session.pauses;
        others.remove(Pause::Slice);
        if others.hold_body() {
            // It stands in line again when that is over.
            return self.unblock(conn, Pause::Slice, now);
        }
        let protocol = session.protocol();
        let Some(large) = session.large.take() else {
            return;
        };
        let frame = large.partial.as_deref().unwrap_or_default();
        let read = self.read_on((conn, protocol), frame, now);
        let session = self.sessions.get(conn).expect("just seen");
        session.large = Some(large);
        if !read {
            return self.read_later(conn, now);
        }
        session.pauses.remove(Pause::Slice);
        self.take_body(conn, now);
        if let Some(session) = self.sessions.get(conn)
            && !session.pauses.any()
        {
            self.carry_on(conn, now);
        }
    }

    /// Takes a body that is complete; of a connection that is closing only what it holds.
    fn take_body(&mut self, conn: ConnId, now: Now) {
        let session = self.sessions.get(conn).expect("it has sent a body");
        let large = session.large.take().expect("it has sent a body");
        let (protocol, closing) = (session.protocol(), session.closing);
        self.permits.end_body(conn);
        match large.partial.filter(|_| !closing) {
            Some(frame) => self.take_long((conn, protocol), frame, large.held, now),
            None => self.give_back_permit(conn, large.held, now),
        }
    }

    /// Goes on with a body of which a piece is there, if nothing of ours blocks the connection. Once it is
    /// complete it is taken: records at once, what is read line by line when its turn comes.
    pub(in crate::core) fn go_on_receiving(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.pauses.hold_body() || session.closing {
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
            // anything, nor does it what one that is slow holds meanwhile.
            match len > SHORT_FRAME {
                true => self.permits.finish_body(conn, large.pace.proves(len)),
                false => _ = self.permits.end_body(conn),
            }
            if session.protocol().reads_in_line(partial) {
                return self.read_later(conn, now);
            }
            self.take_body(conn, now);
            return self.go_on(conn, now);
        }
        let more = frames::next_piece(held, len, self.permits.is_contended());
        if !self.permit(conn, more, Lane::Body { whole: len }, now) {
            return;
        }
        let session = self.sessions.get(conn).expect("just seen");
        let large = session.large.as_mut().expect("just seen");
        large.held += more;
        let into = large.partial.take().expect("just seen");
        self.receive_piece(conn, into, now);
    }

    /// Looks at bodies that others wait for, if it is time to: first at those that have stood still longest
    /// beyond what their connections have earned.
    pub(in crate::core) fn review_bodies(&mut self, now: Mono) {
        let due = self.permits.review_due().is_some_and(|due| due <= now);
        if !due {
            return;
        }
        let sessions = &mut self.sessions;
        let bodies = self.permits.review(now);
        let suspects = bodies.filter_map(|(conn, patience)| {
            let session = sessions.get(conn)?;
            let steady = session.steady;
            let stood = session.awaited_piece()?.pace.stood(now);
            (stood >= patience).then(|| (steady.exceeded_by(stood), conn))
        });
        let mut suspects: Vec<(i64, ConnId)> = suspects.collect();
        suspects.sort_by_key(|(exceeds, _)| Reverse(*exceeds));
        let looks = suspects.iter().take(LOOKS);
        let looks = looks.map(|(_, conn)| Action::Measure(*conn));
        self.actions.extend(looks);
    }

    /// What has come of a connection whose body others wait for: it is closed if that is behind. Those that
    /// were closed before it may be enough.
    pub(in crate::core) fn judge_body(&mut self, conn: ConnId, inflow: Inflow, now: Mono) {
        let wanted = self.permits.patience_with(conn);
        let wanted = wanted.filter(|_| !self.shard.breaks(Mutation::LetsStand));
        let patience = wanted.unwrap_or(u64::MAX);
        let session = self.sessions.get(conn);
        let behind = session.is_some_and(|session| session.is_behind(inflow, patience, now));
        if behind && wanted.is_some() {
            self.slow_bodies += 1;
            let message =
                "a request stood still or came slower than 64 KiB/s while others waited for memory";
            self.too_late(conn, message);
        }
    }

    /// Gives back what a connection that is gone held for its body, and its place in line.
    pub(in crate::core) fn drop_body(&mut self, conn: ConnId, large: Option<Large>, now: Now) {
        self.permits.leave(conn);
        if let Some(large) = large
            && !self.shard.breaks(Mutation::KeepsPermits)
        {
            self.give_back_permit(conn, large.held, now);
        }
    }
}

impl Session {
    /// The body of which the peer has to send a piece, if nothing of ours keeps it from that.
    fn awaited_piece(&mut self) -> Option<&mut Large> {
        let peers = !self.closing && !self.is_held_up();
        let large = self.large.as_mut().filter(|_| peers);
        large.filter(|large| large.partial.is_none())
    }

    fn is_behind(&mut self, inflow: Inflow, patience: u64, now: Mono) -> bool {
        let mut steady = self.steady;
        let behind = self.awaited_piece().is_some_and(|large| {
            let rate = least_rate(large.len);
            large
                .pace
                .is_behind(inflow, rate, patience, &mut steady, now)
        });
        self.steady = steady;
        behind
    }
}
