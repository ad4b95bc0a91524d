//! AlterConfigs: settings of topics, all of them at once.

use std::borrow::Cow;

use leveret_engine::settings::ConfigSource;
use leveret_engine::topology::{Topic, TopicChanges};
use leveret_wire::kafka::{
    AlterConfigsRequest, AlterConfigsResource, AlteredResource, CheckedFrame, ErrorCode,
    Line as ToldLine, Place, ResourceType, Uuid,
};

use super::changes::{Change, Line, MOST_SETTINGS, Wanted};
use super::names::{self, Name};
use super::{Known, errors};
use crate::core::once::Mentions;
use crate::core::ops::{AllowedTopic, Operation};

pub(super) struct AlterConfigs;

impl Change for AlterConfigs {
    type Request<'a> = AlterConfigsRequest<'a>;
    const TELLS_EACH_MENTION: bool = true;

    fn named(request: &AlterConfigsRequest<'_>) -> (Place, bool) {
        (request.resources.iter().place(), request.validate_only)
    }

    fn name(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
        names::read(frame, place, |resource: AlterConfigsResource<'_>| {
            (Some(resource.name), kind(resource.resource_type))
        })
    }

    fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
        let resource = frame.elements::<AlterConfigsResource<'_>>(at).next();
        let resource = resource.expect("it was read before");
        let (kind, name) = (resource.resource_type, resource.name);
        let topic = known.altered_topic(kind, name);
        let wanted = topic.and_then(|topic| known.replaced(&topic, &resource));
        (line_of(kind, name), wanted)
    }

    fn told(line: &Line, _known: &Known<'_>, _version: i16) -> impl ToldLine {
        altered(line)
    }
}

/// The kind of a resource, where the id of a topic would stand.
pub(super) fn kind(resource: ResourceType) -> Uuid {
    Uuid(u128::from(resource.0.cast_unsigned()))
}

/// A resource's line of the answer.
pub(super) fn altered(line: &Line) -> AlteredResource<'_> {
    AlteredResource {
        error: line.error,
        error_message: line.message.as_deref().map(Cow::Borrowed),
        resource_type: line.resource,
        name: Cow::Borrowed(line.name.as_deref().unwrap_or_default()),
    }
}

impl Known<'_> {
    pub(super) fn altered_topic(
        &self,
        resource: ResourceType,
        name: &str,
    ) -> Result<AllowedTopic, (ErrorCode, String)> {
        if resource != ResourceType::TOPIC {
            let message = "the settings of a running broker cannot be changed, those of topics can";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
        let topic = self.topic_named(name, Operation::AlterConfigs);
        topic.map_err(|why| errors::unfound(&why))
    }

    /// What makes those changes.
    pub(super) fn altered(&self, topic: &Topic, changes: TopicChanges) -> Wanted {
        let change = self.alter(topic.name.as_str(), changes);
        change.map_err(|why| errors::unfound(&why))
    }

    fn replaced(&self, topic: &Topic, resource: &AlterConfigsResource<'_>) -> Wanted {
        named_once(resource.configs.iter().map(|config| config.name))?;
        let mut changes = TopicChanges::default();
        for config in resource.configs {
            let value = config.value.ok_or_else(|| no_value(config.name))?;
            changes.set.push((config.name.to_owned(), value.to_owned()));
        }
        for entry in self.topology.config_of(topic) {
            let setting = entry.setting;
            let set = changes.set.iter().any(|(name, _)| setting.is_called(name));
            if entry.source == ConfigSource::Own && !set {
                changes.unset.push(setting.name.to_owned());
            }
        }
        self.altered(topic, changes)
    }
}

pub(super) fn named_once<'a>(
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

pub(super) fn no_value(name: &str) -> (ErrorCode, String) {
    let message = format!("the setting `{name}` is given no value; to unset it, delete it");
    (ErrorCode::InvalidRequest, message)
}

pub(super) fn line_of(resource: ResourceType, name: &str) -> Line {
    Line {
        resource,
        ..Line::of(name)
    }
}
