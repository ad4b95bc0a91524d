//! What can be wrong with a run, by kind, so that a mutation can be required to fail for the
//! right reason.

use std::fmt;

/// The promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledged entries, or a whole log of them, are gone after a crash.
    Lost,
    /// What was cut, failed or deleted is back.
    Resurrected,
    /// A read or a recovery gave other bytes, offsets or metadata than were appended.
    WrongData,
    /// A machine was rebuilt to another state than its entries give.
    MachineState,
    /// Recovery refuses a disk on which nothing rotted.
    Refused,
    /// Nothing moves, but something was promised.
    Stuck,
    /// A frontier went backwards or passed one that it must not pass.
    Frontier,
    /// A read failed on a disk without read errors.
    ReadFailed,
    /// More is held in memory than may be, or other than is counted.
    Memory,
    /// Offline verification finds an error in what is served.
    Verify,
    /// An assertion of the code under test, or a use of the device that it forbids.
    Panicked,
}

/// A broken promise, with what a person needs to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// What happened.
    pub what: String,
}

impl Violation {
    /// A violation of this kind.
    #[must_use]
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}
