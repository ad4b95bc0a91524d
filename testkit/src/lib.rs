//! What tests of several crates stand on, so that it is written once: a disk in memory, an allocator
//! that counts, and a look at entries that sees nothing.
//!
//! No product depends on it, and it depends on nothing but `storage`, so that the tests of every crate may.
//! A disk that loses and tears what was not made durable is the simulator's.

pub mod allocator;
pub mod blind;
pub mod device;
pub mod disk;
