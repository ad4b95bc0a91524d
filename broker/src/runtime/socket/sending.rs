//! Which connection sends next. The kernel copies what is sent within the turn, so there is a bound
//! on that. Connections with little to send have a line of their own, and do not wait behind those
//! with much.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use io_uring::opcode;
use leveret_storage::types::Now;

use super::conn::{Conn, Stage};
use super::{COPIED, Sockets, open};
use crate::core::boundary::{Behaviour, ConnId};
use crate::runtime::tag::{Kind, tag};

/// A connection that has no more than this to send is served before others, bytes.
const LITTLE: usize = 64 << 10;
/// What a write costs beside its bytes, as if it was so many more.
const WRITE: usize = 2 << 10;

/// Connections that have something to send, or are to be closed once they have not.
#[derive(Default)]
pub(super) struct Lines {
    little: VecDeque<u32>,
    much: VecDeque<u32>,
}

impl Lines {
    pub(super) fn are_empty(&self) -> bool {
        self.little.is_empty() && self.much.is_empty()
    }
}

impl Sockets {
    /// Appends to what the connection sends; ignored if it is closed.
    pub(in crate::runtime) fn send(&mut self, id: ConnId, bytes: Bytes) {
        let Some(conn) = open(&mut self.slots, id) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        self.unsent += bytes.len();
        conn.push(bytes);
        self.list_to_send(id.slot);
    }

    /// The connection in that slot is looked at when sends are started.
    pub(super) fn list_to_send(&mut self, slot: u32) {
        let conn = self.conn(slot);
        if !std::mem::replace(&mut conn.listed_to_send, true) {
            match conn.unsent <= LITTLE {
                true => self.to_send.little.push_back(slot),
                false => self.to_send.much.push_back(slot),
            }
        }
    }

    pub(super) fn start_sends<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        now: Now,
    ) -> io::Result<()> {
        let mut cost = 0;
        while cost < COPIED / 2
            && let Some(slot) = self.to_send.little.pop_front()
        {
            cost += WRITE + self.start_send(behaviour, slot, now)?;
        }
        let mut cost = 0;
        while let Some(slot) = self.to_send.much.front().copied() {
            let conn = self.slots[slot as usize].conn.as_ref();
            let next = conn.map_or(0, Conn::next_cost);
            if cost > 0 && cost + next > COPIED {
                break;
            }
            self.to_send.much.pop_front();
            cost += WRITE + self.start_send(behaviour, slot, now)?;
        }
        Ok(())
    }

    /// Starts the next write of the connection in that slot, or goes on closing it. What that costs, in bytes that
    /// are copied.
    fn start_send<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        slot: u32,
        now: Now,
    ) -> io::Result<usize> {
        let Some(conn) = self.slots[slot as usize].conn.as_mut() else {
            return Ok(0);
        };
        conn.listed_to_send = false;
        if conn.gives_up_body() {
            let cancel = opcode::AsyncCancel::new(tag(Kind::Receive, slot)).build();
            #[expect(unsafe_code, reason = "queues an operation")]
            // SAFETY: it points to nothing.
            unsafe {
                self.ring
                    .borrow_mut()
                    .push(&cancel.user_data(tag(Kind::Cancel, slot)))?;
            }
        }
        let cost = conn.next_cost();
        if let Some(entry) = conn.next_send() {
            #[expect(unsafe_code, reason = "queues an operation")]
            // SAFETY: it points to chunks and a header that the connection holds until this
            // operation completes; see `submit`.
            unsafe {
                self.ring
                    .borrow_mut()
                    .push(&entry.user_data(tag(Kind::Send, slot)))?;
            }
        } else if conn.stage == Stage::Flushing && !conn.has_to_send() {
            self.linger(behaviour, slot, now);
        }
        Ok(cost)
    }
}
