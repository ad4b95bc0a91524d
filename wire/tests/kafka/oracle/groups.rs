//! Who is in a group: the APIs around membership.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use leveret_wire::kafka::{self, ApiKey, Request, Response, encode_response};

use super::{maybe_text, str_bytes, text};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct FindCoordinator;
pub(crate) struct JoinGroup;
pub(crate) struct Heartbeat;
pub(crate) struct LeaveGroup;
pub(crate) struct SyncGroup;

pub(super) fn group(s: &mut Source<'_>) -> GroupId {
    GroupId(s.text())
}

pub(super) fn frame_of(version: i16, response: &impl Response) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_response(&mut out, version, CORRELATION, response);
    out.to_vec()
}

impl Api for FindCoordinator {
    const KEY: ApiKey = ApiKey::FindCoordinator;
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;

    fn request(s: &mut Source<'_>, version: i16) -> FindCoordinatorRequest {
        let mut request = FindCoordinatorRequest::default();
        if version >= 1 {
            request.key_type = s.within(-1, 3);
        }
        match version {
            4.. => request.coordinator_keys = s.list(Source::text),
            _ => request.key = s.text(),
        }
        request.with_unknown_tagged_fields(s.tags(version >= 3))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> FindCoordinatorRequest {
        let Request::FindCoordinator(ours) = ours else {
            panic!("{ours:?}")
        };
        let mut theirs = FindCoordinatorRequest::default().with_key_type(ours.coordinator_type.0);
        match ours.keys {
            kafka::CoordinatorKeys::One(key) => theirs.key = str_bytes(key),
            kafka::CoordinatorKeys::Several(keys) => {
                theirs.coordinator_keys = keys.iter().map(str_bytes).collect();
            }
        }
        theirs
    }

    fn response(s: &mut Source<'_>, version: i16) -> FindCoordinatorResponse {
        let mut response = FindCoordinatorResponse::default();
        if version >= 1 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 4 {
            response.coordinators = s.list(|s| {
                Coordinator::default()
                    .with_key(s.text())
                    .with_node_id(BrokerId(s.i32()))
                    .with_host(s.text())
                    .with_port(s.i32())
                    .with_error_code(s.error())
                    .with_error_message(s.maybe(Source::text))
            });
            return response;
        }
        if version >= 1 {
            response.error_message = s.maybe(Source::text);
        }
        response
            .with_error_code(s.error())
            .with_node_id(BrokerId(s.i32()))
            .with_host(s.text())
            .with_port(s.i32())
    }

    fn write(theirs: &FindCoordinatorResponse, version: i16) -> Vec<u8> {
        let one = || kafka::Coordinator {
            key: "".into(),
            node_id: theirs.node_id.0,
            host: text(&theirs.host),
            port: theirs.port,
            error: error_code(theirs.error_code),
            error_message: maybe_text(&theirs.error_message),
        };
        fn of_several(one: &Coordinator) -> kafka::Coordinator<'_> {
            let Coordinator {
                key,
                node_id,
                host,
                port,
                error_code: code,
                error_message,
                ..
            } = one;
            kafka::Coordinator {
                key: text(key),
                node_id: node_id.0,
                host: text(host),
                port: *port,
                error: error_code(*code),
                error_message: maybe_text(error_message),
            }
        }
        let ours = kafka::FindCoordinatorResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            coordinators: match version {
                4.. => theirs.coordinators.iter().map(of_several).collect(),
                _ => vec![one()],
            },
        };
        frame_of(version, &ours)
    }
}

impl Api for JoinGroup {
    const KEY: ApiKey = ApiKey::JoinGroup;
    type Request = JoinGroupRequest;
    type Response = JoinGroupResponse;

