//! AlterConfigs and IncrementalAlterConfigs: settings of topics, all of them or one by one.

use std::borrow::Cow;

use leveret_engine::topology::{Command, ConfigSource, Topic, TopicChanges};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse, AlteredResource,
    ConfigOperation, ErrorCode, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, ResourceType,
};

use super::Asker;
use super::changes::{Changes, Line, Wanted};
use super::gathered::Gathered;
use crate::core::Core;

impl<P: BufPool> Core<P> {
    /// What a topic does not name falls back to its default.
    pub(super) fn kafka_alter_configs(
        &mut self,
        asker: Asker,
        request: &AlterConfigsRequest<'_>,
        now: Now,
    ) {
        let line = |resource: AlterConfigsResource<'_>| {
            let wanted = self.altered_topic(resource.resource_type, resource.name);
            let wanted = wanted.map(|topic| self.replaced(topic, &resource));
            (line_of(resource.resource_type, resource.name), wanted)
        };
        let wanted = request.resources.iter().map(line).collect();
        let only = request.validate_only;
        self.kafka_change(asker, wanted, only, Gathered::AlterConfigs, now);
    }

    pub(super) fn kafka_incremental_alter_configs(
        &mut self,
        asker: Asker,
        request: &IncrementalAlterConfigsRequest<'_>,
        now: Now,
    ) {
        let line = |resource: IncrementalAlterConfigsResource<'_>| {
            let wanted = self.altered_topic(resource.resource_type, resource.name);
            let wanted = wanted.and_then(|topic| changed(topic, &resource));
            (line_of(resource.resource_type, resource.name), wanted)
        };
        let wanted = request.resources.iter().map(line).collect();
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

    fn replaced(&self, topic: &Topic, resource: &AlterConfigsResource<'_>) -> Command {
        let mut changes = TopicChanges::default();
        for config in resource.configs {
            if let Some(value) = config.value {
                changes.set.push((config.name.to_owned(), value.to_owned()));
            }
        }
        for entry in self.topology.config_of(topic) {
            let name = entry.key.setting().name;
            let set = changes.set.iter().any(|(key, _)| key == name);
            if entry.source == ConfigSource::Topic && !set {
                changes.unset.push(name.to_owned());
            }
        }
        Command::AlterTopic {
            id: topic.id,
            changes,
        }
    }
}

fn changed(topic: &Topic, resource: &IncrementalAlterConfigsResource<'_>) -> Wanted {
    let refused = |message: &str| Err((ErrorCode::InvalidConfig, message.to_owned()));
    let mut changes = TopicChanges::default();
    for config in resource.configs {
        let name = config.name.to_owned();
        match (config.operation, config.value) {
            (ConfigOperation::Set, Some(value)) => changes.set.push((name, value.to_owned())),
            (ConfigOperation::Set, None) => return refused("a setting is set to a value"),
            (ConfigOperation::Delete, _) => changes.unset.push(name),
            (ConfigOperation::Append | ConfigOperation::Subtract, _) => {
                return refused("no setting of a topic is a list that can grow or shrink");
            }
            (ConfigOperation::Unknown(_), _) => {
                let message = "the operation is unknown".to_owned();
                return Err((ErrorCode::InvalidRequest, message));
            }
        }
    }
    Ok(Command::AlterTopic {
        id: topic.id,
        changes,
    })
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
