//! What the engine answers when it does not do what was asked, sorted by whose fault it was. It
//! knows no protocol's error codes: sessions translate.

use leveret_record::BatchError;
use leveret_storage::types::Offset;
use thiserror::Error;

use crate::group::GroupError;
use crate::partition::AppendRefusal;
use crate::topology::TopologyRefusal;

/// Who has to change something before the same request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The asker: repeating the request as it is never helps.
    Caller,
    /// Nobody: the same request may succeed later, and had no effect now.
    Moment,
    /// The broker's operator.
    Broker,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The bytes are no batch that may be appended.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The batch must not be appended here and now.
    #[error(transparent)]
    Append(#[from] AppendRefusal),
    /// The topology does not change as asked.
    #[error(transparent)]
    Topology(#[from] TopologyRefusal),
    /// The group does not do that.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A toy's.
    #[cfg(test)]
    #[error(transparent)]
    Counter(#[from] crate::counter::CounterFull),
    /// No such log on this core: never installed, or removed since.
    #[error("the partition does not exist, or does not live here")]
    UnknownLog,
    /// The offset is not in the log.
    #[error("offset {asked} is outside of {start} to {high_watermark}")]
    OffsetOutOfRange {
        /// What was asked for.
        asked: Offset,
        /// The first offset that can be read.
        start: Offset,
        /// The offset after the last that can be read.
        high_watermark: Offset,
    },
    /// No room in the journal, and too much waits for it already.
    #[error("the journal is full and too many requests wait for it")]
    Overloaded,
    /// The file system is at its floor, or has refused something for want of space.
    #[error("the disk is full, or nearly: only consuming and deleting go on")]
    DiskFull,
    /// This core is stopping.
    #[error("the broker is stopping")]
    Stopping,
    /// The log takes no more entries until the broker is restarted. If a produce that waited for
    /// durability gets this, it may or may not have taken effect.
    #[error("the partition's log has stopped: {reason}")]
    LogStopped {
        /// What failed.
        reason: String,
    },
    /// Stored bytes could not be read, or are not those that were written.
    #[error("stored records cannot be read: {reason}")]
    Storage {
        /// What failed.
        reason: String,
    },
}

impl EngineError {
    /// Who has to change something before the same request can succeed.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            #[cfg(test)]
            Self::Counter(_) => Fault::Caller,
            Self::Group(error) => error.fault(),
            Self::Batch(_)
            | Self::Append(_)
            | Self::Topology(_)
            | Self::UnknownLog
            | Self::OffsetOutOfRange { .. } => Fault::Caller,
            Self::Overloaded | Self::DiskFull | Self::Stopping => Fault::Moment,
            Self::LogStopped { .. } | Self::Storage { .. } => Fault::Broker,
        }
    }
}
