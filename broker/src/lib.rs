//! The Leveret broker: sessions between protocol and engine, one core's behaviour, and (with the
//! `runtime` feature) everything that touches the kernel.

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
