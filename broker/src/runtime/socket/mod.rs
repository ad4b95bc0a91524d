//! Sockets on the core's own io_uring: accept, receive, send, close.
//!
//! It turns completions into calls of the core's [`Behaviour`] and the core's actions into
//! operations. It reads no frame and decides no protocol; a slow peer costs it no buffer, as a
//! receive takes one only when bytes are there. Receives are one-shot and armed again only after
//! the core's actions have been carried out, so that a pause or a body takes effect before the
//! next byte is read.

mod accept;
mod conn;
mod hand_over;
mod listen;
mod sending;

use std::collections::VecDeque;
use std::io;

use bytes::BytesMut;
use io_uring::opcode;
use leveret_storage::types::{Mono, Now};

use super::ring::{Done, SharedRing};
use super::tag::{Kind, tag};
use crate::core::boundary::{Behaviour, ConnId, Inflow};
use conn::{Came, Conn, Stage};
use sending::Lines;

pub(super) use hand_over::Traveller;
pub use listen::{BoundAddr, ListenerConfig, ListenerCores};
pub(super) use listen::{Listener, bind_all};

/// How long a closed connection may take to send its rest and to hear the peer's end.
const GRACE: u64 = 1_000_000_000;
/// The same when the broker stops.
const STOP_GRACE: u64 = 200_000_000;
/// Between two look-outs for bytes of which none has come.
const REST: u64 = 50_000_000;
/// Pause after an accept that failed for lack of descriptors.
const ACCEPT_BACKOFF: u64 = 100_000_000;
/// The kernel copies what is sent and received while operations are handed to it, for all connections:
/// no further one is handed over in a turn that has come to so many bytes in one direction.
const COPIED: usize = 1 << 20;

struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

struct Accepting {
    listener: Listener,
    armed: bool,
}

/// All sockets of one core.
pub(super) struct Sockets {
    ring: SharedRing,
    listeners: Vec<Accepting>,
    accepting: bool,
    accept_again: Option<Mono>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
    to_receive: Vec<u32>,
    to_send: Lines,
    /// Connections being closed and when their grace ends; nearly in order.
    closing: VecDeque<(Mono, ConnId)>,
    /// Connections that are looked at again, and when; in order.
    resting: VecDeque<(Mono, ConnId)>,
    grace: u64,
    /// The connection limit is reached and that was said.
    refusing: bool,
    /// Connections refused because of it.
    refused: u64,
    /// Connections that other cores have handed over.
    handed_over: u64,
    /// Bytes that all connections have waiting to be sent.
    unsent: usize,
}

impl Sockets {
    /// Sockets on the core's ring, at most `connections` open at once, further ones closed at
    /// once; none is accepted yet.
    pub(super) fn new(ring: SharedRing, listeners: Vec<Listener>, connections: usize) -> Self {
        let idle = |listener| Accepting {
            listener,
            armed: false,
        };
        Self {
            ring,
            listeners: listeners.into_iter().map(idle).collect(),
            accepting: false,
            accept_again: None,
            slots: Vec::new(),
            free: Vec::new(),
            limit: connections,
            to_receive: Vec::new(),
            to_send: Lines::default(),
            closing: VecDeque::new(),
            resting: VecDeque::new(),
            grace: GRACE,
            refusing: false,
            refused: 0,
            handed_over: 0,
            unsent: 0,
        }
    }

