//! The core driven by tokio over TCP.
//!
//! [`Connection`] is one socket with a reader and a writer task; [`Client`] opens them, again
//! after a failure; [`Admin`] works on the client's own connection, [`Producer`] and
//! [`Consumer`] each on one of their own.
//!
//! Refuses to: decide protocol behaviour (the core does), start a runtime, or hold more memory
//! than the options declare.

mod admin;
mod client;
mod clock;
mod connection;
mod consumer;
mod delivery;
mod options;
mod pending;
mod producer;
mod subscription;
mod transfer;

pub use admin::{
    Admin, BrokerStatus, NewTopic, StoppedLog, TopicChanges, TopicDescription, TopicListing,
    TopicMetadata, TopicSetting,
};
pub use client::Client;
pub use connection::Connection;
pub use consumer::{Consumer, ConsumerOptions};
pub use delivery::{Ack, Delivery};
pub use leveret_wire::native::{
    AlterTopicOk, ConfigSource, CoreStatus, FetchPartition, FetchedPartition, ListOffsetsOk,
    PartitionDescription, ProduceOk, Push, SubscribePartition,
};
pub use options::ClientOptions;
pub use pending::Pending;
pub use producer::{Producer, ProducerOptions, ProducerRecord};
pub use subscription::Subscription;
