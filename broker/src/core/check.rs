//! What always holds of a core, looked at from outside after each event by the simulator.

use leveret_storage::io::BufPool;

use super::Core;
use super::pending::Waiting;

/// What a core holds or has under way for anybody. Nothing of it is left when all connections are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Requests and parts of requests that wait for answers, those of other cores among them.
    pub pending: usize,
    /// Requests that several answers complete.
    pub fan_outs: usize,
    /// Other cores' fetches.
    pub foreign_fetches: usize,
    /// Other cores' calls of groups.
    pub foreign_group_calls: usize,
    /// Partitions that subscriptions read.
    pub watched: usize,
    /// Fetches that the engine has under way.
    pub fetches: usize,
    /// Bytes of the budget for requests.
    pub permits: usize,
    /// Bytes of the budget for answers.
    pub answers: usize,
}

impl<P: BufPool> Core<P> {
    /// What is under way.
    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        UnderWay {
            pending: self.families.waiting(),
            fan_outs: self.families.fan_outs(),
            foreign_fetches: self.foreign_fetches.slots().len(),
            foreign_group_calls: self.foreign_group_calls.slots().len(),
            watched: self.watched_logs.len(),
            fetches: self.shard.stats().fetches,
            permits: self.permits.held(),
            answers: self.answers.account.total(),
        }
    }

    /// Looks whether everything that waits is waited for, and the other way round. Walks over all
    /// that is under way, so only checks call it.
    ///
    /// # Panics
    /// If the core contradicts itself.
    pub fn check(&self) {
        self.check_families();
        for slot in self.foreign_fetches.slots() {
            let waiting = self.families.fetch.slots.get(slot);
            let foreign = matches!(waiting, Some(Waiting::Peer(..)));
            assert!(foreign, "another core's fetch is under way");
        }
        for slot in self.foreign_group_calls.slots() {
            let waiting = self.families.ask_group.slots.get(slot);
            let foreign = matches!(waiting, Some(Waiting::Peer(..)));
            assert!(foreign, "another core's call of a group is under way");
        }
        self.check_memory();
    }

    /// What is set aside for reading is what somebody reads, and who waits for it stands in line, or has
    /// something that its peer has to take first.
    fn check_memory(&self) {
        let mut total = 0;
        for session in self.sessions.iter() {
            let (_, weight) = session.weighed;
            assert_eq!(weight.aside, session.aside, "what is set aside is counted");
            total += weight.total();
            // Its turn comes when its peer has taken that, or when that was read.
            let busy = session.offered() + session.aside > 0;
            let stands = session.stands.is_some();
            let served = session.queued.is_empty() || stands || session.closing || busy;
            assert!(served, "who waits for memory is in line");
            for (fan_out, _) in &session.queued {
                let fan_out = self.families.fetch.fan_outs.get(fan_out.number);
                let fan_out = fan_out.expect("a fetch waits");
                assert!(fan_out.waits_for().is_some(), "who is queued waits");
            }
        }
        assert_eq!(total, self.answers.account.total(), "all is counted");
    }
}
