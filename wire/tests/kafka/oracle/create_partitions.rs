use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use leveret_wire::kafka::{self, ApiKey, Request};

use super::{maybe_text, of_lines, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    const KEY: ApiKey = ApiKey::CreatePartitions;
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> CreatePartitionsRequest {
        let flexible = version >= 2;
        let topics = s.list(|s| {
            let assignment = |s: &mut Source<'_>| {
                CreatePartitionsAssignment::default()
                    .with_broker_ids(s.brokers())
                    .with_unknown_tagged_fields(s.tags(flexible))
            };
            CreatePartitionsTopic::default()
                .with_name(s.topic())
                .with_count(s.i32())
                .with_assignments(s.maybe(|s| s.list(assignment)))
                .with_unknown_tagged_fields(s.tags(flexible))
        });
        CreatePartitionsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(s.i32())
            .with_validate_only(s.bool())
            .with_unknown_tagged_fields(s.tags(flexible))
    }

    fn read(ours: Request<'_>, _: &[u8], _: i16) -> CreatePartitionsRequest {
        let Request::CreatePartitions(ours) = ours else {
            panic!("{ours:?}")
        };
        let assignment = |assignment: kafka::CreatePartitionsAssignment<'_>| {
            CreatePartitionsAssignment::default()
                .with_broker_ids(assignment.broker_ids.iter().map(BrokerId).collect())
        };
        let topic = |topic: kafka::CreatePartitionsTopic<'_>| {
            let assignments = topic.assignments;
            CreatePartitionsTopic::default()
                .with_name(TopicName(str_bytes(topic.name)))
                .with_count(topic.count)
                .with_assignments(assignments.map(|all| all.iter().map(assignment).collect()))
        };
        CreatePartitionsRequest::default()
            .with_topics(ours.topics.iter().map(topic).collect())
            .with_timeout_ms(ours.timeout_ms)
            .with_validate_only(ours.validate_only)
    }

    fn response(s: &mut Source<'_>, _: i16) -> CreatePartitionsResponse {
        let result = |s: &mut Source<'_>| {
            CreatePartitionsTopicResult::default()
                .with_name(s.topic())
                .with_error_code(s.error())
                .with_error_message(s.maybe(Source::text))
        };
        CreatePartitionsResponse::default().with_results(s.list(result))
    }

    fn write(theirs: &CreatePartitionsResponse, version: i16) -> Vec<u8> {
        let result = |result: &'_ CreatePartitionsTopicResult| kafka::CreatePartitionsResult {
            name: text(&result.name).into_owned().into(),
            error: error_code(result.error_code),
            error_message: maybe_text(&result.error_message).map(|t| t.into_owned().into()),
        };
        of_lines(Self::KEY, version, theirs.results.iter().map(result))
    }
}
