//! AlterConfigs and IncrementalAlterConfigs: settings of topics, all of them or one by one.

use std::borrow::Cow;

use leveret_engine::topology::{Command, ConfigSource, Topic, TopicChanges, TopicKey};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse, AlteredResource,
    ConfigOperation, ErrorCode, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, ResourceType,
};

use super::Asker;
use super::changes::{Changes, Line, TWICE, Wanted};
use super::gathered::Gathered;
use crate::core::Core;
use crate::core::once::{Mention, Mentions};

impl<P: BufPool> Core<P> {
    /// What a topic does not name falls back to its default.
    pub(super) fn kafka_alter_configs(
        &mut self,
        asker: Asker,
        request: &AlterConfigsRequest<'_>,
        now: Now,
    ) {
        let named = request.resources.iter();
        let mut mentions = Mentions::of(named.map(|one| (one.resource_type.0, one.name)));
        let wanted = request.resources.iter().map(|resource| {
            let (kind, name) = (resource.resource_type, resource.name);
            let wanted = only(mentions.next(&(kind.0, name)))
                .and_then(|()| self.altered_topic(kind, name))
                .and_then(|topic| self.replaced(topic, &resource));
            (line_of(kind, name), wanted)
        });
        let wanted = wanted.collect();
        let only = request.validate_only;
        self.kafka_change(asker, wanted, only, Gathered::AlterConfigs, now);
    }

    pub(super) fn kafka_incremental_alter_configs(
        &mut self,
        asker: Asker,
        request: &IncrementalAlterConfigsRequest<'_>,
        now: Now,
    ) {
        let named = request.resources.iter();
        let mut mentions = Mentions::of(named.map(|one| (one.resource_type.0, one.name)));
        let wanted = request.resources.iter().map(|resource| {
            let (kind, name) = (resource.resource_type, resource.name);
            let wanted = only(mentions.next(&(kind.0, name)))
                .and_then(|()| self.altered_topic(kind, name))
                .and_then(|topic| self.changed(topic, &resource));
            (line_of(kind, name), wanted)
        });
        let wanted = wanted.collect();
        let only = request.validate_only;
        self.kafka_change(asker, wanted, only, Gathered::IncrementalAlterConfigs, now);
    }

    pub(super) fn kafka_altered(&mut self, asker: Asker, changes: &Changes) {
        let response = AlterConfigsResponse {
            throttle_time_ms: 0,
            resources: changes.lines.iter().map(resource_of).collect(),
        };
        self.kafka_respond(asker, &response);
    }

    pub(super) fn kafka_incrementally_altered(&mut self, asker: Asker, changes: &Changes) {
        let response = IncrementalAlterConfigsResponse {
            throttle_time_ms: 0,
            resources: changes.lines.iter().map(resource_of).collect(),
        };
        self.kafka_respond(asker, &response);
    }

    fn altered_topic(
        &self,
        resource: ResourceType,
        name: &str,
    ) -> Result<&Topic, (ErrorCode, String)> {
        if resource != ResourceType::TOPIC {
            let message = "the settings of a running broker cannot be changed, those of topics can";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
        let topic = self.topology.topic_named(name);
        topic
            .map(|topic| &**topic)
            .ok_or((ErrorCode::UnknownTopicOrPartition, String::new()))
    }

    fn replaced(&self, topic: &Topic, resource: &AlterConfigsResource<'_>) -> Wanted {
        named_once(resource.configs.iter().map(|config| config.name))?;
        let mut changes = TopicChanges::default();
        for config in resource.configs {
            let value = config.value.ok_or_else(|| no_value(config.name))?;
            changes.set.push((config.name.to_owned(), value.to_owned()));
        }
        for entry in self.topology.config_of(topic) {
            let name = entry.key.setting().name;
            let set = changes.set.iter().any(|(key, _)| key == name);
            if entry.source == ConfigSource::Topic && !set {
                changes.unset.push(name.to_owned());
            }
        }
        Ok(Command::AlterTopic {
            id: topic.id,
            changes,
        })
    }

    fn changed(&self, topic: &Topic, resource: &IncrementalAlterConfigsResource<'_>) -> Wanted {
        named_once(resource.configs.iter().map(|config| config.name))?;
        let mut changes = TopicChanges::default();
        for config in resource.configs {
            let name = config.name;
            let value = || config.value.ok_or_else(|| no_value(name));
            let set = match config.operation {
                ConfigOperation::Set => value()?.to_owned(),
                ConfigOperation::Append => self.listed(topic, name, value()?, true)?,
                ConfigOperation::Subtract => self.listed(topic, name, value()?, false)?,
                // What is not set stays so, whether there is such a setting or not.
                ConfigOperation::Delete if TopicKey::named(name).is_err() => continue,
                ConfigOperation::Delete => {
                    changes.unset.push(name.to_owned());
                    continue;
                }
                ConfigOperation::Unknown(_) => {
                    let message = "the operation is unknown".to_owned();
                    return Err((ErrorCode::InvalidRequest, message));
                }
            };
            changes.set.push((name.to_owned(), set));
        }
        Ok(Command::AlterTopic {
            id: topic.id,
            changes,
        })
    }

    /// A list with words added that it has not yet, or without them.
    fn listed(
        &self,
        topic: &Topic,
        name: &str,
        words: &str,
        add: bool,
    ) -> Result<String, (ErrorCode, String)> {
        let key = TopicKey::named(name).ok().filter(|key| key.is_list());
        let key = key.ok_or_else(|| {
            let message = format!("`{name}` is no list that can grow or shrink");
            (ErrorCode::InvalidConfig, message)
        })?;
        let entries = self.topology.config_of(topic);
        let present = entries.iter().find(|entry| entry.key == key);
        let present = present.map_or("", |entry| entry.value.as_str());
        let words: Vec<&str> = words_of(words).collect();
        let kept = words_of(present).filter(|word| add || !words.contains(word));
        let mut list: Vec<&str> = kept.collect();
        if add {
            for word in words {
                if !list.contains(&word) {
                    list.push(word);
                }
            }
        }
        Ok(list.join(","))
    }
}

/// The words of a list between its commas.
fn words_of(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// Each mention has its line here.
fn only(mention: Mention) -> Result<(), (ErrorCode, String)> {
    match mention {
        Mention::Only => Ok(()),
        Mention::First | Mention::Again => Err((ErrorCode::InvalidRequest, TWICE.to_owned())),
    }
}

fn named_once<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), (ErrorCode, String)> {
    match Mentions::of(names).repeated() {
        None => Ok(()),
        Some(name) => {
            let message = format!("the setting `{name}` is named twice");
            Err((ErrorCode::InvalidRequest, message))
        }
    }
}

fn no_value(name: &str) -> (ErrorCode, String) {
    let message = format!("the setting `{name}` is given no value; to unset it, delete it");
    (ErrorCode::InvalidRequest, message)
}

fn line_of(resource: ResourceType, name: &str) -> Line {
    Line {
        resource,
        ..Line::of(name)
    }
}

fn resource_of(line: &Line) -> AlteredResource<'_> {
    AlteredResource {
        error: line.error,
        error_message: line.message.as_deref().map(Cow::Borrowed),
        resource_type: line.resource,
        name: Cow::Borrowed(line.name.as_deref().unwrap_or_default()),
    }
}
