//! The core driven by tokio over TCP: for any runtime of tokio's, of one thread or many.

#[allow(
    clippy::duplicate_mod,
    reason = "one text for each runtime: docs/decisions/0008"
)]
#[path = "../driver/mod.rs"]
mod driver;
mod rt;

pub use self::driver::*;
