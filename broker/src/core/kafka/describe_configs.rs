//! DescribeConfigs: every setting of a topic with its default, and the broker's own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;

use leveret_engine::settings::{ConfigSource as Source, DefaultValue, ValueType};
use leveret_engine::topology::Topic;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    CheckedFrame, ConfigEntry, ConfigSource, ConfigSynonym, ConfigType, DescribeConfigsRequest,
    DescribeConfigsResource, DescribedResource, ErrorCode, Line, Place, ResourceType,
};

use super::api::{Api, Incoming, Read};
use super::changes::MOST_SETTINGS;
use super::pieces::Pieces;
use super::settings::BrokerSetting;
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::AskNobody;
use crate::core::ops::{Operation, Resource};

/// Resources of one request that are described, each with some kilobytes.
const MOST_RESOURCES: usize = 10_000;
/// Said of the others.
const TOO_MANY: &str = "a request describes at most 10000 topics and brokers";

/// Said of one that names more settings than [`MOST_SETTINGS`].
const TOO_MANY_KEYS: &str = "at most 1000 settings are asked for of a topic or broker";

/// Said of a topic that is not there, or that may not be seen.
const NO_TOPIC: &str = "there is no such topic, or it may not be described";
/// Said of the broker's own settings.
const NOT_ALLOWED: &str = "the broker's settings may not be described";

/// What it costs to look for one of the settings that are asked for, in the units of slices.
const KEY: usize = 64;
/// What it costs to describe one, beside the bytes of that, in the units of slices.
const RESOURCE: usize = 1024;

/// What is found of a resource, or why nothing is.
type Found = Result<Vec<ConfigEntry<'static>>, (ErrorCode, &'static str)>;

/// What a request wants to hear besides values.
#[derive(Clone, Copy)]
struct Extras {
    synonyms: bool,
    documentation: bool,
}

pub(super) struct DescribeConfigs;

/// What a request asks, without its frame.
pub(super) struct DescribeOutline {
    /// Where the resources stand.
    resources: Place,
    extras: Extras,
}

impl Api for DescribeConfigs {
    type Request<'a> = DescribeConfigsRequest<'a>;
    type Outline = DescribeOutline;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> DescribeOutline {
        DescribeOutline {
            resources: read.request.resources.iter().place(),
            extras: Extras {
                synonyms: read.request.include_synonyms,
                documentation: read.request.include_documentation,
            },
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, asked) = (request.asker, request.outline);
        let configs = Configs {
            asker,
            extras: asked.extras,
            frame: request.frame.checked(),
            rest: asked.resources,
            looked_at: 0,
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), (), Box::new(configs), now);
    }
}

/// Settings that are being described, one resource after the other.
struct Configs {
    asker: Asker,
    extras: Extras,
    frame: CheckedFrame,
    /// Resources that follow.
    rest: Place,
    looked_at: usize,
    lines: Pieces,
}

impl<P: BufPool> Job<P, AskNobody> for Configs {
    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
        let mut rest = self
            .frame
            .elements::<DescribeConfigsResource<'_>>(self.rest);
        let asked = rest.next()?;
        self.rest = rest.place();
        let keys = asked.keys.map_or(0, |keys| keys.len());
        let found = match (self.looked_at < MOST_RESOURCES, keys <= MOST_SETTINGS) {
            (true, true) => known.settings_of(&asked, self.extras),
            (false, _) => Err((ErrorCode::InvalidRequest, TOO_MANY)),
            (_, false) => Err((ErrorCode::InvalidRequest, TOO_MANY_KEYS)),
        };
        self.looked_at += 1;
        let version = self.asker.version;
        let line = described(&asked, found);
        let keys = KEY * keys.min(MOST_SETTINGS);
        Some(
            RESOURCE
                + keys
                + self
                    .lines
                    .line(|out| line.encode(out, DescribeConfigs::KEY, version)),
        )
    }

    fn take(&mut self, _part: usize, nothing: Infallible) {
        match nothing {}
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        core.kafka_respond_lines(self.asker, DescribeConfigs::KEY, self.lines);
    }
}

