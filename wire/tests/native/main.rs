//! The native protocol from outside: round trips, frozen bytes, and hostile input.

mod document;
mod golden;
mod hostile;
mod round_trip;
mod samples;
