//! AlterConfigs and IncrementalAlterConfigs: settings of topics, all of them or one by one.

use std::borrow::Cow;

use bytes::BytesMut;
use leveret_engine::topology::{
    Command, ConfigSource, Topic, TopicChanges, TopicCommand, TopicKey,
};
use leveret_wire::kafka::{
    AlterConfigsResource, AlteredResource, ApiKey, CheckedFrame, ConfigOperation, ErrorCode,
    IncrementalAlterConfigsResource, Place, ResourceType, Uuid,
};

use super::Known;
use super::changes::{Line, MOST_SETTINGS, Wanted};
use super::names::{self, Name};
use crate::core::once::Mentions;

/// The kind of a resource, where the id of a topic would stand.
fn kind(resource: ResourceType) -> Uuid {
    Uuid(u128::from(resource.0.cast_unsigned()))
}

pub(super) fn read(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
    names::read(frame, place, |resource: AlterConfigsResource<'_>| {
        (Some(resource.name), kind(resource.resource_type))
    })
}

pub(super) fn read_incremental(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
    names::read(
        frame,
        place,
        |resource: IncrementalAlterConfigsResource<'_>| {
            (Some(resource.name), kind(resource.resource_type))
        },
    )
}

/// What is wanted of the resource that stands there. What a topic does not name falls back to its
/// default.
pub(super) fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
    let resource = frame.elements::<AlterConfigsResource<'_>>(at).next();
    let resource = resource.expect("it was read before");
    let (kind, name) = (resource.resource_type, resource.name);
    let topic = known.altered_topic(kind, name);
    let wanted = topic.and_then(|topic| known.replaced(topic, &resource));
    (line_of(kind, name), wanted)
}

/// Likewise, of settings that are changed one by one.
pub(super) fn wanted_incrementally(
    frame: &CheckedFrame,
    at: Place,
    known: &Known<'_>,
) -> (Line, Wanted) {
    let resource = frame
        .elements::<IncrementalAlterConfigsResource<'_>>(at)
        .next();
    let resource = resource.expect("it was read before");
    let (kind, name) = (resource.resource_type, resource.name);
    let topic = known.altered_topic(kind, name);
    let wanted = topic.and_then(|topic| known.changed(topic, &resource));
    (line_of(kind, name), wanted)
}

/// Appends a resource's line of the answer, of either API.
pub(super) fn encode(line: &Line, out: &mut BytesMut, api: ApiKey, version: i16) {
    let altered = AlteredResource {
        error: line.error,
        error_message: line.message.as_deref().map(Cow::Borrowed),
        resource_type: line.resource,
        name: Cow::Borrowed(line.name.as_deref().unwrap_or_default()),
    };
    altered.encode(out, api, version);
}

impl Known<'_> {
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
        Ok(Command::Topic(TopicCommand::Alter {
            id: topic.id,
            changes,
        }))
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
        Ok(Command::Topic(TopicCommand::Alter {
            id: topic.id,
            changes,
        }))
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

fn named_once<'a>(
    names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), (ErrorCode, String)> {
    if names.len() > MOST_SETTINGS {
        let message = format!("a topic has far less settings than {}", names.len());
        return Err((ErrorCode::InvalidRequest, message));
    }
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
