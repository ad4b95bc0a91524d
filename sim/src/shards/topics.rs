//! Topics: made, altered and deleted while everything crashes, and what must be known of them
//! afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use leveret_engine::topology::{
    Command, Topic, TopicAltered, TopicChanges, TopicCommand, TopicConfig, TopicName, Topology,
};
use leveret_storage::types::{LogId, SlotId};

use super::{Asked, ShardWorld};
use crate::violation::{Kind, Violation};

/// Partitions that a topic may come to have.
const MOST_PARTITIONS: u32 = 6;

/// How a topic is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    config: TopicConfig,
    partitions: u32,
}

impl From<&Topic> for Setup {
    fn from(topic: &Topic) -> Self {
        Self {
            config: topic.config.clone(),
            partitions: topic.partitions(),
        }
    }
}

/// A topic whose creation was acknowledged.
#[derive(Debug)]
pub(super) struct Known {
    /// The log of its first partition.
    first: LogId,
    /// What was acknowledged last, and then what was ordered since, in order: one of these is
    /// what a crash may leave.
    setups: VecDeque<Setup>,
}

impl Known {
    pub(super) fn new(topic: &Topic) -> Self {
        Self {
            first: topic.runs[0].log,
            setups: VecDeque::from([Setup::from(topic)]),
        }
    }

    /// The topic was altered so, durably.
    fn acknowledged(&mut self, setup: &Setup) -> bool {
        while self.setups.front().is_some_and(|first| first != setup) {
            self.setups.pop_front();
        }
        !self.setups.is_empty()
    }

    /// After a crash the topic is set up so: whether it may be.
    fn recovered(&mut self, first: LogId, setup: Setup) -> bool {
        let may_be = first == self.first && self.setups.contains(&setup);
        self.setups = VecDeque::from([setup]);
        may_be
    }
}

/// What somebody asked to delete.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// Topics whose deletion is not acknowledged, each with its partitions.
    doomed: BTreeMap<TopicName, (Known, Vec<LogId>)>,
    /// Topics that are deleted, for ever: no name is used twice.
    deleted: BTreeSet<TopicName>,
    /// Their partitions.
    logs: BTreeSet<LogId>,
}

impl ShardWorld {
    pub(super) fn create_topic(&mut self) {
        let name = TopicName::new(&format!("t{}", self.requests)).expect("a valid name");
        let request = self.ask(Asked::Create(name.clone()));
        let command = Command::Topic(TopicCommand::Create {
            name,
            partitions: self.rng.between(1, 3) as u32,
            config: Vec::new(),
        });
        let now = self.now();
        self.shards[0].submit(request, &command, now);
    }

    /// Sets something for a topic, takes it back, or gives it another partition.
    pub(super) fn alter_topic(&mut self) {
        let name = self.pick_topic();
        // One that waits for space is ordered unseen, and there can be one of those for a topic.
        let altered = |asked: &Asked| matches!(asked, Asked::Alter(other) if *other == name);
        if self.shards[0].stats().parked > 0 && self.asked.values().any(altered) {
            return;
        }
        // One that waited may have been ordered since, and this one would hide what it came to.
        self.note_ordered();
        let topic = self.topic_named(&name).expect("an acknowledged topic");
        let (id, partitions) = (topic.id, topic.partitions());
        let mut changes = TopicChanges::default();
        let setting = *self.rng.pick(&["segment.ms", "max.message.bytes"]);
        let value = self.rng.between(1 << 19, 1 << 20);
        match self.rng.below(4) {
            0 => changes.unset.push(setting.to_owned()),
            1 if partitions < MOST_PARTITIONS => changes.partitions = Some(partitions + 1),
            _ => changes.set.push((setting.to_owned(), value.to_string())),
        }
        let request = self.ask(Asked::Alter(name.clone()));
        let command = Command::Topic(TopicCommand::Alter { id, changes });
        let now = self.now();
        self.shards[0].submit(request, &command, now);
        self.note_ordered();
    }

