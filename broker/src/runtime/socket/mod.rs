//! Sockets on the core's own io_uring: accept, receive, send, close.
//!
//! It turns completions into calls of the core's [`Behaviour`] and the core's actions into
//! operations. It reads no frame and decides no protocol; a slow peer costs it no buffer, as a
//! receive takes one only when bytes are there. Receives are one-shot and armed again only after
//! the core's actions have been carried out, so that a pause or a body takes effect before the
//! next byte is read.

mod accept;
mod conn;
mod listen;
mod ring;
mod tag;

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use io_uring::{opcode, types::Fd};
use leveret_storage::types::{Mono, Now};

use super::wake::Doors;
use crate::core::boundary::{Behaviour, ConnId};
use conn::{Conn, Stage};
use ring::{Done, Ring};
use tag::{Kind, tag, untag};

pub use listen::ListenerConfig;
pub(super) use listen::{Listener, bind_all};

/// How long a closed connection may take to send its rest and to hear the peer's end.
const GRACE: u64 = 1_000_000_000;
/// The same when the broker stops.
const STOP_GRACE: u64 = 200_000_000;
/// Pause after an accept that failed for lack of descriptors.
const ACCEPT_BACKOFF: u64 = 100_000_000;

/// Bounds of one core's sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketLimits {
    /// Connections that may be open at once; further ones are closed at once.
    pub(super) connections: usize,
    /// Receive buffers of 16 KiB; a power of two.
    pub(super) buffers: u16,
}

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
    ring: Ring,
    /// What other threads raise to wake this core.
    wake: RawFd,
    listeners: Vec<Accepting>,
    accepting: bool,
    accept_again: Option<Mono>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
    to_receive: Vec<u32>,
    to_send: Vec<u32>,
    /// Connections being closed and when their grace ends; nearly in order.
    closing: VecDeque<(Mono, ConnId)>,
    grace: u64,
    /// Scratch, kept for its memory.
    done: Vec<Done>,
    /// The connection limit is reached and that was said.
    refusing: bool,
    /// Connections refused because of it.
    refused: u64,
    /// Bytes that all connections have waiting to be sent.
    unsent: usize,
}

impl Sockets {
    /// Sets up the ring on the calling thread, which alone may use it.
    pub(super) fn new(
        doors: Doors,
        listeners: Vec<Listener>,
        limits: SocketLimits,
    ) -> io::Result<Self> {
        let idle = |listener| Accepting {
            listener,
            armed: false,
        };
        let mut sockets = Self {
            ring: Ring::new(doors.bell, limits.buffers)?,
            wake: doors.wake,
            listeners: listeners.into_iter().map(idle).collect(),
            accepting: false,
            accept_again: None,
            slots: Vec::new(),
            free: Vec::new(),
            limit: limits.connections,
            to_receive: Vec::new(),
            to_send: Vec::new(),
            closing: VecDeque::new(),
            grace: GRACE,
            done: Vec::new(),
            refusing: false,
            refused: 0,
            unsent: 0,
        };
        sockets.listen_for_wakes()?;
        Ok(sockets)
    }

    /// Lets the kernel's workers of this thread run on these CPUs. Durable and growing writes,
    /// glommio's too, are carried out by them, and they would share the core's own CPU.
    pub(super) fn place_workers(&self, cpus: &libc::cpu_set_t) -> io::Result<()> {
        self.ring.place_workers(cpus)
    }

    /// Polls the eventfd that other threads raise. It is never read: each raise completes the
    /// poll once more whatever the count.
    fn listen_for_wakes(&mut self) -> io::Result<()> {
        let events = u32::try_from(libc::POLLIN).expect("a flag");
        let poll = opcode::PollAdd::new(Fd(self.wake), events)
            .multi(true)
            .build();
        #[expect(unsafe_code, reason = "queues an operation")]
        // SAFETY: it points to nothing.
        unsafe {
            self.ring.push(&poll.user_data(tag(Kind::Wake, 0)))
        }
    }

