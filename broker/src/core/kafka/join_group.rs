//! JoinGroup: becomes a member of a group's next generation, for which others are waited for.

use bytes::Bytes;
use leveret_engine::group::{GroupCall, GroupReply, Join, Joined, Name, Protocol};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    CONSUMER, ErrorCode, JoinGroupMember, JoinGroupProtocol, JoinGroupRequest, JoinGroupResponse,
    RequestHeader, subscribed_topics,
};

use super::api::{Api, Incoming, Read};
use super::groups::{Call, Reply, Tells, ask, code, name};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::Operation;

/// The first version in which a member without an id is given one before it joins.
const NAMES_FIRST: i16 = 4;
/// The first version whose leaders can be told to assign nothing.
const SKIPS: i16 = 9;
/// Ways to assign of one member that are looked at.
const MOST_PROTOCOLS: usize = 64;

pub(super) struct JoinGroup;

impl Api for JoinGroup {
    type Request<'a> = JoinGroupRequest<'a>;
    type Outline = (Result<(CoreId, AskGroup), ErrorCode>, Name);

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> Self::Outline {
        let (request, version) = (&read.request, read.version);
        let member = name(request.member);
        let (session, rebalance) = (request.session_timeout_ms, request.rebalance_timeout_ms);
        let Ok(session_ms) = u32::try_from(session) else {
            return (Err(ErrorCode::InvalidSessionTimeout), member);
        };
        if request.protocols.is_empty() || request.protocols.len() > MOST_PROTOCOLS {
            return (Err(ErrorCode::InconsistentGroupProtocol), member);
        }
        let header = RequestHeader::parse(read.frame);
        let client = header.ok().and_then(|(header, _)| header.client_id);
        let of_type = |protocol| protocol_of(&protocol, request.protocol_type);
        let call = GroupCall::Join(Box::new(Join {
            group: name(request.group),
            member: name(request.member),
            instance: request.instance.map(name),
            client_id: name(client.unwrap_or_default()),
            // Who it is, its connection knows.
            host: name(""),
            session_ms,
            rebalance_ms: u32::try_from(rebalance).unwrap_or(session_ms),
            protocol_type: name(request.protocol_type),
            protocols: request.protocols.iter().map(of_type).collect(),
            must_be_named: version >= NAMES_FIRST,
            can_skip_assignment: version >= SKIPS,
        }));
        (ask(known, request.group, Operation::Read, call), member)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (mut call, member) = request.outline;
        if let Ok((_, AskGroup { call, .. })) = &mut call
            && let GroupCall::Join(join) = call
            && let Some(session) = core.sessions.get(request.asker.conn)
            && let Some(peer) = session.peer
        {
            join.host = name(&format!("/{}", peer.ip()));
        }
        let refuse = |core: &mut Core<P>, asker, error, Joins { member }| {
            refuse(core, asker, error, &member);
        };
        let call = (call, Awaits::Others);
        Call::carry_out(core, request.asker, call, Joins { member }, refuse, now);
    }
}

fn protocol_of(protocol: &JoinGroupProtocol<'_>, protocol_type: &str) -> Protocol {
    let topics = match protocol_type {
        CONSUMER => subscribed_topics(protocol.metadata).ok(),
        _ => None,
    };
    Protocol {
        name: name(protocol.name),
        subscription: Bytes::copy_from_slice(protocol.metadata),
        topics: topics.map(|topics| topics.iter().map(name).collect()),
    }
}

/// The member id that was asked with.
struct Joins {
    member: Name,
}

impl Tells for Joins {
    fn tell<P: BufPool>(self, core: &mut Core<P>, asker: Asker, reply: Reply) {
        match reply {
            Ok(GroupReply::Joined(joined)) => tell(core, asker, &joined),
            Ok(GroupReply::Named { member }) => {
                refuse(core, asker, ErrorCode::MemberIdRequired, &member);
            }
            Ok(_) => refuse(core, asker, ErrorCode::UnknownServerError, &self.member),
            Err(error) => refuse(core, asker, code(&error), &self.member),
        }
    }
}

fn tell<P: BufPool>(core: &mut Core<P>, asker: Asker, joined: &Joined) {
    let members = joined.members.iter().map(|member| JoinGroupMember {
        member: (&*member.member).into(),
        instance: member.instance.as_deref().map(Into::into),
        metadata: &member.subscription,
    });
    core.kafka_respond(
        asker,
        &JoinGroupResponse {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            generation: joined.generation,
            protocol_type: Some((&*joined.protocol_type).into()),
            protocol: Some((&*joined.protocol).into()),
            leader: (&*joined.leader).into(),
            skip_assignment: joined.skip_assignment,
            member: (&*joined.member).into(),
            members: members.collect(),
        },
    );
}

fn refuse<P: BufPool>(core: &mut Core<P>, asker: Asker, error: ErrorCode, member: &str) {
    core.kafka_respond(
        asker,
        &JoinGroupResponse {
            throttle_time_ms: 0,
            error,
            generation: -1,
            protocol_type: None,
            // Older clients read a string, which may not be missing.
            protocol: Some("".into()),
            leader: "".into(),
            skip_assignment: false,
            member: member.into(),
            members: Vec::new(),
        },
    );
}
