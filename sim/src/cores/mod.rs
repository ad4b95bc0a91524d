//! The whole broker but for its kernel: every core's [`Behaviour`]
//! over one simulated disk, one mesh and peers that send bytes and take answers.
//!
//! One seed decides everything that a kernel would: in which order completions, messages between
//! cores and bytes of connections come, in which pieces, and when a core is driven. It refuses to
//! know what a request is: peers speak bytes, `peer` keeps them, and what they mean is the test's.

mod answer;
pub mod course;
mod crowd;
pub mod kafka;
pub mod native;
mod peer;
pub mod same;
mod setup;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use leveret_broker::core::Core;
use leveret_broker::core::boundary::{Action, Behaviour, ConnId, Protocol};
use leveret_broker::core::hop::Message;
use leveret_storage::types::{CoreId, Mono, Now, WallMs};

use crate::disk::{Client, Disk, SimBuf, SimPool};
use crate::plan::{PATIENCE, WALL};
use crate::rng::Rng;
use peer::{End, Peer};

pub use setup::Setup;

/// Things that may happen without time passing before the run is called a storm.
const STORM: u64 = 10_000_000;
/// Longest piece of a connection's bytes that is handed in at once: the ring's buffers.
const PIECE: u64 = 16 << 10;

/// One connection, whichever core serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conn(usize);

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The core's wishes are carried out.
    Drive(usize),
    /// The oldest message from the one core to the other arrives.
    Mesh(usize, usize),
    /// Bytes of the peer arrive, or its end does.
    Arrive(usize),
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

/// See the module.
pub struct World {
    cores: Vec<Core<SimPool>>,
    /// Whether the core has been handled something since it was last asked what it wants.
    undriven: Vec<bool>,
    /// The disk under all cores.
    pub disk: Disk,
    /// From now on no operation of the disk completes.
    pub hold: bool,
    mesh: BTreeMap<(usize, usize), VecDeque<Message>>,
    peers: Vec<Peer>,
    /// Where a connection of a core is among the peers.
    conns: BTreeMap<(usize, ConnId), usize>,
    slots: u32,
    now: Mono,
    rng: Rng,
    stopped: usize,
    at_this_instant: u64,
}

impl World {
    /// Starts a broker of `setup.cores` cores on an empty disk.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let mut rng = Rng::new(setup.seed);
        let mut disk = Disk::new(rng.fork());
        let mut now = Mono(1);
        let cores = setup.start(&mut disk, &mut now);
        let mut world = Self {
            undriven: vec![true; cores.len()],
            cores,
            disk,
            hold: false,
            mesh: BTreeMap::new(),
            peers: Vec::new(),
            conns: BTreeMap::new(),
            slots: 0,
            now,
            rng,
            stopped: 0,
            at_this_instant: 0,
        };
        world.settle();
        world
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// A core, to be looked at.
    #[must_use]
    pub fn core(&mut self, core: usize) -> &mut Core<SimPool> {
        &mut self.cores[core]
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        at(self.now)
    }

    /// A new connection, accepted by that core.
    pub fn connect(&mut self, core: usize, protocol: Protocol) -> Conn {
        let id = self.new_id();
        self.peers.push(Peer::new(core, id, protocol));
        let conn = self.peers.len() - 1;
        self.conns.insert((core, id), conn);
        let now = self.now();
        self.handle(core, |core| {
            core.handle_accept(id, protocol, address(), now)
        });
        Conn(conn)
    }

    /// The peer sends bytes; they arrive in pieces, as chance has it.
    pub fn send(&mut self, conn: Conn, bytes: &[u8]) {
        self.peers[conn.0].input.extend(bytes);
    }

    /// The peer sends no more. What it has sent arrives first.
    pub fn finish(&mut self, conn: Conn) {
        self.peers[conn.0].end = End::Finished;
    }

    /// The peer is gone at once, with what of its bytes has not arrived.
    pub fn reset(&mut self, conn: Conn) {
        self.peers[conn.0].end = End::Reset;
    }

