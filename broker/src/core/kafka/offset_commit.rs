//! OffsetCommit: keeps how far a group has come.
//!
//! A request may name tens of thousands of partitions: they are looked up in slices.

use leveret_engine::EngineError;
use leveret_engine::group::{Commit, GroupCall, GroupReply, NewOffset};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    CheckedFrame, CommittedPartition, ErrorCode, OffsetCommitRequest, OffsetCommitResponse,
    OffsetCommitTopic, TopicGroup,
};

use super::api::{Api, Incoming, Read};
use super::groups::{Reply, ask, caller, code_since, name};
use super::partitions::{Next, Partitions};
use super::topics::{Asked, place, resolve};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::{AllowedTopic, Operation};

/// What it costs to look at a topic or a partition, in the units of slices.
const LOOKUP: usize = 128;
/// The first version that knows groups that are not there.
const KNOWS_GROUPS: i16 = 9;

pub(super) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request<'a> = OffsetCommitRequest<'a>;
    /// What is to be kept, without any offsets yet, and where those stand.
    type Outline = (Commit, Partitions);

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Self::Outline {
        let request = &read.request;
        let commit = Commit {
            group: name(request.group),
            caller: caller(request.member, request.instance, request.generation),
            offsets: Vec::new(),
        };
        (commit, Partitions::of(request.topics.iter().place()))
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (commit, rest) = request.outline;
        let committing = Committing {
            asker: request.asker,
            frame: request.frame.checked(),
            rest,
            commit,
            topic: None,
            topics: Vec::new(),
            lines: Vec::new(),
            asked: Vec::new(),
        };
        let until = request.asker.until(None);
        core.carry_out(until, Awaits::Nobody, Box::new(committing), now);
    }
}

/// Offsets on their way.
struct Committing {
    asker: Asker,
    frame: CheckedFrame,
    rest: Partitions,
    commit: Commit,
    /// The topic that is being looked at.
    topic: Option<Result<AllowedTopic, ErrorCode>>,
    /// Each topic, as it was named, and how many partitions it has here.
    topics: Vec<(Asked, usize)>,
    lines: Vec<CommittedPartition>,
    /// The line of each offset that the group was asked to keep.
    asked: Vec<u32>,
}

impl<P: BufPool> Job<P, AskGroup> for Committing {
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        match self.rest.next::<OffsetCommitTopic<'_>>(&self.frame)? {
            Next::Topic(topic) => {
                let (asked, topic) = resolve(known, topic.topic, Operation::Read);
                self.topics.push((asked, 0));
                self.topic = Some(topic);
            }
            Next::Partition(partition) => {
                let topic = self.topic.as_ref();
                let topic = topic.expect("a topic is before its partitions");
                let place = place(known, topic, partition.index);
                if let Ok(place) = &place {
                    let line = u32::try_from(self.lines.len()).expect("a frame below 4 GiB");
                    self.asked.push(line);
                    self.commit.offsets.push(NewOffset {
                        log: place.log(),
                        offset: partition.offset,
                        leader_epoch: partition.leader_epoch,
                        metadata: name(partition.metadata.unwrap_or_default()),
                    });
                }
                self.lines.push(CommittedPartition {
                    index: partition.index,
                    error: place.err().unwrap_or(ErrorCode::None),
                });
                let (_, partitions) = self.topics.last_mut().expect("just seen");
                *partitions += 1;
            }
        }
        Some(LOOKUP)
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.frame = CheckedFrame::empty();
        true
    }

    fn calls(&mut self, known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        let empty = Commit {
            group: name(""),
            caller: caller("", None, -1),
            offsets: Vec::new(),
        };
        let commit = std::mem::replace(&mut self.commit, empty);
        let group = commit.group.clone();
        match ask(known, &group, Operation::Read, GroupCall::Commit(commit)) {
            Ok(call) => vec![call],
            Err(error) => {
                self.fail(error);
                Vec::new()
            }
        }
    }

    fn take(&mut self, _part: usize, reply: Reply) {
        match reply {
            Ok(GroupReply::Committed(refused)) => {
                for (place, error) in refused {
                    let line = self.asked[place] as usize;
                    self.lines[line].error = errors::group(error);
                }
            }
            Ok(_) => self.fail(ErrorCode::UnknownServerError),
            Err(error) => {
                let error: EngineError = error;
                self.fail(code_since(&error, self.asker.version, KNOWS_GROUPS));
            }
        }
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let topics = self.topics.iter().map(|(topic, partitions)| TopicGroup {
            topic: topic.reference(),
            partitions: *partitions,
        });
        let topics: Vec<_> = topics.collect();
        core.kafka_respond(
            self.asker,
            &OffsetCommitResponse {
                throttle_time_ms: 0,
                topics: &topics,
                partitions: &self.lines,
            },
        );
    }
}

impl Committing {
    /// Nothing of what could be found is kept.
    fn fail(&mut self, error: ErrorCode) {
        for line in &self.asked {
            self.lines[*line as usize].error = error;
        }
    }
}
