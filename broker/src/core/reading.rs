//! Whose turn it is to read records, when there is less memory for answers than is asked for.
//!
//! Fetches and subscriptions read only what the [account](super::account) has room for. A connection
//! that finds none stands in line, once, however much it wants; when its turn comes it reads for its
//! first fetch, or for its subscriptions, and stands at the end again if it wants more. Connections whose peers have
//! shown that they take as much as they ask for have a line and a part of the memory of their own. A
//! connection that has as much as one connection may have, or no room for a whole batch beside it, is in no line
//! until its peer has taken some.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::account::{Grant, Standing};
use super::boundary::{ConnId, Protocol};
use super::fan_out::FanOutKey;
use super::hop::FetchRecords;
use super::spread::Need;

/// Why a connection does not read just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Its peer has to take first what it has, or something is being read for it already.
    Room,
    /// Others have the memory, or waited before it.
    Memory,
}

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
    pub(super) fn set_aside(&mut self, conn: ConnId, need: Need) -> Result<Grant, Lack> {
        let Some(session) = self.sessions.get(conn) else {
            return Err(Lack::Room);
        };
        let answers = &mut self.answers;
        let has_nothing = session.unread() == 0;
        let short = answers.account.grant_short(need).filter(|_| has_nothing);
        let grant = match short {
            Some(grant) => grant,
            None => {
                let want = answers.want(session, need).ok_or(Lack::Room)?;
                let account = &mut answers.account;
                let turn = account.turn == Some(conn) || account.line(want.standing).is_empty();
                let grant = turn.then(|| account.grant(want.standing, need, want.room));
                let Some(grant) = grant.flatten() else {
                    session.stands = session.stands.map(|_| need);
                    return Err(Lack::Memory);
                };
                grant
            }
        };
        session.aside += grant.aside;
        self.recount(conn);
        Ok(grant)
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
    pub(super) fn queue_for_memory(
        &mut self,
        conn: ConnId,
        fan_out: FanOutKey<FetchRecords>,
        now: Mono,
    ) {
        if let Some(session) = self.sessions.get(conn) {
            session.queued.push_back((fan_out, now));
        }
        self.stand_for_memory(conn);
    }

    /// Its fetches that wait for memory may read when it is this connection's turn.
    pub(super) fn stand_for_memory(&mut self, conn: ConnId) {
        let first = self.sessions.get(conn).and_then(|s| s.queued.front());
        let need =
            first.and_then(|(fan_out, _)| self.families.fetch.fan_outs[fan_out.number].waits_for());
        if let Some(need) = need {
            self.stand_to_read(conn, need);
        }
    }

    /// The connection reads when it is its turn.
    pub(super) fn stand_to_read(&mut self, conn: ConnId, need: Need) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if !session.closing && session.stands.replace(need).is_none() {
            let standing = self.answers.standing_for(session, need);
            self.answers.account.line(standing).push_back(conn);
        }
    }

    /// The first in this line belongs into the other one: its standing has changed, or what it wants. Whether it
    /// stands there now.
    fn moves_over(&mut self, conn: ConnId, line: Standing) -> bool {
        let session = self.sessions.get(conn);
        let Some((session, need)) = session.and_then(|s| s.stands.map(|need| (s, need))) else {
            return false;
        };
        let standing = self.answers.standing_for(session, need);
        if standing != line {
            self.answers.account.line(line).pop_front();
            self.answers.account.line(standing).push_back(conn);
        }
        standing != line
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
                    match self.moves_over(conn, standing) {
                        true => any = true,
                        false => break,
                    }
                    continue;
                }
                any |= turn == Turn::Reads;
                self.answers.account.line(standing).pop_front();
                if let Some(session) = self.sessions.get(conn) {
                    session.stands = None;
                }
                if turn == Turn::Reads {
                    self.stand_for_memory(conn);
                    if let Some(protocol) = self.sessions.protocol(conn) {
                        self.push_on((conn, protocol), now);
                    }
                }
            }
        }
        any
    }

    /// The first in line reads, if there is memory for it.
    fn take_turn_to_read(&mut self, conn: ConnId, now: Now) -> Turn {
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else {
            return Turn::Leaves;
        };
        let spoken = (conn, session.protocol());
        let Some((fan_out, _)) = session.queued.front().copied() else {
            return self.take_turn_to_push(spoken, now);
        };
        match self.reads_from_queue(fan_out, now) {
            Ok(()) => Turn::Reads,
            Err(Lack::Room) => Turn::Leaves,
            Err(Lack::Memory) => Turn::Stays,
        }
    }

    fn take_turn_to_push(&mut self, spoken: (ConnId, Protocol), now: Now) -> Turn {
        let before = self.answers.account.aside();
        match self.push_on(spoken, now) {
            _ if self.answers.account.aside() > before => Turn::Reads,
            true => Turn::Stays,
            false => Turn::Leaves,
        }
    }
}
