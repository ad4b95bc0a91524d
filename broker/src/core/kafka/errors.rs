//! The engine's refusals as Kafka's error codes.

use leveret_engine::EngineError;
use leveret_engine::group::GroupError;
use leveret_engine::partition::AppendRefusal;
use leveret_engine::topology::{TopicRefusal, TopologyRefusal};
use leveret_record::BatchError;
use leveret_wire::kafka::ErrorCode;

use crate::core::ops::{Named, Refused, Unfound};

/// What is said of what was not found, or may not be had.
pub(super) fn unfound(why: &Unfound) -> (ErrorCode, String) {
    match why {
        Unfound::Refused(refused) => not_allowed(refused),
        Unfound::NoTopic | Unfound::NoPartition => {
            (ErrorCode::UnknownTopicOrPartition, String::new())
        }
    }
}

/// What is said of what is not allowed.
pub(super) fn not_allowed(refused: &Refused) -> (ErrorCode, String) {
    let error = match refused.named {
        Named::Topic(_) => ErrorCode::TopicAuthorizationFailed,
        Named::Group(_) => ErrorCode::GroupAuthorizationFailed,
        Named::Cluster => ErrorCode::ClusterAuthorizationFailed,
    };
    (error, refused.to_string())
}

pub(super) fn code(error: &EngineError) -> ErrorCode {
    match error {
        EngineError::Batch(error) => batch(error),
        EngineError::Append(refusal) => match refusal {
            AppendRefusal::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendRefusal::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            AppendRefusal::Transactional => ErrorCode::InvalidTxnState,
        },
        EngineError::Topology(refusal) => match refusal {
            TopologyRefusal::Topic(refusal) => topic(refusal),
            TopologyRefusal::ProducerIds(_)
            | TopologyRefusal::Cluster(_)
            | TopologyRefusal::Coordinators(_) => ErrorCode::UnknownServerError,
        },
        EngineError::Group(error) => group(*error),
        EngineError::UnknownLog => ErrorCode::UnknownTopicOrPartition,
        EngineError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Not appended, and worth trying again: what this code means to every client.
        EngineError::Overloaded => ErrorCode::NotEnoughReplicas,
        EngineError::Stopping => ErrorCode::NotLeaderOrFollower,
        EngineError::DiskFull | EngineError::LogStopped { .. } | EngineError::Storage { .. } => {
            ErrorCode::KafkaStorageError
        }
    }
}

fn topic(refusal: &TopicRefusal) -> ErrorCode {
    match refusal {
        TopicRefusal::Exists { .. } => ErrorCode::TopicAlreadyExists,
        TopicRefusal::Unknown { .. } => ErrorCode::UnknownTopicOrPartition,
        TopicRefusal::PartitionCount { .. } | TopicRefusal::NotMorePartitions { .. } => {
            ErrorCode::InvalidPartitions
        }
        TopicRefusal::Config(_) => ErrorCode::InvalidConfig,
        TopicRefusal::TooManyPartitions { .. } => ErrorCode::PolicyViolation,
        TopicRefusal::NameCollides { .. } | TopicRefusal::NameReserved { .. } => {
            ErrorCode::InvalidTopicException
        }
    }
}

pub(super) fn group(error: GroupError) -> ErrorCode {
    match error {
        GroupError::InvalidName => ErrorCode::InvalidGroupId,
        GroupError::InvalidMember => ErrorCode::InvalidRequest,
        GroupError::InvalidSession => ErrorCode::InvalidSessionTimeout,
        GroupError::UnknownGroup => ErrorCode::GroupIdNotFound,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::WrongGeneration => ErrorCode::IllegalGeneration,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::Rebalancing => ErrorCode::RebalanceInProgress,
        GroupError::GroupFull => ErrorCode::GroupMaxSizeReached,
        GroupError::NotEmpty => ErrorCode::NonEmptyGroup,
        GroupError::Subscribed => ErrorCode::GroupSubscribedToTopic,
        GroupError::MetadataTooLong => ErrorCode::OffsetMetadataTooLarge,
        GroupError::TooLong => ErrorCode::MessageTooLarge,
        GroupError::TooMany | GroupError::Stopping => ErrorCode::CoordinatorNotAvailable,
    }
}

fn batch(error: &BatchError) -> ErrorCode {
    match error {
        BatchError::Truncated { .. } | BatchError::BadLength { .. } | BatchError::BadCrc { .. } => {
            ErrorCode::CorruptMessage
        }
        BatchError::TooLarge { .. } | BatchError::DecompressedTooLarge { .. } => {
            ErrorCode::MessageTooLarge
        }
        BatchError::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
        BatchError::LogAppendTime
        | BatchError::BadTimestamp { .. }
        | BatchError::TimestampOutOfBounds { .. } => ErrorCode::InvalidTimestamp,
        _ => ErrorCode::InvalidRecord,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_told_so() {
        for error in [
            EngineError::Overloaded,
            EngineError::DiskFull,
            EngineError::Stopping,
        ] {
            assert!(code(&error).is_retriable(), "{error}");
        }
        let refusal = AppendRefusal::OutOfOrderSequence {
            producer_id: 1,
            expected: 2,
            found: 3,
        };
        assert!(!code(&refusal.into()).is_retriable());
    }
}
