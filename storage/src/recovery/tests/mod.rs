//! Recovery against generations that were built by hand.

// What all crates' tests have. What depends on this crate cannot be the same as what is tested here, so its
// text is compiled once more.
#[path = "../../../../testkit/src/blind.rs"]
#[allow(unreachable_pub, reason = "public in the crate that it is of")]
pub(crate) mod blind;
#[path = "../../../../testkit/src/disk.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "public in the crate that it is of"
)]
pub(crate) mod disk;
pub(crate) mod rings;

mod early;
mod hostile;
mod journals;
mod logs;
mod lost;
mod once;
mod room;
