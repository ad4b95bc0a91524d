//! Metadata, CreateTopic, AlterTopic, DeleteTopic, ListTopics, DescribeTopics: requests about topics.

use leveret_engine::topology::{TopicChanges, TopicKey, TopicName};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::native::{self as wire, ErrorCode, MetadataOk, Response};

use super::listing::Listing;
use super::{Asker, level_out, no_topic};
use crate::core::Core;
use crate::core::hop::ChangeTopics;
use crate::core::net::Pause;
use crate::core::once::Mentions;
use crate::core::ops::Operation;
use crate::core::places::Places;

impl<P: BufPool> Core<P> {
    pub(super) fn metadata(&mut self, asker: Asker, name: &str, now: Now) {
        let topic = self.topic_named(asker, name, Operation::Describe, now);
        let Some(topic) = topic else { return };
        let ok = MetadataOk {
            topic_id: wire::TopicId(topic.id.0),
            partitions: topic.partitions(),
            level: level_out(self.topology.settings_of(&topic).level),
            cores: self
                .topology
                .places(&topic)
                .map(|(_, core)| core.0)
                .collect(),
        };
        self.respond(asker.conn, asker.correlation, &Response::Metadata(ok));
    }

    pub(super) fn create_topic(&mut self, asker: Asker, create: &wire::CreateTopic<'_>, now: Now) {
        let name = match TopicName::new(create.name) {
            Ok(name) => name,
            Err(error) => {
                return self.refuse(asker, ErrorCode::InvalidTopicName, &error.to_string(), now);
            }
        };
        let mut config = owned(&create.config);
        let level = create.level.map(|level| level.name().to_owned());
        let bytes = create.retention_bytes.map(|bytes| bytes.to_string());
        let ms = create.retention_ms.map(|ms| ms.to_string());
        for (key, value) in [
            (TopicKey::Durability, level),
            (TopicKey::RetentionBytes, bytes),
            (TopicKey::RetentionMs, ms),
        ] {
            config.extend(value.map(|value| (key.setting().name.to_owned(), value)));
        }
        let known = self.known(asker.conn, now);
        match known.create(name, create.partitions, config) {
            Ok(change) => self.change(asker, change, now),
            Err(refused) => self.refuse_not_allowed(asker, &refused, now),
        }
    }

    pub(super) fn alter_topic(&mut self, asker: Asker, alter: &wire::AlterTopic<'_>, now: Now) {
        let changes = TopicChanges {
            set: owned(&alter.set),
            unset: alter.unset.iter().map(|key| (*key).to_owned()).collect(),
            partitions: alter.partitions,
        };
        let change = self.known(asker.conn, now).alter(alter.name, changes);
        let missing = || no_topic(alter.name);
        if let Some(change) = self.or_refuse(asker, change, missing, now) {
            self.change(asker, change, now);
        }
    }

    pub(super) fn delete_topic(&mut self, asker: Asker, name: &str, now: Now) {
        let topic = self.topic_named(asker, name, Operation::Delete, now);
        if let Some(topic) = topic {
            self.change(asker, topic.delete(), now);
        }
    }

    /// Later requests of the same connection see the change, so they wait for it.
    fn change(&mut self, asker: Asker, change: ChangeTopics, now: Now) {
        self.owe_answer(asker.conn);
        self.block(asker.conn, Pause::Topology);
        self.ask(CoreId(0), change, asker, now);
    }

    pub(super) fn list_topics(&mut self, asker: Asker, now: Now) {
        self.tell_topics(asker, Listing::of_all(asker, self.cores), now);
    }

    pub(super) fn describe_topics(&mut self, asker: Asker, names: &[&str], now: Now) {
        if names.is_empty() {
            return self.tell_topics(asker, Listing::describing_all(asker, self.cores), now);
        }
        // The answer is no longer than all that there is.
        if let Some(name) = Mentions::of(names).repeated() {
            let message = format!("topic `{name}` is asked for twice");
            return self.refuse(asker, ErrorCode::InvalidRequest, &message, now);
        }
        let mut topics = Vec::with_capacity(names.len());
        for name in names {
            let topic = self.topic_named(asker, name, Operation::Describe, now);
            let Some(topic) = topic else { return };
            topics.push(topic);
        }
        self.tell_topics(
            asker,
            Listing::describing(asker, topics, self.cores, &self.topology),
            now,
        );
    }

    fn tell_topics(&mut self, asker: Asker, listing: Listing, now: Now) {
        let listing = Box::new(listing);
        self.carry_out(asker.into(), (), listing, now);
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let settings = settings.iter();
    settings
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
