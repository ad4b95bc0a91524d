//! ListOffsets: the ends of partitions, and the first record of a time.
//!
//! A request may name eighty thousand partitions: it is read from its frame three times, in slices. First
//! to see what it names more than once, then to ask, then to tell.

use std::vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_engine::EngineError;
use leveret_engine::shard::{FoundOffset, OffsetSpec};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::kafka::{
    CheckedFrame, Element, ErrorCode, Line, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, ListedPartition, ListedTopic, Place, TopicRef,
};

use super::api::{Api, Incoming, Read};
use super::partitions::{Next, Partitions};
use super::pieces::Pieces;
use super::produce::offset;
use super::topics::{find, place};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::FindOffset;
use crate::core::ops::{AllowedPartition, AllowedTopic, Operation};

/// What it costs to look at a topic or a partition, in the units of slices.
const LOOKUP: usize = 128;

pub(super) struct ListOffsets;

impl Api for ListOffsets {
    type Request<'a> = ListOffsetsRequest<'a>;
    /// Where the topics stand.
    type Outline = Place;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> Place {
        read.request.topics.iter().place()
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, topics) = (request.asker, request.outline);
        // At once: a table of so many would take a turn to grow.
        let most = request.frame.bytes.len() / ListOffsetsPartition::MIN_LEN;
        let listing = Listing {
            asker,
            frame: request.frame.checked(),
            topics,
            rest: Partitions::of(topics),
            stage: Stage::Meeting,
            topic: None,
            named: HashMap::with_capacity_and_hasher(most, FixedState::default()),
            found: Vec::new(),
            parts: Vec::new(),
            lines: Pieces::default(),
        };
        core.carry_out(asker.until(None), (), Box::new(listing), now);
    }
}

/// A look-up that is under way.
struct Listing {
    asker: Asker,
    frame: CheckedFrame,
    topics: Place,
    rest: Partitions,
    stage: Stage,
    /// The topic that is being looked at.
    topic: Option<Result<AllowedTopic, ErrorCode>>,
    /// The partitions that are named, and whether more than once.
    named: HashMap<LogId, bool, FixedState>,
    found: Vec<ListedPartition>,
    /// The line of each part, and whether it looks for a time.
    parts: Vec<(u32, bool)>,
    lines: Pieces,
}

enum Stage {
    /// What is named is being met.
    Meeting,
    /// What is named once is to be asked for.
    Choosing(Vec<(CoreId, FindOffset)>),
    /// That is under way.
    Asked,
    /// The lines are being put together.
    Answering {
        found: vec::IntoIter<ListedPartition>,
        /// Whether there is a topic in front, whose end is still to be told.
        within: bool,
    },
}

