//! Requests about groups of consumers: what their files have in common.
//!
//! What one call answers is a [`Call`]; the others are jobs of their own.

use std::sync::Arc;

use leveret_engine::EngineError;
use leveret_engine::group::{Caller, GroupCall, GroupError, GroupReply, GroupState, Name};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::ErrorCode;

use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

/// What becomes of a call.
pub(super) type Reply = Result<GroupReply, EngineError>;

/// A name of a request, in memory of its own.
pub(super) fn name(text: &str) -> Name {
    Arc::from(text)
}

/// Who calls.
pub(super) fn caller(member: &str, instance: Option<&str>, generation: i32) -> Caller {
    Caller {
        member: name(member),
        instance: instance.map(name),
        generation,
    }
}

/// What to ask of whom about that group, to do that with it; or why not.
pub(super) fn ask(
    known: &Known<'_>,
    group: &str,
    operation: Operation,
    call: GroupCall,
) -> Result<(CoreId, AskGroup), ErrorCode> {
    let place = known.group(group, operation);
    let place = place.map_err(|refused| errors::not_allowed(&refused).0)?;
    Ok(place.ask(call))
}

/// Why a call of a group failed. What is the log's or the broker's trouble means to look for the coordinator again.
pub(super) fn code(error: &EngineError) -> ErrorCode {
    match error {
        EngineError::Group(_) => errors::code(error),
        EngineError::Stopping | EngineError::UnknownLog => ErrorCode::NotCoordinator,
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}

/// As [`code`] for callers that no group is known to: before version `since` of their API that is told as a
/// generation that is not the current one.
pub(super) fn code_since(error: &EngineError, version: i16, since: i16) -> ErrorCode {
    match error {
        EngineError::Group(GroupError::UnknownGroup) if version < since => {
            ErrorCode::IllegalGeneration
        }
        error => code(error),
    }
}

/// A state, by Kafka's name.
pub(super) fn state_name(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "Empty",
        GroupState::PreparingRebalance => "PreparingRebalance",
        GroupState::CompletingRebalance => "CompletingRebalance",
        GroupState::Stable => "Stable",
    }
}

/// How what one call answers is told.
pub(super) trait Tells: 'static {
    /// Answers the client. Without a reply nobody waited for it any more.
    fn tell<P: BufPool>(self, core: &mut Core<P>, asker: Asker, reply: Reply);
}

/// A request that one call answers.
pub(super) struct Call<T> {
    asker: Asker,
    call: Option<(CoreId, AskGroup)>,
    reply: Reply,
    tells: T,
}

impl<T: Tells> Call<T> {
    /// Carries the request out, or tells why not.
    pub(super) fn carry_out<P: BufPool>(
        core: &mut Core<P>,
        asker: Asker,
        (call, awaits): (Result<(CoreId, AskGroup), ErrorCode>, Awaits),
        tells: T,
        refuse: impl FnOnce(&mut Core<P>, Asker, ErrorCode, T),
        now: Now,
    ) {
        let mut asker = asker;
        match call {
            Err(error) => {
                refuse(core, asker, error, tells);
                core.give_back_permit(asker.conn, asker.permit, now);
            }
            Ok(call) => {
                // All that is kept of its bytes was copied.
                core.give_back_early(asker.conn, &mut asker.permit, now);
                let call = Self {
                    asker,
                    call: Some(call),
                    reply: Err(EngineError::Stopping),
                    tells,
                };
                core.carry_out(asker.until(None), awaits, Box::new(call), now);
            }
        }
    }
}

impl<P: BufPool, T: Tells> Job<P, AskGroup> for Call<T> {
    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        self.call.take().into_iter().collect()
    }

    fn take(&mut self, _part: usize, reply: Reply) {
        self.reply = reply;
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        self.tells.tell(core, self.asker, self.reply);
    }
}
