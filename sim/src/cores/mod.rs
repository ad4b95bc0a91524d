//! The whole broker but for its kernel: every core's [`Behaviour`]
//! over one simulated disk, one mesh and peers that send bytes and take answers.
//!
//! One seed decides everything that a kernel would: in which order completions, messages between
//! cores and bytes of connections come, in which pieces, and when a core is driven. It refuses to
//! know what a request is: peers speak bytes, `peer` keeps them, and what they mean is the test's.

mod answer;
pub mod course;
mod crowd;
pub mod groups;
mod happening;
pub mod kafka;
pub mod lives;
pub mod native;
mod peer;
pub mod same;
mod setup;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use leveret_broker::core::boundary::{Behaviour, ConnId, Protocol};
use leveret_broker::core::hop::Message;
use leveret_broker::core::{Core, UnderWay};
use leveret_storage::recovery::Recovered;
use leveret_storage::types::{CoreId, Mono, Now, WallMs};

use crate::disk::{Crash, Disk, SimPool};
use crate::plan::{PATIENCE, WALL};
use crate::recovering::{Ground, Interrupt};
use crate::rng::Rng;
use crate::trace::Trace;
use crate::violation::Violation;
use peer::{End, Peer, Traveller};

pub use setup::Setup;

/// One connection, whichever core serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conn(usize);

/// A core, and how it stands with its driver.
struct Seat {
    behaviour: Core<SimPool>,
    /// It was handed something since it was last asked what it wants.
    undriven: bool,
    stop: Stop,
}

/// How far a core's graceful stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Begun,
    Finished,
}

/// What one core gives another.
enum Parcel {
    Message(Message),
    /// A connection that is to be served there.
    Connection(Traveller),
}

/// See the module.
pub struct World {
    seats: Vec<Seat>,
    /// The disk under all cores.
    pub disk: Disk,
    /// From now on no operation of the disk completes.
    pub hold: bool,
    /// For each pair of cores what is under way from the one to the other, in order, and when it arrives.
    mesh: BTreeMap<(usize, usize), VecDeque<(Mono, Parcel)>>,
    /// How long a parcel is under way at most, nanoseconds.
    mesh_ns: u64,
    peers: Vec<Peer>,
    /// Where a connection of a core is among the peers.
    conns: BTreeMap<(usize, ConnId), usize>,
    slots: u32,
    /// Names of connections that are gone, with the core that gave each: their slots are used again.
    free: Vec<(usize, ConnId)>,
    now: Mono,
    rng: Rng,
    /// A peer has taken something, or its connection is gone, since that was asked last.
    news: bool,
    /// Connections that another core took over.
    moved: u64,
    /// A request that a core was asked by another after it had finished its stop.
    asked_too_late: Option<String>,
    at_this_instant: u64,
}

