//! How much of what peers have asked a core looks at before it turns to something else.
//!
//! What a peer has sent may be worth far more work than its bytes show: 16 KiB hold five hundred
//! requests, each with an answer of a quarter of a megabyte. So each event that a core handles has a
//! *slice* of work, and all of them in a turn together have a bound. A peer that has sent more than a slice
//! stands in line, is not read meanwhile, and goes on when its turn comes; a peer that brings little
//! is served at once, however long that line is.
//!
//! Work is counted in units of about a nanosecond, which is what a byte of an answer takes to be put
//! together. It is an estimate: it bounds a turn, it measures nothing. A request is carried out whole
//! once it has been begun, so a slice is passed by at most one request.
//!
//! What costs more than a slice and cannot be divided always stands in line, however little a turn has
//! cost so far: putting the answer of a fetch of many partitions together. So there is one of those in a
//! turn, and never two.

use std::collections::VecDeque;

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::boundary::ConnId;
use super::hop::FanOutId;
use super::net::Pause;

/// What one event may lead to. More than all that fits 16 KiB, the most that is received at a time,
/// where requests are those of producers: those never stand in line.
pub const SLICE: usize = 256 << 10;
/// So many slices are what all events of a turn may lead to together.
const TURN: usize = 2;
/// What a request costs beside its bytes and those of its answer.
const REQUEST: usize = 512;
/// What it costs to read a byte of a request that is not of records: what it names may take five bytes,
/// and each is read twice and looked up.
const READING: usize = 8;
/// Answers and fan-outs of more lines than this stand in line when they are complete or given up.
pub(super) const MANY_LINES: usize = 512;
/// What it costs to give up a line, or to have it answered at once.
const LINE: usize = 128;
/// What it costs to close a connection: mostly the kernel's work.
const CLOSE: usize = 8 << 10;
/// What it costs to give back a byte of memory that was used, as a divisor: that is the kernel's work, too.
const FREE: usize = 16;
/// What it costs to ask the kernel about a connection.
const ASK: usize = 2 << 10;
/// What it costs to look at a deadline, most of which no longer matter.
const DEADLINE: usize = 64;

/// What goes on with its next slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Requests that a connection has sent.
    Requests(ConnId),
    /// A long request that a connection has sent, which is all there.
    Body(ConnId),
    /// A request of many parts, what it has not asked for, its answer, or
    /// giving it up.
    FanOut(FanOutId),
    /// Changes of the topology that are to be put in force on this core.
    Installs,
    /// A connection that is to be dropped.
    Drop(ConnId),
    /// Connections, to see whether their answers are taken.
    Unread,
    /// Connections that want to read, and for which there is memory.
    Readers,
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

    /// So many bytes of a request were read that is not of records.
    pub(super) fn charge_reading(&mut self, bytes: usize) {
        self.charge(bytes.saturating_mul(READING));
    }

    /// So many lines were given up, or are to be answered at once.
    pub(super) fn charge_lines(&mut self, lines: usize) {
        self.charge(lines.saturating_mul(LINE));
    }

    /// A connection is closed.
    pub(super) fn charge_close(&mut self) {
        self.charge(CLOSE);
    }

    /// So many bytes are given back.
    pub(super) fn charge_free(&mut self, bytes: usize) {
        self.charge(bytes / FREE);
    }

    /// The kernel is asked about a connection.
    pub(super) fn charge_ask(&mut self) {
        self.charge(ASK);
    }

    /// A deadline has passed.
    pub(super) fn charge_deadline(&mut self) {
        self.charge(DEADLINE);
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

    /// The line, and what was due by itself before it, have a slice of their own in each turn, however
    /// many have come anew.
    pub(super) fn begin_line(&mut self, now: Mono) {
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
        self.block(conn, Pause::Slice);
        let work = Work::Requests(conn);
        self.slices.line.push_back((now.mono, work));
    }

    /// The body that the connection has sent is read when its turn comes.
    pub(super) fn read_later(&mut self, conn: ConnId, now: Now) {
        self.block(conn, Pause::Slice);
        let work = Work::Body(conn);
        self.slices.line.push_back((now.mono, work));
    }

    /// The fan-out goes on when its turn comes.
    pub(super) fn go_on_later(&mut self, fan_out: FanOutId, now: Now) {
        let work = Work::FanOut(fan_out);
        self.slices.line.push_back((now.mono, work));
    }

    /// Changes of the topology are put in force when their turn comes.
    pub(super) fn install_later(&mut self, now: Now) {
        self.slices.line.push_back((now.mono, Work::Installs));
    }

    /// The connection is dropped when its turn comes.
    pub(super) fn drop_later(&mut self, conn: ConnId, now: Now) {
        let work = Work::Drop(conn);
        self.slices.line.push_back((now.mono, work));
    }

    /// Looking at connections with unread answers goes on when its turn comes.
    pub(super) fn look_at_unread_later(&mut self, now: Now) {
        self.slices.line.push_back((now.mono, Work::Unread));
    }

    /// Those that want to read do when their turn comes.
    pub(super) fn serve_readers_later(&mut self, now: Now) {
        if !self
            .slices
            .line
            .iter()
            .any(|(_, work)| *work == Work::Readers)
        {
            self.slices.line.push_back((now.mono, Work::Readers));
        }
    }

    /// Goes on with those in line, as far as a slice goes. Called once in a turn, after
    /// [`Slices::begin_line`].
    pub(super) fn serve_line(&mut self, now: Now) {
        while self.slices.has_room(now.mono)
            && let Some((_, work)) = self.slices.line.pop_front()
        {
            match work {
                Work::Requests(conn) => self.unblock(conn, Pause::Slice, now),
                Work::Body(conn) => self.read_body(conn, now),
                Work::FanOut(fan_out) => self.go_on_in_turn(fan_out, now),
                Work::Installs => self.install_in_turn(now),
                Work::Drop(conn) => self.drop_unread(conn),
                Work::Unread => self.go_on_looking(now),
                // In the end of every event.
                Work::Readers => {}
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
