//! Recovery against generations that were built by hand.

// The disk in memory that all crates' tests have. What depends on this crate cannot be the same as what is
// tested here, so its text is compiled once more.
#[path = "../../../../testkit/src/disk.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "public in the crate that it is of"
)]
pub(crate) mod disk;
pub(crate) mod rings;

mod early;
pub(crate) mod hostile;
mod journals;
mod logs;
mod lost;
mod once;
mod room;
