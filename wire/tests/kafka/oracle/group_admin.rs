//! Which groups there are: the APIs of those who look after them.

use bytes::BytesMut;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};
use leveret_wire::kafka::{self, ApiKey, Array, Line, Request};

use super::groups::group;
use super::{around, maybe_text, of_lines, str_bytes, text};
use crate::harness::{Api, CORRELATION};
use crate::source::{Source, error_code};

pub(crate) struct DescribeGroups;
pub(crate) struct ListGroups;
pub(crate) struct DeleteGroups;

fn groups(ours: Array<'_, &str>) -> Vec<GroupId> {
    ours.iter().map(|group| GroupId(str_bytes(group))).collect()
}

impl Api for DescribeGroups {
    const KEY: ApiKey = ApiKey::DescribeGroups;
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> DescribeGroupsRequest {
        let mut request = DescribeGroupsRequest::default().with_groups(s.list(group));
        if version >= 3 {
            request.include_authorized_operations = s.bool();
        }
        request.with_unknown_tagged_fields(s.tags(version >= 5))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> DescribeGroupsRequest {
        let Request::DescribeGroups(ours) = ours else {
            panic!("{ours:?}")
        };
        DescribeGroupsRequest::default()
            .with_groups(groups(ours.groups))
            .with_include_authorized_operations(ours.include_authorized_operations)
    }

    fn response(s: &mut Source<'_>, version: i16) -> DescribeGroupsResponse {
        let mut response = DescribeGroupsResponse::default();
        response.groups = s.list(|s| {
            let mut told = DescribedGroup::default()
                .with_error_code(s.error())
                .with_group_id(group(s))
                .with_group_state(s.text())
                .with_protocol_type(s.text())
                .with_protocol_data(s.text());
            if version >= 3 {
                told.authorized_operations = s.i32();
            }
            if version >= 6 {
                told.error_message = s.maybe(Source::text);
            }
            told.members = s.list(|s| {
                let mut member = DescribedGroupMember::default()
                    .with_member_id(s.text())
                    .with_client_id(s.text())
                    .with_client_host(s.text())
                    .with_member_metadata(s.blob())
                    .with_member_assignment(s.blob());
                if version >= 4 {
                    member.group_instance_id = s.maybe(Source::text);
                }
                member
            });
            told
        });
        response
    }

    fn write(theirs: &DescribeGroupsResponse, version: i16) -> Vec<u8> {
        fn member(member: &DescribedGroupMember) -> kafka::DescribedGroupMember<'_> {
            let DescribedGroupMember {
                member_id,
                group_instance_id,
                client_id,
                ..
            } = member;
            kafka::DescribedGroupMember {
                member: text(member_id),
                instance: maybe_text(group_instance_id),
                client_id: text(client_id),
                client_host: text(&member.client_host),
                metadata: &member.member_metadata,
                assignment: &member.member_assignment,
            }
        }
        fn line(told: &DescribedGroup) -> kafka::DescribedGroup<'_> {
            let DescribedGroup {
                error_message,
                group_id,
                group_state,
                members,
                ..
            } = told;
            kafka::DescribedGroup {
                error: error_code(told.error_code),
                error_message: maybe_text(error_message),
                group: text(group_id),
                state: text(group_state),
                protocol_type: text(&told.protocol_type),
                protocol: text(&told.protocol_data),
                members: members.iter().map(member).collect(),
                authorized_operations: told.authorized_operations,
            }
        }
        let mut lines = BytesMut::new();
        for told in theirs.groups.iter().map(line) {
            told.encode(&mut lines, Self::KEY, version);
        }
        let count = theirs.groups.len();
        around(&lines, |out, len| {
            kafka::DescribedGroup::encode_around(out, version, CORRELATION, count, len)
        })
    }
}

impl Api for ListGroups {
    const KEY: ApiKey = ApiKey::ListGroups;
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> ListGroupsRequest {
        let mut request = ListGroupsRequest::default();
        if version >= 4 {
            request.states_filter = s.list(Source::text);
        }
        if version >= 5 {
            request.types_filter = s.list(Source::text);
        }
        request.with_unknown_tagged_fields(s.tags(version >= 3))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> ListGroupsRequest {
        let Request::ListGroups(ours) = ours else {
            panic!("{ours:?}")
        };
        let words = |words: Option<Array<'_, &str>>| {
            let words = words.into_iter().flatten();
            words.map(str_bytes).collect()
        };
        ListGroupsRequest::default()
            .with_states_filter(words(ours.states))
            .with_types_filter(words(ours.types))
    }

    fn response(s: &mut Source<'_>, version: i16) -> ListGroupsResponse {
        let mut response = ListGroupsResponse::default().with_error_code(s.error());
        response.groups = s.list(|s| {
            let mut told = ListedGroup::default()
                .with_group_id(group(s))
                .with_protocol_type(s.text());
            if version >= 4 {
                told.group_state = s.text();
            }
            if version >= 5 {
                told.group_type = s.text();
            }
            told
        });
        response
    }

    fn write(theirs: &ListGroupsResponse, version: i16) -> Vec<u8> {
        fn line(told: &ListedGroup) -> kafka::ListedGroup<'_> {
            let ListedGroup {
                group_id,
                protocol_type,
                group_state,
                group_type,
                ..
            } = told;
            kafka::ListedGroup {
                group: text(group_id),
                protocol_type: text(protocol_type),
                state: text(group_state),
                group_type: text(group_type),
            }
        }
        let mut lines = BytesMut::new();
        for told in theirs.groups.iter().map(line) {
            told.encode(&mut lines, Self::KEY, version);
        }
        let (error, count) = (error_code(theirs.error_code), theirs.groups.len());
        around(&lines, |out, len| {
            kafka::ListedGroup::encode_around(out, (version, CORRELATION), error, count, len)
        })
    }
}

impl Api for DeleteGroups {
    const KEY: ApiKey = ApiKey::DeleteGroups;
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> DeleteGroupsRequest {
        DeleteGroupsRequest::default()
            .with_groups_names(s.list(group))
            .with_unknown_tagged_fields(s.tags(version >= 2))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> DeleteGroupsRequest {
        let Request::DeleteGroups(ours) = ours else {
            panic!("{ours:?}")
        };
        DeleteGroupsRequest::default().with_groups_names(groups(ours.groups))
    }

    fn response(s: &mut Source<'_>, _: i16) -> DeleteGroupsResponse {
        let mut response = DeleteGroupsResponse::default();
        response.results = s.list(|s| {
            DeletableGroupResult::default()
                .with_group_id(group(s))
                .with_error_code(s.error())
        });
        response
    }

    fn write(theirs: &DeleteGroupsResponse, version: i16) -> Vec<u8> {
        let line = |told: &DeletableGroupResult| (told.group_id.clone(), told.error_code);
        let told: Vec<_> = theirs.results.iter().map(line).collect();
        let lines = told.iter().map(|(group, code)| kafka::DeletedGroup {
            group: group.as_str(),
            error: error_code(*code),
        });
        of_lines(Self::KEY, version, lines)
    }
}
