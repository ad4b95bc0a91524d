//! The APIs and their version ranges: the one table.

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

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $min:literal..=$max:literal, flexible $flexible:literal;)*) => {
        /// What a request asks for, with the versions that this crate reads and writes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($(#[$doc])* $name = $key,)*
        }

        impl ApiKey {
            /// Every API, by key.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The API with that key; `None` if this crate does not have it.
            #[must_use]
            pub const fn from_i16(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions to advertise.
            #[must_use]
            pub const fn versions(self) -> VersionRange {
                match self {
                    $(Self::$name => VersionRange { min: $min, max: $max },)*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482).
            #[must_use]
            pub const fn first_flexible(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }
    };
}

// The minima are lower than what Kafka 4 serves, since clients test for overlap with versions of
// long ago. Versions 0 to 2 of Produce are read only so that they can be answered.
apis! {
    /// Appends record batches. Versions before 3 carry old message formats: to be answered with
    /// `UNSUPPORTED_VERSION`. From version 12 on clients take it that transactions go by KIP-890,
    /// which is not built.
    Produce = 0, 0..=11, flexible 9;
    /// Reads record batches. Versions 15 and up differ for followers only, in tagged fields.
    Fetch = 1, 4..=18, flexible 12;
    /// Finds offsets by timestamp.
    ListOffsets = 2, 1..=11, flexible 6;
    /// Brokers, topics and partitions.
    Metadata = 3, 0..=13, flexible 9;
    /// This table.
    ApiVersions = 18, 0..=4, flexible 3;
    /// Creates topics.
    CreateTopics = 19, 2..=7, flexible 5;
    /// Deletes topics.
    DeleteTopics = 20, 1..=6, flexible 4;
    /// Wants a producer id.
    InitProducerId = 22, 0..=5, flexible 2;
    /// Settings of topics and brokers.
    DescribeConfigs = 32, 1..=4, flexible 4;
    /// Replaces all settings of a topic.
    AlterConfigs = 33, 0..=2, flexible 2;
    /// Adds partitions to topics.
    CreatePartitions = 37, 0..=3, flexible 2;
    /// Changes single settings of a topic.
    IncrementalAlterConfigs = 44, 0..=1, flexible 1;
}

impl ApiKey {
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

    /// Whether the response header of that version ends with tagged fields. `ApiVersions` never
    /// has them: its client does not know yet what the broker speaks.
    #[must_use]
    pub const fn has_tagged_response_header(self, version: i16) -> bool {
        self.is_flexible(version) && !matches!(self, Self::ApiVersions)
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
