//! What a broker means, sans-io: partitions, topology, and one core's share of both.
//!
//! A machine has two halves: `decide` looks at the state and refuses, or answers with an entry;
//! `apply` takes an entry of the log into the state, and it alone changes what must survive. In the
//! order in which a record meets the modules: [`shard`] joins the partitions of a core with its
//! storage, [`partition`] says which offset a batch gets, [`topology`] says which logs there are,
//! [`settings`] what can be set for them; [`group`] says who reads what together.
//!
//! This crate refuses to know protocols (no error code, no frame), the kernel (no file, no
//! socket, no clock) and threads: time is a parameter, and what happens is the same for the same
//! calls.

mod codec;
#[cfg(test)]
pub mod counter;
mod error;
pub mod group;
mod machine;
pub mod partition;
pub mod settings;
pub mod shard;
mod shelves;
pub mod topology;

pub use codec::DecodeError;
pub use error::{EngineError, Fault};
