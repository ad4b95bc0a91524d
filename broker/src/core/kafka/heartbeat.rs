//! Heartbeat: a member of a group is alive.

use leveret_engine::group::{self, GroupCall};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, HeartbeatRequest, HeartbeatResponse};

use super::api::{Api, Incoming, Read};
use super::groups::{Call, Reply, Tells, ask, caller, code, name};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

pub(super) struct Heartbeat;

impl Api for Heartbeat {
    type Request<'a> = HeartbeatRequest<'a>;
    type Outline = Result<(CoreId, AskGroup), ErrorCode>;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let HeartbeatRequest {
            group,
            generation,
            member,
            instance,
        } = read.request;
        let call = GroupCall::Heartbeat(group::Heartbeat {
            group: name(group),
            caller: caller(member, instance, generation),
        });
        ask(known, group, Operation::Read, call)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let call = (request.outline, Awaits::Nobody);
        let refuse = |core: &mut Core<P>, asker, error, Self| tell(core, asker, error);
        Call::carry_out(core, request.asker, call, Self, refuse, now);
    }
}

impl Tells for Heartbeat {
    fn tell<P: BufPool>(self, core: &mut Core<P>, asker: Asker, reply: Reply) {
        let error = reply.map_or_else(|error| code(&error), |_| ErrorCode::None);
        tell(core, asker, error);
    }
}

fn tell<P: BufPool>(core: &mut Core<P>, asker: Asker, error: ErrorCode) {
    let throttle_time_ms = 0;
    core.kafka_respond(
        asker,
        &HeartbeatResponse {
            throttle_time_ms,
            error,
        },
    );
}
