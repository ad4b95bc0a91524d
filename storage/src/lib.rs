//! The log on disk, sans-io: how bytes become durable, and stay as they were written.
//!
//! One journal per core is the only authority on order and durability; segments are written behind
//! it; recovery reads one generation and builds the next, never edits. This crate decides, emits
//! [`io::Op`]s and is told of their completions. It opens no file, reads no clock, and knows no
//! protocol: an entry is bytes with an ordinal, and for topics a range of client offsets.

// What tests share says `leveret_storage` of this crate.
#[cfg(test)]
extern crate self as leveret_storage;

pub mod checksum;
pub mod class;
pub mod format;
pub mod histogram;
pub mod homes;
pub mod io;
pub mod mutation;
pub mod recovery;
pub mod store;
pub mod types;
pub mod verify;
