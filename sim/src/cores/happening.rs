//! What may happen next in a [`World`], and that it does: one thing at a time, whichever chance picks.

use bytes::BytesMut;
use leveret_broker::core::Core;
use leveret_broker::core::boundary::{Action, Behaviour};
use leveret_broker::core::hop::Message;
use leveret_storage::types::CoreId;

use super::peer::{End, Traveller};
use super::{Parcel, Stop, World, address, core_id};
use crate::disk::{Client, SimBuf, SimPool};

/// Things that may happen without time passing before the run is called a storm.
const STORM: u64 = 10_000_000;
/// Longest piece of a connection's bytes that is handed in at once: the ring's buffers.
const PIECE: u64 = 16 << 10;

/// What may happen next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The core's wishes are carried out.
    Drive(usize),
    /// The oldest message from the one core to the other arrives.
    Mesh(usize, usize),
    /// Bytes of the peer arrive, or its end does.
    Arrive(usize),
    /// That the peer has sent its last is seen while nothing of it is received.
    SeeEnd(usize),
    /// What is awaited of the peer has come, or its end.
    There(usize),
    /// The peer takes what was sent to it.
    Take(usize),
    /// The connection that was closed goes.
    Close(usize),
    /// The connection that is to move does, or stays.
    Move(usize, CoreId),
    /// An operation of the disk completes.
    Disk,
    /// A timer of the core goes off.
    Timer(usize),
}

impl World {
    /// One thing happens, of those that can now. False if nothing can without time passing.
    ///
    /// # Panics
    /// If a core contradicts itself, ends, or is busy for ever.
    pub fn step(&mut self) -> bool {
        let happenings = self.happenings();
        if happenings.is_empty() {
            return false;
        }
        self.at_this_instant += 1;
        assert!(self.at_this_instant < STORM, "busy without time passing");
        let happening = *self.rng.pick(&happenings);
        self.happen(happening);
        true
    }

