//! What answers take in memory before their peers have taken them: bounds of each connection, and
//! one of all connections of a core together.
//!
//! A connection counts what is encoded and unsent, what waits for its turn, what its waiting fetches
//! keep, and what is set aside for [reading](super::reading). Beyond its bound it is not read any more.
//! Beyond the core's budget the bound of each falls to its share, so that those with the most stop
//! first; and of those that take next to nothing while others wait for memory the largest are closed.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::account::{Account, Standing, Weight};
use super::boundary::ConnId;
use super::inbound::Due;
use super::session::{Blocked, ProtocolState, Session};

/// Requests of one connection that may wait for their answers.
const MAX_WAITING: usize = 8192;
/// What a connection may have unsent in any case, bytes.
const LEAST: usize = 64 << 10;
/// Who takes less than this of its answers while memory is short is closed, bytes a second.
const LEAST_RATE: u64 = 64 << 10;
/// For so long each is looked at, nanoseconds.
const WINDOW: u64 = 3_000_000_000;
/// How often, nanoseconds.
const LOOK: u64 = 1_000_000_000;
/// A fetch that has waited so long for memory is answered without records, nanoseconds: who was closed for
/// it in that time could not make room, and what its connection has for after it may.
const PATIENCE: u64 = 3 * WINDOW;

/// When a connection was looked at last, and what it had been sent by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// In which time of pressure.
    period: u64,
    at: Mono,
    sent: u64,
    /// What it could have taken then, bytes.
    offered: usize,
}

/// All answers of one core.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) account: Account,
    /// Of one connection, bytes.
    most: usize,
    /// Connections that have some.
    loaded: usize,
    /// Counts the times that memory was short; odd while it is.
    period: u64,
    /// Connections closed because they took nothing.
    closed: u64,
}

impl Answers {
    pub(super) fn new(budget: usize, most: usize) -> Self {
        Self {
            account: Account::new(budget),
            most,
            loaded: 0,
            period: 0,
            closed: 0,
        }
    }

    /// What one connection may have in the best case, bytes.
    #[must_use]
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Connections closed since the start because they took nothing while memory was short.
    #[must_use]
    pub(super) fn closed(&self) -> u64 {
        self.closed
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

    /// Whether there is too much, or somebody waits for memory.
    fn are_short(&self) -> bool {
        self.account.total() > self.account.budget() || !self.account.line_is_empty()
    }

    fn change(&mut self, before: (Standing, Weight), after: (Standing, Weight)) {
        self.account.change(before, after);
        self.loaded += usize::from(after.1.all > 0);
        self.loaded -= usize::from(before.1.all > 0);
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
            self.block(conn, Blocked::Peer);
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
        if session.blocked == Some(Blocked::Peer) && eased {
            self.unblock(conn, Blocked::Peer, now);
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
            all: session.load() + session.aside,
            aside: session.aside,
        };
        let now = (Standing::of(session.sent), weight);
        let before = std::mem::replace(&mut session.weighed, now);
        self.answers.change(before, now);
    }

    /// Begins to look for connections to close, if memory is short.
    pub(super) fn look_after_answers(&mut self, now: Now) {
        if self.answers.period.is_multiple_of(2) && self.answers.are_short() {
            self.answers.period += 1;
            self.deadlines.set(now.mono.after(LOOK), Due::Answers);
        }
    }

    /// Closes the largest of those that take next to nothing, until the rest is within the budget, or
    /// leaves half of it to those that wait.
    pub(super) fn answers_are_due(&mut self, now: Now) {
        if !self.answers.are_short() {
            self.answers.period += 1;
            return;
        }
        let Answers {
            ref account,
            period,
            ..
        } = self.answers;
        let most = match account.line_is_empty() {
            true => account.budget(),
            false => account.budget() / 2,
        };
        let mut left = account.total();
        let mut slow: Vec<(usize, ConnId)> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        let mut late: Vec<usize> = Vec::new();
        for session in self.sessions.iter_mut() {
            let weight = session.weighed.1.all;
            if session.closing {
                left -= weight;
                continue;
            }
            if weight > LEAST && session.is_slow(period, now.mono) {
                slow.push((weight, session.conn));
            } else if session.kept > LEAST {
                waiting.extend_from_slice(&session.fetches);
            }
            let queued = session.queued.iter();
            let long = queued.take_while(|(_, since)| now.mono.since(*since) > PATIENCE);
            late.extend(long.map(|(gather, _)| *gather));
        }
        slow.sort_unstable_by(|a, b| b.cmp(a));
        for (bytes, conn) in slow {
            if left <= most {
                break;
            }
            left -= bytes;
            self.answers.closed += 1;
            tracing::debug!(
                core = self.id.0,
                bytes,
                "a connection that takes no answers is closed"
            );
            self.close_later(conn, now);
        }
        // Who waits for records can take nothing, so it is answered with what there is.
        waiting.into_iter().for_each(|key| self.hurry(key, now));
        late.into_iter().for_each(|key| self.read_no_more(key, now));
        self.deadlines.set(now.mono.after(LOOK), Due::Answers);
    }
}

impl Session {
    /// Bytes of answers that are encoded and not sent. What waiting fetches keep does not block the
    /// connection: beyond the bound they do not wait.
    pub(super) fn owed(&self) -> usize {
        self.unsent + self.out.len()
    }

    /// Bytes that its answers take: encoded and not sent, waiting for their turn, or being put
    /// together.
    pub(super) fn load(&self) -> usize {
        self.owed() + self.kept
    }

    /// Bytes of answers that the peer could take now: those that wait for the turn of an earlier one are
    /// not among them.
    pub(super) fn offered(&self) -> usize {
        match &self.state {
            ProtocolState::Native(_) => self.owed(),
            ProtocolState::Kafka(state) => self.owed() - state.kept(),
        }
    }

    /// Whether the peer took next to nothing for a while of this time of pressure, although there was
    /// something to take.
    fn is_slow(&mut self, period: u64, now: Mono) -> bool {
        let sent = self.sent;
        let fresh = Mark {
            period,
            at: now,
            sent,
            offered: self.offered(),
        };
        let mark = *self.mark.get_or_insert(fresh);
        let time = now.since(mark.at);
        if mark.period != period {
            self.mark = Some(fresh);
            return false;
        }
        if time < WINDOW {
            return false;
        }
        self.mark = Some(fresh);
        let taken = sent - mark.sent;
        taken < LEAST_RATE * (time / 1_000_000) / 1000 && taken < mark.offered as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_budget_each_has_its_bound_and_beyond_it_a_share() {
        let mut answers = Answers::new(64 << 20, 8 << 20);
        let of = |all| (Standing::Unknown, Weight { all, aside: 0 });
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