impl Listing {
    fn meet(&mut self, known: &Known<'_>) {
        match self.rest.next::<ListOffsetsTopic<'_>>(&self.frame) {
            Some(Next::Topic(topic)) => {
                self.topic = Some(find(known, TopicRef::Name(topic.name), Operation::Describe));
            }
            Some(Next::Partition(partition)) => {
                let place = self.place(partition.index, known);
                if let Ok(place) = place {
                    let named = self.named.entry(place.log());
                    named.and_modify(|again| *again = true).or_insert(false);
                }
            }
            None => {
                self.rest = Partitions::of(self.topics);
                self.stage = Stage::Choosing(Vec::new());
            }
        }
    }

    fn choose(&mut self, known: &Known<'_>) -> Option<usize> {
        let partition = match self.rest.next::<ListOffsetsTopic<'_>>(&self.frame)? {
            Next::Topic(topic) => {
                self.topic = Some(find(known, TopicRef::Name(topic.name), Operation::Describe));
                return Some(LOOKUP);
            }
            Next::Partition(partition) => partition,
        };
        let place = self.place(partition.index, known);
        let found = place.and_then(|at| Ok((at, spec_of(partition.timestamp)?)));
        let mut error = ErrorCode::None;
        match found {
            Err(code) => error = code,
            // Each look-up may read: there are no more than there are partitions.
            Ok((place, _)) if self.named.get(&place.log()).is_none_or(|again| *again) => {
                error = ErrorCode::InvalidRequest;
            }
            // There is no such offset, which is no error.
            Ok((_, None)) => {}
            Ok((place, Some(spec))) => {
                let by_time = matches!(spec, OffsetSpec::Timestamp(_) | OffsetSpec::MaxTimestamp);
                let line = u32::try_from(self.found.len()).expect("a frame below 4 GiB");
                self.parts.push((line, by_time));
                if let Stage::Choosing(calls) = &mut self.stage {
                    calls.push(place.find_offset(spec));
                }
            }
        }
        self.found.push(ListedPartition {
            index: partition.index,
            error,
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
        });
        Some(LOOKUP)
    }

    /// Puts the next line of the answer together.
    fn tell(&mut self) -> Option<usize> {
        let Stage::Answering { found, within } = &mut self.stage else {
            return None;
        };
        let version = self.asker.version;
        let Some(next) = self.rest.next::<ListOffsetsTopic<'_>>(&self.frame) else {
            if std::mem::take(within) {
                self.lines.part(|out| ListedTopic::encode_end(out, version));
            }
            return None;
        };
        let len = match next {
            Next::Topic(topic) => {
                if std::mem::replace(within, true) {
                    self.lines.part(|out| ListedTopic::encode_end(out, version));
                }
                let head = ListedTopic {
                    name: topic.name,
                    partitions: topic.partitions.len(),
                };
                self.lines
                    .line(|out| head.encode(out, ListOffsets::KEY, version))
            }
            Next::Partition(_) => {
                let line = found.next().expect("each partition has a line");
                self.lines
                    .part(|out| line.encode(out, ListOffsets::KEY, version))
            }
        };
        Some(LOOKUP + len)
    }

    fn place(&self, index: i32, known: &Known<'_>) -> Result<AllowedPartition, ErrorCode> {
        let topic = self.topic.as_ref();
        let topic = topic.expect("a topic is before its partitions");
        place(known, topic, index)
    }
}

impl<P: BufPool> Job<P, FindOffset> for Listing {
    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
        match &self.stage {
            Stage::Meeting => {
                self.meet(known);
                Some(LOOKUP)
            }
            Stage::Choosing(_) => self.choose(known),
            Stage::Asked => None,
            Stage::Answering { .. } => self.tell(),
        }
    }

    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, FindOffset)> {
        let Stage::Choosing(calls) = &mut self.stage else {
            return Vec::new();
        };
        let calls = std::mem::take(calls);
        self.stage = Stage::Asked;
        calls
    }

    fn take(&mut self, part: usize, reply: Result<FoundOffset, EngineError>) {
        let (line, by_time) = self.parts[part];
        let line = &mut self.found[line as usize];
        match reply {
            Ok(found) => {
                line.error = ErrorCode::None;
                line.timestamp = found.timestamp.unwrap_or(-1);
                // A time after the last record has no offset.
                let none = by_time && found.timestamp.is_none();
                line.offset = if none { -1 } else { offset(found.offset.0) };
            }
            Err(error) => line.error = errors::code(&error),
        }
    }

    fn begins_answer(&mut self) -> bool {
        let begins = matches!(self.stage, Stage::Asked);
        if begins {
            self.rest = Partitions::of(self.topics);
            self.stage = Stage::Answering {
                found: std::mem::take(&mut self.found).into_iter(),
                within: false,
            };
        }
        begins
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let asker = self.asker;
        let (version, correlation) = (asker.version, asker.correlation);
        core.kafka_respond_pieces(asker, self.lines, |out, count, len| {
            ListedTopic::encode_around(out, version, correlation, count, len)
        });
    }
}

/// What a timestamp of the request stands for; `None` where nothing can be found.
fn spec_of(timestamp: i64) -> Result<Option<OffsetSpec>, ErrorCode> {
    match timestamp {
        0.. => Ok(Some(OffsetSpec::Timestamp(timestamp))),
        ListOffsetsPartition::LATEST => Ok(Some(OffsetSpec::Latest)),
        // All of a log is local.
        ListOffsetsPartition::EARLIEST | ListOffsetsPartition::EARLIEST_LOCAL => {
            Ok(Some(OffsetSpec::Earliest))
        }
        ListOffsetsPartition::MAX_TIMESTAMP => Ok(Some(OffsetSpec::MaxTimestamp)),
        ListOffsetsPartition::LATEST_TIERED | ListOffsetsPartition::EARLIEST_PENDING_UPLOAD => {
            Ok(None)
        }
        _ => Err(ErrorCode::InvalidRequest),
    }
}
