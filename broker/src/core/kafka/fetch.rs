//! Fetch: batches as they are stored, from the cores that own them.
//!
//! A request may name tens of thousands of partitions, and each costs more to look up than to name:
//! they are looked up in [slices](crate::core::slices), before anything is asked for.

use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use leveret_engine::EngineError;
use leveret_engine::shard::{FetchPartition, FetchedPartition};
use leveret_engine::topology::Topic;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{LogId, Now, Offset};
use leveret_wire::kafka::{self as wire, ErrorCode, FetchRequest, FetchResponse, TopicGroup};

use super::Asker;
use super::errors;
use super::gathered::Gathered;
use super::produce::offset;
use super::topics::{Asked, place, resolve};
use crate::core::Core;
use crate::core::spread::{Bounds, Spread};

/// Longest that a fetch may wait, milliseconds.
const MAX_WAIT: u32 = 300_000;

/// What it costs to look up a partition, in the units of slices.
const LOOKUP: usize = 128;

/// A fetch that is under way.
pub(super) struct Fetching {
    /// Partitions that the request names.
    named: usize,
    /// Those that are not looked up yet.
    rest: vec::IntoIter<Named>,
    topics: Vec<AskedTopic>,
    /// The partitions found so far, by the number of what is wanted: one that is named again is
    /// wanted as it was named last, in the place where it was named first.
    seen: HashMap<LogId, usize, FixedState>,
    lines: Vec<wire::FetchedPartition>,
    /// The batches of each line.
    records: Vec<Vec<Bytes>>,
}

/// What counts of a partition in the request: no more, as there may be tens of thousands.
#[derive(Clone, Copy)]
struct Named {
    /// The number of its topic in the request.
    topic: u32,
    index: i32,
    from: i64,
    max_bytes: i32,
}

/// A topic that is asked for.
struct AskedTopic {
    asked: Asked,
    topic: Option<Arc<Topic>>,
    /// Lines of the answer.
    lines: usize,
}

impl Fetching {
    fn new(request: &FetchRequest<'_>) -> Self {
        let mut named = Vec::new();
        for (topic, asked) in (0..).zip(request.topics) {
            named.reserve(asked.partitions.len());
            let partitions = asked.partitions.iter();
            named.extend(partitions.map(|partition| Named {
                topic,
                index: partition.index,
                from: partition.fetch_offset,
                max_bytes: partition.max_bytes,
            }));
        }
        Self {
            named: named.len(),
            lines: Vec::with_capacity(named.len()),
            records: Vec::with_capacity(named.len()),
            rest: named.into_iter(),
            topics: Vec::with_capacity(request.topics.len()),
            seen: HashMap::default(),
        }
    }

    pub(super) fn partitions(&self) -> usize {
        self.named
    }

    /// Looks up the next partition that the request names, and wants it of `spread`. What that cost;
    /// `None` if there is none.
    pub(super) fn look_up(&mut self, spread: &mut Spread) -> Option<usize> {
        let Some(named) = self.rest.next() else {
            self.seen = HashMap::default();
            return None;
        };
        let at = &mut self.topics[named.topic as usize];
        let (index, from) = (named.index, u64::try_from(named.from));
        let found = place(&at.asked, at.topic.as_deref(), index)
            .and_then(|found| Ok((found, from.map_err(|_| ErrorCode::OffsetOutOfRange)?)));
        let mut error = ErrorCode::None;
        match found {
            Ok(((log, owner), from)) => {
                let part = FetchPartition {
                    log,
                    offset: Offset(from),
                    max_bytes: usize::try_from(named.max_bytes).unwrap_or(0),
                };
                match self.seen.entry(log) {
                    Entry::Occupied(number) => {
                        spread.change(*number.get(), part);
                        return Some(LOOKUP);
                    }
                    Entry::Vacant(number) => {
                        number.insert(spread.want(self.lines.len(), owner, part));
                    }
                }
            }
            Err(code) => {
                error = code;
                // What is refused is said at once.
                spread.hurry();
            }
        }
        at.lines += 1;
        let line = wire::FetchedPartition::failed(index, error);
        self.lines.push(line);
        self.records.push(Vec::new());
        Some(LOOKUP)
    }

    /// Bytes of batches that are there.
    pub(super) fn read(&self) -> usize {
        self.records.iter().flatten().map(Bytes::len).sum()
    }

    /// One partition is there; once more if it was only counted before.
    pub(super) fn fetched(&mut self, line: usize, one: FetchedPartition) {
        self.records[line] = fill(&mut self.lines[line], one);
    }
}

/// One partition's line; its batches are given back.
fn fill(line: &mut wire::FetchedPartition, fetched: FetchedPartition) -> Vec<Bytes> {
    match fetched.result {
        Ok(records) => {
            line.error = ErrorCode::None;
            line.high_watermark = offset(records.high_watermark.0);
            // There are no transactions: everything below the high watermark is stable.
            line.last_stable_offset = line.high_watermark;
            line.log_start_offset = offset(records.start_offset.0);
            line.records_len = records.len();
            records.batches
        }
        Err(error) => {
            line.error = errors::code(&error);
            if let EngineError::OffsetOutOfRange {
                start,
                high_watermark,
                ..
            } = error
            {
                line.high_watermark = offset(high_watermark.0);
                line.last_stable_offset = line.high_watermark;
                line.log_start_offset = offset(start.0);
            }
            Vec::new()
        }
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_fetch(&mut self, mut asker: Asker, request: &FetchRequest<'_>, now: Now) {
        if request.session_id != 0 {
            // None was ever given out.
            return self.refuse_fetch(asker, ErrorCode::FetchSessionIdNotFound, now);
        }
        let mut fetching = Fetching::new(request);
        let most = self.answers.fetch_limit();
        let wait_ms = u32::try_from(request.max_wait_ms).unwrap_or(0);
        let bounds = Bounds {
            max_bytes: usize::try_from(request.max_bytes).map_or(0, |asked| asked.min(most)),
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
            max_wait: u64::from(wait_ms.min(MAX_WAIT)) * 1_000_000,
        };
        let longest = self.settings.max_batch_bytes as usize;
        let spread = Spread::new(bounds, longest, now.mono)
            .with_limit_per_core(self.shard.breaks(Mutation::LimitPerCore));
        let topics = request.topics.iter().map(|asked| {
            let (asked, topic) = resolve(&self.topology, asked.topic);
            AskedTopic {
                asked,
                topic,
                lines: 0,
            }
        });
        fetching.topics.extend(topics);
        self.give_back_early(asker.conn, &mut asker.permit, now);
        let gather = self.kafka_gather(asker, None, Gathered::Fetch(fetching));
        self.gather_fetch(gather, spread, now);
    }

    pub(super) fn kafka_fetched(&mut self, asker: Asker, fetching: Fetching) {
        let topics = fetching.topics.iter().map(|topic| TopicGroup {
            topic: topic.asked.reference(),
            partitions: topic.lines,
        });
        let response = FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            session_id: 0,
            topics: &topics.collect::<Vec<_>>(),
            partitions: &fetching.lines,
        };
        self.kafka_respond_fetch(asker, &response, fetching.records);
    }

    fn refuse_fetch(&mut self, asker: Asker, error: ErrorCode, now: Now) {
        let response = FetchResponse {
            throttle_time_ms: 0,
            error,
            session_id: 0,
            topics: &[],
            partitions: &[],
        };
        self.kafka_respond_fetch(asker, &response, Vec::new());
        self.give_back_permit(asker.conn, asker.permit, now);
    }
}
