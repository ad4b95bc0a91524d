//! One file per API: the request as it is read, the response as it is written.
//!
//! Fields that a version does not have get the default of Kafka's schema when they are read, and
//! are left out when they are written.

pub mod alter_configs;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_configs;
pub mod fetch;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod produce;
