//! The one loop of a core: it hands what happened to the core's behaviour and carries out what
//! that asks for.
//!
//! Every turn does bounded work. Sockets and the disk's transfers share the core's ring, and the
//! core sleeps there, where handing over and waiting are one system call. While glommio has
//! something to do (files to open or make) each turn ends in its reactor, which is polled only
//! when no task is runnable, and the core sleeps there. The loop knows neither requests nor logs.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_storage::types::{CoreId, Mono, Now};

use super::clock::{Clock, thread_cpu};
use super::desk::{Answered, Desk, DriverInsight};
use super::disk::{Disk, DmaBuf, DmaPool};
use super::mesh::Mesh;
use super::ring::{Done, SharedRing};
use super::shared::Shared;
use super::socket::{Sockets, Traveller};
use super::tag::Kind;
use super::turns::Turns;
use super::wake::{Notify, pass_through_reactor};
use super::{RuntimeError, fatal};
use crate::core::boundary::{Action, Behaviour, ConnId};

/// Bounds of one turn. A turn at all its bounds takes well under a millisecond, so that disk
/// completions and timers never wait long.
const MESSAGES: usize = 256;
const COMPLETIONS: usize = 128;
const DISK_COMPLETIONS: usize = 128;
const ACTIONS: usize = 1024;
/// A turn that has lasted so long takes nothing more in, nanoseconds. What one event may lead to is the
/// behaviour's to bound.
const LONG: u64 = 500_000;
/// Small events between two looks at the clock.
const BATCH: usize = 4;
/// What receives more than this is looked at by itself, bytes: it may be the end of a long request.
const SMALL: i32 = 16 << 10;
/// How soon to look again whether a full ring to another core has room.
const OVERFLOW_RETRY: u64 = 50_000;

/// What cores send each other.
pub(super) enum Parcel<M> {
    /// A message of the behaviour's.
    Message(M),
    /// A connection that is to be served by the receiver.
    Connection(Box<Traveller>),
}

/// One core's loop and what it drives.
pub(super) struct Driver<'a, B: Behaviour> {
    pub(super) core: usize,
    pub(super) behaviour: B,
    pub(super) ring: SharedRing,
    pub(super) sockets: Sockets,
    pub(super) disk: &'a Disk,
    pub(super) mesh: Mesh<Parcel<B::Message>>,
    pub(super) clock: &'a mut Clock,
    pub(super) notify: &'a Rc<Notify>,
    pub(super) shared: &'a Shared,
    pub(super) desk: &'a Desk<B::Question, B::Insight>,
    pub(super) turns: Turns,
    /// How long to look for work before sleeping.
    pub(super) spin: Duration,
    pub(super) stop: Stop,
    /// What has completed and is not handled yet.
    pub(super) completions: VecDeque<Done>,
}

/// How far this core's stop has come.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stop {
    #[default]
    No,
    /// The behaviour was told.
    Told,
    /// The behaviour has finished; connections are closing and other cores may still ask.
    Finished,
}

/// What a turn left to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// More can be done at once.
    Turn,
    /// Nothing can be done before something happens; look again after this many nanoseconds in
    /// any case, if given.
    Sleep(Option<u64>),
    End,
}

