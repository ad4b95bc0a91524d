//! OffsetFetch: how far groups have come. What nobody committed is told as -1, whether there is such a group,
//! topic or partition or not: clients take an error there for the end.

use std::collections::BTreeMap;

use leveret_engine::group::{
    Committed, FetchOffsets, FoundOffset, GroupCall, GroupReply, Name, WhichOffsets,
};
use leveret_engine::topology::{LogOwner, Topology};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::kafka::{
    CheckedFrame, ErrorCode, FetchedGroup, FetchedOffset, OffsetFetchGroup, OffsetFetchGroups,
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic, Place, TopicGroup, TopicRef,
};

use super::api::{Api, Incoming, Read};
use super::groups::{Reply, ask, code, name};
use super::partitions::{Next, Partitions};
use super::topics::{Asked, place, resolve, uuid_of};
use super::{Asker, Known};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{AskGroup, Awaits};
use crate::core::ops::{AllowedTopic, Operation};

/// What it costs to look at a topic or a partition, in the units of slices.
const LOOKUP: usize = 128;
/// The first version that names topics by id.
const BY_ID: i16 = 10;

pub(super) struct OffsetFetch;

/// The groups of a request that are not looked at yet.
pub(super) enum Groups {
    /// One, and where its topics stand; `None` for all that have offsets.
    One(Option<(Name, Option<Place>)>),
    /// Those that stand there.
    Several(Place),
}

impl Api for OffsetFetch {
    type Request<'a> = OffsetFetchRequest<'a>;
    /// The groups, and whether only offsets are to be told that no transaction may change.
    type Outline = (Groups, bool);

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Self::Outline {
        let groups = match &read.request.groups {
            OffsetFetchGroups::One(group) => Groups::One(Some(of_group(group))),
            OffsetFetchGroups::Several(groups) => Groups::Several(groups.iter().place()),
        };
        (groups, read.request.require_stable)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, (groups, require_stable)) = (request.asker, request.outline);
        let fetching = Fetching {
            asker,
            frame: request.frame.checked(),
            rest: groups,
            require_stable,
            partitions: None,
            topic: None,
            groups: Vec::new(),
            to_ask: Vec::new(),
            asked: Vec::new(),
        };
        core.carry_out(asker.until(None), Awaits::Nobody, Box::new(fetching), now);
    }
}

fn of_group(group: &OffsetFetchGroup<'_>) -> (Name, Option<Place>) {
    let topics = group.topics.map(|topics| topics.iter().place());
    (name(group.group), topics)
}

/// Offsets that are being fetched.
struct Fetching {
    asker: Asker,
    frame: CheckedFrame,
    rest: Groups,
    require_stable: bool,
    /// Those of the last group that follow.
    partitions: Option<Partitions>,
    /// The topic that is being looked at.
    topic: Option<Result<AllowedTopic, ErrorCode>>,
    groups: Vec<OfGroup>,
    /// Groups that have more offsets than were told, and after which log.
    to_ask: Vec<(usize, Option<LogId>)>,
    /// Whose offsets each call of this round asks for.
    asked: Vec<usize>,
}

/// What is told of one group.
struct OfGroup {
    group: Name,
    error: ErrorCode,
    wanted: Wanted,
}

enum Wanted {
    /// Some partitions, topic by topic.
    Some {
        /// Each topic, as it was named, and how many partitions it has here.
        topics: Vec<(Asked, usize)>,
        lines: Vec<Line>,
        /// The partitions that exist, in the order of their lines.
        logs: Vec<LogId>,
    },
    /// All that have offsets.
    All(Vec<FoundOffset>),
}

/// A partition.
struct Line {
    index: i32,
    /// Its place among those that exist, or what to tell.
    told: Result<usize, ErrorCode>,
    found: Option<FoundOffset>,
}

