//! The journal's ring: its room, its files, and the mark that vouches for its end.

pub(crate) mod mark;
pub(crate) mod prefill;
pub(crate) mod ring;