    /// Connections refused because too many were open.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Connections that other cores accepted and handed over to this one.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over
    }

    /// Bytes given to send that the kernel has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Begins to accept connections.
    pub(super) fn start_accepting(&mut self) -> io::Result<()> {
        self.accepting = true;
        self.arm_accepts()
    }

    /// Receives the next bytes into place; ignored if the connection is closed.
    pub(super) fn receive(&mut self, id: ConnId, into: BytesMut, len: usize) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.expect_body(into, len);
        }
    }

    /// Tells when the kernel has so many bytes of a paused connection; ignored if it is closed.
    pub(super) fn await_bytes(&mut self, id: ConnId, len: usize) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.await_bytes(len);
            list_to_receive(&mut self.to_receive, id.slot, conn);
        }
    }

    /// What has come of the connection; nothing if it is closed.
    pub(super) fn inflow(&mut self, id: ConnId) -> Option<Inflow> {
        open(&mut self.slots, id)?.inflow()
    }

    /// Arms no further receive until [`Sockets::resume`]; meanwhile the kernel looks out for the
    /// peer's end.
    pub(super) fn pause(&mut self, id: ConnId) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.paused = true;
            list_to_receive(&mut self.to_receive, id.slot, conn);
        }
    }

    /// Receives again.
    pub(super) fn resume(&mut self, id: ConnId) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.paused = false;
            list_to_receive(&mut self.to_receive, id.slot, conn);
        }
    }

    /// Closes once what was given to send has left, or after a grace.
    pub(super) fn close(&mut self, id: ConnId, now: Mono) {
        let Some(conn) = open(&mut self.slots, id) else {
            return;
        };
        conn.stage = Stage::Flushing;
        self.closing.push_back((now.after(self.grace), id));
        // Looked at when sends are started: it may have nothing left to send.
        self.list_to_send(id.slot);
    }

    /// Ends a connection, and has the kernel forget what it has of it.
    pub(super) fn drop_at_once<B: Behaviour>(&mut self, behaviour: &mut B, id: ConnId, now: Now) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.forget_unread();
            self.end(behaviour, id.slot, now);
        }
    }

    /// Bytes that the peer has taken, and whether the kernel has more for it.
    pub(super) fn taken(&mut self, id: ConnId) -> Option<(u64, bool)> {
        open(&mut self.slots, id).map(|conn| conn.taken())
    }

    /// Stops accepting and closes all connections, with a shorter grace.
    pub(super) fn close_all(&mut self, now: Mono) -> io::Result<()> {
        self.accepting = false;
        self.grace = STOP_GRACE;
        for index in 0..self.listeners.len() {
            if self.listeners[index].armed {
                let index = u32::try_from(index).expect("few listeners");
                let cancel = opcode::AsyncCancel::new(tag(Kind::Accept, index)).build();
                #[expect(unsafe_code, reason = "queues an operation")]
                // SAFETY: it points to nothing.
                unsafe {
                    self.ring
                        .borrow_mut()
                        .push(&cancel.user_data(tag(Kind::Cancel, index)))?;
                }
            }
        }
        let ids: Vec<ConnId> = (0..)
            .zip(&self.slots)
            .filter_map(|(n, s)| s.id(n))
            .collect();
        self.closing.clear();
        for id in ids {
            if open(&mut self.slots, id).is_some() {
                self.close(id, now);
            } else {
                self.closing.push_back((now.after(self.grace), id));
            }
        }
        Ok(())
    }

    /// Whether no connection is left and the kernel holds no accept.
    pub(super) fn is_quiet(&self) -> bool {
        self.free.len() == self.slots.len() && self.listeners.iter().all(|l| !l.armed)
    }

    /// Connections open or closing.
    pub(super) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// When [`Sockets::handle_timeout`] is wanted next.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let closing = self.closing.front().map(|(at, _)| *at);
        let resting = self.resting.front().map(|(at, _)| *at);
        let all = [closing, resting, self.accept_again];
        all.into_iter().flatten().min()
    }

    /// Ends closings whose grace has passed, and accepts again after a pause.
    pub(super) fn handle_timeout<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        now: Now,
    ) -> io::Result<()> {
        while let Some(&(at, id)) = self.closing.front()
            && at <= now.mono
        {
            self.closing.pop_front();
            if self.slots[id.slot as usize].id(id.slot) == Some(id) {
                self.end(behaviour, id.slot, now);
            }
        }
        while let Some(&(at, id)) = self.resting.front()
            && at <= now.mono
        {
            self.resting.pop_front();
            if let Some(conn) = open(&mut self.slots, id) {
                conn.end_rest();
                list_to_receive(&mut self.to_receive, id.slot, conn);
            }
        }
        if self.accept_again.is_some_and(|at| at <= now.mono) {
            self.accept_again = None;
            self.arm_accepts()?;
        }
        Ok(())
    }

    /// An operation of the sockets ended.
    pub(super) fn handle_completion<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        done: Done,
        now: Now,
    ) -> io::Result<()> {
        match done.of() {
            (Kind::Accept, index) => self.accepted(behaviour, index, done, now)?,
            (Kind::Receive, slot) => self.received(behaviour, slot, done, now),
            (Kind::Send, slot) => self.sent(behaviour, slot, done, now),
            (Kind::Watch, slot) => self.watched(behaviour, slot, done, now),
            (Kind::Await, slot) => self.awaited(behaviour, slot, done, now),
            (Kind::Cancel | Kind::Wake | Kind::Disk, _) => {}
        }
        Ok(())
    }

    /// Queues what the core's actions asked for. Receives are armed only when the core has no
    /// further action (`carried_out`): none must overtake a pause or a body. The kernel copies what is
    /// sent and received within the turn, so there is a bound on it. Returns whether that was all;
    /// the rest is queued next time.
    pub(super) fn queue<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        now: Now,
        carried_out: bool,
    ) -> io::Result<bool> {
        self.start_sends(behaviour, now)?;
        if carried_out {
            self.start_receives()?;
        }
        Ok(!self.has_work())
    }

    fn start_receives(&mut self) -> io::Result<()> {
        let mut slots = std::mem::take(&mut self.to_receive);
        let (mut looked_at, mut bytes) = (0, 0);
        for slot in slots.iter().copied() {
            if bytes >= COPIED {
                break;
            }
            looked_at += 1;
            let Some(conn) = self.slots[slot as usize].conn.as_mut() else {
                continue;
            };
            conn.listed_to_receive = false;
            let (entry, kind) = match conn.next_receive() {
                Some((entry, len)) => {
                    bytes += len;
                    (entry, Kind::Receive)
                }
                None => match conn.next_look_out() {
                    Some(look_out) => look_out,
                    None => continue,
                },
            };
            #[expect(unsafe_code, reason = "queues an operation")]
            // SAFETY: it points to nothing, to a provided buffer or to the body that the connection
            // holds; a connection's slot is freed only when the kernel holds nothing of it.
            unsafe {
                self.ring
                    .borrow_mut()
                    .push(&entry.user_data(tag(kind, slot)))?;
            }
        }
        slots.drain(..looked_at);
        self.to_receive = slots;
        Ok(())
    }

    /// Whether something can be queued without waiting.
    pub(super) fn has_work(&self) -> bool {
        !self.to_send.are_empty() || !self.to_receive.is_empty()
    }

    fn conn(&mut self, slot: u32) -> &mut Conn {
        let conn = self.slots[slot as usize].conn.as_mut();
        conn.expect("a slot is freed only when the kernel holds nothing of it")
    }

    fn want_receive(&mut self, slot: u32) {
        if let Some(conn) = self.slots[slot as usize].conn.as_mut() {
            list_to_receive(&mut self.to_receive, slot, conn);
        }
    }

    fn received<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, done: Done, now: Now) {
        let id = self.id(slot);
        let conn = self.conn(slot);
        let into_body = conn.end_receive(done.socket_has_more());
        let stage = conn.stage;
        match usize::try_from(done.result) {
            Ok(0) => {
                conn.peer_done = true;
                self.peer_finished(behaviour, slot, now);
            }
            Ok(len) if stage == Stage::Open && into_body => {
                if let Some(body) = conn.advance_body(len) {
                    behaviour.handle_body(id, body, now);
                }
            }
            Ok(len) if stage == Stage::Open => {
                let buffer = done.buffer().expect("bytes come in a buffer");
                let ring = self.ring.borrow();
                behaviour.handle_received(id, ring.received(buffer, len), now);
            }
            Ok(_) => {}
            Err(_) if retried(-done.result) || -done.result == libc::ECANCELED => {}
            Err(_) => self.end(behaviour, slot, now),
        }
        if let Some(buffer) = done.buffer() {
            self.ring.borrow_mut().give_back(buffer);
        }
        let conn = self.slots[slot as usize].conn.as_mut();
        if let Some(body) = conn.and_then(Conn::take_unwanted) {
            behaviour.handle_body(id, body, now);
        }
        self.free_if_ended(behaviour, slot, now);
        self.want_receive(slot);
    }

    fn sent<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, done: Done, now: Now) {
        let id = self.id(slot);
        let conn = self.conn(slot);
        let sent = usize::try_from(done.result).unwrap_or(0);
        conn.end_send(sent);
        self.unsent -= sent;
        let conn = self.conn(slot);
        if done.result < 0 && !retried(-done.result) {
            self.end(behaviour, slot, now);
            self.free_if_ended(behaviour, slot, now);
            return;
        }
        let wanted = conn.has_to_send() || conn.stage == Stage::Flushing;
        if wanted {
            self.list_to_send(slot);
        }
        if sent > 0 {
            behaviour.handle_sent(id, sent, now);
        }
        self.free_if_ended(behaviour, slot, now);
    }

    /// The peer sends no more. An open connection is the behaviour's to close.
    fn peer_finished<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
        let id = self.id(slot);
        match self.conn(slot).stage {
            Stage::Open => behaviour.handle_input_ended(id, now),
            Stage::Lingering => self.end(behaviour, slot, now),
            Stage::Flushing | Stage::Ending => {}
        }
    }

    /// The peer's end was seen while nothing was being received.
    fn watched<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, done: Done, now: Now) {
        let id = self.id(slot);
        let conn = self.conn(slot);
        conn.end_watch();
        if conn.stage == Stage::Open {
            if is_gone(done) {
                self.end(behaviour, slot, now);
                return;
            }
            behaviour.handle_input_closes(id, now);
        }
        self.free_if_ended(behaviour, slot, now);
    }

    /// What was awaited has come, or the peer's end.
    fn awaited<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, done: Done, now: Now) {
        let id = self.id(slot);
        let conn = self.conn(slot);
        let came = conn.end_await(done.result & i32::from(libc::POLLRDHUP) != 0);
        if conn.stage == Stage::Open {
            if is_gone(done) {
                self.end(behaviour, slot, now);
                return;
            }
            match came {
                Came::More => {}
                Came::Nothing => self.resting.push_back((now.mono.after(REST), id)),
                Came::Whole | Came::Partial => {
                    behaviour.handle_there(id, came == Came::Whole, now);
                }
            }
        }
        self.free_if_ended(behaviour, slot, now);
        self.want_receive(slot);
    }

    fn id(&self, slot: u32) -> ConnId {
        let generation = self.slots[slot as usize].generation;
        ConnId { slot, generation }
    }

    /// Everything has left; the peer is told so and heard out.
    fn linger<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
        let conn = self.conn(slot);
        if conn.peer_done {
            self.end(behaviour, slot, now);
            return;
        }
        conn.stage = Stage::Lingering;
        conn.shut_write();
        self.want_receive(slot);
    }

    fn end<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
        self.conn(slot).end();
        self.free_if_ended(behaviour, slot, now);
    }

    /// Frees the slot of a connection that has ended and of which the kernel holds nothing.
    fn free_if_ended<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
        let entry = &mut self.slots[slot as usize];
        let Some(conn) = entry
            .conn
            .take_if(|c| c.stage == Stage::Ending && c.is_quiet())
        else {
            return;
        };
        self.unsent -= conn.unsent;
        drop(conn);
        let id = ConnId {
            slot,
            generation: entry.generation,
        };
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        behaviour.handle_disconnected(id, now);
    }
}

impl Slot {
    /// The id of the connection in this slot, if there is one.
    fn id(&self, slot: u32) -> Option<ConnId> {
        self.conn.as_ref().map(|_| ConnId {
            slot,
            generation: self.generation,
        })
    }
}

/// The connection, if it is still open for the core.
fn open(slots: &mut [Slot], id: ConnId) -> Option<&mut Conn> {
    let slot = slots
        .get_mut(id.slot as usize)
        .filter(|s| s.generation == id.generation)?;
    slot.conn.as_mut().filter(|conn| conn.stage == Stage::Open)
}

/// Whether a look-out saw that the connection is no more.
fn is_gone(done: Done) -> bool {
    let gone = i32::from(libc::POLLERR | libc::POLLHUP);
    done.result < 0 || done.result & gone != 0
}

fn list_to_receive(list: &mut Vec<u32>, slot: u32, conn: &mut Conn) {
    if !std::mem::replace(&mut conn.listed_to_receive, true) {
        list.push(slot);
    }
}

/// Whether an operation that failed so is simply tried again.
fn retried(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::EINTR | libc::ENOBUFS)
}
