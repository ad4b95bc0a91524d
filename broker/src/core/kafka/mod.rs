//! Kafka requests: what each asks of the engine, and how its answer is said.
//!
//! A file per API; `session` frames and orders, `topics` resolves names and ids, `names` reads as many as a
//! request may have, `pieces` puts answers together that take several turns, `changes` carries
//! out what alters topics, `errors` translates the engine's refusals. Nothing here decides: it
//! decodes, routes and encodes.

mod alter_configs;
mod api_versions;
mod changes;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_configs;
mod errors;
mod fetch;
mod gathered;
mod init_producer_id;
mod lane;
mod list_offsets;
mod metadata;
mod missing;
mod names;
mod pieces;
mod produce;
mod session;
mod settings;
mod topics;

use leveret_engine::topology::Topology;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{ApiKey, Request};

use super::Core;
use super::boundary::ConnId;
use lane::Turn;

pub(super) use gathered::KafkaGathering;
pub(super) use missing::{Missed, Missing};
pub(super) use session::{KafkaTalk, is_produce};
pub use settings::{BrokerSetting, KafkaBroker, KafkaSettings};

/// What is implemented, which is what is advertised and what is answered.
const APIS: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::IncrementalAlterConfigs,
];

/// What requests look things up in.
pub(super) struct Known<'a> {
    pub(super) topology: &'a Topology,
    pub(super) kafka: &'a KafkaSettings,
}

/// Whose request it is, how it is to be answered, and what comes back with its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    conn: ConnId,
    version: i16,
    correlation: i32,
    turn: Turn,
    permit: usize,
}

impl<P: BufPool> Core<P> {
    /// Takes any request that does not keep its frame.
    fn kafka_dispatch(&mut self, asker: Asker, request: &Request<'_>, now: Now) {
        match request {
            Request::ApiVersions(request) => self.kafka_api_versions(asker, request, now),
            Request::Fetch(request) => self.kafka_fetch(asker, request, now),
            Request::ListOffsets(request) => self.kafka_list_offsets(asker, request, now),
            Request::InitProducerId(request) => self.kafka_init_producer(asker, request, now),
            Request::CreateTopics(request) => self.kafka_create_topics(asker, request, now),
            Request::DescribeConfigs(request) => self.kafka_describe_configs(asker, request, now),
            Request::CreatePartitions(request) => self.kafka_create_partitions(asker, request, now),
            Request::AlterConfigs(request) => self.kafka_alter_configs(asker, request, now),
            Request::IncrementalAlterConfigs(request) => {
                self.kafka_incremental_alter_configs(asker, request, now);
            }
            Request::Metadata(_) | Request::DeleteTopics(_) | Request::Produce(_) => {
                unreachable!("taken with its frame")
            }
        }
    }
}
