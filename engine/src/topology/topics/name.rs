//! Topic names: Kafka's rules, so that every name works for every client.
//!
//! Two names that differ only in `.` and `_` collide: metrics of Kafka's clients and tools write
//! both alike. The names of Kafka's own topics are reserved, so that what they stand for can be
//! built later.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest name, in bytes; room for a suffix remains in a 255-byte file name.
pub const MAX_NAME_LEN: usize = 249;

/// Topics in which Kafka keeps its own state.
const RESERVED: &[&str] = &[
    "__cluster_metadata",
    "__consumer_offsets",
    "__share_group_state",
    "__transaction_state",
];

/// A valid topic name: 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` and not `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a string is no topic name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidTopicName {
    /// No characters.
    #[error("a topic name must not be empty")]
    Empty,
    /// More than [`MAX_NAME_LEN`] bytes.
    #[error("a topic name has at most {MAX_NAME_LEN} characters, not {0}")]
    TooLong(usize),
    /// `.` or `..`.
    #[error("a topic must not be named `.` or `..`")]
    Dots,
    /// A character that is not allowed.
    #[error("a topic name consists of a-z A-Z 0-9 . _ -, not {0:?}")]
    Character(char),
}

impl TopicName {
    /// Takes a string that is a valid name.
    ///
    /// # Errors
    /// [`InvalidTopicName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidTopicName> {
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() {
            return Err(InvalidTopicName::Empty);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(InvalidTopicName::TooLong(name.len()));
        }
        if let Some(other) = name.chars().find(|c| !allowed(c)) {
            return Err(InvalidTopicName::Character(other));
        }
        if matches!(name, "." | "..") {
            return Err(InvalidTopicName::Dots);
        }
        Ok(Self(name.into()))
    }

    /// Whether it is the name of a topic that Kafka keeps for itself.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }

    /// What all names that collide with this one have in common; `None` if there can be none,
    /// since it has neither `.` nor `_`.
    pub(super) fn folded(&self) -> Option<String> {
        self.0
            .contains(['.', '_'])
            .then(|| self.0.replace('.', "_"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicName {
    type Err = InvalidTopicName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
