use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use leveret_wire::kafka::{self, ApiKey, Request};

use super::describe_configs::source;
use super::{maybe_text, of_lines, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    const KEY: ApiKey = ApiKey::CreateTopics;
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> CreateTopicsRequest {
        let flexible = version >= 5;
        let topics = s.list(|s| {
            let mut topic = CreatableTopic::default()
                .with_name(s.topic())
                .with_num_partitions(s.i32())
                .with_replication_factor(s.i16());
            topic.assignments = s.list(|s| {
                CreatableReplicaAssignment::default()
                    .with_partition_index(s.i32())
                    .with_broker_ids(s.brokers())
                    .with_unknown_tagged_fields(s.tags(flexible))
            });
            topic.configs = s.list(|s| {
                CreatableTopicConfig::default()
                    .with_name(s.text())
                    .with_value(s.maybe(Source::text))
                    .with_unknown_tagged_fields(s.tags(flexible))
            });
            topic.with_unknown_tagged_fields(s.tags(flexible))
        });
        CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(s.i32())
            .with_validate_only(s.bool())
            .with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> CreateTopicsRequest {
        let Request::CreateTopics(ours) = ours else {
            panic!("{ours:?}")
        };
        let assignment = |assignment: kafka::ReplicaAssignment<'_>| {
            CreatableReplicaAssignment::default()
                .with_partition_index(assignment.partition)
                .with_broker_ids(assignment.broker_ids.iter().map(BrokerId).collect())
        };
        let config = |config: kafka::ConfigValue<'_>| {
            CreatableTopicConfig::default()
                .with_name(str_bytes(config.name))
                .with_value(config.value.map(str_bytes))
        };
        let topic = |topic: kafka::CreatableTopic<'_>| {
            CreatableTopic::default()
                .with_name(TopicName(str_bytes(topic.name)))
                .with_num_partitions(topic.num_partitions)
                .with_replication_factor(topic.replication_factor)
                .with_assignments(topic.assignments.iter().map(assignment).collect())
                .with_configs(topic.configs.iter().map(config).collect())
        };
        CreateTopicsRequest::default()
            .with_topics(ours.topics.iter().map(topic).collect())
            .with_timeout_ms(ours.timeout_ms)
            .with_validate_only(ours.validate_only)
    }

    fn response(s: &mut Source<'_>, version: i16) -> CreateTopicsResponse {
        let mut response = CreateTopicsResponse::default();
        response.topics = s.list(|s| {
            let mut topic = CreatableTopicResult::default()
                .with_name(s.topic())
                .with_error_code(s.error())
                .with_error_message(s.maybe(Source::text));
            if version >= 7 {
                topic.topic_id = s.uuid();
            }
            if version >= 5 {
                topic.num_partitions = s.i32();
                topic.replication_factor = s.i16();
                topic.configs = s.maybe(|s| s.list(config));
            }
            topic
        });
        response
    }

    fn write(theirs: &CreateTopicsResponse, version: i16) -> Vec<u8> {
        let config = |config: &CreatableTopicConfigs| kafka::CreatedTopicConfig {
            name: config.name.to_string().into(),
            value: config.value.as_ref().map(|text| text.to_string().into()),
            read_only: config.read_only,
            source: source(config.config_source),
            is_sensitive: config.is_sensitive,
        };
        let topics = theirs.topics.iter().map(|topic| kafka::CreatedTopic {
            name: text(&topic.name),
            id: kafka::Uuid(topic.topic_id.as_u128()),
            error: error_code(topic.error_code),
            error_message: maybe_text(&topic.error_message),
            num_partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            configs: topic
                .configs
                .as_ref()
                .map(|configs| configs.iter().map(config).collect()),
        });
        of_lines(Self::KEY, version, topics)
    }
}

fn config(s: &mut Source<'_>) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(s.text())
        .with_value(s.maybe(Source::text))
        .with_read_only(s.bool())
        .with_config_source(s.within(1, 5))
        .with_is_sensitive(s.bool())
}