    fn happenings(&self) -> Vec<Happening> {
        let mut all = Vec::new();
        for (core, seat) in self.seats.iter().enumerate() {
            if seat.undriven {
                all.push(Happening::Drive(core));
            }
            let timer = seat.behaviour.poll_timeout();
            if timer.is_some_and(|at| at <= self.now) {
                all.push(Happening::Timer(core));
            }
        }
        for (&(from, to), queue) in &self.mesh {
            if queue.front().is_some_and(|(due, _)| *due <= self.now) {
                all.push(Happening::Mesh(from, to));
            }
        }
        for (conn, peer) in self.peers.iter().enumerate().filter(|(_, peer)| peer.open) {
            // What the core wants of the connection comes before what more it has sent.
            let driven = peer.core.is_some_and(|core| !self.seats[core].undriven);
            match peer.moving {
                _ if !driven => {}
                Some(to) if peer.end != End::Reset => all.push(Happening::Move(conn, to)),
                _ if peer.may_arrive() => all.push(Happening::Arrive(conn)),
                _ => {}
            }
            if driven && peer.may_be_seen_to_end() {
                all.push(Happening::SeeEnd(conn));
            }
            if driven && peer.may_be_there() {
                all.push(Happening::There(conn));
            }
            if peer.may_take() {
                all.push(Happening::Take(conn));
            } else if peer.closing {
                all.push(Happening::Close(conn));
            }
        }
        let completion = self.disk.next_completion().filter(|_| !self.hold);
        if completion.is_some_and(|at| at <= self.now) {
            all.push(Happening::Disk);
        }
        all
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Drive(core) => self.drive(core),
            Happening::Timer(core) => self.handle(core, |core| core.handle_timeout(now)),
            Happening::Mesh(from, to) => self.receive(from, to),
            Happening::Arrive(conn) => self.arrive(conn),
            Happening::SeeEnd(conn) => {
                let (core, id) = self.place(conn);
                self.peers[conn].end = End::Seen;
                self.handle(core, |core| core.handle_input_closes(id, now));
            }
            Happening::There(conn) => {
                let (core, id) = self.place(conn);
                let len = self.peers[conn].awaited.take().expect("chosen");
                // Now and then there is no room for it below the core.
                let whole = self.peers[conn].input.len() >= len && self.rng.chance(3, 4);
                self.handle(core, |core| core.handle_there(id, whole, now));
            }
            Happening::Take(conn) => {
                let (core, id) = self.place(conn);
                let bytes = self.peers[conn].take();
                self.news = true;
                self.handle(core, |core| core.handle_sent(id, bytes, now));
            }
            Happening::Close(conn) => self.close(conn),
            Happening::Move(conn, to) => self.move_over(conn, to),
            Happening::Disk => {
                let done = self.disk.complete().expect("chosen");
                let core = usize::from(done.client.0);
                self.handle(core, |core| {
                    core.handle_completion(done.id, done.result, now);
                });
            }
        }
    }

    /// Hands something to a core, and looks at what has become of it.
    pub(super) fn handle(&mut self, core: usize, what: impl FnOnce(&mut Core<SimPool>)) {
        let seat = &mut self.seats[core];
        what(&mut seat.behaviour);
        seat.behaviour.check();
        seat.undriven = true;
    }

    fn drive(&mut self, core: usize) {
        self.seats[core].undriven = false;
        while let Some(action) = self.seats[core].behaviour.poll_action() {
            self.carry_out(core, action);
        }
    }

    fn carry_out(&mut self, core: usize, action: Action<SimBuf, Message>) {
        match action {
            Action::Disk(id, op) => {
                let client = Client(core_id(core).0);
                self.disk.submit(self.now, client, id, op);
            }
            Action::Send { conn, bytes } => {
                if let Some(peer) = self.peer(core, conn) {
                    peer.queue.push_back(bytes);
                }
            }
            Action::Receive { conn, into, len } => {
                assert!(into.capacity() >= into.len() + len, "no room for a body");
                if let Some(peer) = self.peer(core, conn) {
                    peer.body = Some((into, len));
                }
            }
            Action::Await { conn, len } => {
                if let Some(peer) = self.peer(core, conn) {
                    assert!(peer.paused, "what is awaited is not received");
                    peer.awaited = Some(len);
                }
            }
            Action::Measure(conn) => {
                let now = self.now();
                let inflow = self.peer(core, conn).map(|peer| peer.inflow(now.mono));
                if let Some(inflow) = inflow {
                    self.handle(core, |core| core.handle_inflow(conn, inflow, now));
                }
            }
            Action::Pause(conn) => self.set_paused(core, conn, true),
            Action::Resume(conn) => self.set_paused(core, conn, false),
            Action::Close(conn) => {
                if let Some(peer) = self.peer(core, conn) {
                    peer.closing = true;
                }
            }
            Action::Drop(conn) => {
                if let Some(peer) = self.peer(core, conn) {
                    peer.queue.clear();
                    peer.closing = true;
                }
            }
            Action::MeasureTaken(conn) => {
                let now = self.now();
                if let Some(peer) = self.peer(core, conn) {
                    let (took, more) = (peer.took, !peer.queue.is_empty());
                    self.handle(core, |core| core.handle_taken(conn, took, more, now));
                }
            }
            Action::HandOver { conn, to } => {
                if let Some(peer) = self.peer(core, conn) {
                    peer.moving = Some(to);
                }
            }
            Action::Mesh { to, message } => {
                let to = usize::from(to.0);
                assert_ne!(core, to, "a core sends itself no message");
                self.post(core, to, Parcel::Message(message));
            }
            Action::Fatal(line) => panic!("core {core} ends: {line}"),
            Action::Stopped => {
                assert_eq!(self.seats[core].stop, Stop::Begun, "a core stops once");
                self.seats[core].stop = Stop::Finished;
                let served = self.peers.iter_mut().filter(|p| p.core == Some(core));
                served.for_each(|peer| peer.closing = true);
            }
        }
    }

    /// One core gives another something, which arrives behind all that it gave it before.
    fn post(&mut self, from: usize, to: usize, parcel: Parcel) {
        let arrives = match self.mesh_ns {
            0 => self.now,
            most => self.now.after(self.rng.below(most)),
        };
        let queue = self.mesh.entry((from, to)).or_default();
        let before = queue.back().map_or(arrives, |(due, _)| *due);
        queue.push_back((arrives.max(before), parcel));
    }

    /// The next parcel from the one core to the other arrives.
    fn receive(&mut self, from: usize, to: usize) {
        let now = self.now();
        let queue = self.mesh.get_mut(&(from, to)).expect("chosen");
        let (_, parcel) = queue.pop_front().expect("chosen");
        match parcel {
            Parcel::Message(message) => {
                if message.asks() && self.seats[to].stop == Stop::Finished {
                    let what = format!("core {to} has stopped, and {from} asks {message:?}");
                    self.asked_too_late.get_or_insert(what);
                }
                let from = core_id(from);
                self.handle(to, |core| core.handle_mesh(from, message, now));
            }
            Parcel::Connection(traveller) => self.take_in(from, to, traveller),
        }
    }

    fn arrive(&mut self, conn: usize) {
        let now = self.now();
        let (core, id) = self.place(conn);
        let peer = &mut self.peers[conn];
        if peer.end == End::Reset {
            return self.disconnect(conn);
        }
        if peer.input.is_empty() {
            peer.end = End::Told;
            return self.handle(core, |core| core.handle_input_ended(id, now));
        }
        let most = self.rng.magnitude(1, PIECE) as usize;
        peer.came_last = self.now;
        if let Some((mut body, missing)) = peer.body.take() {
            let len = peer.receive(&mut body, missing.min(most * 64));
            if len == missing {
                return self.handle(core, |core| core.handle_body(id, body, now));
            }
            self.peers[conn].body = Some((body, missing - len));
            return;
        }
        let mut bytes = BytesMut::new();
        peer.receive(&mut bytes, most);
        self.handle(core, |core| core.handle_received(id, &bytes, now));
    }

    /// A connection that its core closed goes, once the core has back what was being received.
    fn close(&mut self, conn: usize) {
        let now = self.now();
        let (core, id) = self.place(conn);
        match self.peers[conn].body.take() {
            Some((body, _)) => self.handle(core, |core| core.handle_body(id, body, now)),
            None => self.disconnect(conn),
        }
    }

    fn disconnect(&mut self, conn: usize) {
        let now = self.now();
        let (core, id) = self.place(conn);
        self.forget_id(core, id);
        self.peers[conn].open = false;
        self.news = true;
        self.handle(core, |core| core.handle_disconnected(id, now));
    }

    /// A connection leaves for another core, or stays where that is not possible at once.
    fn move_over(&mut self, conn: usize, to: CoreId) {
        let now = self.now();
        let (core, id) = self.place(conn);
        self.peers[conn].moving = None;
        if self.rng.chance(1, 4) {
            return self.handle(core, |core| core.handle_stayed(id, now));
        }
        let mut received = BytesMut::new();
        self.handle(core, |core| received = core.handle_departed(id, now));
        self.forget_id(core, id);
        self.peers[conn].core = None;
        let traveller = Traveller {
            conn,
            received,
            returned: false,
        };
        self.post(core, usize::from(to.0), Parcel::Connection(traveller));
    }

    /// A connection comes from another core, or comes back from one that had no room.
    fn take_in(&mut self, from: usize, to: usize, traveller: Traveller) {
        let now = self.now();
        let conn = traveller.conn;
        if self.seats[to].stop != Stop::No {
            self.peers[conn].open = false;
            self.news = true;
            return;
        }
        if !traveller.returned && self.rng.chance(1, 8) {
            let back = Traveller {
                returned: true,
                ..traveller
            };
            return self.post(to, from, Parcel::Connection(back));
        }
        self.moved += u64::from(!traveller.returned);
        let id = self.new_id(to);
        let peer = &mut self.peers[conn];
        (peer.core, peer.id, peer.paused) = (Some(to), id, false);
        let protocol = peer.protocol;
        self.conns.insert((to, id), conn);
        self.handle(to, |core| {
            core.handle_arrived(id, protocol, address(), &traveller.received, now);
        });
    }
}
