//! DeleteTopics: by name or by id, each with all its records.
//!
//! A request may name two hundred thousand: they are read twice, in slices, first to see which are named
//! more than once. What is refused has its line at once, what is deleted behind those.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::vec;

use leveret_engine::EngineError;
use leveret_engine::topology::{TopicEntry, TopicId};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    CheckedFrame, DeleteTopicsRequest, DeletedTopic, ErrorCode, Line as _, Place, TopicRef,
    TopicToDelete, Uuid,
};

use super::api::{Api, Incoming, Read};
use super::changes::{Changes, Line, TWICE};
use super::names::{self, Name, Names};
use super::pieces::Pieces;
use super::topics::{find, uuid_of};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::ChangeTopics;
use crate::core::net::Pause;
use crate::core::once::Mention;
use crate::core::ops::{AllowedTopic, Operation};

/// What it costs to look up a topic, beside the bytes of its line, in the units of slices.
const TOPIC: usize = 256;
/// Said of what is named by both or by neither.
const UNCLEAR: &str = "a topic to delete is given by its name or by its id, by one of both";

pub(super) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request<'a> = DeleteTopicsRequest<'a>;
    /// Where the topics stand.
    type Outline = Place;

    fn outline(asked: &Read<'_, Self>, _known: &Known<'_>) -> Place {
        asked.request.topics.iter().place()
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, topics) = (request.asker, request.outline);
        let deleting = Deleting {
            asker,
            names: Names::new(request.frame.checked(), topics, read, now.mono),
            stage: Stage::Meeting,
            named: BTreeMap::new(),
            changes: Changes::default(),
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), (), Box::new(deleting), now);
    }
}

/// Topics that are being deleted.
struct Deleting {
    asker: Asker,
    names: Names,
    stage: Stage,
    /// Topics that are named, by name or by id, and how often that may still be told.
    named: BTreeMap<TopicId, Told>,
    changes: Changes,
    lines: Pieces,
}

enum Stage {
    /// All names are being met.
    Meeting,
    /// What is named once is to be deleted.
    Choosing(Vec<ChangeTopics>),
    /// That is under way.
    Deleting,
    /// The lines of what was deleted are being put together.
    Answering(vec::IntoIter<Line>),
}

/// What is to be told of a topic that is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is named once.
    Once,
    /// It is named more than once.
    Twice,
    /// Likewise, and it was told.
    Already,
}

impl<P: BufPool> Job<P, ChangeTopics> for Deleting {
    fn blocks(&self) -> Option<Pause> {
        Some(Pause::Topology)
    }

    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
        match &mut self.stage {
            Stage::Meeting => {
                match self.names.next_met() {
                    Some((name, _)) => {
                        if let Some(Ok(topic)) = topic_of(name, known) {
                            let named = self.named.entry(topic.id);
                            named
                                .and_modify(|told| *told = Told::Twice)
                                .or_insert(Told::Once);
                        }
                    }
                    None => {
                        self.names.begin_again();
                        self.stage = Stage::Choosing(Vec::new());
                    }
                }
                Some(TOPIC)
            }
            Stage::Choosing(calls) => {
                let (name, mention) = self.names.next_mentioned()?;
                let topic = topic_of(name, known);
                let found = topic.as_ref().and_then(|topic| topic.as_ref().ok());
                let told = found.and_then(|topic| self.named.get_mut(&topic.id));
                let mention = told.map_or(mention, Told::mention);
                let (name, id) = match found {
                    Some(topic) => (Some(topic.name.as_str()), uuid_of(known.topology, topic.id)),
                    None => name,
                };
                let (error, message) = match (mention, &topic) {
                    (Mention::Again, _) => return Some(TOPIC),
                    (Mention::First, _) => (ErrorCode::InvalidRequest, Some(TWICE)),
                    (Mention::Only, Some(Ok(topic))) => {
                        let mut line = Line::of(topic.name.as_str());
                        line.id = id;
                        self.changes.ask(line);
                        calls.push(topic.delete());
                        return Some(TOPIC);
                    }
                    (Mention::Only, Some(Err(error))) => (*error, None),
                    (Mention::Only, None) => (ErrorCode::InvalidRequest, Some(UNCLEAR)),
                };
                let line = DeletedTopic {
                    name: name.map(Cow::Borrowed),
                    id,
                    error,
                    error_message: message.map(Cow::Borrowed),
                };
                let version = self.asker.version;
                Some(
                    TOPIC
                        + self
                            .lines
                            .line(|out| line.encode(out, DeleteTopics::KEY, version)),
                )
            }
            Stage::Deleting => None,
            Stage::Answering(deleted) => {
                let line = deleted.next()?;
                let line = DeletedTopic {
                    name: line.name.map(Cow::Owned),
                    id: line.id,
                    error: line.error,
                    error_message: line.message.map(Cow::Owned),
                };
                let version = self.asker.version;
                Some(
                    TOPIC
                        + self
                            .lines
                            .line(|out| line.encode(out, DeleteTopics::KEY, version)),
                )
            }
        }
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.names.forget();
        true
    }

    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, ChangeTopics)> {
        let Stage::Choosing(calls) = &mut self.stage else {
            return Vec::new();
        };
        let calls = std::mem::take(calls).into_iter();
        self.stage = Stage::Deleting;
        calls.map(|call| (CoreId(0), call)).collect()
    }

    fn take(&mut self, part: usize, reply: Result<TopicEntry, EngineError>) {
        self.changes.take(part, &reply);
    }

    fn begins_answer(&mut self) -> bool {
        let begins = matches!(self.stage, Stage::Deleting);
        if begins {
            let lines = std::mem::take(&mut self.changes.lines);
            self.stage = Stage::Answering(lines.into_iter());
        }
        begins
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        core.kafka_respond_lines(self.asker, DeleteTopics::KEY, self.lines);
    }
}

impl Told {
    fn mention(&mut self) -> Mention {
        match self {
            Self::Once => Mention::Only,
            Self::Twice => {
                *self = Self::Already;
                Mention::First
            }
            Self::Already => Mention::Again,
        }
    }
}

/// The topic, if it is given by its name or by its id, by one of both.
fn topic_of((name, id): Name<'_>, known: &Known<'_>) -> Option<Result<AllowedTopic, ErrorCode>> {
    let reference = match (name, id) {
        (Some(name), Uuid::ZERO) => TopicRef::Name(name),
        (None, id) if id != Uuid::ZERO => TopicRef::Id(id),
        _ => return None,
    };
    Some(find(known, reference, Operation::Delete))
}

fn read<'a>(frame: &'a CheckedFrame, place: Place) -> Option<(Name<'a>, Place)> {
    names::read(frame, place, |topic: TopicToDelete<'a>| {
        (topic.name, topic.id)
    })
}
