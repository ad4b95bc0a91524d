//! What a core knows of one native connection, and the slots that connections live in.

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
    }

    /// The session of a connection that is still there.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Session> {
        let session = self.slots.get_mut(conn.slot as usize)?.as_deref_mut()?;
        (session.conn == conn).then_some(session)
    }

    pub(super) fn close(&mut self, conn: ConnId) -> Option<Box<Session>> {
        self.get(conn)?;
        self.open -= 1;
        self.slots[conn.slot as usize].take()
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }
}