    /// From now on the peer takes nothing of what it is sent, or everything again.
    pub fn stall(&mut self, conn: Conn, stalled: bool) {
        self.peers[conn.0].stalled = stalled;
    }

    /// What the peer has taken since this was last asked.
    pub fn taken(&mut self, conn: Conn) -> Vec<u8> {
        std::mem::take(&mut self.peers[conn.0].taken)
    }

    /// Bytes that were given to send and that the peer has not taken.
    #[must_use]
    pub fn queued(&self, conn: Conn) -> usize {
        self.peers[conn.0].queued()
    }

    /// Whether the broker reads nothing of the connection.
    #[must_use]
    pub fn is_paused(&self, conn: Conn) -> bool {
        self.peers[conn.0].paused
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_open(&self, conn: Conn) -> bool {
        self.peers[conn.0].open
    }

    /// The core that serves it.
    #[must_use]
    pub fn served_by(&self, conn: Conn) -> usize {
        self.peers[conn.0].core
    }

    /// Begins the graceful stop of every core.
    pub fn stop(&mut self) {
        let now = self.now();
        for core in 0..self.cores.len() {
            self.handle(core, |core| core.handle_stop(now));
        }
    }

    /// Whether every core has finished its graceful stop.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stopped == self.cores.len()
    }

    /// Everything happens that can without anybody waiting for time: until nothing is under way
    /// between cores, peers and disk. Time passes as the disk takes it.
    pub fn settle(&mut self) {
        loop {
            let busy = self.step();
            let due = self.disk.next_completion().filter(|_| !self.hold);
            match due {
                _ if busy => {}
                Some(due) => self.advance(due),
                None => return,
            }
        }
    }

    /// Lets so many nanoseconds pass, with everything that happens in them.
    pub fn pass(&mut self, nanoseconds: u64) {
        let until = self.now.after(nanoseconds);
        loop {
            if self.step() {
                continue;
            }
            match self.next_due().filter(|due| *due <= until) {
                Some(due) => self.advance(due),
                None => break,
            }
        }
        self.now = self.now.max(until);
    }

