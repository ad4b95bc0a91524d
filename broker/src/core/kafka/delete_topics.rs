//! DeleteTopics: by name or by id, each with all its records.

use std::borrow::Cow;

use leveret_engine::topology::{Command, TopicId};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, ErrorCode, TopicRef, TopicToDelete,
    Uuid,
};

use super::Asker;
use super::changes::{Changes, Line, Wanted, once};
use super::gathered::Gathered;
use super::topics::{resolve, uuid_of};
use crate::core::Core;
use crate::core::once::Mentions;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_delete_topics(
        &mut self,
        asker: Asker,
        request: &DeleteTopicsRequest<'_>,
        now: Now,
    ) {
        let named: Vec<Named<'_>> = request.topics.iter().map(|one| self.named(&one)).collect();
        let mut mentions = Mentions::of(named.iter().copied());
        let entries = request.topics.iter().zip(&named);
        let wanted = entries.filter_map(|(one, named)| {
            let wanted = once(mentions.next(named), || named.wanted())?;
            Some((self.line_of(&one, *named), wanted))
        });
        let wanted = wanted.collect();
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

    fn named<'a>(&self, one: &TopicToDelete<'a>) -> Named<'a> {
        let (reference, none) = match (one.name, one.id) {
            (Some(name), Uuid::ZERO) => (TopicRef::Name(name), Named::NoName(name)),
            (None, id) if id != Uuid::ZERO => (TopicRef::Id(id), Named::NoId(id)),
            (name, id) => return Named::Unclear(name, id),
        };
        let (_, found) = resolve(&self.topology, reference);
        found.map_or(none, |topic| Named::Topic(topic.id))
    }

    fn line_of(&self, one: &TopicToDelete<'_>, named: Named<'_>) -> Line {
        let mut line = Line::of(one.name.unwrap_or_default());
        (line.name, line.id) = (one.name.map(str::to_owned), one.id);
        let found = match named {
            Named::Topic(id) => self.topology.topic(id),
            _ => None,
        };
        if let Some(topic) = found {
            line.name = Some(topic.name.as_str().to_owned());
            line.id = uuid_of(&self.topology, topic.id);
        }
        line
    }
}

/// What one entry of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named<'a> {
    /// A topic, by either.
    Topic(TopicId),
    /// No topic has that name.
    NoName(&'a str),
    /// No topic has that id.
    NoId(Uuid),
    /// Both name and id are given, or neither.
    Unclear(Option<&'a str>, Uuid),
}

impl Named<'_> {
    fn wanted(self) -> Wanted {
        match self {
            Self::Topic(id) => Ok(Command::DeleteTopic { id }),
            Self::NoName(_) => Err((ErrorCode::UnknownTopicOrPartition, String::new())),
            Self::NoId(_) => Err((ErrorCode::UnknownTopicId, String::new())),
            Self::Unclear(..) => {
                let message = "a topic to delete is given by its name or by its id, by one of both";
                Err((ErrorCode::InvalidRequest, message.to_owned()))
            }
        }
    }
}
