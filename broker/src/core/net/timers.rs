//! How long a peer may take for what is its own to do: to say hello, to send the rest of a request, to take its
//! answers. Heartbeats are its protocol's, which says when it is to be asked for the next one.
//!
//! Time in which the core makes a connection wait is not its peer's: whoever stands in one of our
//! lines has its clock set anew when it may go on.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::deadlines::GRAIN;
use crate::core::session::Session;

/// What has a coarse deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Due {
    /// The connection's first words.
    Hello(ConnId),
    /// A look whether the connection in that slot is idle.
    Idle(u32),
    /// The connection's next heartbeat.
    Beat(ConnId),
    /// The connection's last words, to a peer that had taken so many bytes.
    Goodbye(ConnId, u64),
    /// A look at connections whose answers are not taken.
    Answers,
}

impl<P: BufPool> Core<P> {
    pub(in crate::core) fn deadline_passed(&mut self, due: Due, now: Now) {
        match due {
            Due::Hello(conn) => self.hello_is_due(conn, now.mono),
            Due::Idle(slot) => self.idle_is_due(slot, now.mono),
            Due::Beat(conn) => self.beat_is_due(conn, now),
            Due::Goodbye(conn, sent) => self.goodbye_is_due(conn, sent, now.mono),
            Due::Answers => self.look_at_unread(now),
        }
    }

    /// A connection is new: its peer has to say hello, and then not to be idle for ever.
    pub(in crate::core) fn begin_patience(&mut self, conn: ConnId, now: Now) {
        self.expect_hello(conn, now.mono);
        self.look_after_beat(conn, now);
        // One look in a slot is enough, however many connections use it one after the other.
        if !self.sessions.look_after(conn.slot, true) {
            self.look_whether_idle(conn.slot, now.mono);
        }
    }

    fn look_after_beat(&mut self, conn: ConnId, now: Now) {
        if let Some(next) = self.beat(conn, now) {
            self.deadlines.set(next, Due::Beat(conn));
        }
    }

    /// It is time for a heartbeat. What the peer has said may lie here, and wait for us to look at it: then nobody is
    /// missed yet.
    fn beat_is_due(&mut self, conn: ConnId, now: Now) {
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        match session.map(|session| session.is_held_up()) {
            Some(true) => self.deadlines.set(now.mono.after(GRAIN), Due::Beat(conn)),
            Some(false) => self.look_after_beat(conn, now),
            None => {}
        }
    }

    fn expect_hello(&mut self, conn: ConnId, since: Mono) {
        let deadline = since.after(self.settings.hello_ns);
        self.deadlines.set(deadline, Due::Hello(conn));
    }

    fn look_whether_idle(&mut self, slot: u32, since: Mono) {
        let deadline = since.after(self.settings.idle_ns);
        self.deadlines.set(deadline, Due::Idle(slot));
    }

    /// It is time to look whether the connection in a slot is idle.
    fn idle_is_due(&mut self, slot: u32, now: Mono) {
        let Some(session) = self.sessions.in_slot(slot) else {
            self.sessions.look_after(slot, false);
            return;
        };
        let since = session.idle_since().unwrap_or(now);
        if now.since(since) < self.settings.idle_ns {
            return self.look_whether_idle(slot, since);
        }
        let (conn, in_request) = (session.conn, session.large.is_some());
        self.idle_closed += 1;
        let peer = session.who();
        tracing::debug!(core = self.id.0, peer, "an idle connection is closed");
        match in_request {
            true => self.too_late(conn, "a request stood still in the middle for too long"),
            false => self.end(conn),
        }
        self.look_whether_idle(slot, now);
    }

    /// The time for a hello has passed since it began, or since it was looked at last.
    fn hello_is_due(&mut self, conn: ConnId, now: Mono) {
        let session = self.sessions.get(conn);
        let Some(session) = session.filter(|s| !s.greeted && !s.closing) else {
            return;
        };
        // What it has said may lie here, and wait for us to look at it.
        let since = match session.is_held_up() {
            true => now,
            false => session.hello_since,
        };
        match now.since(since) >= self.settings.hello_ns {
            true => self.too_late(conn, "no hello in time"),
            false => self.expect_hello(conn, since),
        }
    }
}

impl Session {
    /// Since when nothing is under way on the connection but what its peer has to do, if so: to send a request,
    /// to go on with one, or to take its answers. What has come of a piece of a body is not seen before that is
    /// all there.
    fn idle_since(&self) -> Option<Mono> {
        if self.closing || self.is_held_up() {
            return None;
        }
        match &self.large {
            Some(large) => large.partial.is_none().then(|| large.pace.since()),
            None => {
                let waits = self.waiting > 0 || self.state.waits();
                (!waits).then_some(self.touched)
            }
        }
    }

    /// Whether it is the core that makes the connection wait.
    pub(super) fn is_held_up(&self) -> bool {
        self.pauses.are_ours()
    }

    /// The core made the connection wait until now.
    pub(in crate::core) fn let_go_on(&mut self, now: Mono) {
        self.hello_since = now;
        if let Some(large) = &mut self.large {
            large.pace.let_go_on(now);
        }
    }
}
