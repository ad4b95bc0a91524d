//! The crate from outside: what is built is read, by ourselves and by another
//! implementation, today's files tomorrow, and hostile bytes never.

mod common;
mod differential;
mod golden;
mod hostile;
mod refusals;
mod round_trip;
