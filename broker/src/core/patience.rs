//! How long a peer may take for what is its own to do.
//!
//! Time in which the core makes a connection wait is not its peer's: whoever stands in one of our
//! lines has its clock set anew when it may go on.

use leveret_storage::io::BufPool;
use leveret_storage::types::Mono;

use super::Core;
use super::boundary::ConnId;
use super::inbound::Due;
use super::session::{Blocked, Session};

impl<P: BufPool> Core<P> {
    /// A connection is new: its peer has to say hello, and then not to be idle for ever.
    pub(super) fn begin_patience(&mut self, conn: ConnId, now: Mono) {
        self.expect_hello(conn, now);
        // One look in a slot is enough, however many connections use it one after the other.
        if !self.sessions.look_after(conn.slot, true) {
            self.look_whether_idle(conn.slot, now);
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
    pub(super) fn idle_is_due(&mut self, slot: u32, now: Mono) {
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
        tracing::debug!(core = self.id.0, "an idle connection is closed");
        match in_request {
            true => self.too_late(conn, "a request stood still in the middle for too long"),
            false => self.end(conn),
        }
        self.look_whether_idle(slot, now);
    }

    /// The time for a hello has passed since it began, or since it was looked at last.
    pub(super) fn hello_is_due(&mut self, conn: ConnId, now: Mono) {
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
                let waits = self.waiting > 0 || !self.subscribed.keys.is_empty();
                (!waits).then_some(self.touched)
            }
        }
    }

    /// Whether it is the core that makes the connection wait. Who does not take its answers waits for
    /// itself, and so does who does not send on.
    pub(super) fn is_held_up(&self) -> bool {
        !matches!(self.blocked, None | Some(Blocked::Peer | Blocked::Arrival))
    }

    /// The core made the connection wait until now.
    pub(super) fn let_go_on(&mut self, now: Mono) {
        self.hello_since = now;
        if let Some(large) = &mut self.large {
            large.pace.let_go_on(now);
        }
    }
}
