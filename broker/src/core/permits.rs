//! A core's share of memory for requests that have arrived and are not finished.
//!
//! A permit is taken before bytes are received and given back when their request is answered, so
//! what producers have under way is bounded whatever they send. A long body takes its permit piece
//! by piece, so a peer holds little more than what it has truly sent. Who finds none left waits in
//! line in the order of tickets: a body that goes on keeps the ticket that it began with, so it is
//! ahead of what came later. While others wait, a connection that holds more than its share is
//! passed over; alone it may take everything.
//!
//! There are two [lanes](Lane). Bodies that are being received, which take as long as their peers
//! take, hold three quarters of the budget at most; the last quarter is only for what has arrived
//! whole, which is soon answered. So no number of slow bodies keeps a small request out. What holds
//! more than its share of the bodies' lane while somebody waits long is [in the way](Permits::in_the_way).
//!
//! Nobody has to remember to wake anybody: [`Permits::next`] says who is to be served, and a core
//! asks after everything that it handled. What holds then: *if somebody waits, something that does
//! not wait here holds bytes*, and will give them back: a request that is carried out, or a body
//! that is being received and has its deadline. Hence the one exception to the budget: when bodies
//! have filled their lane and could wait for each other, the eldest of them goes on. So the budget
//! is passed by at most one frame.

use std::collections::BTreeMap;

use leveret_storage::types::Mono;

use super::boundary::ConnId;

/// So many at the head of the line are looked at for one that holds no more than its share.
const LOOK: usize = 16;

/// A place in the order of the line and of bodies; smaller is earlier.
type Ticket = u64;

/// Who waits for so long while a body holds more than its share has it closed, nanoseconds.
const LONG: u64 = 2_000_000_000;
/// One body is closed for that in so much time, nanoseconds: what it gives back has to arrive.
const BETWEEN: u64 = 250_000_000;

/// What bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A request that has arrived whole.
    Whole,
    /// A piece of a body.
    Body,
}

/// What a connection that waits in line wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Want {
    conn: ConnId,
    bytes: usize,
    /// When it came into the line.
    since: Mono,
}

/// A body that is being received.
#[derive(Clone, Copy, Debug)]
struct Body {
    ticket: Ticket,
    held: usize,
}

/// What is known of one connection.
#[derive(Clone, Copy, Debug)]
struct Account {
    conn: ConnId,
    /// Bytes of its requests and of its body.
    held: usize,
    /// Its place in the line.
    waits: Option<Ticket>,
    body: Option<Body>,
}

impl Account {
    fn is_active(&self) -> bool {
        self.held > 0 || self.waits.is_some()
    }
}

/// Bytes that requests of one core may hold, who holds them, and who waits for some.
#[derive(Debug)]
pub(super) struct Permits {
    total: usize,
    held: usize,
    /// Bytes of that which bodies hold that are being received.
    in_bodies: usize,
    /// By slot of the connection.
    accounts: Vec<Option<Account>>,
    /// Accounts that hold something or wait.
    active: usize,
    /// Who waits, by lane.
    whole_line: BTreeMap<Ticket, Want>,
    body_line: BTreeMap<Ticket, Want>,
    /// Who sends a body, the eldest first.
    bodies: BTreeMap<Ticket, ConnId>,
    tickets: Ticket,
    /// When a body that was in the way was named last.
    named: Option<Mono>,
    /// Since when somebody waits and nothing was granted or given back.
    still_since: Option<Mono>,
    /// The simulator has [made it so](Self::turn_deaf).
    deaf: bool,
}

