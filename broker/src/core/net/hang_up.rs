//! A peer that sends no more, or is not heard any more: what it sent before is answered, then the connection
//! closes.
//!
//! Its end may be known before all that it sent has been received, while the connection is paused.
//! From then on nothing waits for its sake: its fetches answer with what they have, a group does not wait for
//! it, pushes end. A
//! peer that is gone altogether is the driver's to notice; nothing is answered then.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Due;
use crate::core::Core;
use crate::core::boundary::ConnId;

/// A peer that has sent its last and takes nothing of what it was answered for so long is given up,
/// nanoseconds.
const PATIENCE: u64 = 5_000_000_000;

/// How far what a peer sends has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) enum Input {
    /// More may follow.
    #[default]
    Flows,
    /// The peer has sent its last; some of it is not received yet.
    Closes,
    /// All of it was received.
    Ended,
    /// What else it may send is thrown away: it sent something that has no answer, or came after a stop.
    Unheard,
}

impl<P: BufPool> Core<P> {
    /// The peer has sent its last, which may not have been received yet.
    pub(in crate::core) fn input_closes(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.input != Input::Flows || session.closing {
            return;
        }
        session.input = Input::Closes;
        let sent = session.sent;
        let (fetches, calls) = (session.fetches.clone(), session.group_calls.clone());
        fetches.into_iter().for_each(|key| self.hurry(key, now));
        calls
            .into_iter()
            .for_each(|key| self.await_nobody(key, now));
        self.end_pushes(conn);
        self.deadlines
            .set(now.mono.after(PATIENCE), Due::Goodbye(conn, sent));
    }

    /// All that the peer sent was received.
    pub(in crate::core) fn input_ended(&mut self, conn: ConnId, now: Now) {
        self.input_closes(conn, now);
        if let Some(session) = self.sessions.get(conn) {
            session.input = Input::Ended;
        }
        self.end_if_answered(conn);
    }

    /// Closes the connection once all is answered that was asked on it before. Nothing more is taken of what its
    /// peer sends.
    pub(in crate::core) fn hear_no_more(&mut self, conn: ConnId, now: Now) {
        self.input_closes(conn, now);
        if let Some(session) = self.sessions.get(conn) {
            session.input = Input::Unheard;
            session.rx.clear();
        }
        self.end_if_answered(conn);
    }

    /// Closes a connection whose peer sends no more, once all is answered that it asked.
    pub(in crate::core) fn end_if_answered(&mut self, conn: ConnId) {
        let answered = self.sessions.get(conn).is_some_and(|session| {
            let idle = session.waiting == 0 && !session.pauses.any();
            let said_all = matches!(session.input, Input::Ended | Input::Unheard);
            said_all && idle && session.unsent + session.out.len() == 0
        });
        if answered {
            self.end(conn);
        }
    }

    /// Whether nobody will ask more on the connection, so that nothing should wait for its sake.
    pub(in crate::core) fn has_hung_up(&mut self, conn: ConnId) -> bool {
        let session = self.sessions.get(conn);
        session.is_some_and(|session| session.input != Input::Flows)
    }

    /// Time has passed since the peer's last, when so much had been sent to it.
    pub(in crate::core) fn goodbye_is_due(&mut self, conn: ConnId, sent: u64, now: Mono) {
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else {
            return;
        };
        let total = session.sent;
        if session.offered() > 0 && total == sent {
            return self.end(conn);
        }
        self.deadlines
            .set(now.after(PATIENCE), Due::Goodbye(conn, total));
    }
}
