//! Recovery against generations that were built by hand.

pub(crate) mod disk;
pub(crate) mod rings;

mod early;
pub(crate) mod hostile;
mod journals;
mod logs;
mod lost;
mod once;
mod room;
