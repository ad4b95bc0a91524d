//! One core with the real storage on a device in memory.

mod bench;
mod config;
mod consume;
mod counters;
mod disk;
mod door;
mod frontier;
mod groups;
mod history;
mod limits;
mod lookups;
mod produce;
mod topics;
mod watch;

use leveret_storage::types::Offset;

use super::*;