    /// Everything happens until `done` holds.
    ///
    /// # Panics
    /// If nothing is due any more, or the simulator's patience is over.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let patience = self.now.after(PATIENCE);
        while !done(self) {
            if self.step() {
                continue;
            }
            let due = self.next_due().filter(|due| *due <= patience);
            let due = due.unwrap_or_else(|| panic!("it never happens that {what}"));
            self.advance(due);
        }
    }

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
        for (core, behaviour) in self.cores.iter().enumerate() {
            if self.undriven[core] {
                all.push(Happening::Drive(core));
            }
            if behaviour.poll_timeout().is_some_and(|at| at <= self.now) {
                all.push(Happening::Timer(core));
            }
        }
        let mesh = self.mesh.iter().filter(|(_, queue)| !queue.is_empty());
        all.extend(mesh.map(|(&(from, to), _)| Happening::Mesh(from, to)));
        for (conn, peer) in self.peers.iter().enumerate().filter(|(_, peer)| peer.open) {
            match peer.moving {
                Some(to) => all.push(Happening::Move(conn, to)),
                // What the core wants of the connection comes before what more it has sent.
                None if !self.undriven[peer.core] && peer.may_arrive() => {
                    all.push(Happening::Arrive(conn));
                }
                None => {}
            }
            if !self.undriven[peer.core] && peer.may_be_there() {
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
            Happening::Mesh(from, to) => {
                let queue = self.mesh.get_mut(&(from, to)).expect("chosen");
                let message = queue.pop_front().expect("chosen");
                let from = core_id(from);
                self.handle(to, |core| core.handle_mesh(from, message, now));
            }
            Happening::Arrive(conn) => self.arrive(conn),
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
                self.handle(core, |core| core.handle_sent(id, bytes, now));
            }
            Happening::Close(conn) => self.disconnect(conn),
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
    fn handle(&mut self, core: usize, what: impl FnOnce(&mut Core<SimPool>)) {
        what(&mut self.cores[core]);
        self.cores[core].check();
        self.undriven[core] = true;
    }

    fn drive(&mut self, core: usize) {
        self.undriven[core] = false;
        while let Some(action) = self.cores[core].poll_action() {
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
            Action::Pause(conn) => self.set_paused(core, conn, true),
            Action::Resume(conn) => self.set_paused(core, conn, false),
            Action::Close(conn) => {
                if let Some(peer) = self.peer(core, conn) {
                    peer.closing = true;
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
                self.mesh.entry((core, to)).or_default().push_back(message);
            }
            Action::Fatal(line) => panic!("core {core} ends: {line}"),
            Action::Stopped => self.stopped += 1,
        }
    }

    fn arrive(&mut self, conn: usize) {
        let now = self.now();
        let (core, id) = self.place(conn);
        let peer = &mut self.peers[conn];
        if peer.end == End::Reset || peer.input.is_empty() {
            return self.disconnect(conn);
        }
        let most = self.rng.magnitude(1, PIECE) as usize;
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

    fn disconnect(&mut self, conn: usize) {
        let now = self.now();
        let (core, id) = self.place(conn);
        self.conns.remove(&(core, id));
        self.peers[conn].open = false;
        self.handle(core, |core| core.handle_disconnected(id, now));
    }

    fn move_over(&mut self, conn: usize, to: CoreId) {
        let now = self.now();
        let (core, id) = self.place(conn);
        self.peers[conn].moving = None;
        if self.rng.chance(1, 4) {
            return self.handle(core, |core| core.handle_stayed(id, now));
        }
        let mut received = BytesMut::new();
        self.handle(core, |core| received = core.handle_departed(id, now));
        self.conns.remove(&(core, id));
        let (new, to) = (self.new_id(), usize::from(to.0));
        let peer = &mut self.peers[conn];
        (peer.core, peer.id, peer.paused) = (to, new, false);
        let protocol = peer.protocol;
        self.conns.insert((to, new), conn);
        self.handle(to, |core| {
            core.handle_arrived(new, protocol, address(), &received, now);
        });
    }

    fn place(&self, conn: usize) -> (usize, ConnId) {
        (self.peers[conn].core, self.peers[conn].id)
    }

    fn peer(&mut self, core: usize, conn: ConnId) -> Option<&mut Peer> {
        let peer = *self.conns.get(&(core, conn))?;
        Some(&mut self.peers[peer])
    }

    fn set_paused(&mut self, core: usize, conn: ConnId, paused: bool) {
        if let Some(peer) = self.peer(core, conn) {
            peer.paused = paused;
        }
    }

    fn new_id(&mut self) -> ConnId {
        self.slots += 1;
        ConnId {
            slot: self.slots,
            generation: 1,
        }
    }

    fn next_due(&self) -> Option<Mono> {
        let completion = self.disk.next_completion().filter(|_| !self.hold);
        let timers = self.cores.iter().filter_map(Behaviour::poll_timeout);
        timers.chain(completion).min()
    }

    fn advance(&mut self, to: Mono) {
        if to > self.now {
            self.now = to;
            self.at_this_instant = 0;
        }
    }
}

fn at(mono: Mono) -> Now {
    Now {
        mono,
        wall: WallMs(WALL + (mono.0 / 1_000_000) as i64),
    }
}

fn core_id(core: usize) -> CoreId {
    CoreId(u16::try_from(core).expect("a few"))
}

fn address() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 9))
}

/// One broker's place as Kafka clients are told it: one for all cores.
fn one_broker() -> Arc<[leveret_broker::core::KafkaBroker]> {
    Arc::from([leveret_broker::core::KafkaBroker {
        node: 1,
        host: "127.0.0.1".to_owned(),
        port: 9092,
    }])
}
