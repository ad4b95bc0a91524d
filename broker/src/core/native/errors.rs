//! The engine's refusals as codes of the native protocol.

use leveret_engine::EngineError;
use leveret_engine::partition::AppendRefusal;
use leveret_engine::topology::{TopicRefusal, TopologyRefusal};
use leveret_record::BatchError;
use leveret_wire::native::ErrorCode;

use crate::core::ops::Unfound;

/// Of what was not found, or may not be had.
pub(super) fn unfound(why: &Unfound) -> ErrorCode {
    match why {
        Unfound::Refused(_) => ErrorCode::NotAllowed,
        Unfound::NoTopic => ErrorCode::UnknownTopic,
        Unfound::NoPartition => ErrorCode::UnknownPartition,
    }
}

pub(super) fn code(error: &EngineError) -> ErrorCode {
    match error {
        EngineError::Batch(batch) => match batch {
            BatchError::BadCrc { .. } => ErrorCode::CorruptBatch,
            BatchError::TooLarge { .. } | BatchError::DecompressedTooLarge { .. } => {
                ErrorCode::MessageTooLarge
            }
            _ => ErrorCode::InvalidBatch,
        },
        EngineError::Append(refusal) => match refusal {
            AppendRefusal::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequence,
            AppendRefusal::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            _ => ErrorCode::InvalidBatch,
        },
        EngineError::Topology(TopologyRefusal::Topic(refusal)) => match refusal {
            TopicRefusal::Exists { .. } => ErrorCode::TopicExists,
            TopicRefusal::Unknown { .. } => ErrorCode::UnknownTopic,
            TopicRefusal::NameCollides { .. } | TopicRefusal::NameReserved { .. } => {
                ErrorCode::InvalidTopicName
            }
            TopicRefusal::Config(_) => ErrorCode::InvalidConfig,
            _ => ErrorCode::InvalidRequest,
        },
        EngineError::Topology(_) => ErrorCode::InvalidRequest,
        EngineError::Group(_) => ErrorCode::InvalidRequest,
        EngineError::UnknownLog => ErrorCode::UnknownPartition,
        EngineError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        EngineError::Overloaded => ErrorCode::Overloaded,
        EngineError::DiskFull => ErrorCode::DiskFull,
        EngineError::Stopping => ErrorCode::Stopping,
        EngineError::LogStopped { .. } | EngineError::Storage { .. } => ErrorCode::StorageError,
    }
}