    /// What has been ordered of the alterations that were asked for, which may be at once or when the
    /// journal has space again, may be found after a crash.
    pub(super) fn note_ordered(&mut self) {
        let altered = |asked: &Asked| match asked {
            Asked::Alter(name) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<TopicName> = self.asked.values().filter_map(altered).collect();
        for name in names {
            let Some(ordered) = self.topic_named(&name).map(Setup::from) else {
                continue;
            };
            let Some(known) = self.topics.get_mut(&name) else {
                continue;
            };
            if known.setups.back() != Some(&ordered) {
                known.setups.push_back(ordered);
            }
        }
    }

    fn pick_topic(&mut self) -> TopicName {
        let names: Vec<_> = self.topics.keys().cloned().collect();
        self.rng.pick(&names).clone()
    }

    /// Asks for the end of a topic, amid everything that is under way there.
    pub(super) fn delete_topic(&mut self) {
        let name = self.pick_topic();
        let altering = |asked: &Asked| matches!(asked, Asked::Alter(other) if *other == name);
        if self.asked.values().any(altering) {
            return;
        }
        let topic = self.topic_named(&name).expect("an acknowledged topic");
        let command = Command::Topic(TopicCommand::Delete { id: topic.id });
        let logs = topic.logs().map(|(log, _)| log).collect();
        let known = self.topics.remove(&name).expect("picked from them");
        self.going.doomed.insert(name.clone(), (known, logs));
        let request = self.ask(Asked::Delete(name));
        let now = self.now();
        self.shards[0].submit(request, &command, now);
    }

    /// A deletion is durable: every partition's core hears of it, as in the broker.
    pub(super) fn topic_deleted(&mut self, name: &TopicName) {
        let (_, logs) = self.going.doomed.remove(name).expect("asked for by name");
        let now = self.now();
        for log in &logs {
            let core = self.homes.remove(log).expect("an installed partition");
            self.shards[core].remove(*log, now);
        }
        self.gone(name.clone(), logs);
    }

    /// A deletion was refused.
    pub(super) fn topic_stays(&mut self, name: &TopicName) {
        let (known, _) = self.going.doomed.remove(name).expect("asked for by name");
        self.topics.insert(name.clone(), known);
    }

    fn gone(&mut self, name: TopicName, logs: Vec<LogId>) {
        self.counters.drops += logs.len() as u64;
        for log in &logs {
            self.senders.retain(|_, sender| sender.log() != *log);
            self.ledger.forget(*log);
        }
        self.going.logs.extend(logs);
        self.going.deleted.insert(name);
    }

    /// After a start: what was deleted is so for ever, and what was to be deleted is either so too
    /// or as it was.
    pub(super) fn check_deletions(&mut self) -> Result<(), Violation> {
        for (name, (known, logs)) in std::mem::take(&mut self.going.doomed) {
            match self.topic_named(&name).is_some() {
                true => drop(self.topics.insert(name, known)),
                false => self.gone(name, logs),
            }
        }
        let back = |name: &&TopicName| self.topic_named(name).is_some();
        match self.going.deleted.iter().find(back) {
            None => Ok(()),
            Some(name) => {
                let what = format!("topic {name:?} was deleted and is back");
                Err(Violation::new(Kind::Resurrected, what))
            }
        }
    }

    /// A topic has a new partition: its slot's core hears of it, as in the broker.
    pub(super) fn install(&mut self, log: LogId, slot: SlotId, config: &TopicConfig) {
        let topology = self.shards[0].topology().expect("core 0 has it");
        let core = usize::from(topology.homes().core(slot).0);
        self.homes.insert(log, core);
        self.shards[core].install(log, slot, config);
        self.add_senders(log);
    }

    /// After a start: logs of no topic are those of deleted ones.
    pub(super) fn check_orphans(
        &self,
        topology: &Topology,
        found: &[LogId],
    ) -> Result<(), Violation> {
        let orphan = |log: &&LogId| topology.owner_of(**log).is_none();
        let mut orphans = found.iter().filter(orphan);
        match orphans.find(|log| !self.going.logs.contains(log)) {
            None => Ok(()),
            Some(log) => {
                let what = format!("log {log} belongs to no topic, and was not deleted");
                Err(Violation::new(Kind::Lost, what))
            }
        }
    }

    fn topic_named(&self, name: &TopicName) -> Option<&Topic> {
        let topology = self.shards[0].topology().expect("core 0 has it");
        topology.topic_named(name.as_str()).map(|topic| &**topic)
    }

    /// An alteration is durable: every partition's core hears of it, as in the broker.
    pub(super) fn topic_altered(
        &mut self,
        name: &TopicName,
        altered: &TopicAltered,
    ) -> Result<(), Violation> {
        self.counters.alterations += 1;
        let setup = Setup {
            config: altered.config.clone(),
            partitions: altered.partitions(),
        };
        let known = self.topics.get_mut(name).expect("asked for by name");
        if !known.acknowledged(&setup) {
            let what = format!("{name:?} was altered to {setup:?}, which nobody asked for");
            return Err(Violation::new(Kind::WrongData, what));
        }
        let topic = self.topic_named(name).expect("it is not deleted");
        let before = topic.logs().take(altered.partition as usize);
        let before: Vec<LogId> = before.map(|(log, _)| log).collect();
        let now = self.now();
        for log in before {
            self.shards[self.homes[&log]].configure(log, &altered.config, now);
        }
        for (log, slot) in altered.added() {
            self.install(log, slot, &altered.config);
        }
        Ok(())
    }

    /// After a start: every topic that was acknowledged exists, as it was acknowledged last or as
    /// somebody wanted it since.
    pub(super) fn check_topics(&mut self) -> Result<(), Violation> {
        let topology = self.shards[0].topology().expect("core 0 has it");
        for (name, known) in &mut self.topics {
            let Some(topic) = topology.topic_named(name.as_str()) else {
                let what = format!("topic {name:?} was acknowledged and is gone");
                return Err(Violation::new(Kind::Lost, what));
            };
            let allowed = known.setups.clone();
            if !known.recovered(topic.runs[0].log, Setup::from(&**topic)) {
                let what = format!("topic {name:?} is {topic:?}, may be one of {allowed:?}");
                return Err(Violation::new(Kind::Lost, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(partitions: u32) -> Setup {
        Setup {
            config: TopicConfig::default(),
            partitions,
        }
    }

    fn known() -> Known {
        Known {
            first: LogId(1),
            setups: [1, 2, 3].map(setup).into(),
        }
    }

    #[test]
    fn a_crash_leaves_what_was_acknowledged_or_what_was_wanted_since() {
        for partitions in 1..=3 {
            let mut known = known();
            assert!(known.recovered(LogId(1), setup(partitions)));
            // What the crash has cut does not come back.
            assert!(!known.recovered(LogId(1), setup(partitions % 3 + 1)));
        }
        assert!(!known().recovered(LogId(1), setup(4)), "nobody wanted it");
        assert!(!known().recovered(LogId(2), setup(1)), "another topic");
        let mut acknowledged = known();
        assert!(acknowledged.acknowledged(&setup(2)));
        assert!(!acknowledged.recovered(LogId(1), setup(1)), "it is lost");
        assert!(!known().acknowledged(&setup(4)), "nobody asked for it");
    }
}
