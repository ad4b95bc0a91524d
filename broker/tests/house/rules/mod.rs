//! One module per rule; each offers `check(&Tree) -> Vec<Finding>`.

pub(crate) mod architecture;
pub(crate) mod fields;
pub(crate) mod imports;
pub(crate) mod length;
pub(crate) mod names;

/// A broken rule, in words: where, what, and what to do.
pub(crate) type Finding = String;
