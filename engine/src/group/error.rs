//! Why a coordinator refuses.

use thiserror::Error;

use crate::error::Fault;

/// Why a call is refused. Protocols have numbers for these; here they are meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum GroupError {
    /// The group's name is empty, or longer than a name may be.
    #[error("a group's name has 1 to {} bytes", super::MAX_NAME)]
    InvalidName,
    /// A member or an instance is called so, or says so much about itself, as nobody may.
    #[error("a member's names have up to {} bytes", super::MAX_NAME)]
    InvalidMember,
    /// The member may be silent for a shorter or a longer time than is allowed.
    #[error("the session timeout is not between what `group.min` and `group.max` say")]
    InvalidSession,
    /// There is no such group.
    #[error("there is no such group")]
    UnknownGroup,
    /// There is no such member: never was, has left, or was silent for too long.
    #[error("there is no such member in the group; join again")]
    UnknownMember,
    /// The instance id is that of another member id: another process took it over.
    #[error("another member has taken this instance id over")]
    FencedInstance,
    /// The caller is of another generation.
    #[error("the member is of another generation; join again")]
    WrongGeneration,
    /// Nothing that all members know, another type than that of the group, or another protocol than the one chosen.
    #[error("the member and the group have no protocol in common")]
    InconsistentProtocol,
    /// The members are to join again.
    #[error("the group is rebalancing; join again")]
    Rebalancing,
    /// It has as many members as a group may have, or they say more than a group keeps.
    #[error("the group is full")]
    GroupFull,
    /// It has members, so that it cannot be deleted, or its offsets are not anyone's to delete.
    #[error("the group has members")]
    NotEmpty,
    /// A member is subscribed to the topic.
    #[error("the group is subscribed to the topic")]
    Subscribed,
    /// More stands beside the offset than may.
    #[error("the metadata beside an offset is too long")]
    MetadataTooLong,
    /// What a member says, or is assigned, is longer than may be.
    #[error("a subscription or an assignment is too long")]
    TooLong,
    /// As many groups, or offsets of a group, as may be.
    #[error("there are as many groups, or offsets in the group, as may be")]
    TooMany,
    /// The coordinator is about to stop.
    #[error("the coordinator is stopping; look for it again")]
    Stopping,
}

impl GroupError {
    /// Who has to change something before the same call can succeed.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Rebalancing | Self::NotEmpty | Self::Subscribed | Self::Stopping => Fault::Moment,
            Self::GroupFull | Self::TooMany => Fault::Broker,
            _ => Fault::Caller,
        }
    }
}
