//! The partitions of a request that names them topic by topic: read from its frame as it goes, a few in
//! each turn, with next to nothing kept of any.

use leveret_wire::kafka::{
    Array, CheckedFrame, Element, FetchPartition, FetchTopic, ListOffsetsPartition,
    ListOffsetsTopic, OffsetCommitPartition, OffsetCommitTopic, OffsetDeleteTopic,
    OffsetFetchTopic, Place,
};

/// A topic with partitions.
pub(super) trait Grouped<'a>: Element<'a> {
    /// One of those.
    type Partition: Element<'a>;

    /// All of them.
    fn partitions(&self) -> Array<'a, Self::Partition>;
}

impl<'a> Grouped<'a> for FetchTopic<'a> {
    type Partition = FetchPartition;

    fn partitions(&self) -> Array<'a, FetchPartition> {
        self.partitions
    }
}

impl<'a> Grouped<'a> for ListOffsetsTopic<'a> {
    type Partition = ListOffsetsPartition;

    fn partitions(&self) -> Array<'a, ListOffsetsPartition> {
        self.partitions
    }
}

impl<'a> Grouped<'a> for OffsetCommitTopic<'a> {
    type Partition = OffsetCommitPartition<'a>;

    fn partitions(&self) -> Array<'a, OffsetCommitPartition<'a>> {
        self.partitions
    }
}

impl<'a> Grouped<'a> for OffsetFetchTopic<'a> {
    type Partition = i32;

    fn partitions(&self) -> Array<'a, i32> {
        self.partitions
    }
}

impl<'a> Grouped<'a> for OffsetDeleteTopic<'a> {
    type Partition = i32;

    fn partitions(&self) -> Array<'a, i32> {
        self.partitions
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partitions {
    topics: Place,
    /// Those of the last topic that follow.
    rest: Option<Place>,
}

/// What stands next in a request.
pub(super) enum Next<T, P> {
    Topic(T),
    Partition(P),
}

impl Partitions {
    /// Those of the topics that stand there.
    pub(super) fn of(topics: Place) -> Self {
        Self { topics, rest: None }
    }

    /// The next topic, or the next partition of it.
    pub(super) fn next<'a, T: Grouped<'a>>(
        &mut self,
        frame: &'a CheckedFrame,
    ) -> Option<Next<T, T::Partition>> {
        if let Some(rest) = self.rest.take() {
            let mut partitions = frame.elements::<T::Partition>(rest);
            if let Some(partition) = partitions.next() {
                self.rest = Some(partitions.place());
                return Some(Next::Partition(partition));
            }
        }
        let mut topics = frame.elements::<T>(self.topics);
        let topic = topics.next()?;
        self.topics = topics.place();
        self.rest = Some(topic.partitions().iter().place());
        Some(Next::Topic(topic))
    }
}
