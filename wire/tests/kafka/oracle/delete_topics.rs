use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use leveret_wire::kafka::{self, ApiKey, Request};
use uuid::Uuid;

use super::{maybe_text, of_lines, str_bytes, text};
use crate::harness::Api;
use crate::source::{Source, error_code};

pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    const KEY: ApiKey = ApiKey::DeleteTopics;
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;

    fn request(s: &mut Source<'_>, version: i16) -> DeleteTopicsRequest {
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(s.i32());
        match version {
            6.. => {
                request.topics = s.list(|s| {
                    DeleteTopicState::default()
                        .with_name(s.maybe(Source::topic))
                        .with_topic_id(s.uuid())
                        .with_unknown_tagged_fields(s.tags(true))
                });
            }
            _ => request.topic_names = s.list(Source::topic),
        }
        request.with_unknown_tagged_fields(s.tags(version >= 4))
    }

    fn read(ours: Request<'_>, _: &[u8], version: i16) -> DeleteTopicsRequest {
        let Request::DeleteTopics(ours) = ours else {
            panic!("{ours:?}")
        };
        let name = |topic: &kafka::TopicToDelete<'_>| topic.name.map(str_bytes).map(TopicName);
        let topic = |topic: kafka::TopicToDelete<'_>| {
            DeleteTopicState::default()
                .with_name(name(&topic))
                .with_topic_id(Uuid::from_u128(topic.id.0))
        };
        let request = DeleteTopicsRequest::default().with_timeout_ms(ours.timeout_ms);
        let topics = ours.topics.iter();
        match version {
            6.. => request.with_topics(topics.map(topic).collect()),
            _ => {
                let names = topics.map(|topic| name(&topic).expect("a name before version 6"));
                request.with_topic_names(names.collect())
            }
        }
    }

    fn response(s: &mut Source<'_>, version: i16) -> DeleteTopicsResponse {
        let mut response = DeleteTopicsResponse::default();
        response.responses = s.list(|s| {
            let mut topic = DeletableTopicResult::default().with_error_code(s.error());
            match version {
                6.. => {
                    topic.name = s.maybe(Source::topic);
                    topic.topic_id = s.uuid();
                }
                _ => topic.name = Some(s.topic()),
            }
            if version >= 5 {
                topic.error_message = s.maybe(Source::text);
            }
            topic
        });
        response
    }

    fn write(theirs: &DeleteTopicsResponse, version: i16) -> Vec<u8> {
        let topics = theirs.responses.iter().map(|topic| kafka::DeletedTopic {
            name: topic.name.as_ref().map(|name| text(name)),
            id: kafka::Uuid(topic.topic_id.as_u128()),
            error: error_code(topic.error_code),
            error_message: maybe_text(&topic.error_message),
        });
        of_lines(Self::KEY, version, topics)
    }
}
