//! What all brokers over one data directory call themselves together: a random number that it
//! gets at its first start and keeps. Topic ids are made of it too, so that what a client has
//! kept of one directory means nothing in another.

/// Names a data directory among all that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

/// How far the directory's name has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cluster {
    /// It has none.
    #[default]
    Unnamed,
    /// All cores of this run call it so, and an entry of log 0 is to make that last.
    Proposed(ClusterId),
    /// An entry of log 0 says so, for ever.
    Named(ClusterId),
}

impl Cluster {
    pub(super) fn id(self) -> Option<ClusterId> {
        match self {
            Self::Unnamed => None,
            Self::Proposed(id) | Self::Named(id) => Some(id),
        }
    }
}
