//! What a coordinator is asked.

use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::LogId;

use super::reply::{GroupKind, GroupState};

/// What a client calls something: a group, a member, an instance, a protocol. What is kept of a call is shared
/// with it, so it must not be a part of a larger buffer.
pub type Name = Arc<str>;

/// The number of a generation; below 0 in calls of those who are in none.
pub type Generation = i32;

/// Something asked of one coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupCall {
    /// Keep offsets. Answered with [`Committed`](super::GroupReply::Committed).
    Commit(Commit),
    /// Which offsets are kept. Answered with [`Offsets`](super::GroupReply::Offsets).
    FetchOffsets(FetchOffsets),
    /// Forget offsets. Answered with [`OffsetsDeleted`](super::GroupReply::OffsetsDeleted).
    DeleteOffsets(DeleteOffsets),
    /// Become a member, or say that one still is. Answered with [`Joined`](super::GroupReply::Joined), late if
    /// others are waited for, or with [`Named`](super::GroupReply::Named).
    Join(Box<Join>),
    /// Bring the assignments, or ask for one's own. Answered with [`Synced`](super::GroupReply::Synced), late
    /// if the leader is waited for.
    Sync(Sync),
    /// A member is alive. Answered with [`Beat`](super::GroupReply::Beat).
    Heartbeat(Heartbeat),
    /// Members go. Answered with [`Left`](super::GroupReply::Left).
    Leave(Leave),
    /// What a group is like. Answered with [`Described`](super::GroupReply::Described).
    Describe {
        /// The group.
        group: Name,
    },
    /// Which groups there are. Answered with [`Listed`](super::GroupReply::Listed).
    List(List),
    /// Forget a group that has no members. Answered with [`Deleted`](super::GroupReply::Deleted).
    Delete {
        /// The group.
        group: Name,
    },
}

/// Who calls, as one who is in a generation says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The member id; empty of one who has none.
    pub member: Name,
    /// The instance id of a static member.
    pub instance: Option<Name>,
    /// The generation; below 0 of one who is in none.
    pub generation: Generation,
}

/// Offsets to keep. Each of them is kept or refused by itself, but for reasons that lie in the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The group, which is made if the caller is in no generation.
    pub group: Name,
    /// A member, or one who is in no group: member id empty, generation below 0.
    pub caller: Caller,
    /// What to keep, in the order in which refusals name it.
    pub offsets: Vec<NewOffset>,
}

/// One partition's offset to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffset {
    /// The partition's log.
    pub log: LogId,
    /// The offset.
    pub offset: i64,
    /// The leader epoch of the record before it; -1 for none.
    pub leader_epoch: i32,
    /// What the client says beside it.
    pub metadata: Name,
}

/// Which offsets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group; of an unknown one no offset is kept.
    pub group: Name,
    /// Of which partitions.
    pub which: WhichOffsets,
    /// Offsets that a transaction may still change are told as such.
    pub require_stable: bool,
}

/// Of which partitions offsets are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichOffsets {
    /// Of these, in this order, whether there are some or not.
    Of(Vec<LogId>),
    /// Of all that have some, by log, from the one after `after` on: as many as one answer takes, which says
    /// where the next one goes on.
    All {
        /// The last one that is known.
        after: Option<LogId>,
    },
}

/// Offsets to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group: Name,
    /// Whose, by the topic's name, which members may be subscribed to.
    pub topics: Vec<(Name, Vec<LogId>)>,
}

/// A member joins, or says that it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The group, which is made if there is none.
    pub group: Name,
    /// The member id; empty of one who has none.
    pub member: Name,
    /// The instance id of a static member.
    pub instance: Option<Name>,
    /// What the client calls itself, for descriptions and in front of its member id.
    pub client_id: Name,
    /// Where it comes from, for descriptions.
    pub host: Name,
    /// How long the member may be silent, milliseconds.
    pub session_ms: u32,
    /// How long it takes to join again, milliseconds.
    pub rebalance_ms: u32,
    /// What the group is for: `consumer`, `connect`, …
    pub protocol_type: Name,
    /// The ways to assign that it knows, the one that it likes best first.
    pub protocols: Vec<Protocol>,
    /// A dynamic member without an id is given one first, and joins with that.
    pub must_be_named: bool,
    /// A leader can be told to assign nothing.
    pub can_skip_assignment: bool,
}

/// A way to assign, and what a member says to whoever assigns so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// What it is called.
    pub name: Name,
    /// The bytes that the leader gets.
    pub subscription: Bytes,
    /// The topics in these bytes, if the type is `consumer`; `None` if they cannot be read.
    pub topics: Option<Arc<[Name]>>,
}

/// A member wants to know its assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The group.
    pub group: Name,
    /// Who.
    pub caller: Caller,
    /// What it takes the type to be, if it says so.
    pub protocol_type: Option<Name>,
    /// What it takes the protocol to be, if it says so.
    pub protocol: Option<Name>,
    /// Of the leader: what each member gets, by member id.
    pub assignments: Vec<(Name, Bytes)>,
}

/// A member is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: Name,
    /// Who.
    pub caller: Caller,
}

/// Members go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The group.
    pub group: Name,
    /// Who, in the order of the answer.
    pub members: Vec<Leaving>,
}

/// One who goes, or is sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The member id; empty where the instance id says who.
    pub member: Name,
    /// The instance id of a static member.
    pub instance: Option<Name>,
}

/// Which groups are asked for: some, in the order of their names, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Only those in one of these states; all if there is none.
    pub states: Vec<GroupState>,
    /// Only those of one of these kinds; all if there is none.
    pub kinds: Vec<GroupKind>,
    /// Only those after this one.
    pub after: Option<Name>,
}

impl GroupCall {
    /// Bytes that it holds, about.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Commit(commit) => {
                    let metadata = commit.offsets.iter().map(|offset| offset.metadata.len());
                    commit.offsets.len() * size_of::<NewOffset>() + metadata.sum::<usize>()
                }
                Self::DeleteOffsets(delete) => {
                    let logs = delete.topics.iter().map(|(_, logs)| logs.len());
                    logs.map(|logs| logs * size_of::<LogId>()).sum()
                }
                Self::Join(join) => {
                    let protocols = join.protocols.iter();
                    protocols.map(|protocol| protocol.subscription.len()).sum()
                }
                Self::Sync(sync) => {
                    let assignments = sync.assignments.iter();
                    assignments
                        .map(|(member, bytes)| member.len() + bytes.len())
                        .sum()
                }
                Self::Leave(leave) => leave.members.len() * size_of::<Leaving>(),
                Self::FetchOffsets(_)
                | Self::Heartbeat(_)
                | Self::Describe { .. }
                | Self::List(_)
                | Self::Delete { .. } => 0,
            }
    }

    /// The group that it is about; `None` if it is about all of a coordinator.
    #[must_use]
    pub fn group(&self) -> Option<&Name> {
        match self {
            Self::Commit(Commit { group, .. })
            | Self::FetchOffsets(FetchOffsets { group, .. })
            | Self::DeleteOffsets(DeleteOffsets { group, .. })
            | Self::Sync(Sync { group, .. })
            | Self::Heartbeat(Heartbeat { group, .. })
            | Self::Leave(Leave { group, .. })
            | Self::Describe { group }
            | Self::Delete { group } => Some(group),
            Self::Join(join) => Some(&join.group),
            Self::List(_) => None,
        }
    }
}
