//! Entries carried out: what topics there are.

use std::sync::Arc;

use super::{Topic, TopicEntry, TopicId, Topics};
use crate::topology::Topology;

/// Whether an entry can be carried out after those before it.
pub(super) fn fits(topology: &Topology, entry: &TopicEntry) -> bool {
    let (topics, next_log) = (&topology.objects.topics, topology.logs.next());
    match entry {
        TopicEntry::Created(topic) => {
            let first = topic.runs.first();
            first.is_some_and(|run| run.log >= next_log) && topics.has_room_for(topic)
        }
        TopicEntry::Altered(altered) => {
            let topic = topics.by_id.get(&altered.id);
            let follows = topic.is_some_and(|t| t.partitions() == altered.partition);
            follows && (altered.slots.is_empty() || altered.log >= next_log)
        }
        TopicEntry::Deleted(id) => topics.by_id.get(id).is_some(),
    }
}

pub(super) fn apply(topology: &mut Topology, entry: &TopicEntry) {
    match entry {
        TopicEntry::Created(topic) => insert(topology, Arc::clone(topic)),
        TopicEntry::Altered(altered) => {
            let before = remove(topology, altered.id);
            insert(topology, Arc::new(altered.of(&before)));
        }
        TopicEntry::Deleted(id) => {
            remove(topology, *id);
        }
    }
}

/// A topic is there that was not.
pub(super) fn insert(topology: &mut Topology, topic: Arc<Topic>) {
    let (newest, _) = topic.logs().last().expect("a topic has a partition");
    topology.logs.add(newest, &topic.slots);
    topology.objects.topics.insert(topic);
}

fn remove(topology: &mut Topology, id: TopicId) -> Arc<Topic> {
    let topic = topology.objects.topics.remove(id);
    topology.logs.remove(&topic.slots);
    topic
}

impl Topics {
    /// Whether id and name are free.
    pub(super) fn has_room_for(&self, topic: &Topic) -> bool {
        topic.id >= self.next && !self.by_name.contains_key(&topic.name)
    }

    fn insert(&mut self, topic: Arc<Topic>) {
        let named = self.by_name.insert(topic.name.clone(), topic.id);
        assert!(named.is_none(), "topic names are unique");
        let folded = topic.name.folded();
        self.by_folded
            .extend(folded.map(|folded| (folded, topic.id)));
        for run in &topic.runs {
            self.by_log.insert(run.log, (topic.id, run.partition));
        }
        self.next = self.next.max(TopicId(topic.id.0 + 1));
        self.partitions += topic.partitions();
        self.by_id.insert(topic.id, topic);
    }

    fn remove(&mut self, id: TopicId) -> Arc<Topic> {
        let topic = self.by_id.remove(&id);
        let topic = topic.expect("only a topic that exists is deleted or altered");
        self.by_name.remove(&topic.name);
        if let Some(folded) = topic.name.folded() {
            self.by_folded.remove(&(folded, id));
        }
        for run in &topic.runs {
            self.by_log.remove(&run.log);
        }
        self.partitions -= topic.partitions();
        topic
    }
}
