//! What a machine over a log is: the contract that partitions, the topology, and whatever else has a log
//! of its own keep.
//!
//! `decide` looks at the state and refuses, or says what an entry would be; `apply` takes an entry that has
//! its place in the log into the state, and nothing else changes what must survive. Live operation and
//! recovery run the same `apply` over the same entries, so they cannot diverge. How entries get their place,
//! and when answers leave, is the shard's: see `shard::hosted`.

use std::fmt::Display;

use bytes::Bytes;
use leveret_storage::recovery::RecoveredLog;
use leveret_storage::types::{EntryMeta, Offset, WallMs};

use crate::error::EngineError;

/// A deterministic machine over one log.
pub(crate) trait Machine: Sized + 'static {
    /// The bounds that it is opened with, beside what is left of its log.
    type Setup;
    /// Why it cannot be rebuilt.
    type Fault: Display;
    /// What it looks at of an entry of its log.
    type Entry;

    /// The machine as it was after the last of the entries that are left.
    ///
    /// # Errors
    /// If they are not what such a machine wrote.
    fn recover(setup: Self::Setup, remains: &Remains<'_>) -> Result<Self, Self::Fault>;

    /// Takes an entry into the state, in the order of the log. The only thing that changes what must
    /// survive.
    ///
    /// # Panics
    /// If the entry is not what can come next: the log and its machine have diverged.
    fn apply(&mut self, meta: &EntryMeta, entry: &Self::Entry);

    /// What must survive of the state as it is now, for [`Machine::recover`]: in bounded pieces that stand one
    /// behind the other. Each is made when it is asked for, while entries that come later are applied, and
    /// shows nothing of those.
    fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<Self>;
}

/// A machine whose every request is refused, or becomes what stands in its log. One whose requests may also wait,
/// or leave no trace, says by itself how it is asked: see `group`.
pub(crate) trait Decides: Machine {
    /// What it looks at of a request.
    type Command;
    /// What becomes of a request that is not refused.
    type Decision;
    /// Why a request is refused; it has no effect then.
    type Refusal: Into<EngineError>;

    /// What to do with a request that arrives at `now`, without effect yet.
    ///
    /// # Errors
    /// The refusal, which says who has to change what.
    fn decide(&self, command: &Self::Command, now: WallMs)
    -> Result<Self::Decision, Self::Refusal>;
}

/// What recovery found of a machine's log.
pub(crate) struct Remains<'a> {
    /// The last snapshot.
    pub(crate) snapshot: Option<&'a [u8]>,
    /// Every entry from the snapshot's ordinal on, as far as its class replays it.
    pub(crate) entries: &'a [(EntryMeta, Bytes)],
    /// The log's next offset.
    pub(crate) next: Offset,
}

impl<'a> Remains<'a> {
    /// What is left of a log whose replay this is, which was taken out of it. If a part of the log
    /// is lost, it is empty: the log takes nothing more, and its machine is never asked.
    pub(crate) fn of(log: &'a RecoveredLog, replay: &'a [(EntryMeta, Bytes)]) -> Self {
        match log.lost {
            Some(_) => Self::none(),
            None => Self {
                snapshot: log.snapshot.as_ref().map(|(_, bytes)| &bytes[..]),
                entries: replay,
                next: log.next.1,
            },
        }
    }

    /// Of a log without entries.
    pub(crate) fn none() -> Self {
        Self {
            snapshot: None,
            entries: &[],
            next: Offset(0),
        }
    }
}
