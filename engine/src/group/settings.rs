//! The bounds of a coordinator. Every limit is a number here.

/// Most bytes of a name that a client chooses: of a group, a member, an instance, a protocol.
pub const MAX_NAME: usize = 1024;

/// What groups may take, and how long they wait. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// How long the first generation of a group waits for others after each join; Kafka's
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay_ms: u32,
    /// How long it waits for others at most.
    pub initial_delay_most_ms: u32,
    /// Shortest session timeout that a member may ask for.
    pub session_least_ms: u32,
    /// Longest session timeout that a member may ask for.
    pub session_most_ms: u32,
    /// How long the others wait for one who was given a member id, and has not joined with it.
    pub named_ms: u32,
    /// Groups of one coordinator.
    pub groups: usize,
    /// Members of a group, and as many that were given an id and have not joined with it.
    pub members: usize,
    /// Bytes of a member's subscriptions, and as many of its assignment.
    pub member_bytes: usize,
    /// Bytes of all subscriptions of a group, and as many of its assignments.
    pub group_bytes: usize,
    /// Partitions of a group with an offset.
    pub offsets: usize,
    /// Bytes that may stand beside an offset; Kafka's `offset.metadata.max.bytes`.
    pub metadata_bytes: usize,
    /// How long the offsets of a group are kept that has no members.
    pub offsets_retention_ms: u64,
    /// How long a group is kept that has neither members nor offsets.
    pub empty_ms: u64,
}

impl Default for GroupSettings {
    /// 250 ms and at most 3 s for the first generation, sessions of 6 s to 30 min, 5,000 members; offsets stay
    /// for 7 days.
    fn default() -> Self {
        Self {
            initial_delay_ms: 250,
            initial_delay_most_ms: 3000,
            session_least_ms: 6000,
            session_most_ms: 30 * 60_000,
            named_ms: 5000,
            groups: 16_384,
            members: 5000,
            member_bytes: 256 << 10,
            group_bytes: 16 << 20,
            offsets: 100_000,
            metadata_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            empty_ms: 10 * 60_000,
        }
    }
}
