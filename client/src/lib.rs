//! The native Leveret client: produce, consume, administer.
//!
//! [`core`] is the protocol's behaviour without I/O and without a clock: sessions, batching,
//! idempotent retries, subscriptions and their credit. `Client` and what it opens drive it over
//! TCP: with the feature `tokio` (on by default) on a runtime of tokio's, here and in `tokio`; with
//! the feature `glommio` (Linux only) on a glommio executor, in `glommio`. Neither needs the other.
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! # async fn example() -> leveret_client::Result<()> {
//! use leveret_client::{Client, ConsumerOptions, ProducerOptions, ProducerRecord, StartAt};
//!
//! let client = Client::connect("127.0.0.1:7654").await?;
//! let producer = client.producer(ProducerOptions::default());
//! let delivery = producer.send("demo", ProducerRecord::value("hello")).await?;
//! println!("durable at offset {}", delivery.await?.offset);
//! let mut consumer = client.consumer(ConsumerOptions::default());
//! consumer.assign("demo", &[], StartAt::Beginning).await?;
//! println!("{:?}", consumer.next().await?.record.value);
//! # Ok(())
//! # }
//! ```
//!
//! What this crate refuses to do: it never drops an acknowledged record's error, never retries
//! what the broker calls final, never buffers beyond its declared bounds, and knows neither how
//! the broker stores records nor where.

#[cfg(all(feature = "glommio", not(target_os = "linux")))]
compile_error!("the feature `glommio` needs Linux, whose io_uring glommio is made of");

pub mod core;
mod error;
#[cfg(all(feature = "glommio", target_os = "linux"))]
pub mod glommio;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use error::{Error, Result};
pub use leveret_record::{Compression, Record, RecordSet};
pub use leveret_wire::native::{
    AlterTopicOk, ConfigSource, CreateTopicOk, ErrorCode, FetchPartition, FetchedPartition,
    FigureValue, Level, ListOffsetsOk, Offset, OffsetSpec, PartitionDescription, PartitionId,
    ProduceOk, ProducerId, Shortage, TopicId,
};

pub use self::core::{
    Ack, BrokerStatus, ClientOptions, ConsumeError, ConsumedBatch, ConsumedRecord, ConsumerOptions,
    CoreStatus, DamagedLog, Fetched, NewTopic, OutOfRange, ProducerOptions, ProducerRecord,
    ShortDisk, StartAt, StoppedLog, TopicChanges, TopicDescription, TopicListing, TopicMetadata,
    TopicSetting,
};
#[cfg(feature = "tokio")]
pub use self::tokio::{
    Admin, Client, Connection, Consumer, Delivery, Pending, Producer, Subscription,
};
