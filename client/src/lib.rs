//! The native Leveret client: produce, consume, administer.
//!
//! [`core`] is the protocol's behaviour without I/O and without a clock: sessions, batching,
//! idempotent retries, subscriptions and their credit. With the feature `tokio` (on by default) [`Client`] and
//! what it opens drive it over TCP.
//!
//! ```no_run
//! # async fn example() -> leveret_client::Result<()> {
//! use leveret_client::{Client, ProducerOptions, ProducerRecord};
//!
//! let client = Client::connect("127.0.0.1:7654").await?;
//! let producer = client.producer(ProducerOptions::default());
//! let delivery = producer.send("demo", ProducerRecord::value("hello")).await?;
//! let ack = delivery.await?;
//! println!("partition {} offset {}", ack.partition, ack.offset);
//! # Ok(())
//! # }
//! ```
//!
//! What this crate refuses to do: it never drops an acknowledged record's error, never retries
//! what the broker calls final, never buffers beyond its declared bounds, and knows neither how
//! the broker stores records nor where.

pub mod core;
mod error;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use error::{Error, Result};
pub use leveret_record::{Compression, Record, RecordSet};
pub use leveret_wire::native::{
    AlterTopicOk, ConfigSource, CoreStatus, CreateTopicOk, ErrorCode, FetchPartition,
    FetchedPartition, Level, ListOffsetsOk, Offset, OffsetSpec, PartitionDescription, PartitionId,
    ProduceOk, ProducerId, TopicId,
};

pub use self::core::{ConsumeError, ConsumedBatch, ConsumedRecord, Fetched, OutOfRange, StartAt};
#[cfg(feature = "tokio")]
pub use self::tokio::{
    Ack, Admin, BrokerStatus, Client, ClientOptions, Connection, Consumer, ConsumerOptions,
    Delivery, NewTopic, Pending, Producer, ProducerOptions, ProducerRecord, StoppedLog,
    TopicChanges, TopicDescription, TopicListing, TopicMetadata, TopicSetting,
};
