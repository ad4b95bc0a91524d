//! DeleteTopics: by name or by id, each with all its records.

use std::borrow::Cow;

use leveret_engine::EngineError;
use leveret_engine::shard::Reply;
use leveret_engine::topology::{Command, TopologyRefusal};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, ErrorCode, TopicRef, Uuid,
};

use super::Asker;
use super::errors;
use super::gathered::{Gathered, change_of};
use super::topics::{Asked, resolve, uuid_of};
use crate::core::Core;
use crate::core::hop::Call;

/// Topics that are being deleted.
pub(super) struct Deleting {
    lines: Vec<Line>,
    /// The line of each part.
    parts: Vec<usize>,
}

struct Line {
    name: Option<String>,
    id: Uuid,
    error: ErrorCode,
}

impl Deleting {
    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        let line = &mut self.lines[self.parts[part]];
        line.error = match change_of(reply) {
            Ok(_) => ErrorCode::None,
            // Another client was faster.
            Err(EngineError::Topology(TopologyRefusal::UnknownTopic { .. })) => {
                ErrorCode::UnknownTopicOrPartition
            }
            Err(error) => errors::code(&error),
        };
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_delete_topics(
        &mut self,
        asker: Asker,
        request: &DeleteTopicsRequest<'_>,
        now: Now,
    ) {
        let mut deleting = Deleting {
            lines: Vec::with_capacity(request.topics.len()),
            parts: Vec::new(),
        };
        let mut ids = Vec::new();
        for topic in request.topics {
            let reference = topic
                .name
                .map_or(TopicRef::Id(topic.id), TopicRef::Name);
            let (asked, found) = resolve(&self.topology, reference);
            let error = match (&asked, &found) {
                (_, Some(found)) => {
                    deleting.parts.push(deleting.lines.len());
                    ids.push(found.id);
                    ErrorCode::None
                }
                (Asked::Id(_), None) => ErrorCode::UnknownTopicId,
                (_, None) => ErrorCode::UnknownTopicOrPartition,
            };
            let name = match &found {
                Some(found) => Some(found.name.as_str()),
                None => topic.name,
            };
            deleting.lines.push(Line {
                name: name.map(str::to_owned),
                id: found.as_ref().map_or(topic.id, |found| uuid_of(found.id)),
                error,
            });
        }
        let gather = self.kafka_gather(asker, None, Gathered::DeleteTopics(deleting));
        for id in ids {
            let command = Command::DeleteTopic { id };
            self.ask_part(gather, CoreId(0), Call::Change(command), now);
        }
        self.all_asked(gather, now);
    }

    pub(super) fn kafka_deleted(&mut self, asker: Asker, deleting: &Deleting) {
        let topics = deleting.lines.iter().map(|line| DeletedTopic {
            name: line.name.as_deref().map(Cow::Borrowed),
            id: line.id,
            error: line.error,
            error_message: None,
        });
        let response = DeleteTopicsResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        };
        self.kafka_respond(asker, &response);
    }
}