    fn request(s: &mut Source<'_>, version: i16) -> JoinGroupRequest {
        let flexible = version >= 6;
        let mut request = JoinGroupRequest::default()
            .with_group_id(group(s))
            .with_session_timeout_ms(s.i32())
            .with_member_id(s.text())
            .with_protocol_type(s.text());
        if version >= 1 {
            request.rebalance_timeout_ms = s.i32();
        }
        if version >= 5 {
            request.group_instance_id = s.maybe(Source::text);
        }
        if version >= 8 {
            request.reason = s.maybe(Source::text);
        }
        request.protocols = s.list(|s| {
            JoinGroupRequestProtocol::default()
                .with_name(s.text())
                .with_metadata(s.blob())
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> JoinGroupRequest {
        let Request::JoinGroup(ours) = ours else {
            panic!("{ours:?}")
        };
        let protocol = |protocol: kafka::JoinGroupProtocol<'_>| {
            JoinGroupRequestProtocol::default()
                .with_name(str_bytes(protocol.name))
                .with_metadata(Bytes::copy_from_slice(protocol.metadata))
        };
        JoinGroupRequest::default()
            .with_group_id(GroupId(str_bytes(ours.group)))
            .with_session_timeout_ms(ours.session_timeout_ms)
            .with_rebalance_timeout_ms(ours.rebalance_timeout_ms)
            .with_member_id(str_bytes(ours.member))
            .with_group_instance_id(ours.instance.map(str_bytes))
            .with_protocol_type(str_bytes(ours.protocol_type))
            .with_protocols(ours.protocols.iter().map(protocol).collect())
            .with_reason(ours.reason.map(str_bytes))
    }

    fn response(s: &mut Source<'_>, version: i16) -> JoinGroupResponse {
        let mut response = JoinGroupResponse::default()
            .with_error_code(s.error())
            .with_generation_id(s.i32())
            .with_leader(s.text())
            .with_member_id(s.text());
        if version >= 2 {
            response.throttle_time_ms = s.i32();
        }
        response.protocol_name = match version {
            7.. => s.maybe(Source::text),
            _ => Some(s.text()),
        };
        if version >= 7 {
            response.protocol_type = s.maybe(Source::text);
        }
        if version >= 9 {
            response.skip_assignment = s.bool();
        }
        response.members = s.list(|s| {
            let mut member = JoinGroupResponseMember::default()
                .with_member_id(s.text())
                .with_metadata(s.blob());
            if version >= 5 {
                member.group_instance_id = s.maybe(Source::text);
            }
            member
        });
        response
    }

    fn write(theirs: &JoinGroupResponse, version: i16) -> Vec<u8> {
        fn member(member: &JoinGroupResponseMember) -> kafka::JoinGroupMember<'_> {
            let JoinGroupResponseMember {
                member_id,
                group_instance_id,
                metadata,
                ..
            } = member;
            kafka::JoinGroupMember {
                member: text(member_id),
                instance: maybe_text(group_instance_id),
                metadata,
            }
        }
        let ours = kafka::JoinGroupResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
            generation: theirs.generation_id,
            protocol_type: maybe_text(&theirs.protocol_type),
            protocol: maybe_text(&theirs.protocol_name),
            leader: text(&theirs.leader),
            skip_assignment: theirs.skip_assignment,
            member: text(&theirs.member_id),
            members: theirs.members.iter().map(member).collect(),
        };
        frame_of(version, &ours)
    }
}

impl Api for Heartbeat {
    const KEY: ApiKey = ApiKey::Heartbeat;
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;

    fn request(s: &mut Source<'_>, version: i16) -> HeartbeatRequest {
        let mut request = HeartbeatRequest::default()
            .with_group_id(group(s))
            .with_generation_id(s.i32())
            .with_member_id(s.text());
        if version >= 3 {
            request.group_instance_id = s.maybe(Source::text);
        }
        request.with_unknown_tagged_fields(s.tags(version >= 4))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> HeartbeatRequest {
        let Request::Heartbeat(ours) = ours else {
            panic!("{ours:?}")
        };
        HeartbeatRequest::default()
            .with_group_id(GroupId(str_bytes(ours.group)))
            .with_generation_id(ours.generation)
            .with_member_id(str_bytes(ours.member))
            .with_group_instance_id(ours.instance.map(str_bytes))
    }

    fn response(s: &mut Source<'_>, version: i16) -> HeartbeatResponse {
        let throttle = if version >= 1 { s.i32() } else { 0 };
        HeartbeatResponse::default()
            .with_throttle_time_ms(throttle)
            .with_error_code(s.error())
    }

    fn write(theirs: &HeartbeatResponse, version: i16) -> Vec<u8> {
        let ours = kafka::HeartbeatResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
        };
        frame_of(version, &ours)
    }
}

impl Api for LeaveGroup {
    const KEY: ApiKey = ApiKey::LeaveGroup;
    type Request = LeaveGroupRequest;
    type Response = LeaveGroupResponse;

