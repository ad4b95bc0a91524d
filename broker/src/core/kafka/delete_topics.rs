//! DeleteTopics: by name or by id, each with all its records.

use std::borrow::Cow;

use leveret_engine::topology::Command;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, ErrorCode};

use super::Asker;
use super::changes::{Changes, Line};
use super::gathered::Gathered;
use super::topics::{Asked, reference_of, resolve, uuid_of};
use crate::core::Core;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_delete_topics(
        &mut self,
        asker: Asker,
        request: &DeleteTopicsRequest<'_>,
        now: Now,
    ) {
        let line = |topic: leveret_wire::kafka::TopicToDelete<'_>| {
            let reference = reference_of(topic.id, topic.name);
            let (asked, found) = resolve(&self.topology, reference);
            let mut line = Line::of(topic.name.unwrap_or_default());
            line.id = topic.id;
            let wanted = match (&asked, found) {
                (_, Some(found)) => {
                    line.name = Some(found.name.as_str().to_owned());
                    line.id = uuid_of(&self.topology, found.id);
                    Ok(Command::DeleteTopic { id: found.id })
                }
                (Asked::Id(_), None) => {
                    line.name = None;
                    Err((ErrorCode::UnknownTopicId, String::new()))
                }
                (_, None) => Err((ErrorCode::UnknownTopicOrPartition, String::new())),
            };
            (line, wanted)
        };
        let wanted = request.topics.iter().map(line).collect();
        self.kafka_change(asker, wanted, false, Gathered::DeleteTopics, now);
    }

    pub(super) fn kafka_deleted(&mut self, asker: Asker, changes: &Changes) {
        let topics = changes.lines.iter().map(|line| DeletedTopic {
            name: line.name.as_deref().map(Cow::Borrowed),
            id: line.id,
            error: line.error,
            error_message: line.message.as_deref().map(Cow::Borrowed),
        });
        let response = DeleteTopicsResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        };
        self.kafka_respond(asker, &response);
    }
}
