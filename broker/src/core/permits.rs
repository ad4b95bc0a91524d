//! A core's share of memory for requests that have arrived and are not finished.
//!
//! A permit is taken before bytes are received and given back when their request is answered, so
//! what producers have under way is bounded whatever they send. A long body takes its permit piece
//! by piece, so a peer holds little more than what it has truly sent; but a body begins
//! only where there is room for a good part of it, which it is [promised](PROMISE). A request that finds no room waits
//! in line in the order of tickets: a body that goes on keeps the ticket that it began with, so it is
//! ahead of what came later. While others wait, a connection that holds more than its share is
//! passed over; alone it may take everything.
//!
//! There are two [lanes](Lane). Bodies that are being received, which take as long as their peers
//! take, hold three quarters of the budget at most; the last quarter is only for what has arrived
//! whole, which is soon answered. So no number of slow bodies keeps a small request out.
//!
//! Anybody can begin a body; a peer that has sent many bodies whole has [proved](Standing) itself. Peers that have not
//! (strangers) hold half of the bodies' lane at most, and wait for each other: bodies that strangers begin and leave
//! half sent keep no proved peer out. A body that stands still is closed when others want the memory that
//! it holds, the [sooner](review) the more of them wait, and the later the longer it has [kept up](super::pace).
//!
//! No code has to remember to wake those who wait: [`Permits::next`] says who is to be served, and a core
//! asks it after everything that it has handled. The invariant is: *if somebody waits, something that does
//! not wait here holds bytes*, and will give them back: a request that is carried out, or a body
//! that is being received and has its deadline. It needs one exception to the budget: when bodies
//! have filled their lane and could wait for each other, the eldest of them goes on. So the budget
//! is exceeded by at most one frame. The eldest stranger likewise may exceed the strangers' half, within the lane,
//! unless a proved peer waits: a frame may be longer than that half.

mod crowd;
mod review;

use std::collections::BTreeMap;

use leveret_storage::types::Mono;

use super::boundary::ConnId;
use crowd::{Account, Body, Crowd, Line, Place, Standing, Want};

pub(super) use crowd::Lane;

/// So many at the head of the line are looked at for one that holds no more than its share.
const LOOK: usize = 16;

/// A body that begins is promised so many bytes at most, and what that takes is kept for it: most go on to
/// their end without waiting, and many that have begun do not hold a little each and wait for each other.
const PROMISE: usize = 512 << 10;

/// So many bytes of bodies has a connection to send to their end to have proved itself, and more than twice as
/// many are not counted. Few enough for a producer that is as fast as others, and too many to be sent anew
/// by each of many peers whenever they are closed.
const PROOF: u64 = 4 << 20;

