//! ListOffsets: the ends of partitions, and the first record of a time.

use std::borrow::Cow;

use leveret_engine::shard::{OffsetSpec, Reply};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    ErrorCode, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedPartition,
    ListedTopic, TopicRef,
};

use super::Asker;
use super::errors;
use super::gathered::Gathered;
use super::produce::offset;
use super::topics::{place, resolve};
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::once::{Mention, Mentions};

/// A look-up that is under way.
pub(super) struct Listing {
    topics: Vec<(Box<str>, usize)>,
    lines: Vec<ListedPartition>,
    /// The line of each part, and whether it looks for a time.
    parts: Vec<(usize, bool)>,
}

impl Listing {
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        let (line, by_time) = self.parts[part];
        let line = &mut self.lines[line];
        match reply {
            Reply::Offset(found) => {
                line.error = ErrorCode::None;
                line.timestamp = found.timestamp.unwrap_or(-1);
                // A time after the last record has no offset.
                let none = by_time && found.timestamp.is_none();
                line.offset = if none { -1 } else { offset(found.offset.0) };
            }
            Reply::Failed(error) => line.error = errors::code(&error),
            reply => unreachable!("no answer to a look-up: {reply:?}"),
        }
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_list_offsets(
        &mut self,
        asker: Asker,
        request: &ListOffsetsRequest<'_>,
        now: Now,
    ) {
        let mut listing = Listing {
            topics: Vec::with_capacity(request.topics.len()),
            lines: Vec::new(),
            parts: Vec::new(),
        };
        let mut asked_for = Vec::new();
        for asked_topic in request.topics {
            let (asked, topic) = resolve(&self.topology, TopicRef::Name(asked_topic.name));
            for partition in asked_topic.partitions {
                let line = listing.lines.len();
                let found = place(&asked, topic.as_deref(), partition.index)
                    .and_then(|at| Ok((at, spec_of(partition.timestamp)?)));
                let error = found.as_ref().err().copied();
                asked_for.extend(found.ok().map(|(place, spec)| (line, place, spec)));
                listing.lines.push(ListedPartition {
                    index: partition.index,
                    error: error.unwrap_or(ErrorCode::None),
                    timestamp: -1,
                    offset: -1,
                    leader_epoch: -1,
                });
            }
            let name = asked_topic.name.into();
            listing.topics.push((name, asked_topic.partitions.len()));
        }
        let mut mentions = Mentions::of(asked_for.iter().map(|(_, (log, _), _)| *log));
        let mut calls = Vec::with_capacity(asked_for.len());
        for (line, (log, owner), spec) in asked_for {
            // Each look-up may read: there are no more than there are partitions.
            match (mentions.next(&log), spec) {
                (Mention::Only, Some(spec)) => {
                    let by_time =
                        matches!(spec, OffsetSpec::Timestamp(_) | OffsetSpec::MaxTimestamp);
                    listing.parts.push((line, by_time));
                    calls.push((owner, Call::Offset { log, spec }));
                }
                // There is no such offset, which is no error.
                (Mention::Only, None) => {}
                _ => listing.lines[line].error = ErrorCode::InvalidRequest,
            }
        }
        let gather = self.kafka_gather(asker, None, Gathered::ListOffsets(listing));
        for (owner, call) in calls {
            self.ask_part(gather, owner, call, now);
        }
        self.all_asked(gather, now);
    }

    pub(super) fn kafka_listed(&mut self, asker: Asker, listing: &Listing) {
        let mut lines = listing.lines.iter().copied();
        let topics = listing.topics.iter().map(|(name, partitions)| ListedTopic {
            name: Cow::Borrowed(&**name),
            partitions: lines.by_ref().take(*partitions).collect(),
        });
        let response = ListOffsetsResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        };
        self.kafka_respond(asker, &response);
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
