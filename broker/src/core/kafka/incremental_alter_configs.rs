//! IncrementalAlterConfigs: settings of topics, one by one.

use leveret_engine::settings::ValueType;
use leveret_engine::topology::{Topic, TopicChanges, TopicSetting};
use leveret_wire::kafka::{
    CheckedFrame, ConfigOperation, ErrorCode, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource, Line as ToldLine, Place,
};

use super::Known;
use super::alter_configs::{altered, kind, line_of, named_once, no_value};
use super::changes::{Change, Line, Wanted};
use super::names::{self, Name};

pub(super) struct IncrementalAlterConfigs;

impl Change for IncrementalAlterConfigs {
    type Request<'a> = IncrementalAlterConfigsRequest<'a>;
    const TELLS_EACH_MENTION: bool = true;

    fn named(request: &IncrementalAlterConfigsRequest<'_>) -> (Place, bool) {
        (request.resources.iter().place(), request.validate_only)
    }

    fn name(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
        names::read(
            frame,
            place,
            |resource: IncrementalAlterConfigsResource<'_>| {
                (Some(resource.name), kind(resource.resource_type))
            },
        )
    }

    fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
        let resource = frame
            .elements::<IncrementalAlterConfigsResource<'_>>(at)
            .next();
        let resource = resource.expect("it was read before");
        let (kind, name) = (resource.resource_type, resource.name);
        let topic = known.altered_topic(kind, name);
        let wanted = topic.and_then(|topic| known.changed(&topic, &resource));
        (line_of(kind, name), wanted)
    }

    fn told(line: &Line, _known: &Known<'_>, _version: i16) -> impl ToldLine {
        altered(line)
    }
}

impl Known<'_> {
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
                ConfigOperation::Delete if TopicSetting::called(name).is_err() => continue,
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
        self.altered(topic, changes)
    }

    /// A list with words added that it has not yet, or without them.
    fn listed(
        &self,
        topic: &Topic,
        name: &str,
        words: &str,
        add: bool,
    ) -> Result<String, (ErrorCode, String)> {
        let setting = TopicSetting::called(name).ok();
        let setting = setting.filter(|setting| setting.typed == ValueType::List);
        let setting = setting.ok_or_else(|| {
            let message = format!("`{name}` is no list that can grow or shrink");
            (ErrorCode::InvalidConfig, message)
        })?;
        let entries = self.topology.config_of(topic);
        let present = entries
            .iter()
            .find(|entry| entry.setting.key == setting.key);
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