impl Fetching {
    /// The next group, which is looked at from here on.
    fn next_group(&mut self) -> Option<()> {
        let (group, topics) = match &mut self.rest {
            Groups::One(one) => one.take()?,
            Groups::Several(rest) => {
                let mut elements = self.frame.elements::<OffsetFetchGroup<'_>>(*rest);
                let group = of_group(&elements.next()?);
                *rest = elements.place();
                group
            }
        };
        self.partitions = topics.map(Partitions::of);
        self.groups.push(OfGroup {
            group,
            error: ErrorCode::None,
            wanted: match topics {
                Some(_) => Wanted::Some {
                    topics: Vec::new(),
                    lines: Vec::new(),
                    logs: Vec::new(),
                },
                None => Wanted::All(Vec::new()),
            },
        });
        self.to_ask.push((self.groups.len() - 1, None));
        Some(())
    }

    fn which(&self, group: usize, after: Option<LogId>) -> WhichOffsets {
        match &self.groups[group].wanted {
            Wanted::Some { logs, .. } => WhichOffsets::Of(logs.clone()),
            Wanted::All(_) => WhichOffsets::All { after },
        }
    }
}

impl<P: BufPool> Job<P, AskGroup> for Fetching {
    fn look_up(&mut self, _: &mut Awaits, known: &Known<'_>) -> Option<usize> {
        let next = self.partitions.as_mut();
        let next = next.and_then(|rest| rest.next::<OffsetFetchTopic<'_>>(&self.frame));
        let Some(next) = next else {
            self.partitions = None;
            return self.next_group().map(|()| LOOKUP);
        };
        let group = self
            .groups
            .last_mut()
            .expect("a group is before its topics");
        let Wanted::Some {
            topics,
            lines,
            logs,
        } = &mut group.wanted
        else {
            unreachable!("all are not named");
        };
        match next {
            Next::Topic(topic) => {
                let (asked, topic) = resolve(known, topic.topic, Operation::Describe);
                topics.push((asked, 0));
                self.topic = Some(topic);
            }
            Next::Partition(index) => {
                let topic = self.topic.as_ref();
                let topic = topic.expect("a topic is before its partitions");
                topics.last_mut().expect("just seen").1 += 1;
                let told = match place(known, topic, index) {
                    Ok(place) => {
                        logs.push(place.log());
                        Ok(logs.len() - 1)
                    }
                    Err(ErrorCode::UnknownTopicOrPartition) => Err(ErrorCode::None),
                    Err(error) => Err(error),
                };
                lines.push(Line {
                    index,
                    told,
                    found: None,
                });
            }
        }
        Some(LOOKUP)
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.frame = CheckedFrame::empty();
        self.rest = Groups::One(None);
        true
    }

    fn calls(&mut self, known: &Known<'_>) -> Vec<(CoreId, AskGroup)> {
        self.asked.clear();
        let mut calls = Vec::new();
        for (group, after) in std::mem::take(&mut self.to_ask) {
            let which = self.which(group, after);
            if which == WhichOffsets::Of(Vec::new()) {
                continue;
            }
            let of = &mut self.groups[group];
            let call = GroupCall::FetchOffsets(FetchOffsets {
                group: of.group.clone(),
                which,
                require_stable: self.require_stable,
            });
            match ask(known, &of.group, Operation::Describe, call) {
                Ok(call) => {
                    calls.push(call);
                    self.asked.push(group);
                }
                Err(error) => of.error = error,
            }
        }
        calls
    }

    fn take(&mut self, part: usize, reply: Reply) {
        let number = self.asked[part];
        let group = &mut self.groups[number];
        let offsets = match reply {
            Ok(GroupReply::Offsets(offsets)) => offsets,
            Ok(_) => return group.error = ErrorCode::UnknownServerError,
            Err(error) => return group.error = code(&error),
        };
        match &mut group.wanted {
            Wanted::Some { lines, .. } => {
                let mut found: Vec<_> = offsets.found.into_iter().map(Some).collect();
                for line in lines {
                    if let Ok(place) = line.told {
                        line.found = found.get_mut(place).and_then(Option::take);
                    }
                }
            }
            Wanted::All(found) => {
                found.extend(offsets.found);
                self.to_ask
                    .extend(offsets.next.map(|next| (number, Some(next))));
            }
        }
    }

    fn begins_answer(&mut self) -> bool {
        !self.to_ask.is_empty()
    }

    fn lines(&self) -> usize {
        let of = |group: &OfGroup| match &group.wanted {
            Wanted::Some { lines, .. } => lines.len(),
            Wanted::All(found) => found.len(),
        };
        self.groups.iter().map(of).sum()
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let asker = self.asker;
        let mut out = std::mem::take(&mut core.arena);
        let response = OffsetFetchResponse {
            throttle_time_ms: 0,
            groups: self
                .groups
                .iter()
                .map(|group| told(group, &core.topology, asker.version))
                .collect(),
        };
        let len = leveret_wire::kafka::encode_response(
            &mut out,
            asker.version,
            asker.correlation,
            &response,
        );
        drop(response);
        core.arena = out;
        core.slices.charge(len);
        let answer = vec![core.arena.split().freeze()];
        core.keep_answer(asker, answer);
    }
}

/// A group's line.
fn told<'a>(group: &'a OfGroup, topology: &'a Topology, version: i16) -> FetchedGroup<'a> {
    let mut line = FetchedGroup {
        group: (&*group.group).into(),
        topics: Vec::new(),
        partitions: Vec::new(),
        error: group.error,
    };
    match &group.wanted {
        // Old versions tell it of each partition alone.
        Wanted::Some { topics, lines, .. } => {
            for (topic, partitions) in topics {
                line.topics.push(TopicGroup {
                    topic: topic.reference(),
                    partitions: *partitions,
                });
            }
            for of in lines {
                let error = match group.error {
                    ErrorCode::None => of.told.err().unwrap_or(ErrorCode::None),
                    error => error,
                };
                let offset = of.found.as_ref().map(offset_of);
                line.partitions.push(partition(of.index, offset, error));
            }
        }
        Wanted::All(found) => {
            let mut by_topic = BTreeMap::new();
            for offset in found {
                if let Some(LogOwner::Partition { topic, index }) = topology.owner_of(offset.log) {
                    let lines = &mut by_topic.entry(&topic.name).or_insert((topic, Vec::new())).1;
                    let index = i32::try_from(index).unwrap_or(i32::MAX);
                    let told = Some(offset_of(offset));
                    lines.push(partition(index, told, ErrorCode::None));
                }
            }
            for (topic, partitions) in by_topic.into_values() {
                line.topics.push(TopicGroup {
                    topic: match version {
                        BY_ID.. => TopicRef::Id(uuid_of(topology, topic.id)),
                        _ => TopicRef::Name(topic.name.as_str()),
                    },
                    partitions: partitions.len(),
                });
                line.partitions.extend(partitions);
            }
        }
    }
    line
}

/// An offset that is kept, or that a transaction may still change it.
fn offset_of(found: &FoundOffset) -> Result<Option<&Committed>, ErrorCode> {
    match found.unstable {
        true => Err(ErrorCode::UnstableOffsetCommit),
        false => Ok(found.committed.as_ref()),
    }
}

fn partition<'a>(
    index: i32,
    offset: Option<Result<Option<&'a Committed>, ErrorCode>>,
    error: ErrorCode,
) -> FetchedOffset<'a> {
    let (committed, error) = match offset {
        Some(Ok(committed)) => (committed, error),
        Some(Err(unstable)) => (None, unstable),
        None => (None, error),
    };
    let metadata = committed.and_then(|committed| committed.metadata.as_deref());
    FetchedOffset {
        index,
        offset: committed.map_or(-1, |committed| committed.offset),
        leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
        metadata: Some(metadata.unwrap_or_default().into()),
        error,
    }
}
