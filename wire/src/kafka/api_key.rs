//! What is known of every API: what each declares, and Kafka's names for them.

use super::{ApiKey, DecodeError, Reader};

/// Versions of an API from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl VersionRange {
    /// Whether `version` is one of them.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// The request of an API: what it declares of itself, and how it is read.
pub trait ApiRequest<'a>: Sized {
    /// Its number.
    const KEY: i16;
    /// The versions that this crate reads and answers, and that are to be advertised.
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields (KIP-482).
    const FIRST_FLEXIBLE: i16;
    /// Whether the response header of such a version ends with tagged fields.
    const TAGGED_RESPONSE_HEADER: bool = true;

    /// Reads the body that follows a [`RequestHeader`](super::RequestHeader). Bytes after it are
    /// left, as Kafka leaves them.
    ///
    /// # Errors
    /// [`DecodeError`], if the body is not as its version has it.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

impl ApiKey {
    /// The API of such requests.
    ///
    /// # Panics
    /// If they are not in the list of those that this crate has.
    #[must_use]
    pub const fn of<'a, R: ApiRequest<'a>>() -> Self {
        Self::from_i16(R::KEY).expect("in the list")
    }

    /// Its number.
    #[must_use]
    pub const fn as_i16(self) -> i16 {
        self as i16
    }

    /// Whether that version has compact lengths and tagged fields.
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.first_flexible()
    }
}

/// Kafka's name for the API of a key, whether this crate has it or not; `None` if Kafka has none.
#[must_use]
pub fn api_name(key: i16) -> Option<&'static str> {
    usize::try_from(key)
        .ok()
        .and_then(|key| NAMES.get(key).copied())
}

/// By key.
const NAMES: &[&str] = &[
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "LeaderAndIsr",
    "StopReplica",
    "UpdateMetadata",
    "ControlledShutdown",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "DescribeConfigs",
    "AlterConfigs",
    "AlterReplicaLogDirs",
    "DescribeLogDirs",
    "SaslAuthenticate",
    "CreatePartitions",
    "CreateDelegationToken",
    "RenewDelegationToken",
    "ExpireDelegationToken",
    "DescribeDelegationToken",
    "DeleteGroups",
    "ElectLeaders",
    "IncrementalAlterConfigs",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "OffsetDelete",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "DescribeUserScramCredentials",
    "AlterUserScramCredentials",
    "Vote",
    "BeginQuorumEpoch",
    "EndQuorumEpoch",
    "DescribeQuorum",
    "AlterPartition",
    "UpdateFeatures",
    "Envelope",
    "FetchSnapshot",
    "DescribeCluster",
    "DescribeProducers",
    "BrokerRegistration",
    "BrokerHeartbeat",
    "UnregisterBroker",
    "DescribeTransactions",
    "ListTransactions",
    "AllocateProducerIds",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "ControllerRegistration",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
    "AssignReplicasToDirs",
    "ListConfigResources",
    "DescribeTopicPartitions",
    "ShareGroupHeartbeat",
    "ShareGroupDescribe",
    "ShareFetch",
    "ShareAcknowledge",
    "AddRaftVoter",
    "RemoveRaftVoter",
    "UpdateRaftVoter",
    "InitializeShareGroupState",
    "ReadShareGroupState",
    "WriteShareGroupState",
    "DeleteShareGroupState",
    "ReadShareGroupStateSummary",
    "StreamsGroupHeartbeat",
    "StreamsGroupDescribe",
    "DescribeShareGroupOffsets",
    "AlterShareGroupOffsets",
    "DeleteShareGroupOffsets",
];
