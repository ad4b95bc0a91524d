//! Which bodies are to be closed for others that wait: those that stand still.
//!
//! A body half received is never acknowledged, so to close it loses nothing but what its peer has to send
//! again. But a peer whose bytes come over a long way pauses, too. So nobody is closed while there is room, or
//! while what waits would not have it; who pauses is given the longer the fewer wait, and longer if it has
//! [kept up](crate::core::pace) before.

use leveret_storage::types::Mono;

use super::crowd::Standing;
use super::{ConnId, Permits};

/// Where as many come anew as have had their turn, each has it in so long, nanoseconds, though all before it stand
/// still. Where it is shorter, more comes of peers that are closed and come again than leaves time for others.
const ALL_SERVED: u64 = 2_000_000_000;
/// The longest that a body may stand still while others wait for it, and the shortest, nanoseconds.
const PATIENCE: (u64, u64) = (10_000_000, 250_000_000);
/// Between two looks at bodies while somebody waits, nanoseconds.
const BETWEEN: u64 = 5_000_000;

impl Permits {
    /// When bodies are to be looked at next, if somebody waits for them.
    #[must_use]
    pub(in crate::core) fn review_due(&self) -> Option<Mono> {
        let bodies = !self.proven.bodies.is_empty() || !self.strangers.bodies.is_empty();
        let waits = bodies && self.is_contended();
        waits.then(|| self.reviewed.after(BETWEEN))
    }

    /// The bodies that others wait for, the eldest first, and how long each may stand still, nanoseconds, before
    /// what its connection [earned](crate::core::pace) counts. They are looked at again [later](Self::review_due).
    pub(in crate::core) fn review(&mut self, now: Mono) -> impl Iterator<Item = (ConnId, u64)> {
        self.reviewed = now;
        let permits = &*self;
        let crowds = [
            (Standing::Stranger, &permits.strangers),
            (Standing::Proven, &permits.proven),
        ];
        let wanted = crowds
            .map(|(standing, crowd)| permits.patience(standing).map(|patience| (patience, crowd)));
        wanted
            .into_iter()
            .flatten()
            .flat_map(|(patience, crowd)| crowd.bodies.values().map(move |conn| (*conn, patience)))
    }

    /// The same of one connection's body; nothing if nobody waits for what it holds, or if what was closed before
    /// is enough for those.
    #[must_use]
    pub(in crate::core) fn patience_with(&self, conn: ConnId) -> Option<u64> {
        self.patience(self.known(conn)?.standing())
    }

    /// How long bodies of that standing may stand still, nanoseconds, if somebody waits for them. Strangers
    /// that have their half wait for each other only, and who has proved itself waits for none of them that
    /// stands.
    fn patience(&self, standing: Standing) -> Option<u64> {
        let taken = self.in_bodies() + self.promised();
        let room = self.lane().saturating_sub(taken);
        let have = self.strangers.held + self.strangers.promised;
        let half = self.strangers_half().saturating_sub(have);
        let whole = self.whole_line.values().next();
        let whole = whole.is_some_and(|want| want.bytes > self.kept() && want.bytes > room);
        let proven = whole || self.proven.wants_more_than(room);
        let strangers = self.strangers.wants_more_than(room.min(half));
        let strangers_want_all = strangers && !self.strangers.wants_more_than(half);
        let (crowd, waiting) = match standing {
            Standing::Stranger if proven => return Some(PATIENCE.0),
            Standing::Stranger if strangers => (&self.strangers, self.strangers.line.len()),
            Standing::Proven if proven => (&self.proven, self.proven.line.len()),
            Standing::Proven if strangers_want_all => (&self.proven, self.strangers.line.len()),
            _ => return None,
        };
        let waits = |conn: &&ConnId| self.known(**conn).is_some_and(|a| a.waits.is_some());
        let go_on = crowd.bodies.values().filter(|conn| !waits(conn)).count();
        let soon = ALL_SERVED * go_on as u64 / waiting.max(1) as u64;
        Some(soon.clamp(PATIENCE.0, PATIENCE.1))
    }
}
