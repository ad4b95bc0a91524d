//! Writing to segments: in bulk before the journal knows of it, or behind the journal.

pub(crate) mod copying;
pub(crate) mod files;
pub(crate) mod flush;
pub(crate) mod job_step;
pub(crate) mod reserve;
pub(crate) mod spans;
