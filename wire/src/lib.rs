//! Bytes to messages and back, sans-io.
//!
//! [`native`] is Leveret's own protocol: a fixed frame header, a FlatBuffers header, untouched
//! record batches. [`kafka`] is the broker's side of Kafka's. [`speech`] tells protocols apart by
//! their first bytes.
//!
//! This crate knows what messages look like and not what they mean: it checks no topic name, no
//! offset and no batch, opens no socket and keeps no session.

pub mod kafka;
pub mod native;
pub mod speech;
