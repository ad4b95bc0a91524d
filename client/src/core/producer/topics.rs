//! The topics that a producer knows, and how it hears that one has grown.
//!
//! Whoever sends to a topic has its metadata asked for again when it is older than
//! `metadata_max_age`; a topic that nobody sends to costs nothing. New records go to the
//! partitions known at that time, so that a key may move to another partition when a topic grows;
//! what was taken before stays where it is.

use std::num::NonZeroU32;
use std::sync::Arc;

use leveret_record::partition_for_key;
use leveret_wire::native::{MetadataOk, PartitionId, TopicId};

use super::partition::Partition;
use super::{NewRecord, Producer, PushError, Target, TopicIndex, Transmit};
use crate::Result;
use crate::core::{Backoff, Mono};

pub(super) struct Topic {
    name: Arc<str>,
    pub(super) id: TopicId,
    /// By number, where each partition is among those of the producer; never empty.
    partitions: Vec<usize>,
    /// Partition that records without a key go to until its batch is closed.
    pub(super) sticky: u32,
    /// Since when its metadata is known, from the first record on.
    known_since: Option<Mono>,
    /// Its metadata is asked for, or about to be.
    asked: bool,
    /// What is known of it may be of a broker that has ended.
    doubted: bool,
}

impl Topic {
    pub(super) fn partitions(&self) -> NonZeroU32 {
        let count = u32::try_from(self.partitions.len()).ok();
        let count = count.and_then(NonZeroU32::new);
        count.expect("a topic has partitions, counted by 32 bits")
    }
}

impl<T: Default> Producer<T> {
    /// Makes a topic known; known anew, if it was deleted and created again and so has another
    /// id; or grown, if it has more partitions now.
    pub fn add_topic(&mut self, name: &str, id: TopicId, partitions: NonZeroU32) -> TopicIndex {
        let known = self
            .topic(name)
            .filter(|index| self.topics[index.0].id == id);
        let index = known.unwrap_or_else(|| {
            let index = TopicIndex(self.topics.len());
            self.topics.push(Topic {
                name: name.into(),
                id,
                partitions: Vec::new(),
                sticky: u32::try_from(self.settings.seed % u64::from(partitions.get()))
                    .expect("below the partition count"),
                known_since: None,
                asked: false,
                doubted: false,
            });
            self.names.insert(name.to_owned(), index);
            index
        });
        let topic = &mut self.topics[index.0];
        let present = u32::try_from(topic.partitions.len()).expect("counted by 32 bits");
        for number in present..partitions.get() {
            let place = self.partitions.len();
            let seed = self.settings.seed ^ ((place as u64) << 32);
            let backoff = Backoff::new(
                self.settings.backoff_least,
                self.settings.backoff_most,
                seed,
            );
            self.partitions
                .push(Partition::new(index, id, PartitionId(number), backoff));
            topic.partitions.push(place);
        }
        index
    }

    /// Says which core owns each partition of a topic, by number. What is sent of a partition from
    /// then on goes there, once nothing of it is in flight to another.
    pub fn set_owners(&mut self, topic: TopicIndex, cores: &[u16]) {
        for (number, place) in self.topics[topic.0].partitions.iter().enumerate() {
            self.partitions[*place].owner = cores.get(number).copied();
        }
    }

    /// The connection was lost, perhaps with the broker: the next one may place partitions
    /// otherwise, so the next record has the topic's metadata asked for again.
    pub(super) fn doubt_owners(&mut self) {
        for topic in &mut self.topics {
            topic.doubted = true;
        }
    }

    /// The id means nothing any more: the name has to be resolved again.
    pub(super) fn forget_topic(&mut self, id: TopicId) {
        let topics = &self.topics;
        self.names.retain(|_, index| topics[index.0].id != id);
    }

    /// Number and place of the partition that a record goes to.
    pub(super) fn choose_partition(
        &self,
        topic: TopicIndex,
        record: &NewRecord<'_>,
    ) -> Result<(u32, usize), PushError> {
        let topic = &self.topics[topic.0];
        let number = match (record.partition, record.key) {
            (Some(PartitionId(number)), _) => number,
            (None, Some(key)) => partition_for_key(key, topic.partitions()),
            (None, None) => topic.sticky,
        };
        match topic.partitions.get(number as usize) {
            Some(place) => Ok((number, *place)),
            None => Err(PushError::NoPartition {
                asked: number,
                known: topic.partitions(),
            }),
        }
    }

    /// A record is pushed: whether the topic's metadata is to be asked for again.
    pub(super) fn note_use(&mut self, now: Mono, index: TopicIndex) -> bool {
        let topic = &mut self.topics[index.0];
        let since = *topic.known_since.get_or_insert(now);
        let fresh = !topic.doubted && since.after(self.settings.metadata_max_age) > now;
        if topic.asked || fresh {
            return false;
        }
        topic.asked = true;
        self.stale.push_back(index);
        true
    }

    /// The next question for a topic's metadata.
    pub(super) fn next_question(&mut self) -> Option<Transmit> {
        let index = self.stale.pop_front()?;
        let id = self.request(Target::Topic(index));
        let name = Arc::clone(&self.topics[index.0].name);
        Some(Transmit::Metadata { id, name })
    }

    /// The answer to such a question; without one the next is asked after the same time.
    pub(super) fn take_metadata(
        &mut self,
        now: Mono,
        index: TopicIndex,
        metadata: Option<MetadataOk>,
    ) {
        let topic = &mut self.topics[index.0];
        topic.asked = false;
        topic.known_since = Some(now);
        topic.doubted = false;
        let (name, id) = (Arc::clone(&topic.name), topic.id);
        match metadata {
            Some(found) if found.topic_id != id => self.forget_topic(id),
            Some(found) => {
                if let Some(partitions) = NonZeroU32::new(found.partitions) {
                    self.add_topic(&name, id, partitions);
                    self.set_owners(index, &found.cores);
                }
            }
            None => {}
        }
    }

    /// Questions in flight will not be answered: the next record asks again.
    pub(super) fn forget_questions(&mut self) {
        self.stale.clear();
        for topic in &mut self.topics {
            topic.asked = false;
        }
    }
}
