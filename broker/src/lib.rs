//! The Leveret broker: sessions between protocol and engine, one core's behaviour, and (with the
//! `runtime` feature) everything that touches the kernel.

// For the world of `tests/push`, in which a toy is tested here that is no part of the library.
#[cfg(test)]
extern crate self as leveret_broker;

pub mod config;
pub mod core;
#[cfg(feature = "runtime")]
pub mod http;
#[cfg(feature = "runtime")]
pub mod offline;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "runtime")]
pub mod server;
#[cfg(feature = "runtime")]
pub mod shown;