impl<B: Behaviour<Pool = DmaPool>> Driver<'_, B> {
    /// Serves until all cores have stopped. Nothing is outstanding when it returns.
    ///
    /// # Errors
    /// When the core's ring is broken; the process cannot go on then.
    pub(super) async fn run(mut self) -> Result<(), RuntimeError> {
        self.sockets.start_accepting()?;
        loop {
            let next = self.turn()?;
            if next == Next::End {
                return Ok(());
            }
            let limit = match next {
                Next::Sleep(limit) => self.time_to_sleep(limit),
                Next::Turn | Next::End => None,
            };
            let glommio_busy = self.disk.needs_reactor();
            self.disk.reactor_runs();
            match limit {
                None => {
                    self.ring.borrow_mut().submit()?;
                    if glommio_busy {
                        pass_through_reactor().await;
                    }
                }
                Some(limit) if glommio_busy => self.sleep_in_reactor(limit).await?,
                Some(limit) => self.sleep_in_ring(limit)?,
            }
        }
    }

    fn turn(&mut self) -> Result<Next, RuntimeError> {
        self.shared.signals[self.core].begin_turn();
        let now = self.clock.now();
        self.turns.begin(now.mono, thread_cpu);
        self.behaviour.handle_longest_turn(self.turns.longest_cpu);
        if self.stop == Stop::No && self.shared.stopping() {
            self.stop = Stop::Told;
            self.behaviour.handle_stop(now);
        }
        let more =
            self.receive_messages(now) | self.receive_from_ring(now)? | self.receive_from_disk(now);
        self.fire_timers(now)?;
        self.answer_question(now);
        let carried_out = self.carry_out_actions(now)?;
        let shared = self.shared;
        let overflow = self.mesh.flush(|to| shared.signals[to].wake_if_asleep());
        let queued = self.sockets.queue(&mut self.behaviour, now, carried_out)?;
        self.disk.queue()?;
        if more || !carried_out || !queued || self.desk.is_asked(self.core) {
            return Ok(Next::Turn);
        }
        if self.has_ended() {
            return Ok(Next::End);
        }
        // Queueing may have ended connections and so given the core something to do.
        if let Some(action) = self.behaviour.poll_action() {
            self.carry_out(action, now)?;
            return Ok(Next::Turn);
        }
        Ok(Next::Sleep(overflow.then_some(OVERFLOW_RETRY)))
    }

    fn receive_messages(&mut self, now: Now) -> bool {
        for number in 1..=MESSAGES {
            let Some((from, parcel)) = self.mesh.receive() else {
                return false;
            };
            match parcel {
                Parcel::Message(message) => {
                    self.behaviour.handle_mesh(core_id(from), message, now);
                }
                Parcel::Connection(traveller) => self.take_in(from, *traveller, now),
            }
            if self.is_long(number, now) {
                break;
            }
        }
        true
    }

    fn receive_from_ring(&mut self, now: Now) -> Result<bool, RuntimeError> {
        let mut more = true;
        for number in 1..=COMPLETIONS {
            if self.completions.is_empty() {
                if !more {
                    return Ok(false);
                }
                let mut ring = self.ring.borrow_mut();
                more = ring.harvest(&mut self.completions, BATCH)?;
            }
            let Some(done) = self.completions.pop_front() else {
                return Ok(false);
            };
            let large = done.result > SMALL;
            if let (Kind::Disk, slot) = done.of() {
                self.disk.handle_completion(slot, done.result);
            } else {
                self.sockets
                    .handle_completion(&mut self.behaviour, done, now)?;
            }
            if self.is_long(if large { BATCH } else { number }, now) {
                break;
            }
        }
        Ok(more || !self.completions.is_empty())
    }

    fn receive_from_disk(&mut self, now: Now) -> bool {
        for number in 1..=DISK_COMPLETIONS {
            let Some((op, result)) = self.disk.take_done() else {
                return false;
            };
            self.behaviour.handle_completion(op, result, now);
            if self.is_long(number, now) {
                break;
            }
        }
        true
    }

    /// Whether the turn that began at `now` has lasted long, after so many events of a kind.
    fn is_long(&self, events: usize, now: Now) -> bool {
        let look = events > 0 && events.is_multiple_of(BATCH);
        look && self.clock.mono().since(now.mono) >= LONG
    }

    fn answer_question(&mut self, now: Now) {
        if !self.desk.is_asked(self.core) {
            return;
        }
        let driver = DriverInsight {
            turns: self.turns.clone(),
            stalls: self.shared.signals[self.core]
                .stalls
                .load(Ordering::Relaxed),
            refused: self.sockets.refused(),
            handed_over: self.sockets.handed_over(),
            unsent: self.sockets.unsent(),
            disk_operations: self.disk.outstanding(),
        };
        let behaviour = &mut self.behaviour;
        self.desk.answer(self.core, |question| Answered {
            driver,
            answer: behaviour.observe(question, now),
        });
    }

    fn fire_timers(&mut self, now: Now) -> Result<(), RuntimeError> {
        if self
            .behaviour
            .poll_timeout()
            .is_some_and(|at| at <= now.mono)
        {
            self.behaviour.handle_timeout(now);
        }
        if self.sockets.next_timeout().is_some_and(|at| at <= now.mono) {
            self.sockets.handle_timeout(&mut self.behaviour, now)?;
        }
        Ok(())
    }

    /// Returns whether the behaviour has no further action.
    fn carry_out_actions(&mut self, now: Now) -> Result<bool, RuntimeError> {
        for _ in 0..ACTIONS {
            let Some(action) = self.behaviour.poll_action() else {
                return Ok(true);
            };
            self.carry_out(action, now)?;
        }
        Ok(false)
    }

    fn carry_out(
        &mut self,
        action: Action<DmaBuf, B::Message>,
        now: Now,
    ) -> Result<(), RuntimeError> {
        match action {
            Action::Disk(id, op) => self.disk.start(id, op),
            Action::Send { conn, bytes } => self.sockets.send(conn, bytes),
            Action::Receive { conn, into, len } => self.sockets.receive(conn, into, len),
            Action::Await { conn, len } => self.sockets.await_bytes(conn, len),
            Action::Measure(conn) => {
                if let Some(inflow) = self.sockets.inflow(conn) {
                    self.behaviour.handle_inflow(conn, inflow, now);
                }
            }
            Action::Pause(conn) => self.sockets.pause(conn),
            Action::Resume(conn) => self.sockets.resume(conn),
            Action::Close(conn) => self.sockets.close(conn, now.mono),
            Action::Drop(conn) => self.sockets.drop_at_once(&mut self.behaviour, conn, now),
            Action::MeasureTaken(conn) => {
                if let Some((bytes, more)) = self.sockets.taken(conn) {
                    self.behaviour.handle_taken(conn, bytes, more, now);
                }
            }
            Action::HandOver { conn, to } => self.hand_over(conn, to, now),
            Action::Mesh { to, message } => {
                let parcel = Parcel::Message(message);
                self.mesh.send(usize::from(to.0), parcel);
            }
            Action::Fatal(line) => fatal(&line),
            Action::Stopped => {
                assert!(self.stop == Stop::Told, "a core stops once, when told to");
                self.stop = Stop::Finished;
                self.sockets.close_all(now.mono)?;
                self.shared.stopped.fetch_add(1, Ordering::AcqRel);
                self.shared.wake_all();
            }
        }
        Ok(())
    }

    /// Sends a connection to another core, or tells the behaviour that it stays. Hand-overs are
    /// not bounded by a core's credits as its messages are, so none waits for room.
    fn hand_over(&mut self, conn: ConnId, to: CoreId, now: Now) {
        let to = usize::from(to.0);
        if !self.sockets.is_open(conn) {
            return;
        }
        if self.mesh.has_room(to)
            && let Some(traveller) = self.sockets.release(&mut self.behaviour, conn, now)
        {
            self.mesh.send(to, Parcel::Connection(Box::new(traveller)));
        } else {
            self.behaviour.handle_stayed(conn, now);
        }
    }

    /// Takes another core's connection in, or sends it back, once, if there is no room.
    fn take_in(&mut self, from: usize, traveller: Traveller, now: Now) {
        let Some(refused) = self.sockets.take_in(&mut self.behaviour, traveller, now) else {
            return;
        };
        match refused.sent_back() {
            Some(traveller) if self.mesh.has_room(from) => {
                self.mesh
                    .send(from, Parcel::Connection(Box::new(traveller)));
            }
            _ => self.sockets.refuse(),
        }
    }

    fn has_ended(&mut self) -> bool {
        self.stop == Stop::Finished
            && self.shared.stopped.load(Ordering::Acquire) == self.shared.signals.len()
            && self.sockets.is_quiet()
            && self.disk.outstanding() == 0
            && !self.mesh.has_inbound()
    }

    /// Until when to sleep: `None` not at all, `Some(None)` for as long as nothing happens.
    fn time_to_sleep(&mut self, retry: Option<u64>) -> Option<Option<Mono>> {
        let now = self.clock.mono();
        self.turns.sleep(now, thread_cpu);
        let timers = [self.behaviour.poll_timeout(), self.sockets.next_timeout()];
        let retry = retry.map(|nanos| now.after(nanos));
        let deadline = timers.into_iter().flatten().chain(retry).min();
        if deadline.is_some_and(|at| at <= now) || self.found_work_by_spinning(deadline) {
            return None;
        }
        Some(deadline)
    }

    /// Announces sleep to the other threads. Returns how long it may last; `None` if something
    /// came before the announcement and so woke nobody.
    fn announce_sleep(&mut self, deadline: Option<Mono>) -> Option<Option<Duration>> {
        let signal = &self.shared.signals[self.core];
        signal.prepare_sleep(deadline.map_or(u64::MAX, |at| at.0));
        let stop = self.stop == Stop::No && self.shared.stopping();
        let asked = self.desk.is_asked(self.core);
        if stop || asked || self.mesh.has_inbound() || self.disk.has_work() {
            return None;
        }
        let now = self.clock.mono();
        Some(deadline.map(|at| Duration::from_nanos(at.since(now))))
    }

    fn sleep_in_ring(&mut self, deadline: Option<Mono>) -> Result<(), RuntimeError> {
        let limit = self.announce_sleep(deadline);
        let mut ring = self.ring.borrow_mut();
        match limit {
            Some(limit) => Ok(ring.wait(limit)?),
            None => Ok(ring.submit()?),
        }
    }

    async fn sleep_in_reactor(&mut self, deadline: Option<Mono>) -> Result<(), RuntimeError> {
        begin_watch(&self.ring)?;
        let announced = self.announce_sleep(deadline);
        // What the ring posted before it was watched rang no bell.
        let limit = announced.filter(|_| !self.has_socket_work());
        match limit {
            Some(limit) => self.notify.wait(limit).await,
            None => pass_through_reactor().await,
        }
        Ok(end_watch(&self.ring)?)
    }

    /// Never while the disk works: the kernel's workers share this CPU.
    fn found_work_by_spinning(&mut self, deadline: Option<Mono>) -> bool {
        if self.spin.is_zero() || self.disk.outstanding() > 0 {
            return false;
        }
        let spin = u64::try_from(self.spin.as_nanos()).unwrap_or(u64::MAX);
        let until = self.clock.mono().after(spin);
        loop {
            let now = self.clock.mono();
            if self.has_work() || deadline.is_some_and(|at| at <= now) {
                return true;
            }
            if now >= until {
                return false;
            }
            std::hint::spin_loop();
        }
    }

    fn has_socket_work(&self) -> bool {
        self.sockets.has_work() || self.ring.borrow_mut().has_work()
    }

    fn has_work(&mut self) -> bool {
        self.has_socket_work()
            || self.mesh.has_inbound()
            || self.disk.has_work()
            || self.desk.is_asked(self.core)
            || (self.stop == Stop::No && self.shared.stopping())
    }
}

/// Hands over what is queued and lets the ring ring the bell, before a sleep in glommio.
pub(super) fn begin_watch(ring: &SharedRing) -> io::Result<()> {
    let mut ring = ring.borrow_mut();
    ring.submit()?;
    ring.watch(true);
    Ok(())
}

/// The inverse. Deferred completions are posted only now.
pub(super) fn end_watch(ring: &SharedRing) -> io::Result<()> {
    let mut ring = ring.borrow_mut();
    ring.watch(false);
    ring.submit()
}

/// The id of the core with this index.
pub(super) fn core_id(index: usize) -> CoreId {
    CoreId(u16::try_from(index).expect("at most 256 cores"))
}
