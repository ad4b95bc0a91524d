//! OffsetDelete: forgets how far a group has come in some partitions.

use leveret_engine::group::{DeleteOffsets, GroupCall, GroupReply, Name};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::kafka::{
    CheckedFrame, CommittedPartition, ErrorCode, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetDeleteTopic, TopicGroup, TopicRef,
};

use super::api::{Api, Incoming, Read};
use super::groups::{Reply, ask, code, name};
use super::partitions::{Next, Partitions};
use super::topics::{Asked, place, resolve};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::{AllowedTopic, Operation};

/// What it costs to look at a topic or a partition, in the units of slices.
const LOOKUP: usize = 128;

pub(super) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request<'a> = OffsetDeleteRequest<'a>;
    /// The group, and where the topics stand.
    type Outline = (Name, Partitions);

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Self::Outline {
        let request = &read.request;
        let topics = request.topics.iter().place();
        (name(request.group), Partitions::of(topics))
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (group, rest) = request.outline;
        let deleting = Deleting {
            asker: request.asker,
            frame: request.frame.checked(),
            rest,
            group,
            topic: None,
            topics: Vec::new(),
            lines: Vec::new(),
            error: ErrorCode::None,
        };
        let until = request.asker.until(None);
        core.carry_out(until, Awaits::Nobody, Box::new(deleting), now);
    }
}

/// Offsets that are being forgotten.
struct Deleting {
    asker: Asker,
    frame: CheckedFrame,
    rest: Partitions,
    group: Name,
    /// The topic that is being looked at.
    topic: Option<Result<AllowedTopic, ErrorCode>>,
    topics: Vec<OfTopic>,
    lines: Vec<CommittedPartition>,
    error: ErrorCode,
}

/// What is forgotten of one topic.
struct OfTopic {
    asked: Asked,
    /// Its first line, and how many there are.
    lines: (usize, usize),
    /// The partitions that exist.
    logs: Vec<LogId>,
}

impl<P: BufPool> Job<P, AskGroup> for Deleting {
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        match self.rest.next::<OffsetDeleteTopic<'_>>(&self.frame)? {
            Next::Topic(topic) => {
                let named = TopicRef::Name(topic.name);
                let (asked, topic) = resolve(known, named, Operation::Read);
                self.topics.push(OfTopic {
                    asked,
                    lines: (self.lines.len(), 0),
                    logs: Vec::new(),
                });
                self.topic = Some(topic);
            }
            Next::Partition(index) => {
                let topic = self.topic.as_ref();
                let topic = topic.expect("a topic is before its partitions");
                let place = place(known, topic, index);
                let of = self.topics.last_mut().expect("just seen");
                of.lines.1 += 1;
                if let Ok(place) = &place {
                    of.logs.push(place.log());
                }
                self.lines.push(CommittedPartition {
                    index,
                    error: place.err().unwrap_or(ErrorCode::None),
                });
            }
        }
        Some(LOOKUP)
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.frame = CheckedFrame::empty();
        true
    }

    fn calls(&mut self, known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        let topics = self.topics.iter_mut().map(|topic| {
            let named = match topic.asked.reference() {
                TopicRef::Name(text) => name(text),
                TopicRef::Id(_) => unreachable!("no version names topics by id"),
            };
            (named, std::mem::take(&mut topic.logs))
        });
        let call = GroupCall::DeleteOffsets(DeleteOffsets {
            group: self.group.clone(),
            topics: topics.collect(),
        });
        match ask(known, &self.group, Operation::Delete, call) {
            Ok(call) => vec![call],
            Err(error) => {
                self.error = error;
                Vec::new()
            }
        }
    }

    fn take(&mut self, _part: usize, reply: Reply) {
        match reply {
            Ok(GroupReply::OffsetsDeleted(refused)) => {
                for (topic, error) in refused {
                    let (first, count) = self.topics[topic].lines;
                    let lines = &mut self.lines[first..first + count];
                    let found = lines
                        .iter_mut()
                        .filter(|line| line.error == ErrorCode::None);
                    found.for_each(|line| line.error = errors::group(error));
                }
            }
            Ok(_) => self.error = ErrorCode::UnknownServerError,
            Err(error) => self.error = code(&error),
        }
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        // What cannot be done at all is told once.
        let told = match self.error {
            ErrorCode::None => &self.topics[..],
            _ => &[],
        };
        let topics: Vec<_> = told
            .iter()
            .map(|topic| TopicGroup {
                topic: topic.asked.reference(),
                partitions: topic.lines.1,
            })
            .collect();
        let lines = if told.is_empty() {
            &[][..]
        } else {
            &self.lines
        };
        core.kafka_respond(
            self.asker,
            &OffsetDeleteResponse {
                error: self.error,
                throttle_time_ms: 0,
                topics: &topics,
                partitions: lines,
            },
        );
    }
}
