//! Fetch: batches as they are stored, from the cores that own them.

use bytes::Bytes;
use leveret_engine::EngineError;
use leveret_engine::shard::{FetchPartition, FetchSpec, FetchedPartition, Reply};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now, Offset};
use leveret_wire::kafka::{self as wire, ErrorCode, FetchRequest, FetchResponse, TopicGroup};

use super::Asker;
use super::errors;
use super::gathered::Gathered;
use super::produce::offset;
use super::topics::{Asked, place, resolve};
use crate::core::Core;
use crate::core::gather::Progress;
use crate::core::hop::Call;

/// Longest that a fetch may wait, milliseconds.
const MAX_WAIT: u32 = 300_000;

/// A fetch that is under way.
pub(super) struct Fetching {
    topics: Vec<(Asked, usize)>,
    lines: Vec<wire::FetchedPartition>,
    /// The batches of each line.
    records: Vec<Vec<Bytes>>,
    /// For each part the lines that it answers, in its order.
    parts: Vec<Vec<usize>>,
}

/// What one core is asked for, and for which lines.
struct CorePart {
    owner: CoreId,
    partitions: Vec<FetchPartition>,
    lines: Vec<usize>,
}

impl Fetching {
    fn new(request: &FetchRequest<'_>) -> Self {
        Self {
            topics: Vec::with_capacity(request.topics.len()),
            lines: Vec::new(),
            records: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub(super) fn partitions(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn take(&mut self, part: usize, reply: Reply) -> Progress {
        let Reply::Fetched(fetched) = reply else {
            unreachable!("no answer to a fetch: {reply:?}")
        };
        let mut progress = Progress::GoOn;
        for (one, line) in fetched.into_iter().zip(&self.parts[part]) {
            if one.result.as_ref().map_or(true, |got| !got.is_empty()) {
                progress = Progress::Enough;
            }
            self.records[*line] = fill(&mut self.lines[*line], one);
        }
        progress
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
        let mut by_core: Vec<CorePart> = Vec::new();
        let mut refused = false;
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
                refused |= error.is_some();
                let Ok(((log, owner), from)) = found else {
                    continue;
                };
                let part = by_core.iter().position(|part| part.owner == owner);
                let part = part.unwrap_or_else(|| {
                    by_core.push(CorePart {
                        owner,
                        partitions: Vec::new(),
                        lines: Vec::new(),
                    });
                    by_core.len() - 1
                });
                by_core[part].lines.push(line);
                by_core[part].partitions.push(FetchPartition {
                    log,
                    offset: Offset(from),
                    max_bytes: usize::try_from(partition.max_bytes).unwrap_or(0),
                });
            }
            fetching.topics.push((asked, asked_topic.partitions.len()));
        }
        fetching.parts = by_core
            .iter_mut()
            .map(|part| std::mem::take(&mut part.lines))
            .collect();
        // What is refused is said at once.
        let wait_ms = match refused {
            true => 0,
            false => u32::try_from(request.max_wait_ms)
                .unwrap_or(0)
                .min(MAX_WAIT),
        };
        let most = self.answers.fetch_limit();
        let max_bytes = usize::try_from(request.max_bytes).map_or(0, |asked| asked.min(most));
        let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
        self.give_back_early(asker.conn, &mut asker.permit, now);
        let gather = self.kafka_gather(asker, None, Gathered::Fetch(fetching));
        for CorePart {
            owner, partitions, ..
        } in by_core
        {
            let spec = FetchSpec {
                partitions,
                max_bytes,
                min_bytes,
                max_wait: u64::from(wait_ms) * 1_000_000,
            };
            self.ask_part(gather, owner, Call::Fetch(spec), now);
        }
        self.all_asked(gather, now);
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