impl World {
    /// Starts a broker of `setup.cores` cores on an empty disk.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let mut world = Self::off(Rng::new(setup.seed));
        let started = world.start(setup, 0, None, &mut Trace::new(false));
        assert_eq!(started, Ok(true), "an empty disk can be started on");
        world.settle();
        world
    }

    /// An empty disk on which nothing runs.
    pub(super) fn off(mut rng: Rng) -> Self {
        Self {
            seats: Vec::new(),
            disk: Disk::new(rng.fork()),
            hold: false,
            mesh: BTreeMap::new(),
            mesh_ns: 0,
            peers: Vec::new(),
            conns: BTreeMap::new(),
            slots: 0,
            free: Vec::new(),
            now: Mono(1),
            rng,
            news: false,
            moved: 0,
            asked_too_late: None,
            at_this_instant: 0,
        }
    }

    /// Starts a broker on what the disk holds. False if `interrupt` came first.
    ///
    /// # Errors
    /// When recovery refuses, or what it found cannot be opened.
    pub(super) fn start(
        &mut self,
        setup: &Setup,
        salt: u64,
        interrupt: Option<Interrupt>,
        trace: &mut Trace,
    ) -> Result<bool, Violation> {
        assert!(self.seats.is_empty(), "it runs");
        let ground = Ground {
            disk: &mut self.disk,
            trace,
            now: &mut self.now,
            config: setup.recovery(salt),
            device_fails: false,
        };
        let Some(recovered) = ground.recover(interrupt)? else {
            return Ok(false);
        };
        self.open(setup, recovered)?;
        Ok(true)
    }

    fn open(&mut self, setup: &Setup, recovered: Recovered) -> Result<(), Violation> {
        self.mesh_ns = setup.mesh_ns;
        let seat = |behaviour| Seat {
            behaviour,
            undriven: true,
            stop: Stop::No,
        };
        let cores = setup.open(recovered, self.now())?;
        self.seats = cores.into_iter().map(seat).collect();
        Ok(())
    }

    /// The process dies, and with it all that is under way. What peers were sent and had not taken they may
    /// have got before, or in part; [`World::taken`] tells it, and no connection is open.
    pub(super) fn crash(&mut self, crash: Crash) {
        self.seats.clear();
        self.mesh.clear();
        self.conns.clear();
        (self.slots, self.free) = (0, Vec::new());
        for peer in self.peers.iter_mut().filter(|peer| peer.open) {
            while peer.may_take() && self.rng.chance(3, 4) {
                peer.take();
            }
            peer.open = false;
        }
        self.asked_too_late = None;
        self.disk.crash(crash);
    }

    /// Forgets all connections, of which none is open; new ones may bear the names of old ones.
    pub(super) fn forget_peers(&mut self) {
        assert!(self.peers.iter().all(|peer| !peer.open), "one is open");
        self.peers.clear();
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.seats.len()
    }

    /// A core, to be looked at.
    #[must_use]
    pub fn core(&mut self, core: usize) -> &mut Core<SimPool> {
        &mut self.seats[core].behaviour
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        at(self.now)
    }

    /// A new connection, accepted by that core.
    pub fn connect(&mut self, core: usize, protocol: Protocol) -> Conn {
        let id = self.new_id(core);
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

    /// The core that serves it; `None` on its way to another.
    #[must_use]
    pub fn served_by(&self, conn: Conn) -> Option<usize> {
        self.peers[conn.0].core
    }

    /// Begins the graceful stop of every core.
    pub fn stop(&mut self) {
        (0..self.seats.len()).for_each(|core| self.stop_core(core));
    }

    /// Tells one core to stop.
    pub(super) fn stop_core(&mut self, core: usize) {
        let now = self.now();
        self.seats[core].stop = Stop::Begun;
        self.handle(core, |core| core.handle_stop(now));
    }

    /// Whether every core has finished its graceful stop.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.seats.iter().all(|seat| seat.stop == Stop::Finished)
    }

    /// A request that a core was asked by another after it had finished its stop, and so cannot carry out.
    pub(super) fn asked_too_late(&self) -> Option<&str> {
        self.asked_too_late.as_deref()
    }

    /// What the cores hold or have under way for anybody; nothing if there is nothing.
    pub(super) fn held(&self) -> String {
        let cores = self.seats.iter().enumerate();
        let held = cores.map(|(core, seat)| (core, seat.behaviour.under_way()));
        let held = held.filter(|(_, held)| *held != UnderWay::default());
        held.map(|(core, held)| format!("core {core}: {held:?} "))
            .collect()
    }

    /// Connections that another core took over, so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether all that the peer has sent has come to a core, which goes on reading.
    pub(super) fn has_come(&self, conn: Conn) -> bool {
        let peer = &self.peers[conn.0];
        let read = peer.input.is_empty() && peer.body.is_none() && !peer.paused;
        read && peer.core.is_some() && peer.moving.is_none()
    }

    /// Whether a peer has taken something, or its connection is gone, since this was last asked.
    pub(super) fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Everything happens that can without anybody waiting for time: until nothing is under way
    /// between cores, peers and disk. Time passes as disk and mesh take it.
    pub fn settle(&mut self) {
        loop {
            let busy = self.step();
            match self.next_arrival() {
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

    fn place(&self, conn: usize) -> (usize, ConnId) {
        let core = self.peers[conn].core;
        (core.expect("a core serves it"), self.peers[conn].id)
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

    /// The name of a new connection of that core: a slot that was free or a new one.
    fn new_id(&mut self, core: usize) -> ConnId {
        let free = self.free.iter().position(|(of, _)| *of == core);
        if let Some(free) = free.filter(|_| self.rng.chance(1, 2)) {
            let (_, old) = self.free.swap_remove(free);
            let generation = old.generation + 1;
            return ConnId { generation, ..old };
        }
        self.slots += 1;
        ConnId {
            slot: self.slots,
            generation: 1,
        }
    }

    /// A core's connection is no more.
    fn forget_id(&mut self, core: usize, id: ConnId) {
        self.conns.remove(&(core, id));
        self.free.push((core, id));
    }

    /// When the next timer goes off, operation completes or parcel arrives.
    pub(super) fn next_due(&self) -> Option<Mono> {
        let behaviours = self.seats.iter().map(|seat| &seat.behaviour);
        let timers = behaviours.filter_map(Behaviour::poll_timeout);
        timers.chain(self.next_arrival()).min()
    }

    /// When the next operation completes or parcel arrives.
    fn next_arrival(&self) -> Option<Mono> {
        let completion = self.disk.next_completion().filter(|_| !self.hold);
        let parcels = self.mesh.values().filter_map(VecDeque::front);
        parcels.map(|(due, _)| *due).chain(completion).min()
    }

    /// Lets time pass until then.
    pub(super) fn advance(&mut self, to: Mono) {
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
