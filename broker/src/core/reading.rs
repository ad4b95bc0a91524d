//! Whose turn it is to read records, when there is less memory for answers than is asked for.
//!
//! Fetches and subscriptions read only what the [account](super::account) has room for. A connection
//! that finds none stands in line, once, however much it wants; when its turn comes it reads for its
//! first fetch, or for its subscriptions, and stands at the end again if it wants more. Those that have
//! shown that they take their answers have a line and a part of the memory of their own. A
//! connection that has all that it may have itself is in no line until its peer has taken some.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::account::{Grant, Standing};
use super::boundary::ConnId;
use super::spread::Need;

/// What became of the first in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It reads.
    Reads,
    /// It does not need to: it is gone, or wants nothing, or has enough.
    Leaves,
    /// There is no memory for it yet.
    Stays,
}

impl<P: BufPool> Core<P> {
    /// Sets memory aside for what a connection wants to read, if there is some and nobody waits.
    pub(super) fn set_aside(&mut self, conn: ConnId, need: Need) -> Option<Grant> {
        let grant = self.grant(conn, need)?;
        if let Some(session) = self.sessions.get(conn) {
            session.aside += grant.aside;
        }
        self.recount(conn);
        Some(grant)
    }

    fn grant(&mut self, conn: ConnId, need: Need) -> Option<Grant> {
        let most = self.answers.limit();
        let session = self.sessions.get(conn)?;
        let room = most.saturating_sub(session.offered() + session.aside);
        let standing = Standing::of(session.sent);
        let has_nothing = session.owed() + session.aside == 0;
        let account = &mut self.answers.account;
        if has_nothing && let Some(grant) = account.grant_short(need) {
            return Some(grant);
        }
        let turn = account.turn == Some(conn) || account.line(standing).is_empty();
        (turn && room > 0)
            .then(|| account.grant(standing, need, room))
            .flatten()
    }

    /// What was set aside has been read, or will not be.
    pub(super) fn give_back(&mut self, conn: ConnId, bytes: usize) {
        if bytes > 0
            && let Some(session) = self.sessions.get(conn)
        {
            session.aside -= bytes;
            self.recount(conn);
            self.stand_for_memory(conn);
        }
    }

    /// The fetch reads when there is memory for it.
    pub(super) fn queue_for_memory(&mut self, conn: ConnId, gather: usize, now: Mono) {
        if let Some(session) = self.sessions.get(conn) {
            session.queued.push_back((gather, now));
        }
        self.stand_for_memory(conn);
    }

    /// Its fetches that wait for memory may read when it is this connection's turn.
    pub(super) fn stand_for_memory(&mut self, conn: ConnId) {
        let waits = |session: &mut super::session::Session| !session.queued.is_empty();
        if self.sessions.get(conn).is_some_and(waits) {
            self.stand_to_read(conn);
        }
    }

    /// The connection reads when it is its turn.
    pub(super) fn stand_to_read(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if !session.closing && !std::mem::replace(&mut session.in_line, true) {
            let standing = Standing::of(session.sent);
            self.answers.account.line(standing).push_back(conn);
        }
    }

    /// Lets those in line read, as far as memory and the slice go. Whether somebody does.
    pub(super) fn serve_readers(&mut self, now: Now) -> bool {
        let mut any = false;
        for standing in Standing::ALL {
            while let Some(conn) = self.answers.account.line(standing).front().copied() {
                if !self.slices.has_room(now.mono) {
                    self.serve_readers_later(now);
                    return any;
                }
                self.answers.account.turn = Some(conn);
                let turn = self.take_turn_to_read(conn, now);
                self.answers.account.turn = None;
                if turn == Turn::Stays {
                    break;
                }
                any |= turn == Turn::Reads;
                self.answers.account.line(standing).pop_front();
                if let Some(session) = self.sessions.get(conn) {
                    session.in_line = false;
                }
                if turn == Turn::Reads {
                    self.stand_for_memory(conn);
                    self.push_on(conn, now);
                }
            }
        }
        any
    }

    /// The first in line reads, if there is memory for it.
    fn take_turn_to_read(&mut self, conn: ConnId, now: Now) -> Turn {
        let most = self.answers.limit();
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else {
            return Turn::Leaves;
        };
        let full = session.offered() + session.aside >= most;
        let Some((gather, _)) = session.queued.front().copied() else {
            return self.take_turn_to_push(conn, now);
        };
        if full {
            return Turn::Leaves;
        }
        match self.reads_from_queue(gather, now) {
            true => Turn::Reads,
            false => Turn::Stays,
        }
    }

    fn take_turn_to_push(&mut self, conn: ConnId, now: Now) -> Turn {
        let before = self.answers.account.aside();
        match self.push_on(conn, now) {
            _ if self.answers.account.aside() > before => Turn::Reads,
            true => Turn::Stays,
            false => Turn::Leaves,
        }
    }
}
