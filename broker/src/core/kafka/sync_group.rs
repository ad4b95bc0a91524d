//! SyncGroup: the leader brings the assignments, every member gets its own, for which the leader is waited for.

use bytes::Bytes;
use leveret_engine::group::{GroupCall, GroupReply, Sync};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, SyncGroupRequest, SyncGroupResponse};

use super::api::{Api, Incoming, Read};
use super::groups::{Call, Reply, Tells, ask, caller, code, name};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

pub(super) struct SyncGroup;

impl Api for SyncGroup {
    type Request<'a> = SyncGroupRequest<'a>;
    type Outline = Result<(CoreId, AskGroup), ErrorCode>;

    /// A leader brings what all members get.
    const LONGEST: usize = 20 << 20;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let request = &read.request;
        let assignments = request.assignments.iter().map(|assignment| {
            let bytes = Bytes::copy_from_slice(assignment.assignment);
            (name(assignment.member), bytes)
        });
        let call = GroupCall::Sync(Sync {
            group: name(request.group),
            caller: caller(request.member, request.instance, request.generation),
            protocol_type: request.protocol_type.map(name),
            protocol: request.protocol.map(name),
            assignments: assignments.collect(),
        });
        ask(known, request.group, Operation::Read, call)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let call = (request.outline, Awaits::Others);
        let refuse = |core: &mut Core<P>, asker, error, Self| refuse(core, asker, error);
        Call::carry_out(core, request.asker, call, Self, refuse, now);
    }
}

impl Tells for SyncGroup {
    fn tell<P: BufPool>(self, core: &mut Core<P>, asker: Asker, reply: Reply) {
        match reply {
            Ok(GroupReply::Synced(synced)) => core.kafka_respond(
                asker,
                &SyncGroupResponse {
                    throttle_time_ms: 0,
                    error: ErrorCode::None,
                    protocol_type: Some((&*synced.protocol_type).into()),
                    protocol: Some((&*synced.protocol).into()),
                    assignment: &synced.assignment,
                },
            ),
            Ok(_) => refuse(core, asker, ErrorCode::UnknownServerError),
            Err(error) => refuse(core, asker, code(&error)),
        }
    }
}

fn refuse<P: BufPool>(core: &mut Core<P>, asker: Asker, error: ErrorCode) {
    core.kafka_respond(
        asker,
        &SyncGroupResponse {
            throttle_time_ms: 0,
            error,
            protocol_type: None,
            protocol: None,
            assignment: &[],
        },
    );
}
