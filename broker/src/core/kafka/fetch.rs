//! Fetch: batches as they are stored, from the cores that own them.
//!
//! A request may name tens of thousands of partitions, and each costs more to look up than to name:
//! they are read from its frame and looked up in [slices](crate::core::slices), before anything is asked for.

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use leveret_engine::EngineError;
use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now, Offset};
use leveret_wire::kafka::{
    self as wire, CheckedFrame, ErrorCode, FetchRequest, FetchResponse, FetchTopic, Place,
    TopicGroup,
};

use super::api::{Api, Incoming, Read};
use super::partitions::{Next, Partitions};
use super::produce::offset;
use super::topics::{Asked, place, resolve};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::{Fetching as Joint, Job};
use crate::core::hop::FetchRecords;
use crate::core::ops::{AllowedTopic, FetchBounds, Operation};

/// What it costs to look up a partition, in the units of slices.
const LOOKUP: usize = 128;

pub(super) struct Fetch;

/// A fetch that is under way.
struct Fetching {
    asker: Asker,
    /// Partitions that the request names.
    named: usize,
    frame: CheckedFrame,
    /// Those that are not looked up yet.
    rest: Partitions,
    /// The topic that they are of.
    topic: Option<(Asked, Result<AllowedTopic, ErrorCode>)>,
    /// The topics of the lines.
    topics: Vec<AskedTopic>,
    /// The partitions found so far, by the number of what is wanted: one that is named again is
    /// wanted as it was named last, in the place where it was named first.
    seen: HashMap<LogId, usize, FixedState>,
    lines: Vec<wire::FetchedPartition>,
    /// The batches of each line.
    records: Vec<Vec<Bytes>>,
}

/// What a request asks, without its frame.
pub(super) struct FetchOutline {
    session_id: i32,
    max_wait_ms: i32,
    min_bytes: i32,
    max_bytes: i32,
    topics: Place,
    /// Of all topics.
    partitions: usize,
}

impl Api for Fetch {
    type Request<'a> = FetchRequest<'a>;
    type Outline = FetchOutline;

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> FetchOutline {
        let request = &read.request;
        let topics = request.topics.iter();
        FetchOutline {
            session_id: request.session_id,
            max_wait_ms: request.max_wait_ms,
            min_bytes: request.min_bytes,
            max_bytes: request.max_bytes,
            topics: request.topics.iter().place(),
            partitions: topics.map(|topic| topic.partitions.len()).sum(),
        }
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, asked) = (request.asker, request.outline);
        if asked.session_id != 0 {
            // None was ever given out.
            return core.refuse_fetch(asker, ErrorCode::FetchSessionIdNotFound, now);
        }
        let bounds = FetchBounds {
            max_bytes: usize::try_from(asked.max_bytes).unwrap_or(0),
            min_bytes: usize::try_from(asked.min_bytes).unwrap_or(0),
            max_wait_ms: u32::try_from(asked.max_wait_ms).unwrap_or(0),
        };
        let spread = core.spread(bounds, now);
        let fetching = Box::new(Fetching::new(asker, &asked, request.frame.checked()));
        core.fan_out_fetch(asker.until(None), spread, fetching, now);
    }
}

/// A topic that is asked for.
struct AskedTopic {
    asked: Asked,
    /// Lines of the answer.
    lines: usize,
}

impl Fetching {
    fn new(asker: Asker, asked: &FetchOutline, frame: CheckedFrame) -> Self {
        Self {
            asker,
            named: asked.partitions,
            frame,
            rest: Partitions::of(asked.topics),
            topic: None,
            lines: Vec::with_capacity(asked.partitions),
            records: Vec::with_capacity(asked.partitions),
            topics: Vec::new(),
            seen: HashMap::default(),
        }
    }
}

impl<P: BufPool> Job<P, FetchRecords> for Fetching {
    fn look_up(&mut self, joint: &mut Joint, known: &Known<'_>) -> Option<usize> {
        let spread = &mut joint.spread;
        let named = match self.rest.next::<FetchTopic<'_>>(&self.frame) {
            None => {
                self.seen = HashMap::default();
                return None;
            }
            Some(Next::Topic(topic)) => {
                let (asked, topic) = resolve(known, topic.topic, Operation::Read);
                if let Ok(topic) = &topic {
                    let settings = known.topology.settings_of(topic);
                    spread.expect_batches(settings.max_message_bytes as usize);
                }
                self.topic = Some((asked, topic));
                return Some(LOOKUP);
            }
            Some(Next::Partition(named)) => named,
        };
        let topic = self.topic.as_ref();
        let (asked, topic) = topic.expect("a topic is before its partitions");
        let (index, from) = (named.index, u64::try_from(named.fetch_offset));
        let found = place(known, topic, index)
            .and_then(|found| Ok((found, from.map_err(|_| ErrorCode::OffsetOutOfRange)?)));
        let mut error = ErrorCode::None;
        match found {
            Ok((place, from)) => {
                let max_bytes = usize::try_from(named.max_bytes).unwrap_or(0);
                let part = place.read(Offset(from), max_bytes);
                match self.seen.entry(place.log()) {
                    Entry::Occupied(number) => {
                        spread.change(*number.get(), part);
                        return Some(LOOKUP);
                    }
                    Entry::Vacant(number) => {
                        number.insert(spread.want(self.lines.len(), place.owner(), part));
                    }
                }
            }
            Err(code) => {
                error = code;
                // What is refused is said at once.
                spread.hurry();
            }
        }
        match self.topics.last_mut().filter(|last| last.asked.is(asked)) {
            Some(last) => last.lines += 1,
            None => self.topics.push(AskedTopic {
                asked: asked.clone(),
                lines: 1,
            }),
        }
        let line = wire::FetchedPartition::failed(index, error);
        self.lines.push(line);
        self.records.push(Vec::new());
        Some(LOOKUP)
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.frame = CheckedFrame::empty();
        true
    }

    fn take(&mut self, line: usize, one: FetchedPartition) {
        self.records[line] = fill(&mut self.lines[line], one);
    }

    fn lines(&self) -> usize {
        self.named
    }

    fn read(&self) -> usize {
        self.records.iter().flatten().map(Bytes::len).sum()
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let topics = self.topics.iter().map(|topic| TopicGroup {
            topic: topic.asked.reference(),
            partitions: topic.lines,
        });
        let response = FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            session_id: 0,
            topics: &topics.collect::<Vec<_>>(),
            partitions: &self.lines,
        };
        core.kafka_respond_fetch(self.asker, &response, self.records);
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
