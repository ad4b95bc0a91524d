//! Reads and look-ups: what is asked for, what is cached, and what is on its way from segments.

pub(crate) mod cache;
pub(crate) mod index;
pub(crate) mod loading;
pub(crate) mod read;
pub(crate) mod time;