impl Permits {
    /// A budget of `total` bytes.
    #[must_use]
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            held: 0,
            in_bodies: 0,
            accounts: Vec::new(),
            active: 0,
            whole_line: BTreeMap::new(),
            body_line: BTreeMap::new(),
            bodies: BTreeMap::new(),
            tickets: 0,
            named: None,
            still_since: None,
            deaf: false,
        }
    }

    /// The simulator breaks the rule that who waits is served whatever gave back: nobody is, until a
    /// request or a body gives back next.
    pub(super) fn turn_deaf(&mut self) {
        self.deaf = true;
    }

    /// Takes `bytes` for a connection's next request or, if it is sending a body, for the next piece
    /// of that; or puts it in line: it tries again when it is [next](Self::next). A request larger
    /// than the whole budget gets through when nothing else is under way: a frame limit above the
    /// budget must not block for ever.
    pub(super) fn take(&mut self, conn: ConnId, bytes: usize, lane: Lane, now: Mono) -> bool {
        if self.take_at_once(conn, bytes, lane, now) {
            return true;
        }
        let account = *self.account(conn);
        let lane = account.body.map_or(lane, |_| Lane::Body);
        let since = now;
        let want = Want { conn, bytes, since };
        let ticket = account.waits.or(account.body.map(|body| body.ticket));
        let ticket = ticket.unwrap_or_else(|| self.next_ticket());
        let line = self.line(lane);
        let since = line.get(&ticket).map_or(now, |want| want.since);
        line.insert(ticket, Want { since, ..want });
        self.change(conn, |account| account.waits = Some(ticket));
        self.still_since.get_or_insert(now);
        let granted = self.next() == Some(conn);
        if granted {
            self.line(lane).remove(&ticket);
            self.change(conn, |account| account.waits = None);
            self.grant(want, now);
        }
        granted
    }

    /// As [`Permits::take`], but who finds none does not wait in line: it waits for its peer to send more.
    pub(super) fn take_at_once(
        &mut self,
        conn: ConnId,
        bytes: usize,
        lane: Lane,
        now: Mono,
    ) -> bool {
        let lane = self.account(conn).body.map_or(lane, |_| Lane::Body);
        let taken = !self.is_contended() && self.fits(bytes, lane);
        if taken {
            let since = now;
            self.grant(Want { conn, bytes, since }, now);
        }
        taken
    }

    /// What the connection took last, `bytes`, is the first piece of a body that it is sending. So
    /// long as it does, what it takes is for that body.
    ///
    /// # Panics
    /// If it is sending one already.
    pub(super) fn begin_body(&mut self, conn: ConnId, bytes: usize) {
        let ticket = self.next_ticket();
        assert!(self.account(conn).body.is_none(), "one body at a time");
        self.bodies.insert(ticket, conn);
        self.in_bodies += bytes;
        let held = bytes;
        self.account(conn).body = Some(Body { ticket, held });
    }

    /// The body is complete, or given up; what it holds is given back like that of any request.
    pub(super) fn end_body(&mut self, conn: ConnId) {
        if let Some(body) = self.account(conn).body.take() {
            self.bodies.remove(&body.ticket);
            self.in_bodies -= body.held;
        }
    }

    /// Gives back what [`Permits::take`] gave that connection, which may be gone.
    pub(super) fn give_back(&mut self, conn: ConnId, bytes: usize, now: Mono) {
        if let Some(since) = &mut self.still_since {
            *since = now;
        }
        self.deaf = false;
        self.held = self.held.checked_sub(bytes).expect("it was taken");
        if self.known(conn).is_some() {
            self.change(conn, |account| {
                account.held = account.held.checked_sub(bytes).expect("it was taken");
            });
        }
    }

    /// Who waits and is to be served now: it has to [take](Self::take), or to
    /// [step out](Self::step_out).
    #[must_use]
    pub(super) fn next(&self) -> Option<ConnId> {
        if self.deaf || !self.is_contended() {
            return None;
        }
        let (whole, body) = (self.first(&self.whole_line), self.first(&self.body_line));
        let whole_fits = whole.filter(|(_, want)| self.fits(want.bytes, Lane::Whole));
        let body_fits = body.filter(|(_, want)| self.fits(want.bytes, Lane::Body));
        // Of the two the earlier is served first. A later request overtakes a body by what is kept for
        // requests, or where the body waits for other bodies: never by what it waits for itself.
        let first = match (whole, body) {
            (Some((whole, _)), Some((body, _))) if whole < body => whole_fits,
            (_, None) => whole_fits,
            (_, Some((ticket, waiting))) => {
                let eldest = self.bodies.first_key_value().map(|(ticket, _)| *ticket);
                let waits_for_bodies = eldest != Some(ticket) && self.lane_is_full(waiting.bytes);
                let overtakes = |want: &Want| waits_for_bodies || self.is_kept(want.bytes);
                body_fits.or(whole_fits.filter(|(_, want)| overtakes(want)))
            }
        };
        if let Some((_, want)) = first {
            return Some(want.conn);
        }
        let (eldest, _) = self.bodies.first_key_value()?;
        let want = self.body_line.get(eldest)?;
        self.is_kept(0).then_some(want.conn)
    }

    /// The first in line that holds no more than its share, or the head.
    fn first(&self, line: &BTreeMap<Ticket, Want>) -> Option<(Ticket, Want)> {
        let share = self.share();
        let modest =
            |(_, want): &(&Ticket, &Want)| self.known(want.conn).is_none_or(|a| a.held <= share);
        let first = line
            .iter()
            .take(LOOK)
            .find(modest)
            .or(line.first_key_value());
        first.map(|(ticket, want)| (*ticket, *want))
    }

    /// A body that holds more than its share, the most of all, while somebody who holds no more has waited
    /// long: it is to be closed, however well it comes.
    #[must_use]
    pub(super) fn in_the_way(&mut self, now: Mono) -> Option<ConnId> {
        let share = self.share();
        let waits_long = |line: &BTreeMap<Ticket, Want>| {
            let first = self.first(line).map(|(_, want)| want);
            first.is_some_and(|want| {
                let holds = self.known(want.conn).map_or(0, |account| account.held);
                holds <= share && now.since(want.since) >= LONG
            })
        };
        let just_named = self.named.is_some_and(|at| now.since(at) < BETWEEN);
        if just_named || !(waits_long(&self.whole_line) || waits_long(&self.body_line)) {
            return None;
        }
        let accounts = self.bodies.values().filter_map(|conn| self.known(*conn));
        let most = accounts.max_by_key(|account| account.body.map_or(0, |body| body.held))?;
        let conn = most
            .body
            .filter(|body| body.held > share)
            .map(|_| most.conn)?;
        self.named = Some(now);
        Some(conn)
    }

    /// The connection waits no more and sends no more. What it holds stays held until it is given
    /// back.
    pub(super) fn step_out(&mut self, conn: ConnId) {
        if self.known(conn).is_none() {
            return;
        }
        self.end_body(conn);
        if let Some(ticket) = self.account(conn).waits {
            // Tickets are used once, so it stands in one of them.
            self.whole_line.remove(&ticket);
            self.body_line.remove(&ticket);
            self.change(conn, |account| account.waits = None);
        }
        if !self.is_contended() {
            self.still_since = None;
        }
    }

    /// Forgets a connection that is gone. What its requests hold stays held until they are answered.
    pub(super) fn leave(&mut self, conn: ConnId) {
        self.step_out(conn);
        if self.known(conn).is_some() {
            self.change(conn, |account| account.held = 0);
            self.accounts[conn.slot as usize] = None;
        }
    }

    /// Whether somebody waits.
    #[must_use]
    pub(super) fn is_contended(&self) -> bool {
        !self.whole_line.is_empty() || !self.body_line.is_empty()
    }

    /// Since when somebody waits and nothing was granted or given back to anybody.
    #[must_use]
    pub(super) fn still_since(&self) -> Option<Mono> {
        self.still_since
    }

    /// Since when somebody waits who is to be [served](Self::next) now, if there is anybody.
    #[must_use]
    pub(super) fn due_since(&self) -> Option<Mono> {
        self.next().and(self.still_since)
    }

    /// The invariant of the module's beginning: somebody is to be served, which the core then asks
    /// to be called for, or something gives back. Walks over what is under way, so it
    /// is for tests and debug builds.
    #[must_use]
    pub(super) fn is_live(&self) -> bool {
        let waits = |conn: &ConnId| self.known(*conn).is_some_and(|a| a.waits.is_some());
        let requests_give_back = self.held > self.in_bodies;
        let bodies_go_on = self.bodies.values().any(|conn| !waits(conn));
        !self.is_contended() || self.next().is_some() || requests_give_back || bodies_go_on
    }

    /// Bytes held now.
    #[must_use]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The whole budget, bytes.
    #[must_use]
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// What is kept for requests that have arrived whole.
    fn kept(&self) -> usize {
        self.total / 4
    }

    fn share(&self) -> usize {
        self.total / self.active.max(1)
    }

    fn line(&mut self, lane: Lane) -> &mut BTreeMap<Ticket, Want> {
        match lane {
            Lane::Whole => &mut self.whole_line,
            Lane::Body => &mut self.body_line,
        }
    }

    /// Whether a whole request fits into what is kept for such.
    fn is_kept(&self, bytes: usize) -> bool {
        self.held - self.in_bodies + bytes <= self.kept()
    }

    /// Whether it is bodies, not requests, that leave no room for a piece.
    fn lane_is_full(&self, bytes: usize) -> bool {
        self.in_bodies + bytes > self.total - self.kept()
    }

    fn fits(&self, bytes: usize, lane: Lane) -> bool {
        let in_all = self.held + bytes <= self.total;
        self.held == 0
            || match lane {
                Lane::Whole => in_all || self.is_kept(bytes),
                Lane::Body => in_all && !self.lane_is_full(bytes),
            }
    }

    fn grant(&mut self, want: Want, now: Mono) {
        self.held += want.bytes;
        let mut in_body = 0;
        self.change(want.conn, |account| {
            account.held += want.bytes;
            if let Some(body) = &mut account.body {
                body.held += want.bytes;
                in_body = want.bytes;
            }
        });
        self.in_bodies += in_body;
        self.still_since = self.is_contended().then_some(now);
    }

    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn known(&self, conn: ConnId) -> Option<&Account> {
        let account = self.accounts.get(conn.slot as usize)?.as_ref();
        account.filter(|account| account.conn == conn)
    }

    /// The connection's account, which it gets now if it has none.
    fn account(&mut self, conn: ConnId) -> &mut Account {
        let slot = conn.slot as usize;
        if slot >= self.accounts.len() {
            self.accounts.resize(slot + 1, None);
        }
        let account = self.accounts[slot].get_or_insert(Account {
            conn,
            held: 0,
            waits: None,
            body: None,
        });
        assert_eq!(account.conn, conn, "the one before it has left");
        account
    }

    fn change(&mut self, conn: ConnId, change: impl FnOnce(&mut Account)) {
        let account = self.account(conn);
        let before = account.is_active();
        change(account);
        let after = account.is_active();
        self.active += usize::from(after);
        self.active -= usize::from(before);
    }
}

#[cfg(test)]
mod tests;
