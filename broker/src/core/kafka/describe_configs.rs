//! DescribeConfigs: every setting of a topic with its default, and some of the broker's.

use std::borrow::Cow;

use leveret_engine::topology::{ConfigSource as Source, Topic, TopicKey, ValueForm};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    ConfigEntry, ConfigSource, ConfigSynonym, ConfigType, DescribeConfigsRequest,
    DescribeConfigsResource, DescribeConfigsResponse, DescribedResource, ErrorCode, ResourceType,
};

use super::Asker;
use crate::core::Core;

/// Resources of one request that are described, each with some kilobytes.
const MOST_RESOURCES: usize = 10_000;
/// Said of the others.
const TOO_MANY: &str = "a request describes at most 10000 topics and brokers";

/// What is found of a resource, or why nothing is.
type Found = Result<Vec<ConfigEntry<'static>>, (ErrorCode, &'static str)>;

/// What a request wants to hear besides values.
#[derive(Clone, Copy)]
struct Extras {
    synonyms: bool,
    documentation: bool,
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_describe_configs(
        &mut self,
        asker: Asker,
        request: &DescribeConfigsRequest<'_>,
        now: Now,
    ) {
        let extras = Extras {
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        let results = (0..).zip(request.resources).map(|(index, asked)| {
            let found = match index < MOST_RESOURCES {
                true => self.settings_of(&asked, extras),
                false => Err((ErrorCode::InvalidRequest, TOO_MANY)),
            };
            described(&asked, found)
        });
        let response = DescribeConfigsResponse {
            throttle_time_ms: 0,
            results: results.collect(),
        };
        self.kafka_answer(asker, &response, now);
    }

    fn settings_of(&self, asked: &DescribeConfigsResource<'_>, extras: Extras) -> Found {
        match asked.resource_type {
            ResourceType::TOPIC => match self.topology.topic_named(asked.name) {
                Some(topic) => Ok(self.topic_entries(topic, extras)),
                None => Err((ErrorCode::UnknownTopicOrPartition, "there is no such topic")),
            },
            ResourceType::BROKER if self.is_node(asked.name) => Ok(self.broker_entries()),
            ResourceType::BROKER => Err((ErrorCode::InvalidRequest, "there is no such broker")),
            _ => Err((
                ErrorCode::InvalidRequest,
                "only topics and brokers are described",
            )),
        }
    }

    fn topic_entries(&self, topic: &Topic, extras: Extras) -> Vec<ConfigEntry<'static>> {
        let line = |entry: leveret_engine::topology::ConfigEntry| {
            let setting = entry.key.setting();
            let mut synonyms = Vec::new();
            let mut synonym = |name, value: &str, source| {
                synonyms.push(ConfigSynonym {
                    name: Cow::Borrowed(name),
                    value: Some(Cow::Owned(value.to_owned())),
                    source,
                });
            };
            if extras.synonyms {
                if entry.source == Source::Topic {
                    synonym(setting.name, &entry.value, ConfigSource::Topic);
                }
                let (name, source) = match setting.default_from {
                    Some(broker) => (broker, ConfigSource::StaticBroker),
                    None => (setting.name, ConfigSource::Default),
                };
                synonym(name, &entry.default, source);
            }
            ConfigEntry {
                name: Cow::Borrowed(setting.name),
                source: source_of(entry.source),
                value: Some(Cow::Owned(entry.value)),
                read_only: false,
                is_sensitive: false,
                synonyms,
                config_type: type_of(entry.key),
                documentation: extras.documentation.then_some(Cow::Borrowed(setting.prose)),
            }
        };
        self.topology
            .config_of(topic)
            .into_iter()
            .map(line)
            .collect()
    }

    fn broker_entries(&self) -> Vec<ConfigEntry<'static>> {
        let kafka = &self.settings.kafka;
        let values = [
            (
                "auto.create.topics.enable",
                kafka.auto_create.to_string(),
                ConfigType::Boolean,
            ),
            ("default.replication.factor", 1.to_string(), ConfigType::Int),
            (
                "message.max.bytes",
                self.settings.max_batch_bytes.to_string(),
                ConfigType::Int,
            ),
            (
                "num.partitions",
                kafka.partitions.to_string(),
                ConfigType::Int,
            ),
            (
                "socket.request.max.bytes",
                kafka.request_bytes.to_string(),
                ConfigType::Int,
            ),
        ];
        let line = |(name, value, config_type)| ConfigEntry {
            name: Cow::Borrowed(name),
            value: Some(Cow::Owned(value)),
            read_only: true,
            source: ConfigSource::StaticBroker,
            is_sensitive: false,
            synonyms: Vec::new(),
            config_type,
            documentation: None,
        };
        values.into_iter().map(line).collect()
    }

    /// Whether a broker presents itself by that number; the empty name stands for all.
    fn is_node(&self, name: &str) -> bool {
        let id = name.parse::<i32>();
        name.is_empty() || id.is_ok_and(|id| self.settings.kafka.nodes().any(|node| node == id))
    }
}

/// The answer's line for a resource, with the settings that were asked for.
fn described<'a>(asked: &DescribeConfigsResource<'a>, found: Found) -> DescribedResource<'a> {
    let (error, message, mut configs) = match found {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err((error, message)) => (error, Some(message), Vec::new()),
    };
    if let Some(keys) = asked.keys {
        configs.retain(|entry| keys.iter().any(|key| key == entry.name));
    }
    DescribedResource {
        error,
        error_message: message.map(Cow::Borrowed),
        resource_type: asked.resource_type,
        name: Cow::Borrowed(asked.name),
        configs,
    }
}

/// Where a setting's value comes from, in Kafka's words.
pub(super) fn source_of(source: Source) -> ConfigSource {
    match source {
        Source::Topic => ConfigSource::Topic,
        Source::Broker(_) => ConfigSource::StaticBroker,
        Source::BuiltIn => ConfigSource::Default,
    }
}

fn type_of(key: TopicKey) -> ConfigType {
    match (key, key.setting().form) {
        (TopicKey::CleanupPolicy, _) => ConfigType::List,
        (_, ValueForm::Words(_)) => ConfigType::String,
        (_, ValueForm::Number { .. }) => ConfigType::Long,
    }
}
