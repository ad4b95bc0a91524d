//! Commits of the journal: what goes into them, in which order, and what their completion means.

pub(crate) mod append;
pub(crate) mod issue;
pub(crate) mod plan;
