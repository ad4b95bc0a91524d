//! How much of what peers have asked a core looks at before it turns to something else.
//!
//! What a peer has sent may be worth far more work than its bytes show: 16 KiB hold five hundred
//! requests, each with an answer of a quarter of a megabyte. So each event that a core handles has a
//! *slice* of work, and all of them in a turn together have a bound. Who has sent more than its slice
//! stands in line, is not read meanwhile, and goes on when its turn comes; who comes anew with little
//! is served at once, however long that line is.
//!
//! Work is counted in units of about a nanosecond, which is what a byte of an answer takes to be put
//! together. It is an estimate: it bounds a turn, it measures nothing. A request is carried out whole
//! once it has been begun, so a slice is passed by at most one request.

use std::collections::VecDeque;

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::boundary::ConnId;
use super::session::Blocked;

/// What one event may lead to. More than all that fits 16 KiB, the most that is received at a time,
/// where requests are those of producers: those never stand in line.
pub const SLICE: usize = 256 << 10;
/// So many slices are what all events of a turn may lead to together.
const TURN: usize = 2;
/// What a request costs beside its bytes and those of its answer.
const REQUEST: usize = 512;

/// What goes on with its next slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Requests that a connection has sent.
    Requests(ConnId),
    /// A request of many parts, by the key of its gather, which has not asked for all of them.
    Asks(usize),
}

/// What the present event and the present turn may still cost, and what stands in line.
#[derive(Debug)]
pub(super) struct Slices {
    slice: usize,
    /// Names the turn: the time, which a driver takes once in each.
    turn: Mono,
    left_of_turn: usize,
    left: usize,
    /// What is left to do, and since when; the first is served first. Of what has ended meanwhile
    /// nothing is left.
    line: VecDeque<(Mono, Work)>,
}

impl Slices {
    /// Slices of so much work: [`SLICE`], but in tests.
    pub(super) fn new(slice: usize) -> Self {
        Self {
            slice,
            turn: Mono(0),
            left_of_turn: slice.saturating_mul(TURN),
            left: slice,
            line: VecDeque::new(),
        }
    }

    /// Whether a further request may be begun.
    pub(super) fn has_room(&mut self, now: Mono) -> bool {
        if self.turn != now {
            self.turn = now;
            self.left_of_turn = self.slice.saturating_mul(TURN);
            self.left = self.slice;
        }
        self.left.min(self.left_of_turn) > 0
    }

    /// A request of so many bytes is begun.
    pub(super) fn charge_request(&mut self, bytes: usize) {
        self.charge(REQUEST + bytes / 4);
    }

    /// So much work was done for some connection.
    pub(super) fn charge(&mut self, work: usize) {
        self.left = self.left.saturating_sub(work);
        self.left_of_turn = self.left_of_turn.saturating_sub(work);
    }

    /// The event is handled: the next one has its own slice.
    pub(super) fn end_event(&mut self) {
        self.left = self.slice;
    }

    /// A request may be begun in any case: it has waited long enough for something else.
    fn grant_one(&mut self, now: Mono) {
        if !self.has_room(now) {
            self.left = self.left.max(1);
            self.left_of_turn = self.left_of_turn.max(1);
        }
    }

    /// The line has a slice of its own in each turn, however many have come anew.
    fn begin_line(&mut self, now: Mono) {
        self.turn = now;
        self.left = self.slice;
        self.left_of_turn = self.left_of_turn.max(self.slice);
    }

    /// Since when the first in line stands there.
    #[must_use]
    pub(super) fn waiting_since(&self) -> Option<Mono> {
        self.line.front().map(|(since, _)| *since)
    }
}

impl<P: BufPool> Core<P> {
    /// The connection has more to look at than there is room for.
    pub(super) fn stand_in_line(&mut self, conn: ConnId, now: Now) {
        self.block(conn, Blocked::Slice);
        let work = Work::Requests(conn);
        self.slices.line.push_back((now.mono, work));
    }

    /// The gather has more to ask for than there is room for.
    pub(super) fn ask_later(&mut self, gather: usize, now: Now) {
        let work = Work::Asks(gather);
        self.slices.line.push_back((now.mono, work));
    }

    /// Goes on with those in line, as far as a slice goes. Called once in a turn.
    pub(super) fn serve_line(&mut self, now: Now) {
        if self.slices.line.is_empty() {
            return;
        }
        self.slices.begin_line(now.mono);
        while self.slices.has_room(now.mono)
            && let Some((_, work)) = self.slices.line.pop_front()
        {
            match work {
                Work::Requests(conn) => self.unblock(conn, Blocked::Slice, now),
                Work::Asks(gather) => self.ask_more(gather, now),
            }
        }
    }

    /// Lets a connection that has waited for a permit begin a request, whatever the turn has cost.
    pub(super) fn grant_request(&mut self, now: Now) {
        self.slices.grant_one(now.mono);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_slices_and_a_turn_has_a_bound() {
        let mut slices = Slices::new(SLICE);
        for turn in 1..4 {
            let now = Mono(turn);
            let mut events = 0;
            while slices.has_room(now) {
                let mut requests = 0;
                while slices.has_room(now) {
                    slices.charge_request(100);
                    requests += 1;
                }
                assert!((480..500).contains(&requests), "{requests}");
                slices.end_event();
                events += 1;
            }
            assert_eq!(events, TURN);
            slices.begin_line(now);
            assert!(slices.has_room(now), "the line has its own slice");
            slices.charge(TURN * SLICE);
            slices.end_event();
            assert!(!slices.has_room(now));
            slices.grant_one(now);
            assert!(slices.has_room(now));
            slices.charge_request(0);
            assert!(!slices.has_room(now), "one is one");
        }
    }

    #[test]
    fn what_producers_send_at_a_time_never_stands_in_line() {
        // The smallest batch of one record in a request takes more than 130 bytes in any protocol.
        let most = (16 << 10) / 130;
        assert!(most * (REQUEST + 130 / 4) < SLICE);
    }
}
