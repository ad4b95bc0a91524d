//! One file per API: what it declares of itself, the request as it is read, the response as it is
//! written. A new API is a file here, with a line for it in the list below.
//!
//! Fields that a version does not have get the default of Kafka's schema when they are read, and
//! are left out when they are written.

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_topics;
mod describe_configs;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod produce;
mod sync_group;
#[cfg(any(test, feature = "toy"))]
mod toy;

use super::{ApiRequest, DecodeError, Reader, VersionRange};

macro_rules! apis {
    ($($(#[$attribute:meta])* $name:ident = $file:ident::$request:ident;)*) => {
        $($(#[$attribute])* pub use self::$file::*;)*

        /// What a request asks for: the number of its API. What each is, its request says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                $(#[$attribute])*
                #[doc = concat!("Asked for by [`", stringify!($request), "`].")]
                $name = <$request<'static> as ApiRequest<'static>>::KEY,
            )*
        }

        impl ApiKey {
            /// Every API, by key.
            pub const ALL: &'static [Self] = &[$($(#[$attribute])* Self::$name,)*];

            /// The API with that key; `None` if this crate does not have it.
            #[must_use]
            pub const fn from_i16(key: i16) -> Option<Self> {
                match key {
                    $(
                        $(#[$attribute])*
                        <$request<'static> as ApiRequest<'static>>::KEY => Some(Self::$name),
                    )*
                    _ => None,
                }
            }

            /// Kafka's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(#[$attribute])* Self::$name => stringify!($name),)*
                }
            }

            /// The versions to advertise.
            #[must_use]
            pub const fn versions(self) -> VersionRange {
                match self {
                    $(
                        $(#[$attribute])*
                        Self::$name => <$request<'static> as ApiRequest<'static>>::VERSIONS,
                    )*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482).
            #[must_use]
            pub const fn first_flexible(self) -> i16 {
                match self {
                    $(
                        $(#[$attribute])*
                        Self::$name => <$request<'static> as ApiRequest<'static>>::FIRST_FLEXIBLE,
                    )*
                }
            }

            /// Whether the response header of that version ends with tagged fields.
            #[must_use]
            pub const fn has_tagged_response_header(self, version: i16) -> bool {
                let ever = match self {
                    $(
                        $(#[$attribute])*
                        Self::$name => <$request<'static> as ApiRequest<'static>>::TAGGED_RESPONSE_HEADER,
                    )*
                };
                ever && self.is_flexible(version)
            }
        }

        /// What a client asks. Strings and arrays lie in the frame.
        #[derive(Clone, Copy, Debug)]
        pub enum Request<'a> {
            $(
                $(#[$attribute])*
                #[doc = concat!("See [`", stringify!($request), "`].")]
                $name($request<'a>),
            )*
        }

        impl<'a> Request<'a> {
            /// Reads the body that follows a [`RequestHeader`](super::RequestHeader) of that API, as
            /// [`ApiRequest::decode`] does.
            ///
            /// # Errors
            /// [`DecodeError`], if the body is not as its version has it.
            pub fn decode(api: ApiKey, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Ok(match api {
                    $($(#[$attribute])* ApiKey::$name => Self::$name($request::decode(reader)?),)*
                })
            }
        }
    };
}

// By key.
apis! {
    Produce = produce::ProduceRequest;
    Fetch = fetch::FetchRequest;
    ListOffsets = list_offsets::ListOffsetsRequest;
    Metadata = metadata::MetadataRequest;
    OffsetCommit = offset_commit::OffsetCommitRequest;
    OffsetFetch = offset_fetch::OffsetFetchRequest;
    FindCoordinator = find_coordinator::FindCoordinatorRequest;
    JoinGroup = join_group::JoinGroupRequest;
    Heartbeat = heartbeat::HeartbeatRequest;
    LeaveGroup = leave_group::LeaveGroupRequest;
    SyncGroup = sync_group::SyncGroupRequest;
    DescribeGroups = describe_groups::DescribeGroupsRequest;
    ListGroups = list_groups::ListGroupsRequest;
    ApiVersions = api_versions::ApiVersionsRequest;
    CreateTopics = create_topics::CreateTopicsRequest;
    DeleteTopics = delete_topics::DeleteTopicsRequest;
    InitProducerId = init_producer_id::InitProducerIdRequest;
    DescribeConfigs = describe_configs::DescribeConfigsRequest;
    AlterConfigs = alter_configs::AlterConfigsRequest;
    CreatePartitions = create_partitions::CreatePartitionsRequest;
    DeleteGroups = delete_groups::DeleteGroupsRequest;
    IncrementalAlterConfigs = incremental_alter_configs::IncrementalAlterConfigsRequest;
    OffsetDelete = offset_delete::OffsetDeleteRequest;
    #[cfg(any(test, feature = "toy"))]
    Toy = toy::ToyRequest;
}
