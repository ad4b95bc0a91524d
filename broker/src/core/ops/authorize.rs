//! Who may do what.
//!
//! Nobody proves yet who they are, and everybody may do everything. What will restrict that is decided here
//! and nowhere else.

use thiserror::Error;

use super::Known;

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) enum Principal {
    /// Somebody who has not proved who they are.
    #[default]
    Anonymous,
}

/// What is to be done with a [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Operation {
    /// Read records.
    Read,
    /// Append records.
    Write,
    /// Make a topic.
    Create,
    /// Remove one with all its records.
    Delete,
    /// Change its partitions.
    Alter,
    /// Learn that it is there, and where it stands.
    Describe,
    /// Change its settings.
    AlterConfigs,
    /// Learn them.
    DescribeConfigs,
    /// Get a producer id.
    IdempotentWrite,
}

/// What something is to be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Resource<'a> {
    /// A topic by its name, whether it exists or not.
    Topic(&'a str),
    /// A group of consumers by its name, likewise.
    Group(&'a str),
    /// The broker as a whole.
    Cluster,
}

/// It is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} on {} is not allowed: ask whoever runs the broker for that right", operation.name(), self.what())]
pub(in crate::core) struct Refused {
    pub(in crate::core) operation: Operation,
    pub(in crate::core) named: Named,
}

/// What is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Named {
    Topic(Box<str>),
    Group(Box<str>),
    Cluster,
}

/// What decides.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Rules {
    /// A topic with which nothing may be done.
    #[cfg(test)]
    pub(in crate::core) closed: Option<&'static str>,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Alter => "alter",
            Self::Describe => "describe",
            Self::AlterConfigs => "alter-configs",
            Self::DescribeConfigs => "describe-configs",
            Self::IdempotentWrite => "idempotent-write",
        }
    }
}

impl Refused {
    fn what(&self) -> String {
        match &self.named {
            Named::Topic(topic) => format!("topic `{topic}`"),
            Named::Group(group) => format!("group `{group}`"),
            Named::Cluster => "the broker".to_owned(),
        }
    }
}

impl Rules {
    fn allow(&self, _principal: &Principal, _operation: Operation, resource: Resource<'_>) -> bool {
        match resource {
            #[cfg(test)]
            Resource::Topic(name) => self.closed != Some(name),
            #[cfg(not(test))]
            Resource::Topic(_) => true,
            Resource::Group(_) | Resource::Cluster => true,
        }
    }
}

impl Known<'_> {
    /// Whether who asks may do that.
    ///
    /// # Errors
    /// That they may not.
    pub(in crate::core) fn authorize(
        &self,
        operation: Operation,
        resource: Resource<'_>,
    ) -> Result<(), Refused> {
        if self.rules.allow(self.principal, operation, resource) {
            return Ok(());
        }
        let named = match resource {
            Resource::Topic(name) => Named::Topic(name.into()),
            Resource::Group(name) => Named::Group(name.into()),
            Resource::Cluster => Named::Cluster,
        };
        Err(Refused { operation, named })
    }
}
