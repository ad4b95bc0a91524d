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
mod partitions;
mod pieces;
mod produce;
mod session;
mod settings;
mod topics;

use leveret_engine::topology::Topology;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Now, WallMs};
use leveret_wire::kafka::{ApiKey, CheckedFrame, Place};

use super::Core;
use super::boundary::ConnId;
use changes::ChangeOutline;
use describe_configs::DescribeOutline;
use fetch::FetchOutline;
use lane::Turn;
use metadata::MetadataAsked;

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
    pub(super) wall: WallMs,
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

/// What a request asks that may name as many things as its bytes allow: where in its frame they stand, to
/// be read from there in slices.
enum Outline {
    Fetch(FetchOutline),
    ListOffsets(Place),
    Metadata(MetadataAsked),
    DeleteTopics(Place),
    DescribeConfigs(DescribeOutline),
    Change(ChangeOutline),
}

impl<P: BufPool> Core<P> {
    /// Takes a request of those.
    fn kafka_dispatch(&mut self, asker: Asker, outline: Outline, frame: CheckedFrame, now: Now) {
        match outline {
            Outline::Fetch(asked) => self.kafka_fetch(asker, &asked, frame, now),
            Outline::ListOffsets(topics) => self.kafka_list_offsets(asker, topics, frame, now),
            Outline::Metadata(asked) => self.kafka_metadata(asker, asked, frame, now),
            Outline::DeleteTopics(topics) => self.kafka_delete_topics(asker, topics, frame, now),
            Outline::DescribeConfigs(asked) => {
                self.kafka_describe_configs(asker, &asked, frame, now)
            }
            Outline::Change(asked) => self.kafka_change(asker, &asked, frame, now),
        }
    }
}
