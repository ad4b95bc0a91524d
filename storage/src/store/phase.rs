//! How far the store is in its life.

use super::tidy::Tidying;

/// Where it stands. It only goes on, never back.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Entries are taken.
    Open,
    /// It takes no more entries, and makes durable what it has.
    Stopping(Tidying),
    /// All is durable and nothing is under way, and that was said.
    Flushed,
    /// The journal cannot be trusted any more.
    Failed,
}

impl Phase {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether it was told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping(_) | Self::Flushed)
    }

    /// Whether it was told to stop and has tidied up.
    pub(crate) fn is_tidied(&self) -> bool {
        matches!(self, Self::Stopping(Tidying::Over) | Self::Flushed)
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed)
    }

    /// Nothing goes on from here; whether that is new.
    pub(crate) fn fail(&mut self) -> bool {
        !matches!(std::mem::replace(self, Self::Failed), Self::Failed)
    }
}
