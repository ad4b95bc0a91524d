//! The live store against a disk that completes in any order and fails on demand.
//!
//! What survives a crash is the simulator's business (`sim/`); here: order, space, reads,
//! retention, and each line of the design's "Failure".

mod damage;
mod failure;
mod floor;
mod lost;
mod no_space;
mod parts;
mod reading;
mod removal;
mod replay;
mod reserve;
mod retention;
mod slices;
mod snapshots;
mod space;
mod tidy;
mod volatile;
mod world;
