//! Metadata, CreateTopic, AlterTopic, DeleteTopic, ListTopics, DescribeTopics: requests about topics.

use std::sync::Arc;

use leveret_engine::topology::{Topic, TopicChanges, TopicCommand, TopicKey, TopicName};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::native::{self as wire, ErrorCode, MetadataOk, Response};

use super::listing::Listing;
use super::{Asker, level_out};
use crate::core::Core;
use crate::core::hop::ChangeTopics;
use crate::core::once::Mentions;
use crate::core::places::Places;
use crate::core::session::Blocked;

impl<P: BufPool> Core<P> {
    pub(super) fn metadata(&mut self, asker: Asker, name: &str, now: Now) {
        let Some(topic) = self.topic_named(asker, name, now) else {
            return;
        };
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
        let partitions = create.partitions;
        self.change(
            asker,
            TopicCommand::Create {
                name,
                partitions,
                config,
            },
            now,
        );
    }

    pub(super) fn alter_topic(&mut self, asker: Asker, alter: &wire::AlterTopic<'_>, now: Now) {
        let Some(topic) = self.topic_named(asker, alter.name, now) else {
            return;
        };
        let changes = TopicChanges {
            set: owned(&alter.set),
            unset: alter.unset.iter().map(|key| (*key).to_owned()).collect(),
            partitions: alter.partitions,
        };
        let id = topic.id;
        self.change(asker, TopicCommand::Alter { id, changes }, now);
    }

    pub(super) fn delete_topic(&mut self, asker: Asker, name: &str, now: Now) {
        let Some(topic) = self.topic_named(asker, name, now) else {
            return;
        };
        self.change(asker, TopicCommand::Delete { id: topic.id }, now);
    }

    /// Later requests of the same connection see the change, so they wait for it.
    fn change(&mut self, asker: Asker, command: TopicCommand, now: Now) {
        self.owe_answer(asker.conn);
        self.block(asker.conn, Blocked::Topology);
        self.ask(CoreId(0), ChangeTopics(command), asker, now);
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
            let Some(topic) = self.topic_named(asker, name, now) else {
                return;
            };
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

    fn topic_named(&mut self, asker: Asker, name: &str, now: Now) -> Option<Arc<Topic>> {
        let topic = self.topology.topic_named(name).cloned();
        if topic.is_none() {
            let message = format!("there is no topic `{name}`");
            self.refuse(asker, ErrorCode::UnknownTopic, &message, now);
        }
        topic
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let settings = settings.iter();
    settings
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
