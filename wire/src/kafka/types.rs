//! Types that several APIs share.

use std::borrow::Cow;
use std::fmt;

/// A string of a response: borrowed where it lies somewhere already.
pub type Text<'a> = Cow<'a, str>;

/// Names one topic for ever, as Kafka's topic ids do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub u128);

impl Uuid {
    /// Stands for no topic.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// How a request names a topic: newer versions of Produce and Fetch by id, older ones by name.
/// The response of a version names it the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef<'a> {
    /// By name, not validated.
    Name(&'a str),
    /// By id.
    Id(Uuid),
}

/// One topic of a response whose partitions lie in one flat list for all topics: `partitions` of
/// them, those that follow the previous topic's, are this topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicGroup<'a> {
    /// As the request named it.
    pub topic: TopicRef<'a>,
    /// How many partitions of the flat list are this topic's.
    pub partitions: usize,
}

/// Pairs every topic with its part of the flat list.
///
/// # Panics
/// If the topics' counts do not add up to the list.
pub(super) fn grouped<'t, 'a, P>(
    topics: &'t [TopicGroup<'a>],
    partitions: &'t [P],
) -> impl Iterator<Item = (TopicRef<'a>, &'t [P])> + use<'t, 'a, P> {
    let told: usize = topics.iter().map(|topic| topic.partitions).sum();
    assert_eq!(told, partitions.len(), "partitions of all topics");
    let mut rest = partitions;
    topics.iter().map(move |group| {
        let (own, after) = rest.split_at(group.partitions);
        rest = after;
        (group.topic, own)
    })
}

/// Which records a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// Nothing of a transaction that is open or was aborted.
    ReadCommitted,
}

impl Isolation {
    /// The level with that number; as in Kafka, 1 is the stricter and 0 the other.
    #[must_use]
    pub const fn from_i8(value: i8) -> Self {
        match value {
            1 => Self::ReadCommitted,
            _ => Self::ReadUncommitted,
        }
    }
}
