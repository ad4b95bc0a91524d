//! The driver's text, compiled once for each runtime: what both would otherwise repeat.
//!
//! The modules `tokio` and `glommio` each include this folder beside an `rt` of their own, which
//! says what is shared and how (`Ptr`, `Lock`), what wakes whom (`Notify`, `Mutex`, `mpsc`,
//! `oneshot`), what time it is (`Instant`, `sleep`, `sleep_until`), how to `spawn`, to `connect`
//! and to let others have their turn (`Pace`). Type parameters would not do: whether a future may move
//! between threads is a bound on every `spawn`, and cannot be a parameter itself.
//!
//! [`Connection`] is one socket with a reader and a writer task; [`Client`] opens them, again
//! after a failure; [`Admin`] works on the client's own connection, [`Consumer`] on one of its own,
//! and [`Producer`] on one for each core that owns a partition it sends to.
//!
//! Refuses to: decide protocol behaviour (the core does), name a runtime, start one, or hold
//! more memory than the options declare.

use super::rt;

mod admin;
mod client;
mod clock;
mod connection;
mod consumer;
mod delivery;
mod links;
mod pending;
mod producer;
mod race;
mod subscription;
mod transfer;

pub use self::admin::Admin;
pub use self::client::Client;
pub use self::connection::Connection;
pub use self::consumer::Consumer;
pub use self::delivery::Delivery;
pub use self::pending::Pending;
pub use self::producer::Producer;
pub use self::subscription::Subscription;
pub use crate::core::{
    Ack, BrokerStatus, ClientOptions, ConsumerOptions, CoreStatus, DamagedLog, NewTopic,
    ProducerOptions, ProducerRecord, ShortDisk, StoppedLog, TopicChanges, TopicDescription,
    TopicListing, TopicMetadata, TopicSetting,
};
pub use leveret_wire::native::{
    AlterTopicOk, ConfigSource, FetchPartition, FetchedPartition, FigureValue, ListOffsetsOk,
    PartitionDescription, ProduceOk, Push, Shortage, SubscribePartition,
};
