//! The client's behaviour without I/O: state machines that are told what happened and say what
//! to send.
//!
//! There are four kinds of method, as in every sans-io part: plain getters; commands, named by what
//! they do; `handle_*` for what came from outside; `poll_*` for what should go out. Time is a
//! parameter.
//!
//! Refuses to: open sockets, read clocks, spawn anything, block, or draw random numbers that no
//! seed explains.

use std::fmt;

pub mod admin;
mod backoff;
mod consumer;
mod fetched;
mod frames;
mod options;
mod outbox;
mod producer;
mod routes;
mod session;
mod time;

pub use admin::{
    BrokerStatus, CoreStatus, DamagedLog, NewTopic, ShortDisk, StoppedLog, TopicChanges,
    TopicDescription, TopicListing, TopicMetadata, TopicSetting,
};
pub use backoff::Backoff;
pub use consumer::{
    ConsumeError, ConsumedBatch, ConsumedRecord, Consumer, ConsumerAnswer, ConsumerSettings,
    ConsumerTransmit, OutOfRange, PushedBatches, StartAt,
};
pub use fetched::Fetched;
pub use frames::{Frame, FrameBuffer};
pub use options::{ClientOptions, ConsumerOptions, ProducerOptions};
pub use outbox::{Outbox, drop_written};
pub use producer::{
    Ack, Answer, Appended, Completion, MAX_IN_FLIGHT, NewRecord, Producer, ProducerRecord,
    ProducerSettings, PushError, Pushed, TopicIndex, Transmit, produced,
};
pub use routes::{Route, Routes, SoleOwner};
pub use session::{ServerHello, Session, SessionOptions, TooManyInFlight};
pub use time::Mono;

/// Names one request of a producer or consumer until its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
