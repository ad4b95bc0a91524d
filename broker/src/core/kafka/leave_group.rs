//! LeaveGroup: members go, or are sent away.

use leveret_engine::group::{GroupCall, GroupReply, Leave, Leaving};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    ErrorCode, LeaveGroupMember, LeaveGroupRequest, LeaveGroupResponse, Leavers, LeftMember,
};

use super::api::{Api, Incoming, Read};
use super::groups::{Call, Reply, Tells, ask, code, name};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

/// The first version that tells of each member.
const SEVERAL: i16 = 3;

pub(super) struct LeaveGroup;

/// What to ask, and who goes.
type Outline = (Result<(CoreId, AskGroup), ErrorCode>, Vec<Leaving>);

impl Api for LeaveGroup {
    type Request<'a> = LeaveGroupRequest<'a>;
    type Outline = Outline;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Outline {
        let leaving = |member: LeaveGroupMember<'_>| Leaving {
            member: name(member.member),
            instance: member.instance.map(name),
        };
        let members: Vec<Leaving> = match read.request.members {
            Leavers::One(member) => vec![Leaving {
                member: name(member),
                instance: None,
            }],
            Leavers::Several(members) => members.iter().map(leaving).collect(),
        };
        let group = read.request.group;
        let call = GroupCall::Leave(Leave {
            group: name(group),
            members: members.clone(),
        });
        (ask(known, group, Operation::Read, call), members)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (call, members) = request.outline;
        let refuse = |core: &mut Core<P>, asker, error, Leaves(_)| tell(core, asker, error, &[]);
        let call = (call, Awaits::Nobody);
        Call::carry_out(core, request.asker, call, Leaves(members), refuse, now);
    }
}

/// Who goes.
struct Leaves(Vec<Leaving>);

impl Tells for Leaves {
    fn tell<P: BufPool>(self, core: &mut Core<P>, asker: Asker, reply: Reply) {
        let left = match reply {
            Ok(GroupReply::Left(left)) => left,
            Ok(_) => return tell(core, asker, ErrorCode::UnknownServerError, &[]),
            Err(error) => return tell(core, asker, code(&error), &[]),
        };
        let told = self.0.iter().zip(left);
        let told: Vec<_> = told
            .map(|(member, left)| {
                let error = left.map_or_else(errors::group, |()| ErrorCode::None);
                (member, error)
            })
            .collect();
        let own = match &told[..] {
            [(_, error)] if asker.version < SEVERAL => *error,
            _ => ErrorCode::None,
        };
        tell(core, asker, own, &told);
    }
}

fn tell<P: BufPool>(
    core: &mut Core<P>,
    asker: Asker,
    error: ErrorCode,
    told: &[(&Leaving, ErrorCode)],
) {
    let member = |(member, error): &(&Leaving, ErrorCode)| LeftMember {
        member: member.member.to_string().into(),
        instance: member.instance.as_deref().map(|id| id.to_owned().into()),
        error: *error,
    };
    core.kafka_respond(
        asker,
        &LeaveGroupResponse {
            throttle_time_ms: 0,
            error,
            members: told.iter().map(member).collect(),
        },
    );
}
