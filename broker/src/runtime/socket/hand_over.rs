//! A connection that changes its core: its descriptor leaves one core's tables and enters
//! another's, with what was received so far.
//!
//! It moves only between two operations, when the kernel holds nothing of it: a receive is armed
//! only after the core's actions were carried out, and nothing is sent before the handshake. So
//! there is nothing to cancel, and no byte can be in two places.

use std::net::TcpStream;

use bytes::BytesMut;
use leveret_storage::types::Now;

use super::conn::Conn;
use super::{Sockets, open};
use crate::core::boundary::{Behaviour, ConnId, Protocol};
use crate::runtime::ring::BUFFER;

/// Most bytes that travel with a connection: a small frame that was not complete, and the receive
/// that completed it.
const MOST_RECEIVED: usize = 2 * BUFFER;

/// A connection on its way to another core. It owns the descriptor: dropped, it is closed.
pub(in crate::runtime) struct Traveller {
    stream: TcpStream,
    protocol: Protocol,
    received: BytesMut,
    /// The core that it was to go to had no room, and it is on its way back.
    returned: bool,
}

impl Traveller {
    /// The same on its way back; `None` if it has been there.
    pub(in crate::runtime) fn sent_back(mut self) -> Option<Self> {
        let again = std::mem::replace(&mut self.returned, true);
        (!again).then_some(self)
    }
}

impl Sockets {
    /// Takes a connection out of the tables without closing it, and what its core had received of
    /// it. `None`, and it stays, unless it is between two operations: if the kernel holds one of
    /// it, something waits to be sent, or a body is being received.
    pub(in crate::runtime) fn release<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        id: ConnId,
        now: Now,
    ) -> Option<Traveller> {
        let conn = open(&mut self.slots, id)?;
        if !conn.is_quiet() || conn.has_to_send() || conn.expects_body() {
            return None;
        }
        let slot = &mut self.slots[id.slot as usize];
        let conn = slot.conn.take().expect("it was looked at");
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        let received = behaviour.handle_departed(id, now);
        assert!(
            received.len() <= MOST_RECEIVED,
            "a connection moves with its first frame"
        );
        Some(Traveller {
            protocol: conn.protocol,
            stream: conn.into_stream(),
            received,
            returned: false,
        })
    }

    /// Whether the connection is still open for its core.
    pub(in crate::runtime) fn is_open(&mut self, id: ConnId) -> bool {
        open(&mut self.slots, id).is_some()
    }

    /// Takes another core's connection in, as if it had been accepted here and its bytes received
    /// here. Gives it back if too many are open.
    pub(in crate::runtime) fn take_in<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        traveller: Traveller,
        now: Now,
    ) -> Option<Traveller> {
        if !self.accepting {
            return None;
        }
        if self.live() >= self.limit {
            return Some(traveller);
        }
        let Traveller {
            stream,
            protocol,
            received,
            returned,
        } = traveller;
        // A peer that is gone has no address, and closing is all that is left to do.
        let Ok(peer) = stream.peer_addr() else {
            return None;
        };
        self.handed_over += u64::from(!returned);
        let id = self.insert(Conn::new(stream, protocol));
        behaviour.handle_arrived(id, protocol, peer, &received, now);
        self.want_receive(id.slot);
        None
    }
}
