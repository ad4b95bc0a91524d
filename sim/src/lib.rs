//! Many cores, one seed: the real storage, engine and cores on a disk that completes out of order, tears,
//! garbles and crashes, and oracles that know what must still be there.
//!
//! Everything that happens follows from the seed; the simulator reads no clock and opens no file.

mod churn;
mod clients;
pub mod cores;
pub mod counters;
pub mod disk;
pub mod mutants;
pub mod oracle;
pub mod plan;
pub mod recovering;
pub mod rng;
pub mod run;
pub mod shards;
pub mod trace;
pub mod violation;
pub mod world;