    fn request(s: &mut Source<'_>, version: i16) -> LeaveGroupRequest {
        let flexible = version >= 4;
        let mut request = LeaveGroupRequest::default().with_group_id(group(s));
        match version {
            3.. => {
                request.members = s.list(|s| {
                    let mut member = MemberIdentity::default()
                        .with_member_id(s.text())
                        .with_group_instance_id(s.maybe(Source::text));
                    if version >= 5 {
                        member.reason = s.maybe(Source::text);
                    }
                    member.with_unknown_tagged_fields(s.tags(flexible))
                });
            }
            _ => request.member_id = s.text(),
        }
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> LeaveGroupRequest {
        let Request::LeaveGroup(ours) = ours else {
            panic!("{ours:?}")
        };
        let member = |member: kafka::LeaveGroupMember<'_>| {
            MemberIdentity::default()
                .with_member_id(str_bytes(member.member))
                .with_group_instance_id(member.instance.map(str_bytes))
                .with_reason(member.reason.map(str_bytes))
        };
        let mut theirs = LeaveGroupRequest::default().with_group_id(GroupId(str_bytes(ours.group)));
        match ours.members {
            kafka::Leavers::One(member) => theirs.member_id = str_bytes(member),
            kafka::Leavers::Several(members) => {
                theirs.members = members.iter().map(member).collect();
            }
        }
        theirs
    }

    fn response(s: &mut Source<'_>, version: i16) -> LeaveGroupResponse {
        let mut response = LeaveGroupResponse::default().with_error_code(s.error());
        if version >= 1 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 3 {
            response.members = s.list(|s| {
                MemberResponse::default()
                    .with_member_id(s.text())
                    .with_group_instance_id(s.maybe(Source::text))
                    .with_error_code(s.error())
            });
        }
        response
    }

    fn write(theirs: &LeaveGroupResponse, version: i16) -> Vec<u8> {
        fn member(member: &MemberResponse) -> kafka::LeftMember<'_> {
            let MemberResponse {
                member_id,
                group_instance_id,
                error_code: code,
                ..
            } = member;
            kafka::LeftMember {
                member: text(member_id),
                instance: maybe_text(group_instance_id),
                error: error_code(*code),
            }
        }
        let ours = kafka::LeaveGroupResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
            members: theirs.members.iter().map(member).collect(),
        };
        frame_of(version, &ours)
    }
}

impl Api for SyncGroup {
    const KEY: ApiKey = ApiKey::SyncGroup;
    type Request = SyncGroupRequest;
    type Response = SyncGroupResponse;

    fn request(s: &mut Source<'_>, version: i16) -> SyncGroupRequest {
        let flexible = version >= 4;
        let mut request = SyncGroupRequest::default()
            .with_group_id(group(s))
            .with_generation_id(s.i32())
            .with_member_id(s.text());
        if version >= 3 {
            request.group_instance_id = s.maybe(Source::text);
        }
        if version >= 5 {
            request.protocol_type = s.maybe(Source::text);
            request.protocol_name = s.maybe(Source::text);
        }
        request.assignments = s.list(|s| {
            SyncGroupRequestAssignment::default()
                .with_member_id(s.text())
                .with_assignment(s.blob())
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        request.with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> SyncGroupRequest {
        let Request::SyncGroup(ours) = ours else {
            panic!("{ours:?}")
        };
        let assignment = |assignment: kafka::SyncGroupAssignment<'_>| {
            SyncGroupRequestAssignment::default()
                .with_member_id(str_bytes(assignment.member))
                .with_assignment(Bytes::copy_from_slice(assignment.assignment))
        };
        SyncGroupRequest::default()
            .with_group_id(GroupId(str_bytes(ours.group)))
            .with_generation_id(ours.generation)
            .with_member_id(str_bytes(ours.member))
            .with_group_instance_id(ours.instance.map(str_bytes))
            .with_protocol_type(ours.protocol_type.map(str_bytes))
            .with_protocol_name(ours.protocol.map(str_bytes))
            .with_assignments(ours.assignments.iter().map(assignment).collect())
    }

    fn response(s: &mut Source<'_>, version: i16) -> SyncGroupResponse {
        let mut response = SyncGroupResponse::default()
            .with_error_code(s.error())
            .with_assignment(s.blob());
        if version >= 1 {
            response.throttle_time_ms = s.i32();
        }
        if version >= 5 {
            response.protocol_type = s.maybe(Source::text);
            response.protocol_name = s.maybe(Source::text);
        }
        response
    }

    fn write(theirs: &SyncGroupResponse, version: i16) -> Vec<u8> {
        let ours = kafka::SyncGroupResponse {
            throttle_time_ms: theirs.throttle_time_ms,
            error: error_code(theirs.error_code),
            protocol_type: maybe_text(&theirs.protocol_type),
            protocol: maybe_text(&theirs.protocol_name),
            assignment: &theirs.assignment,
        };
        frame_of(version, &ours)
    }
}
