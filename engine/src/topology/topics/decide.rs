//! What becomes of a command to a topic, as things stand.

use std::sync::Arc;

use leveret_storage::types::WallMs;

use super::config::check_durability;
use super::{
    LogRun, Topic, TopicAltered, TopicChanges, TopicCommand, TopicConfig, TopicEntry, TopicId,
    TopicName, TopicRefusal,
};
use crate::settings::InvalidConfig;
use crate::topology::Topology;

pub(super) fn decide(
    topology: &Topology,
    command: &TopicCommand,
    now: WallMs,
) -> Result<TopicEntry, TopicRefusal> {
    let (topics, logs) = (&topology.objects.topics, &topology.logs);
    match command {
        TopicCommand::Create {
            name,
            partitions,
            config,
        } => {
            topology.may_create(name, *partitions)?;
            let defaults = &topology.settings.defaults;
            Ok(TopicEntry::Created(Arc::new(Topic {
                id: topics.next,
                name: name.clone(),
                config: TopicConfig::default().changed(config, &[], defaults)?,
                created: now,
                runs: vec![LogRun {
                    partition: 0,
                    log: logs.next(),
                }],
                slots: logs.spread(*partitions),
            })))
        }
        TopicCommand::Alter { id, changes } => {
            let topic = topics.by_id.get(id);
            let topic = topic.ok_or(TopicRefusal::Unknown { id: *id })?;
            let added = topology.may_add(topic, changes.partitions)?;
            Ok(TopicEntry::Altered(Arc::new(TopicAltered {
                id: *id,
                config: topology.reconfigured(topic, changes)?,
                partition: topic.partitions(),
                log: logs.next(),
                slots: logs.spread(added),
            })))
        }
        TopicCommand::Delete { id } => match topics.by_id.get(id).is_some() {
            true => Ok(TopicEntry::Deleted(*id)),
            false => Err(TopicRefusal::Unknown { id: *id }),
        },
    }
}

impl Topology {
    fn may_create(&self, name: &TopicName, partitions: u32) -> Result<(), TopicRefusal> {
        if let Some(&id) = self.objects.topics.by_name.get(name) {
            let name = name.clone();
            return Err(TopicRefusal::Exists { name, id });
        }
        if name.is_reserved() {
            let name = name.clone();
            return Err(TopicRefusal::NameReserved { name });
        }
        if let Some(other) = self.colliding(name) {
            return Err(TopicRefusal::NameCollides {
                name: name.clone(),
                other: other.name.clone(),
            });
        }
        self.may_hold(partitions, partitions)
    }

    /// A topic whose name differs from this one only in `.` against `_`.
    fn colliding(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        let folded = name.folded()?;
        let from = (folded.clone(), TopicId(0));
        let (found, id) = self.objects.topics.by_folded.range(from..).next()?;
        (*found == folded).then(|| &self.objects.topics.by_id[id])
    }

    /// How many partitions a topic gets that is to have `wanted`.
    fn may_add(&self, topic: &Topic, wanted: Option<u32>) -> Result<u32, TopicRefusal> {
        let present = topic.partitions();
        let Some(asked) = wanted else {
            return Ok(0);
        };
        if asked <= present {
            return Err(TopicRefusal::NotMorePartitions { present, asked });
        }
        let added = asked - present;
        self.may_hold(asked, added).map(|()| added)
    }

    /// Whether a topic may have `asked` partitions, `added` of them new.
    fn may_hold(&self, asked: u32, added: u32) -> Result<(), TopicRefusal> {
        let most = self.settings.partitions_per_topic;
        if asked == 0 || asked > most {
            return Err(TopicRefusal::PartitionCount { asked, most });
        }
        let most = self.settings.partitions;
        if added > most.saturating_sub(self.partitions()) {
            let present = self.partitions();
            return Err(TopicRefusal::TooManyPartitions { present, most });
        }
        Ok(())
    }

    fn reconfigured(
        &self,
        topic: &Topic,
        changes: &TopicChanges,
    ) -> Result<TopicConfig, InvalidConfig> {
        let defaults = &self.settings.defaults;
        let config = topic
            .config
            .changed(&changes.set, &changes.unset, defaults)?;
        let before = topic.config.over(defaults).level;
        check_durability(before, config.over(defaults).level)?;
        Ok(config)
    }
}