/// Bytes that requests of one core may hold, who holds them, and who waits for some.
#[derive(Debug)]
pub(super) struct Permits {
    total: usize,
    held: usize,
    /// By slot of the connection.
    accounts: Vec<Option<Account>>,
    /// Accounts that hold something or wait.
    active: usize,
    /// Who waits with a request that has arrived whole.
    whole_line: BTreeMap<Place, Want>,
    proven: Crowd,
    strangers: Crowd,
    tickets: u64,
    /// When it was looked last for bodies that stand still.
    reviewed: Mono,
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
            accounts: Vec::new(),
            active: 0,
            whole_line: BTreeMap::new(),
            proven: Crowd::default(),
            strangers: Crowd::default(),
            tickets: 0,
            reviewed: Mono(0),
            still_since: None,
            deaf: false,
        }
    }

    /// The simulator breaks the rule that who waits is served whatever gave back: nobody is, until a
    /// request or a body gives back next.
    pub(super) fn turn_deaf(&mut self) {
        self.deaf = true;
    }

    /// The simulator breaks the rule that a connection has to prove itself.
    pub(super) fn trust(&mut self, conn: ConnId) {
        self.account(conn).proof = PROOF;
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
        let line = account.line(lane);
        let want = self.want(&account, bytes, lane);
        if want.more == 0 {
            self.grant(want, now);
            return true;
        }
        let place = account.waits.or(account.body.map(|body| body.place));
        let place = place.unwrap_or_else(|| self.next_place());
        self.line(line).insert(place, want);
        self.change(conn, |account| account.waits = Some(place));
        self.still_since.get_or_insert(now);
        let granted = self.next() == Some(conn);
        if granted {
            self.line(line).remove(&place);
            self.change(conn, |account| account.waits = None);
            self.account(conn).waited = Some(place);
            self.grant(want, now);
        }
        granted
    }

    /// As [`Permits::take`], but who finds none does not wait in line: it waits for its peer to send more. So do
    /// strangers where they have taken half of what they may: who is slow would stand among those that do.
    pub(super) fn take_at_once(
        &mut self,
        conn: ConnId,
        bytes: usize,
        lane: Lane,
        now: Mono,
    ) -> bool {
        let account = *self.account(conn);
        let want = self.want(&account, bytes, lane);
        let line = account.line(lane);
        let fits = self.fits(want.more, line) && self.leaves_room(want.more, line);
        let taken = !self.is_contended() && fits;
        if taken {
            self.account(conn).waited = None;
            self.grant(want, now);
        }
        taken
    }

    /// What the connection wants when it wants so many bytes.
    fn want(&self, account: &Account, bytes: usize, lane: Lane) -> Want {
        let more = match (account.body, lane) {
            (Some(body), _) => bytes.saturating_sub(body.promised),
            (None, Lane::Body { whole }) => bytes.max(self.promise(whole)),
            (None, Lane::Whole) => bytes,
        };
        let conn = account.conn;
        Want { conn, bytes, more }
    }

    /// What the connection took last, `bytes`, is the first piece of a body of `whole` bytes that it is
    /// sending. So long as it does, what it takes is for that body.
    ///
    /// # Panics
    /// If it is sending one already.
    pub(super) fn begin_body(&mut self, conn: ConnId, bytes: usize, whole: usize) {
        let account = *self.account(conn);
        assert!(account.body.is_none(), "one body at a time");
        let standing = account.standing();
        let place = self.account(conn).waited.take();
        let place = place.unwrap_or_else(|| self.next_place());
        let (held, promised) = (bytes, self.promise(whole).saturating_sub(bytes));
        let crowd = self.crowd(standing);
        crowd.bodies.insert(place, conn);
        crowd.held += held;
        crowd.promised += promised;
        self.account(conn).body = Some(Body {
            place,
            held,
            promised,
        });
    }

    /// The body has come to its end, which proves so many bytes, once. What it holds is given back like that of any
    /// request.
    pub(super) fn finish_body(&mut self, conn: ConnId, bytes: u64) {
        if self.end_body(conn) {
            let account = self.account(conn);
            account.proof = (account.proof + bytes).min(2 * PROOF);
        }
    }

    /// The body is over, be it complete or given up; what it holds is given back like that of any request.
    /// Whether there was one.
    pub(super) fn end_body(&mut self, conn: ConnId) -> bool {
        let standing = self.account(conn).standing();
        let body = self.account(conn).body.take();
        if let Some(body) = body {
            let crowd = self.crowd(standing);
            crowd.bodies.remove(&body.place);
            crowd.held -= body.held;
            crowd.promised -= body.promised;
        }
        body.is_some()
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
        let (whole, body) = (self.first(&self.whole_line), self.first_body());
        let whole_fits = whole.filter(|(_, want)| self.fits(want.bytes, Line::Whole));
        let body_fits = body.filter(|(_, want)| self.fits_lane(want.more));
        // Of the two the earlier is served first. A later request overtakes a body by what is kept for
        // requests, or where the body waits for other bodies: never by what it waits for itself.
        let first = match (whole, body) {
            (Some((whole, _)), Some((body, _))) if whole < body => whole_fits,
            (_, None) => whole_fits,
            (_, Some((_, waiting))) => {
                let goes_on = self.eldest().is_some_and(|want| want.conn == waiting.conn);
                let waits_for_bodies = !goes_on && self.lane_is_full(waiting.more);
                let overtakes = |want: &Want| waits_for_bodies || self.is_kept(want.bytes);
                body_fits.or(whole_fits.filter(|(_, want)| overtakes(want)))
            }
        };
        let first = first.map(|(_, want)| want);
        let beyond_their_half = || {
            let want = self.strangers.eldest_wants()?;
            let alone = self.proven.line.is_empty() && self.fits_lane(want.more);
            alone.then_some(want)
        };
        let beyond_the_lane = || self.eldest().filter(|_| self.is_kept(0));
        let next = first.or_else(beyond_their_half).or_else(beyond_the_lane);
        next.map(|want| want.conn)
    }

    /// Of those that wait for a piece the first, whatever it holds: those that have begun go on before others
    /// begin, or many would hold little and wait for each other. Strangers that have their half let others
    /// pass.
    fn first_body(&self) -> Option<(Place, Want)> {
        let strangers = self.strangers.first();
        let strangers = strangers.filter(|(_, want)| self.strangers_may_have(want.more));
        let both = [self.proven.first(), strangers];
        both.into_iter().flatten().min_by_key(|(place, _)| *place)
    }

    /// What the body waits for that goes on whatever others hold: the eldest of those that have proved
    /// themselves, or else the eldest stranger.
    fn eldest(&self) -> Option<Want> {
        match self.proven.bodies.is_empty() {
            false => self.proven.eldest_wants(),
            true => self.strangers.eldest_wants(),
        }
    }

    /// The first in line that holds no more than its share, or the head.
    fn first(&self, line: &BTreeMap<Place, Want>) -> Option<(Place, Want)> {
        let share = self.share();
        let modest =
            |(_, want): &(&Place, &Want)| self.known(want.conn).is_none_or(|a| a.held <= share);
        let first = line
            .iter()
            .take(LOOK)
            .find(modest)
            .or(line.first_key_value());
        first.map(|(place, want)| (*place, *want))
    }

    /// The connection waits no more and sends no more. What it holds stays held until it is given
    /// back.
    pub(super) fn step_out(&mut self, conn: ConnId) {
        if self.known(conn).is_none() {
            return;
        }
        self.end_body(conn);
        self.leave_line(conn);
    }

    /// The connection waits for something else first. A body that it sends keeps its place among bodies.
    pub(super) fn leave_line(&mut self, conn: ConnId) {
        if let Some(place) = self.account(conn).waits {
            // Tickets are used once, so it stands in one of them.
            self.whole_line.remove(&place);
            self.proven.line.remove(&place);
            self.strangers.line.remove(&place);
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
        let lines = [&self.whole_line, &self.proven.line, &self.strangers.line];
        lines.iter().any(|line| !line.is_empty())
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
        let requests_give_back = self.held > self.in_bodies();
        let bodies = self.proven.bodies.values();
        let mut bodies = bodies.chain(self.strangers.bodies.values());
        let bodies_go_on = bodies.any(|conn| !waits(conn));
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

    /// What strangers may hold of the bodies' lane.
    fn strangers_half(&self) -> usize {
        self.lane() / 2
    }

    /// What a body of `whole` bytes is promised when it begins.
    fn promise(&self, whole: usize) -> usize {
        let most = PROMISE.min(self.lane() / 16);
        whole.min(most)
    }

    /// What bodies may hold.
    fn lane(&self) -> usize {
        self.total - self.kept()
    }

    fn in_bodies(&self) -> usize {
        self.proven.held + self.strangers.held
    }

    fn promised(&self) -> usize {
        self.proven.promised + self.strangers.promised
    }

    fn crowd(&mut self, standing: Standing) -> &mut Crowd {
        match standing {
            Standing::Stranger => &mut self.strangers,
            Standing::Proven => &mut self.proven,
        }
    }

    fn line(&mut self, line: Line) -> &mut BTreeMap<Place, Want> {
        match line {
            Line::Whole => &mut self.whole_line,
            Line::Body(standing) => &mut self.crowd(standing).line,
        }
    }

    /// Whether a whole request fits into what is kept for such.
    fn is_kept(&self, bytes: usize) -> bool {
        self.held - self.in_bodies() + bytes <= self.kept()
    }

    /// Whether it is bodies, not requests, that leave no room for a piece.
    fn lane_is_full(&self, more: usize) -> bool {
        self.in_bodies() + self.promised() + more > self.lane()
    }

    fn strangers_may_have(&self, more: usize) -> bool {
        let have = self.strangers.held + self.strangers.promised;
        self.held == 0 || have + more <= self.strangers_half()
    }

    /// Whether strangers have room enough that one need not show beforehand how fast it comes.
    fn leaves_room(&self, more: usize, line: Line) -> bool {
        let have = self.strangers.held + self.strangers.promised;
        let stranger = line == Line::Body(Standing::Stranger);
        !stranger || self.held == 0 || 2 * (have + more) <= self.strangers_half()
    }

    fn fits_in_all(&self, more: usize) -> bool {
        self.held == 0 || self.held + self.promised() + more <= self.total
    }

    fn fits_lane(&self, more: usize) -> bool {
        self.held == 0 || self.fits_in_all(more) && !self.lane_is_full(more)
    }

    fn fits(&self, more: usize, line: Line) -> bool {
        match line {
            Line::Whole => self.fits_in_all(more) || self.is_kept(more),
            Line::Body(Standing::Proven) => self.fits_lane(more),
            Line::Body(Standing::Stranger) => self.fits_lane(more) && self.strangers_may_have(more),
        }
    }

    fn grant(&mut self, want: Want, now: Mono) {
        self.held += want.bytes;
        let mut in_body = None;
        self.change(want.conn, |account| {
            account.held += want.bytes;
            if let Some(body) = &mut account.body {
                let kept_to = want.bytes.min(body.promised);
                body.held += want.bytes;
                body.promised -= kept_to;
                in_body = Some((account.standing(), kept_to));
            }
        });
        if let Some((standing, kept_to)) = in_body {
            let crowd = self.crowd(standing);
            crowd.held += want.bytes;
            crowd.promised -= kept_to;
        }
        self.still_since = self.is_contended().then_some(now);
    }

    /// The last place in a line.
    fn next_place(&mut self) -> Place {
        self.tickets += 1;
        Place(self.tickets)
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
            waited: None,
            body: None,
            proof: 0,
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
