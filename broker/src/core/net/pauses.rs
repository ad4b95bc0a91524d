//! Why a connection is not read just now: a set, as there may be several reasons at once.
//!
//! A connection is read when none is left. Each reason has somebody who ends it, and only that one: whoever adds
//! a reason sees to it that its end comes, whatever else pauses the connection meanwhile.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use crate::core::Core;
use crate::core::boundary::{Action, ConnId};

/// Why no further request of a connection is looked at just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Pause {
    /// Stands in line for its next slice of work.
    Slice,
    /// A request of many parts has not asked for all of them; later ones must not overtake it.
    Asks,
    /// Waits in line for a permit.
    Permit,
    /// Its peer has not sent all of a short frame, of which the rest is awaited.
    Arrival,
    /// A change of the topology is under way; later requests must see it.
    Topology,
    /// It is about to leave for another core.
    Departure,
    /// Too much is on its way to the peer, or too many requests wait for their answers.
    Peer,
}

impl Pause {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// All reasons that there are at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct Pauses(u8);

impl Pauses {
    /// Those that wait for the peer: to take its answers, or to send on.
    const PEERS: u8 = Pause::Peer.bit() | Pause::Arrival.bit();

    /// Whether there is a reason.
    pub(in crate::core) fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether that is one.
    pub(in crate::core) fn by(self, why: Pause) -> bool {
        self.0 & why.bit() != 0
    }

    /// Whether a body that is being received, or has come, has to wait. It does not for its peer to take answers:
    /// what holds a permit waits for nobody who may never come.
    pub(super) fn hold_body(self) -> bool {
        self.0 & !Pause::Peer.bit() != 0
    }

    /// Whether it is the core that makes the connection wait. Who does not take its answers waits for
    /// itself, and so does who does not send on.
    pub(super) fn are_ours(self) -> bool {
        self.0 & !Self::PEERS != 0
    }

    /// Whether it was not there.
    fn add(&mut self, why: Pause) -> bool {
        let new = !self.by(why);
        self.0 |= why.bit();
        new
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, why: Pause) -> bool {
        let old = self.by(why);
        self.0 &= !why.bit();
        old
    }
}

impl<P: BufPool> Core<P> {
    /// The connection is not read until that is over, and everything else that pauses it.
    pub(in crate::core) fn block(&mut self, conn: ConnId, why: Pause) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let before = session.pauses;
        if !session.pauses.add(why) {
            return;
        }
        if session.pauses.are_ours() && !before.are_ours() {
            self.sessions.hold_up_hello(conn);
        }
        if !before.any() {
            self.actions.push_back(Action::Pause(conn));
        }
    }

    /// What paused the connection for that reason is over.
    pub(in crate::core) fn unblock(&mut self, conn: ConnId, why: Pause, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let before = session.pauses;
        if !session.pauses.remove(why) {
            return;
        }
        let after = session.pauses;
        if before.are_ours() && !after.are_ours() {
            session.let_go_on(now.mono);
            self.sessions.await_hello(conn);
        }
        if !after.any() {
            self.carry_on(conn, now);
        }
    }

    /// All parts of a request may have been asked for at last, or another one asks.
    pub(in crate::core) fn asks_no_more(&mut self, conn: ConnId, now: Now) {
        let session = self.sessions.get(conn);
        if session.is_some_and(|session| session.asking.is_none()) {
            self.unblock(conn, Pause::Asks, now);
        }
    }

    /// There is room for who waits for a permit. It takes it, or gives its place up: what waits for it in line
    /// must not wait for anything else.
    pub(super) fn let_take_permit(&mut self, conn: ConnId, now: Now) {
        if let Some(session) = self.sessions.get(conn) {
            // How much its peer has not taken is weighed again with its next answer.
            session.pauses.remove(Pause::Peer);
        }
        self.grant_request(now);
        self.unblock(conn, Pause::Permit, now);
        let session = self.sessions.get(conn);
        if session.is_some_and(|session| session.pauses.any() && !session.pauses.by(Pause::Permit))
        {
            self.permits.leave_line(conn);
        }
    }

    /// Nothing pauses the connection any more: it goes on with what it has sent, and is read again.
    pub(super) fn carry_on(&mut self, conn: ConnId, now: Now) {
        match self.sessions.get(conn).map(|session| &session.large) {
            Some(Some(_)) => self.go_on_receiving(conn, now),
            _ => self.go_on(conn, now),
        }
        if let Some(session) = self.sessions.get(conn)
            && !session.pauses.any()
        {
            self.actions.push_back(Action::Resume(conn));
        }
        self.end_if_answered(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_on_when_the_last_reason_is_gone() {
        let mut pauses = Pauses::default();
        assert!(pauses.add(Pause::Peer) && !pauses.add(Pause::Peer));
        assert!(!pauses.are_ours() && !pauses.hold_body());
        assert!(pauses.add(Pause::Topology) && pauses.are_ours());
        assert!(pauses.by(Pause::Peer) && pauses.hold_body());
        assert!(pauses.remove(Pause::Topology) && !pauses.remove(Pause::Topology));
        assert!(pauses.any() && !pauses.are_ours());
        assert!(pauses.remove(Pause::Peer) && !pauses.any());
    }
}
