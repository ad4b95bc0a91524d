//! Fetch: batches as they are stored, from the cores that own them.

use bytes::Bytes;
use leveret_engine::EngineError;
use leveret_engine::shard::{FetchPartition, FetchedPartition};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{Now, Offset};
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

/// A fetch that is under way.
pub(super) struct Fetching {
    topics: Vec<(Asked, usize)>,
    lines: Vec<wire::FetchedPartition>,
    /// The batches of each line.
    records: Vec<Vec<Bytes>>,
}

impl Fetching {
    fn new(request: &FetchRequest<'_>) -> Self {
        Self {
            topics: Vec::with_capacity(request.topics.len()),
            lines: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(super) fn partitions(&self) -> usize {
        self.lines.len()
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
        let mut spread = Spread::new(bounds, longest, now.mono)
            .with_limit_per_core(self.shard.breaks(Mutation::LimitPerCore));
        for asked_topic in request.topics {
            let (asked, topic) = resolve(&self.topology, asked_topic.topic);
            for partition in asked_topic.partitions {
                let line = fetching.lines.len();
                let (index, from) = (partition.index, u64::try_from(partition.fetch_offset));
                let found = place(&asked, topic.as_deref(), index)
                    .and_then(|at| Ok((at, from.map_err(|_| ErrorCode::OffsetOutOfRange)?)));
                let error = found.as_ref().err().copied();
                let missing =
                    wire::FetchedPartition::failed(index, error.unwrap_or(ErrorCode::None));
                fetching.lines.push(missing);
                fetching.records.push(Vec::new());
                let Ok(((log, owner), from)) = found else {
                    // What is refused is said at once.
                    spread.hurry();
                    continue;
                };
                let part = FetchPartition {
                    log,
                    offset: Offset(from),
                    max_bytes: usize::try_from(partition.max_bytes).unwrap_or(0),
                };
                spread.want(line, owner, part);
            }
            fetching.topics.push((asked, asked_topic.partitions.len()));
        }
        self.give_back_early(asker.conn, &mut asker.permit, now);
        let gather = self.kafka_gather(asker, None, Gathered::Fetch(fetching));
        self.gather_fetch(gather, spread, now);
    }

    pub(super) fn kafka_fetched(&mut self, asker: Asker, fetching: Fetching) {
        let topics = fetching
            .topics
            .iter()
            .map(|(asked, partitions)| TopicGroup {
                topic: asked.reference(),
                partitions: *partitions,
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
