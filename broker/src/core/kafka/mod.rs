//! Kafka requests: what each asks of the engine, and how its answer is said.
//!
//! A file per API, with a line in the list below; `api` says what such a file declares. `session` frames and orders, `topics` resolves names
//! and ids, `names` reads as many as a request may have, `pieces` puts answers together that take several
//! turns, `changes` carries out what alters topics, `errors` translates the engine's refusals. Nothing here
//! decides: it decodes, routes and encodes.

mod alter_configs;
mod api;
mod api_versions;
mod changes;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_topics;
mod describe_configs;
mod describe_groups;
mod errors;
mod fetch;
mod find_coordinator;
mod group_names;
mod groups;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod lane;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod missing;
mod names;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod partitions;
mod pieces;
mod produce;
mod session;
mod settings;
mod single;
mod sync_group;
mod topics;
#[cfg(test)]
mod toy;
#[cfg(test)]
mod waits;

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};
use leveret_wire::kafka::ApiKey;

use super::Core;
use super::boundary::ConnId;
use super::fan_out::Request as FanOutRequest;
use super::ops::Known;
use api::{Api, Declared, Frame};
use lane::Turn;

pub(super) use missing::{Missed, Missing};
pub(super) use session::Kafka;
pub use settings::{BrokerSetting, KafkaBroker, KafkaSettings};

// By key, as they are advertised.
api::apis! {
    produce::Produce;
    fetch::Fetch;
    list_offsets::ListOffsets;
    metadata::Metadata;
    offset_commit::OffsetCommit;
    offset_fetch::OffsetFetch;
    find_coordinator::FindCoordinator;
    join_group::JoinGroup;
    heartbeat::Heartbeat;
    leave_group::LeaveGroup;
    sync_group::SyncGroup;
    describe_groups::DescribeGroups;
    list_groups::ListGroups;
    api_versions::ApiVersions;
    create_topics::CreateTopics;
    delete_topics::DeleteTopics;
    init_producer_id::InitProducerId;
    describe_configs::DescribeConfigs;
    alter_configs::AlterConfigs;
    create_partitions::CreatePartitions;
    delete_groups::DeleteGroups;
    incremental_alter_configs::IncrementalAlterConfigs;
    offset_delete::OffsetDelete;
    #[cfg(test)]
    toy::Toy;
}

/// Whose request it is, how it is to be answered, and what comes back with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    conn: ConnId,
    version: i16,
    correlation: i32,
    /// The answer's place among those of the connection; `None` if none is wanted.
    turn: Option<Turn>,
    permit: usize,
}

impl Asker {
    /// The request that a fan-out is for, which waits no longer than until then.
    fn until(self, deadline: Option<Mono>) -> FanOutRequest {
        FanOutRequest {
            conn: self.conn,
            permit: self.permit,
            deadline,
        }
    }
}
