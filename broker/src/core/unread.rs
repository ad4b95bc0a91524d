//! Who leaves its answers unread gives way to those that wait for memory to read.
//!
//! While more than half of the budget is held, or somebody waits, all connections that have answers are looked at
//! a few times in a second, some of them in each turn. The kernel tells how much their peers have taken, however
//! large the writes were that it was given. A peer that has taken next to nothing for as long as the core has
//! [patience](super::account::Account::patience) is dropped if others lack memory: so many peers are dropped that the
//! others have enough, and none while there is enough for all. Its unread answers are forgotten, also in the kernel,
//! which would keep them for minutes.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::account::{Account, Shortage, Standing};
use super::boundary::{Action, ConnId};
use super::net::Due;
use super::session::Session;

/// A fetch is answered before its time while memory is short, if those of its connection keep more, bytes.
const KEPT: usize = 64 << 10;
/// Who takes less than this of its answers, bytes a second, gives way.
const LEAST_RATE: u64 = 32 << 10;
/// Peers are borne with so long at least, nanoseconds.
const PATIENCE: u64 = 950_000_000;
/// After one look the next one follows when [deadlines](super::deadlines) come due next, nanoseconds.
const NEXT: u64 = 1;
/// A fetch that has waited so long for memory is answered without records, nanoseconds: who gave way in
/// that time could not make room, and what its connection has for after it may.
const WAIT: u64 = 9_000_000_000;
/// What it costs to pass over a connection, in the units of slices.
const LOOK: usize = 64;

/// What a peer had taken when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// In which time of looks.
    period: u64,
    at: Mono,
    taken: u64,
    /// What it could have taken then, bytes.
    offered: usize,
}

/// How far looking has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is no need to look.
    #[default]
    Idle,
    /// The next look has its deadline.
    Waits,
    /// The connection in this slot is next.
    At(u32),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unread {
    stage: Stage,
    /// Counts the times in which there was no need to look.
    period: u64,
    /// What those that wait still lacked at the last look.
    shortage: Shortage,
    /// What waiting fetches still kept beyond what they may.
    kept_too_much: usize,
    /// Connections that had to give way.
    dropped: u64,
}

impl Unread {
    /// Connections dropped since the start because others waited for what their peers did not take.
    #[must_use]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl<P: BufPool> Core<P> {
    /// Begins to look at unread answers, if there are many.
    pub(super) fn look_after_unread(&mut self, now: Now) {
        if self.unread.stage == Stage::Idle && self.answers.are_many() {
            self.look_again(now);
        }
    }

    fn look_again(&mut self, now: Now) {
        self.unread.stage = Stage::Waits;
        self.deadlines.set(now.mono.after(NEXT), Due::Answers);
    }

    /// It is time to look at all that have unread answers.
    pub(super) fn look_at_unread(&mut self, now: Now) {
        if !self.answers.are_many() {
            self.unread.stage = Stage::Idle;
            self.unread.period += 1;
            return;
        }
        let wants = Standing::ALL.map(|standing| self.wanted_in_line(standing));
        self.unread.shortage = self.answers.account.shortage(wants);
        self.unread.kept_too_much = self.answers.account.kept_too_much();
        self.unread.stage = Stage::At(0);
        self.go_on_looking(now);
    }

    /// What the first in a line want to read together, bytes: as many of them as the budget would suffice for.
    fn wanted_in_line(&mut self, standing: Standing) -> usize {
        let answers = &self.answers;
        let mut wanted = 0;
        for conn in answers.account.waiting(standing) {
            if wanted >= answers.account.budget() {
                break;
            }
            let session = self.sessions.get(conn).filter(|s| !s.closing);
            let want = session.and_then(|s| answers.want(s, s.stands?));
            wanted += want.map_or(0, |want| want.bytes);
        }
        wanted
    }

    /// Looks at further connections, as far as the slice goes.
    pub(super) fn go_on_looking(&mut self, now: Now) {
        while let Stage::At(slot) = self.unread.stage {
            if !self.slices.has_room(now.mono) {
                return self.look_at_unread_later(now);
            }
            if slot >= self.sessions.slots() {
                return self.look_again(now);
            }
            self.slices.charge(LOOK);
            self.look_at(slot, now);
            self.unread.stage = Stage::At(slot + 1);
        }
    }

    fn look_at(&mut self, slot: u32, now: Now) {
        let short = self.answers.are_short();
        let Some(session) = self.sessions.in_slot(slot).filter(|s| !s.closing) else {
            return;
        };
        let queued = session.queued.iter();
        let late = queued.take_while(|(_, since)| now.mono.since(*since) > WAIT);
        let late: Vec<_> = late.map(|(fan_out, _)| *fan_out).collect();
        let mut waiting = Vec::new();
        if session.owed() > 0 {
            let conn = session.conn;
            self.slices.charge_ask();
            self.actions.push_back(Action::MeasureTaken(conn));
        } else if (short && session.kept > KEPT)
            || (self.unread.kept_too_much > 0 && session.kept > 0)
        {
            // Who waits for records can take nothing, so it is answered with what there is.
            let left = self.unread.kept_too_much.saturating_sub(session.kept);
            self.unread.kept_too_much = left;
            waiting.clone_from(&session.fetches);
        }
        waiting.into_iter().for_each(|key| self.hurry(key, now));
        late.into_iter().for_each(|key| self.read_no_more(key, now));
    }

    /// A connection's peer has taken so many bytes by now, and there are more for it or not.
    pub(super) fn peer_has_taken(&mut self, conn: ConnId, taken: u64, more: bool, now: Now) {
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else {
            return;
        };
        let seen = Mark {
            period: self.unread.period,
            at: now.mono,
            taken,
            offered: session.offered(),
        };
        if session.leaves_unread(seen, more) && self.unread.shortage.is_eased(session.weighed) {
            tracing::debug!(
                core = self.id.0,
                peer = session.who(),
                bytes = session.unread(),
                "a connection whose answers are not taken gives way"
            );
            self.unread.dropped += 1;
            self.drop_later(conn, now);
        }
    }

    /// Ends a connection at once, whatever it was given to send.
    pub(super) fn drop_unread(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get(conn).filter(|s| !s.closing) else {
            return;
        };
        session.closing = true;
        session.rx.clear();
        let bytes = session.owed();
        session.out.clear();
        self.slices.charge_close();
        self.slices.charge_free(bytes);
        self.permits.step_out(conn);
        self.actions.push_back(Action::Drop(conn));
    }
}

impl Session {
    /// Whether its peer has taken next to nothing for as long as it is borne with, although there was more.
    fn leaves_unread(&mut self, seen: Mark, more: bool) -> bool {
        let patience = PATIENCE * Account::patience(self.sent, self.unread());
        let enough = LEAST_RATE * (patience / 1_000_000) / 1000;
        let mark = *self.mark.get_or_insert(seen);
        let took = seen.taken.saturating_sub(mark.taken);
        if mark.period != seen.period || !more || took >= enough.min(mark.offered as u64) {
            self.mark = Some(seen);
            return false;
        }
        seen.at.since(mark.at) >= patience
    }
}
