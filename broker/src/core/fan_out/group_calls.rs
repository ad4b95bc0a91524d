//! Calls that wait for other members of a group: they end with their connection.

use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::FanOutKey;
use crate::core::Core;
use crate::core::hop::{AskGroup, Awaits};

impl<P: BufPool> Core<P> {
    /// A call has begun: if it may wait for others, its connection knows of it.
    pub(in crate::core) fn group_call_begins(&mut self, key: FanOutKey<AskGroup>) {
        let fan_out = self.fan_out_of(key);
        let (conn, awaits) = (fan_out.conn, fan_out.joint);
        if awaits == Awaits::Others
            && let Some(session) = self.sessions.get(conn)
        {
            session.group_calls.push(key);
        }
    }

    /// Nobody asks more on the connection: the call is answered without those that it waits for.
    pub(in crate::core) fn await_nobody(&mut self, key: FanOutKey<AskGroup>, now: Now) {
        self.answer_in_turn(key, now);
    }

    /// Every call that waits for others is answered without them.
    pub(in crate::core) fn await_nobody_at_all(&mut self, now: Now) {
        let calls = self.families.ask_group.fan_outs.iter();
        let waits = calls.filter(|(_, call)| call.joint == Awaits::Others);
        let keys: Vec<_> = waits.map(|(key, _)| FanOutKey::new(key)).collect();
        keys.into_iter().for_each(|key| self.await_nobody(key, now));
    }

    /// Nobody wants the answer to the call any more.
    pub(in crate::core) fn give_up_group_call(&mut self, key: FanOutKey<AskGroup>, now: Now) {
        self.cancel_fan_out(key, now);
    }
}
