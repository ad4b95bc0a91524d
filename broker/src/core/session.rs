//! What a core knows of one native connection, and the slots that connections live in.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use leveret_wire::native::FrameHeader;

use super::boundary::ConnId;

/// How far a connection has come. Named for what may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing but `Hello` is taken.
    ExpectHello,
    /// Any request but `Hello`.
    ExpectRequest,
    /// The last response has been given to send; whatever arrives is dropped.
    Closing,
}

/// Why no further request of a connection is looked at just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Waits in line for a permit.
    Permit,
    /// A change of the topology is under way; later requests must see it.
    Topology,
    /// Too much is on its way to the peer, or too many requests wait for their answers.
    Peer,
}

/// One connection.
pub(super) struct Session {
    pub(super) conn: ConnId,
    pub(super) stage: Stage,
    /// It counts among those that have not said hello.
    greeting: bool,
    pub(super) blocked: Option<Blocked>,
    /// Received and not yet looked at: a partial frame, or what came while blocked.
    pub(super) rx: BytesMut,
    /// The frame that is being received into place, and its permit in bytes.
    pub(super) large: Option<FrameHeader>,
    /// Encoded in this turn and not yet given to the driver.
    pub(super) out: BytesMut,
    /// Given to the driver and not yet sent, bytes.
    pub(super) unsent: usize,
    /// Requests that wait for their answers.
    pub(super) waiting: usize,
    /// Gathers of fetches among them, which nobody needs once the connection is gone.
    pub(super) fetches: Vec<usize>,
}

impl Session {
    fn new(conn: ConnId) -> Self {
        Self {
            conn,
            stage: Stage::ExpectHello,
            greeting: true,
            blocked: None,
            rx: BytesMut::new(),
            large: None,
            out: BytesMut::new(),
            unsent: 0,
            waiting: 0,
            fetches: Vec::new(),
        }
    }

    /// Takes what was encoded and not yet given to the driver.
    pub(super) fn take_out(&mut self) -> Bytes {
        let bytes = self.out.split().freeze();
        self.unsent += bytes.len();
        bytes
    }
}

/// The connections of one core, by slot.
#[derive(Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    open: usize,
    /// Connections that have not said hello.
    greeting: usize,
    /// Those, the oldest first, and some that have said it or gone meanwhile.
    arrivals: VecDeque<ConnId>,
}

impl Sessions {
    pub(super) fn open(&mut self, conn: ConnId) {
        let slot = conn.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        let old = self.slots[slot].replace(Box::new(Session::new(conn)));
        assert!(
            old.is_none(),
            "the driver reused the slot of an open connection"
        );
        self.open += 1;
        self.greeting += 1;
        // No more are kept than are counted, plus those that a slow one is in front of.
        if self.arrivals.len() > 2 * self.greeting {
            let mut arrivals = std::mem::take(&mut self.arrivals);
            arrivals.retain(|conn| self.is_greeting(*conn));
            self.arrivals = arrivals;
        }
        self.arrivals.push_back(conn);
    }

    /// The connection has said hello, in its protocol's way.
    pub(super) fn greeted(&mut self, conn: ConnId) {
        if let Some(session) = self.get(conn)
            && session.greeting
        {
            session.greeting = false;
            self.greeting -= 1;
        }
    }

    /// How many connections have not said hello.
    pub(super) fn greeting(&self) -> usize {
        self.greeting
    }

    /// Takes the one of them that has been there longest out of their number.
    pub(super) fn oldest_greeting(&mut self) -> Option<ConnId> {
        while let Some(conn) = self.arrivals.pop_front() {
            if self.is_greeting(conn) {
                self.greeted(conn);
                return Some(conn);
            }
        }
        None
    }

    fn is_greeting(&mut self, conn: ConnId) -> bool {
        self.get(conn).is_some_and(|session| session.greeting)
    }

    /// The session of a connection that is still there.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Session> {
        let session = self.slots.get_mut(conn.slot as usize)?.as_deref_mut()?;
        (session.conn == conn).then_some(session)
    }

    pub(super) fn close(&mut self, conn: ConnId) -> Option<Box<Session>> {
        self.get(conn)?;
        self.greeted(conn);
        self.open -= 1;
        self.slots[conn.slot as usize].take()
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(slot: u32) -> ConnId {
        ConnId {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn the_oldest_that_said_no_hello_is_found_and_counted_once() {
        let mut sessions = Sessions::default();
        (0..4).for_each(|slot| sessions.open(conn(slot)));
        sessions.greeted(conn(0));
        sessions.greeted(conn(0));
        sessions.close(conn(1));
        assert_eq!(sessions.greeting(), 2);
        assert_eq!(sessions.oldest_greeting(), Some(conn(2)));
        assert_eq!(sessions.greeting(), 1);
        sessions.close(conn(2));
        assert_eq!(sessions.greeting(), 1, "it was not counted any more");
        assert_eq!(sessions.oldest_greeting(), Some(conn(3)));
        assert_eq!((sessions.greeting(), sessions.oldest_greeting()), (0, None));
        assert_eq!(sessions.len(), 2);
    }

    #[test]
    fn who_came_is_forgotten_behind_a_slow_one_too() {
        let mut sessions = Sessions::default();
        sessions.open(conn(0));
        for generation in 0..1000 {
            let quick = ConnId {
                slot: 1,
                generation,
            };
            sessions.open(quick);
            sessions.close(quick);
        }
        assert!(sessions.arrivals.len() < 8, "{}", sessions.arrivals.len());
        assert_eq!(sessions.oldest_greeting(), Some(conn(0)));
    }
}
