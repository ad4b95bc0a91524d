//! What answers take in memory before their peers have taken them: bounds of each connection, and
//! one of all connections of a core together.
//!
//! A connection counts what is encoded and unsent, what waits for its turn, what its waiting fetches
//! keep, and what is set aside for [reading](super::reading). Beyond its bound it is not read any more.
//! Beyond the core's budget the bound of each falls to its share, so that those with the most stop
//! first; and those whose peers do not take them [give way](super::unread) to those that wait for memory.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::Core;
use super::account::{Account, Standing, Weight};
use super::boundary::ConnId;
use super::net::Pause;
use super::session::Session;
use super::spread::Need;

/// Requests of one connection that may wait for their answers.
const MAX_WAITING: usize = 8192;
/// What a connection may have unsent in any case, bytes.
const LEAST: usize = 64 << 10;
/// What a connection would read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
    /// How it would stand then.
    pub(super) standing: Standing,
    /// Bytes that it may read beside what it has.
    pub(super) room: usize,
    /// What that comes to, bytes.
    pub(super) bytes: usize,
}

/// All answers of one core.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) account: Account,
    /// Of one connection, bytes.
    most: usize,
    /// Connections that have some.
    loaded: usize,
}

impl Answers {
    pub(super) fn new(budget: usize, most: usize) -> Self {
        Self {
            account: Account::new(budget, most),
            most,
            loaded: 0,
        }
    }

    /// What one connection may have in the best case, bytes.
    #[must_use]
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// What one connection may have now, bytes.
    #[must_use]
    pub(super) fn limit(&self) -> usize {
        if self.account.total() <= self.account.budget() {
            return self.most;
        }
        let share = self.account.budget() / self.loaded.max(1);
        share.max(LEAST).min(self.most)
    }

    /// What a connection may read now beside what it has, bytes.
    pub(super) fn room(&self, session: &Session) -> usize {
        let most = self.limit().min(self.account.trusts(session.sent));
        most.saturating_sub(session.offered() + session.aside)
    }

    /// What a connection that needs to read would get if there was memory; `None` if its peer has to take first
    /// what it has.
    pub(super) fn want(&self, session: &Session, need: Need) -> Option<Want> {
        let room = self.room(session);
        let bytes = need.bytes.min(room).max(need.whole);
        let idle = session.offered() + session.aside == 0;
        (idle || (room > 0 && bytes <= room)).then(|| Want {
            standing: self.standing_with(session, bytes),
            room,
            bytes,
        })
    }

    /// How a connection would stand if it read what it needs.
    pub(super) fn standing_for(&self, session: &Session, need: Need) -> Standing {
        self.standing_with(session, need.bytes.min(self.room(session)).max(need.whole))
    }

    /// How it would stand with so many bytes more.
    fn standing_with(&self, session: &Session, bytes: usize) -> Standing {
        let unread = session.unread().saturating_add(bytes);
        self.account.standing(session.sent, unread)
    }

    /// Whether so much is held that those who wait may soon lack something.
    pub(super) fn are_many(&self) -> bool {
        self.account.total() > self.account.budget() / 2 || !self.account.line_is_empty()
    }

    /// Whether there is too much, or somebody waits for memory.
    pub(super) fn are_short(&self) -> bool {
        self.account.total() > self.account.budget() || !self.account.line_is_empty()
    }

    fn change(&mut self, before: (Standing, Weight), after: (Standing, Weight)) {
        self.account.change(before, after);
        self.loaded += usize::from(after.1.total() > 0);
        self.loaded -= usize::from(before.1.total() > 0);
    }
}

impl<P: BufPool> Core<P> {
    /// Counts what a connection has, and blocks it if that is too much; see [`Core::relieve`].
    pub(super) fn weigh(&mut self, conn: ConnId) {
        self.recount(conn);
        let most = self.answers.limit();
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        if session.owed() > most || session.waiting >= MAX_WAITING || session.has_fetches_enough() {
            self.block(conn, Pause::Peer);
        }
    }

    /// A connection has less than before: it may be read again.
    pub(super) fn relieve(&mut self, conn: ConnId, now: Now) {
        self.recount(conn);
        self.stand_for_memory(conn);
        let most = self.answers.limit();
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let eased = session.owed() <= most / 2
            && session.waiting < MAX_WAITING / 2
            && !session.has_fetches_enough();
        if session.pauses.by(Pause::Peer) && eased {
            self.unblock(conn, Pause::Peer, now);
        }
    }

    /// A fetch begins, of which so much is kept until it is answered, or it ends.
    pub(super) fn keep_fetch(&mut self, conn: ConnId, bytes: usize) {
        if let Some(session) = self.sessions.get(conn) {
            session.kept += bytes;
        }
    }

    /// Whether what a connection's fetches keep is beyond its bound: then the latest is answered at
    /// once. It must not wait, as the connection is not read meanwhile, and its end would not be seen
    /// behind what is not received.
    pub(super) fn keeps_too_much(&mut self, conn: ConnId) -> bool {
        let most = self.answers.limit();
        let session = self.sessions.get(conn);
        session.is_some_and(|session| session.kept > most)
    }

    /// The inverse of [`Core::keep_fetch`].
    pub(super) fn drop_fetch(&mut self, conn: ConnId, bytes: usize) {
        if let Some(session) = self.sessions.get(conn) {
            session.kept -= bytes;
        }
    }

    /// A connection that is gone has nothing any more.
    pub(super) fn forget_answers(&mut self, session: &Session) {
        let none = Weight::default();
        self.answers
            .change(session.weighed, (session.weighed.0, none));
    }

    pub(super) fn recount(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let weight = Weight {
            all: session.owed() + session.aside,
            aside: session.aside,
            kept: session.kept,
        };
        let standing = self
            .answers
            .account
            .standing(session.sent, session.unread());
        let now = (standing, weight);
        let before = std::mem::replace(&mut session.weighed, now);
        self.answers.change(before, now);
    }
}

impl Session {
    /// Bytes of answers that are encoded and not sent. What waiting fetches keep does not block the
    /// connection: beyond the bound they do not wait.
    pub(super) fn owed(&self) -> usize {
        self.unsent + self.out.len()
    }

    /// Bytes of answers that the peer could take now: those that wait for the turn of an earlier one are
    /// not among them.
    pub(super) fn offered(&self) -> usize {
        self.owed() - self.state.held_back()
    }

    /// Bytes of answers that its peer has not taken, or that are being read.
    pub(super) fn unread(&self) -> usize {
        self.owed() + self.aside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_budget_each_has_its_bound_and_beyond_it_a_share() {
        let mut answers = Answers::new(64 << 20, 8 << 20);
        let with = |all| Weight {
            all,
            ..Weight::default()
        };
        let of = |all| (Standing::Unknown, with(all));
        for _ in 0..8 {
            assert_eq!(answers.limit(), 8 << 20);
            answers.change(of(0), of(8 << 20));
        }
        answers.change(of(0), of(1));
        assert_eq!(answers.limit(), (64 << 20) / 9);
        for _ in 0..10_000 {
            answers.change(of(0), of(1));
        }
        assert_eq!(answers.limit(), LEAST);
        answers.change(of(8 << 20), of(0));
        assert_eq!(answers.limit(), 8 << 20);
    }
}