impl Known<'_> {
    fn settings_of(&self, asked: &DescribeConfigsResource<'_>, extras: Extras) -> Found {
        match asked.resource_type {
            ResourceType::TOPIC => match self.topic_named(asked.name, Operation::DescribeConfigs) {
                Ok(topic) => Ok(self.topic_entries(&topic, extras)),
                Err(why) => Err((errors::unfound(&why).0, NO_TOPIC)),
            },
            ResourceType::BROKER if self.is_node(asked.name) => {
                let allowed = self.authorize(Operation::DescribeConfigs, Resource::Cluster);
                match allowed {
                    Ok(()) => Ok(self.broker_entries(asked.name, extras)),
                    Err(refused) => Err((errors::not_allowed(&refused).0, NOT_ALLOWED)),
                }
            }
            ResourceType::BROKER => Err((ErrorCode::InvalidRequest, "there is no such broker")),
            _ => Err((
                ErrorCode::InvalidRequest,
                "only topics and brokers are described",
            )),
        }
    }

    fn topic_entries(&self, topic: &Topic, extras: Extras) -> Vec<ConfigEntry<'static>> {
        let kafka = self.kafka;
        let line = |entry: leveret_engine::topology::ConfigEntry| {
            let setting = entry.setting;
            let mut synonyms = Vec::new();
            let mut synonym = |name, value: &str, source| {
                synonyms.push(ConfigSynonym {
                    name: Cow::Borrowed(name),
                    value: Some(Cow::Owned(value.to_owned())),
                    source,
                });
            };
            if extras.synonyms {
                if entry.source == Source::Own {
                    synonym(setting.name, &entry.value, ConfigSource::Topic);
                }
                let (name, source) = match setting.default {
                    DefaultValue::Broker(own) => kafka.name_and_source(own),
                    DefaultValue::Fixed(_) => (setting.name, ConfigSource::Default),
                };
                synonym(name, &entry.default, source);
            }
            ConfigEntry {
                name: Cow::Borrowed(setting.name),
                source: kafka.source_of(entry.source),
                value: Some(Cow::Owned(entry.value)),
                read_only: false,
                is_sensitive: false,
                synonyms,
                config_type: type_of(setting.typed),
                documentation: extras.documentation.then_some(Cow::Borrowed(setting.prose)),
            }
        };
        self.topology
            .config_of(topic)
            .into_iter()
            .map(line)
            .collect()
    }

    /// What the broker was started with: by Kafka's names where it has one, and by our own.
    fn broker_entries(&self, node: &str, extras: Extras) -> Vec<ConfigEntry<'static>> {
        let line = |setting: &BrokerSetting| {
            let own = setting.own.filter(|own| *own != setting.name);
            let synonym = |name| ConfigSynonym {
                name: Cow::Borrowed(name),
                value: Some(Cow::Owned(setting.value.clone())),
                source: setting.source,
            };
            let names = [Some(setting.name), own].into_iter().flatten();
            ConfigEntry {
                name: Cow::Borrowed(setting.name),
                value: Some(Cow::Owned(setting.value.clone())),
                read_only: true,
                source: setting.source,
                is_sensitive: false,
                synonyms: match extras.synonyms {
                    true => names.map(synonym).collect(),
                    false => Vec::new(),
                },
                config_type: setting.config_type,
                documentation: extras.documentation.then_some(Cow::Borrowed(setting.prose)),
            }
        };
        let id = |name| BrokerSetting {
            name,
            own: None,
            value: node.to_owned(),
            config_type: ConfigType::Int,
            source: ConfigSource::StaticBroker,
            prose: "The number that this broker presents itself by.",
        };
        // Each core may go by a number of its own.
        let is_general = |setting: &&BrokerSetting| node.is_empty() || setting.name != "node.id";
        let own = self.kafka.config.iter().filter(is_general).map(line);
        let ids = ["broker.id", "node.id"]
            .into_iter()
            .filter(|_| !node.is_empty());
        own.chain(ids.map(|name| line(&id(name)))).collect()
    }

    /// Whether a broker presents itself by that number; the empty name stands for all.
    fn is_node(&self, name: &str) -> bool {
        let id = name.parse::<i32>();
        name.is_empty() || id.is_ok_and(|id| self.kafka.nodes().any(|node| node == id))
    }
}

/// The answer's line for a resource, with the settings that were asked for.
fn described<'a>(asked: &DescribeConfigsResource<'a>, found: Found) -> DescribedResource<'a> {
    let (error, message, mut configs) = match found {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err((error, message)) => (error, Some(message), Vec::new()),
    };
    if let Some(keys) = asked.keys.filter(|_| !configs.is_empty()) {
        let keys: BTreeSet<&str> = keys.iter().collect();
        configs.retain(|entry| keys.contains(&*entry.name));
    }
    DescribedResource {
        error,
        error_message: message.map(Cow::Borrowed),
        resource_type: asked.resource_type,
        name: Cow::Borrowed(asked.name),
        configs,
    }
}

fn type_of(typed: ValueType) -> ConfigType {
    match typed {
        ValueType::Boolean => ConfigType::Boolean,
        ValueType::Int => ConfigType::Int,
        ValueType::Long => ConfigType::Long,
        ValueType::Double => ConfigType::Double,
        ValueType::List => ConfigType::List,
        ValueType::String => ConfigType::String,
    }
}
