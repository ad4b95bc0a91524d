//! Ask the coordinator of a group, or, of one that is not made yet, core 0 to have it made first.

use std::convert::Infallible;

use leveret_engine::EngineError;
use leveret_engine::group::{GroupCall, GroupReply};
use leveret_engine::topology::CoordinatorKind;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};

use super::{Content, CreateCoordinators, Family};
use crate::core::Core;
use crate::core::fan_out::{FanOut, FanOutKey, Joint};
use crate::core::pending::{Slot, Waiting};

/// A call of a group.
#[derive(Debug)]
pub(in crate::core) struct AskGroup {
    pub(in crate::core) home: GroupHome,
    pub(in crate::core) call: GroupCall,
}

/// Where it is decided about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum GroupHome {
    /// Over this log.
    Log(LogId),
    /// Nowhere: nobody has used groups yet.
    NotMade,
}

/// Whether a request may wait for other members of its group. Then nobody needs it once its connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Awaits {
    Others,
    Nobody,
}

/// Calls that wait on core 0 until there are coordinators.
pub(in crate::core) type Unmade = Vec<(Slot<AskGroup>, GroupCall)>;

impl Family for AskGroup {
    type Reply = Result<GroupReply, EngineError>;
    type Client = Infallible;
    type Joint = Awaits;

    fn work(&self) -> usize {
        2048 + self.call.size()
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        let GroupHome::Log(log) = self.home else {
            core.unmade.push((slot, self.call));
            if core.unmade.len() == 1 {
                core.ask(CoreId(0), CreateCoordinators, (), now);
            }
            return;
        };
        if let Some(Waiting::Peer(from, asked)) = core.families.ask_group.slots.get(slot) {
            let (from, asked) = (*from, *asked);
            core.foreign_group_calls.add(from, asked, slot);
        }
        core.shard.ask_group(slot.request(), log, self.call, now);
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: Self::Reply, _: Now) {
        match client {}
    }

    fn failed(error: EngineError) -> Option<Self::Reply> {
        Some(Err(error))
    }

    fn answers_peer<P: BufPool>(core: &mut Core<P>, from: CoreId, asked: Slot<Self>) {
        core.foreign_group_calls.remove(from, asked);
    }

    fn cancel_there<P: BufPool>(core: &mut Core<P>, owner: CoreId, slot: Slot<Self>) {
        core.send(owner, Content::CancelGroupCall(slot));
    }
}

impl Joint<AskGroup> for Awaits {
    type Piece = Result<GroupReply, EngineError>;

    fn take(
        &mut self,
        part: usize,
        reply: Self::Piece,
        give: &mut dyn FnMut(usize, Self::Piece),
    ) -> usize {
        give(part, reply);
        0
    }

    fn begins<P: BufPool>(core: &mut Core<P>, key: FanOutKey<AskGroup>) {
        core.group_call_begins(key);
    }

    fn ends<P: BufPool>(
        core: &mut Core<P>,
        key: FanOutKey<AskGroup>,
        fan_out: &FanOut<P, AskGroup>,
    ) {
        if let Some(session) = core.sessions.get(fan_out.conn()) {
            session.group_calls.retain(|call| *call != key);
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Nobody wants the answer any more to what this core carries out for another one.
    pub(super) fn cancel_group_call(&mut self, from: CoreId, asked: Slot<AskGroup>) {
        if let Some(own) = self.foreign_group_calls.remove(from, asked) {
            self.shard.cancel(own.request());
            self.families.ask_group.slots.take(own);
        }
    }

    /// There are coordinators on all cores now, or none can be made: the calls that have waited go on.
    pub(super) fn coordinators_made(&mut self, made: Result<(), EngineError>, now: Now) {
        for (slot, call) in std::mem::take(&mut self.unmade) {
            if self.families.ask_group.slots.get(slot).is_none() {
                // Its connection is gone.
                continue;
            }
            let coordinators = self.topology.coordinators(CoordinatorKind::Groups);
            let of = call.group().and_then(|group| Some(coordinators?.of(group)));
            match (&made, of) {
                (Ok(()), Some((log, home))) => {
                    let home = self.topology.homes().core(home);
                    let (call, log) = (call, GroupHome::Log(log));
                    self.dispatch_call(home, slot, AskGroup { home: log, call }, now);
                }
                (Ok(()), None) => self.answered(slot, Err(EngineError::UnknownLog), now),
                (Err(error), _) => self.answered(slot, Err(error.clone()), now),
            }
        }
    }
}
