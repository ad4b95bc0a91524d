//! The core driven by a glommio executor over TCP: for programs that run one.
//!
//! What is opened on an executor stays there: nothing of it is `Send`, its tasks run in the task
//! queue that opened it, and it holds no lock and no atomic. [`Client`] and what it opens have
//! the methods that they have with tokio.
//!
//! ```no_run
//! use leveret_client::glommio::{Client, ProducerOptions, ProducerRecord};
//!
//! # async fn example() -> leveret_client::Result<()> {
//! // Within `glommio::LocalExecutor::run`:
//! let client = Client::connect("127.0.0.1:7654").await?;
//! let producer = client.producer(ProducerOptions::default());
//! let delivery = producer.send("demo", ProducerRecord::value("hello")).await?;
//! let ack = delivery.await?;
//! println!("partition {} offset {}", ack.partition, ack.offset);
//! # Ok(())
//! # }
//! ```
//!
//! A thread cannot be given what belongs to another's executor:
//!
//! ```compile_fail,E0277
//! fn given<T: Send>() {}
//! given::<leveret_client::glommio::Client>();
//! ```
//!
//! Two things are different from tokio. An executor runs nothing any more when its main future has
//! ended: await the deliveries or [`Producer::flush`] before, and drop there what was opened there,
//! since sockets are closed by tasks. And glommio looks at sockets and timers only when no task can
//! run: a producer lets it look after each batch of records and a consumer before each, but a
//! program's own long loop should do the same.
//!
//! Refuses to: use glommio's channels, of which a cancelled wait leaks a count of the task; look
//! a name up on the executor's thread.

#[allow(
    clippy::duplicate_mod,
    reason = "one text for each runtime: docs/decisions/0008"
)]
#[path = "../driver/mod.rs"]
mod driver;
mod pace;
mod rt;
mod socket;
mod sync;

pub use self::driver::*;