    /// Connections refused because too many were open.
    pub(super) fn refused(&self) -> u64 {
        self.refused
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

    /// Appends to what the connection sends; ignored if it is closed.
    pub(super) fn send(&mut self, id: ConnId, bytes: Bytes) {
        let Some(conn) = open(&mut self.slots, id) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        self.unsent += bytes.len();
        conn.push(bytes);
        if !std::mem::replace(&mut conn.listed_to_send, true) {
            self.to_send.push(id.slot);
        }
    }

    /// Receives the next bytes into place; ignored if the connection is closed.
    pub(super) fn receive(&mut self, id: ConnId, into: BytesMut, len: usize) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.expect_body(into, len);
        }
    }

    /// Arms no further receive until [`Sockets::resume`].
    pub(super) fn pause(&mut self, id: ConnId) {
        if let Some(conn) = open(&mut self.slots, id) {
            conn.paused = true;
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
        if !std::mem::replace(&mut conn.listed_to_send, true) {
            self.to_send.push(id.slot);
        }
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
        [closing, self.accept_again].into_iter().flatten().min()
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
        if self.accept_again.is_some_and(|at| at <= now.mono) {
            self.accept_again = None;
            self.arm_accepts()?;
        }
        Ok(())
    }

    /// Delivers at most `most` completions. Returns whether there may be more.
    pub(super) fn handle_completions<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        now: Now,
        most: usize,
    ) -> io::Result<bool> {
        let mut done = std::mem::take(&mut self.done);
        self.ring.harvest(&mut done, most);
        let full = done.len() == most;
        for completion in done.drain(..) {
            let (kind, index) = untag(completion.tag);
            match kind {
                Kind::Accept => self.accepted(behaviour, index, completion, now)?,
                Kind::Receive => self.received(behaviour, index, completion, now),
                Kind::Send => self.sent(behaviour, index, completion, now),
                Kind::Wake if !completion.more() => self.listen_for_wakes()?,
                Kind::Cancel | Kind::Wake => {}
            }
        }
        self.done = done;
        Ok(full)
    }

    /// Queues what the core's actions asked for. Receives are armed only when the core has no
    /// further action (`settled`): none must overtake a pause or a body.
    pub(super) fn queue<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        now: Now,
        settled: bool,
    ) -> io::Result<()> {
        self.start_sends(behaviour, now)?;
        if settled {
            self.start_receives()
        } else {
            Ok(())
        }
    }

    /// Hands what is queued to the kernel and lets it post what is complete.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        self.ring.submit()
    }

    /// The same, and sleeps until something completes, another thread wakes this core, or
    /// `limit` has passed.
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.ring.wait(limit)
    }

    fn start_receives(&mut self) -> io::Result<()> {
        let mut slots = std::mem::take(&mut self.to_receive);
        for slot in slots.drain(..) {
            let Some(conn) = self.slots[slot as usize].conn.as_mut() else {
                continue;
            };
            conn.listed_to_receive = false;
            if let Some(entry) = conn.next_receive() {
                #[expect(unsafe_code, reason = "queues an operation")]
                // SAFETY: it points to a provided buffer or to the body that the connection
                // holds; a connection's slot is freed only when the kernel holds nothing of it.
                unsafe {
                    self.ring.push(&entry.user_data(tag(Kind::Receive, slot)))?;
                }
            }
        }
        self.to_receive = slots;
        Ok(())
    }

    /// Whether something can be done without waiting.
    pub(super) fn has_work(&mut self) -> bool {
        !self.to_send.is_empty() || !self.to_receive.is_empty() || self.ring.has_work()
    }

    /// Lets completions raise the bell, or not.
    pub(super) fn watch(&mut self, on: bool) {
        self.ring.watch(on);
    }

    fn start_sends<B: Behaviour>(&mut self, behaviour: &mut B, now: Now) -> io::Result<()> {
        let mut slots = std::mem::take(&mut self.to_send);
        for slot in slots.drain(..) {
            let Some(conn) = self.slots[slot as usize].conn.as_mut() else {
                continue;
            };
            conn.listed_to_send = false;
            if let Some(entry) = conn.next_send() {
                #[expect(unsafe_code, reason = "queues an operation")]
                // SAFETY: it points to chunks and a header that the connection holds until this
                // operation completes; see `submit`.
                unsafe {
                    self.ring.push(&entry.user_data(tag(Kind::Send, slot)))?;
                }
            } else if conn.stage == Stage::Flushing && !conn.has_to_send() {
                self.linger(behaviour, slot, now);
            }
        }
        self.to_send = slots;
        Ok(())
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
        let id = ConnId {
            slot,
            generation: self.slots[slot as usize].generation,
        };
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
                behaviour.handle_received(id, self.ring.received(buffer, len), now);
            }
            Ok(_) => {}
            Err(_) if retried(-done.result) => {}
            Err(_) => self.end(behaviour, slot, now),
        }
        if let Some(buffer) = done.buffer() {
            self.ring.give_back(buffer);
        }
        self.settle(behaviour, slot, now);
        self.want_receive(slot);
    }

    fn sent<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, done: Done, now: Now) {
        let id = ConnId {
            slot,
            generation: self.slots[slot as usize].generation,
        };
        let conn = self.conn(slot);
        let sent = usize::try_from(done.result).unwrap_or(0);
        conn.end_send(sent);
        self.unsent -= sent;
        let conn = self.conn(slot);
        if done.result < 0 && !retried(-done.result) {
            self.end(behaviour, slot, now);
            self.settle(behaviour, slot, now);
            return;
        }
        let wanted = conn.has_to_send() || conn.stage == Stage::Flushing;
        if wanted && !std::mem::replace(&mut conn.listed_to_send, true) {
            self.to_send.push(slot);
        }
        if sent > 0 {
            behaviour.handle_sent(id, sent, now);
        }
        self.settle(behaviour, slot, now);
    }

    /// The peer sends no more: the connection ends when what waits to be sent has left.
    fn peer_finished<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
        let id = ConnId {
            slot,
            generation: self.slots[slot as usize].generation,
        };
        let deadline = now.mono.after(self.grace);
        let conn = self.conn(slot);
        match conn.stage {
            Stage::Open if conn.has_to_send() => {
                conn.stage = Stage::Flushing;
                self.closing.push_back((deadline, id));
            }
            Stage::Open | Stage::Lingering => self.end(behaviour, slot, now),
            Stage::Flushing | Stage::Ending => {}
        }
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
        self.settle(behaviour, slot, now);
    }

    /// Frees the slot of a connection that has ended and of which the kernel holds nothing.
    fn settle<B: Behaviour>(&mut self, behaviour: &mut B, slot: u32, now: Now) {
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

fn list_to_receive(list: &mut Vec<u32>, slot: u32, conn: &mut Conn) {
    if !std::mem::replace(&mut conn.listed_to_receive, true) {
        list.push(slot);
    }
}

/// Whether an operation that failed so is simply tried again.
fn retried(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::EINTR | libc::ENOBUFS)
}
