//! What a coordinator answers.

use std::fmt;

use bytes::Bytes;
use leveret_storage::types::{LogId, WallMs};

use super::call::{Generation, Name};
use super::error::GroupError;

/// The answer to a call that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupReply {
    /// The offsets are kept, but for these, by their place in the call.
    Committed(Vec<(usize, GroupError)>),
    /// Offsets that are kept.
    Offsets(Offsets),
    /// The offsets are forgotten, but for those of these topics, by their place in the call.
    OffsetsDeleted(Vec<(usize, GroupError)>),
    /// It is in a generation.
    Joined(Box<Joined>),
    /// It is to join again, with this member id.
    Named {
        /// The id.
        member: Name,
    },
    /// Its assignment.
    Synced(Synced),
    /// All is as it was.
    Beat,
    /// What became of each of those who go, in the order of the call.
    Left(Vec<Result<(), GroupError>>),
    /// What the group is like.
    Described(Box<Description>),
    /// Groups, and where to go on if there are more: after this one.
    Listed(Vec<Listing>, Option<Name>),
    /// The group is no more.
    Deleted,
}

/// Offsets that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Of each partition.
    pub found: Vec<FoundOffset>,
    /// Where to go on if there are more.
    pub next: Option<LogId>,
}

/// A partition's offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The partition's log.
    pub log: LogId,
    /// What is kept, if something is.
    pub committed: Option<Committed>,
    /// A transaction may still change it.
    pub unstable: bool,
}

/// An offset that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset.
    pub offset: i64,
    /// The leader epoch of the record before it; -1 for none.
    pub leader_epoch: i32,
    /// What the client said beside it; `None` for nothing.
    pub metadata: Option<Name>,
    /// When.
    pub time: WallMs,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its member id.
    pub member: Name,
    /// The generation.
    pub generation: Generation,
    /// What the group is for.
    pub protocol_type: Name,
    /// How the leader is to assign.
    pub protocol: Name,
    /// The member id of the leader.
    pub leader: Name,
    /// It is the leader, but is to assign nothing.
    pub skip_assignment: bool,
    /// All members, if it is the leader.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its member id.
    pub member: Name,
    /// Its instance id, if it is static.
    pub instance: Option<Name>,
    /// What it says to whoever assigns.
    pub subscription: Bytes,
}

/// An assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// What the group is for.
    pub protocol_type: Name,
    /// How it was assigned.
    pub protocol: Name,
    /// The bytes that the leader made for this member; empty if it made none.
    pub assignment: Bytes,
}

/// What a group is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where it is.
    pub state: GroupState,
    /// By which rules its members come and go.
    pub kind: GroupKind,
    /// What it is for; empty if nobody has joined.
    pub protocol_type: Name,
    /// How it is assigned; empty if it is not stable.
    pub protocol: Name,
    /// Who is in it.
    pub members: Vec<DescribedMember>,
}

/// What a member is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its member id.
    pub member: Name,
    /// Its instance id, if it is static.
    pub instance: Option<Name>,
    /// What its client calls itself.
    pub client_id: Name,
    /// Where it comes from.
    pub host: Name,
    /// What it says to whoever assigns; empty if the group is not stable.
    pub subscription: Bytes,
    /// What it was assigned; empty if the group is not stable.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What it is called.
    pub group: Name,
    /// What it is for; empty if nobody has joined.
    pub protocol_type: Name,
    /// Where it is.
    pub state: GroupState,
    /// By which rules its members come and go.
    pub kind: GroupKind,
}

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// It has no members, and may have offsets.
    Empty,
    /// Members join again for the next generation.
    PreparingRebalance,
    /// A generation has begun, whose leader has not assigned yet.
    CompletingRebalance,
    /// Every member has, or can have, its assignment.
    Stable,
}

/// By which rules members come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// The members agree on a generation, and one of them assigns.
    Classic,
}

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
    ];
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
