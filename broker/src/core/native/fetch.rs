//! Fetch: records of partitions of a topic, from the cores that own them.

use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Now, Offset};
use leveret_wire::native::{self as wire, ErrorCode, PartitionId};

use super::Asker;
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::FetchRecords;
use crate::core::once::Mentions;
use crate::core::ops::{FetchBounds, Operation};

/// A fetch that is under way.
struct Fetching {
    asker: Asker,
    /// In the order of the request.
    parts: Vec<FetchedPart>,
}

/// One partition of a fetch.
#[derive(Default)]
pub(super) struct FetchedPart {
    pub(super) partition: PartitionId,
    /// Why there is nothing to fetch, if so.
    pub(super) error: Option<ErrorCode>,
    pub(super) fetched: Option<FetchedPartition>,
}

impl<P: BufPool> Job<P, FetchRecords> for Fetching {
    fn take(&mut self, line: usize, one: FetchedPartition) {
        self.parts[line].fetched = Some(one);
    }

    fn lines(&self) -> usize {
        self.parts.len()
    }

    fn read(&self) -> usize {
        let fetched = self.parts.iter().filter_map(|part| part.fetched.as_ref());
        fetched.map(FetchedPartition::read).sum()
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        core.respond_fetched(self.asker, self.parts);
    }
}

impl<P: BufPool> Core<P> {
    pub(super) fn fetch(&mut self, asker: Asker, fetch: &wire::Fetch<'_>, now: Now) {
        let topic = self.topic(asker, fetch.topic_id, Operation::Read, now);
        let Some(topic) = topic else { return };
        let named = fetch.partitions.iter().map(|asked| asked.partition.0);
        if let Some(partition) = Mentions::of(named).repeated() {
            let message = format!("partition {partition} is asked for twice");
            return self.refuse(asker, ErrorCode::InvalidRequest, &message, now);
        }
        let mut parts = Vec::with_capacity(fetch.partitions.len());
        let bounds = FetchBounds {
            max_bytes: fetch.max_bytes as usize,
            min_bytes: fetch.min_bytes as usize,
            max_wait_ms: fetch.max_wait_ms,
        };
        let mut spread = self.spread(bounds, now);
        let known = self.known(asker.conn, now);
        spread.expect_batches(known.topology.settings_of(&topic).max_message_bytes as usize);
        for asked in fetch.partitions.iter() {
            let mut part = FetchedPart {
                partition: asked.partition,
                ..FetchedPart::default()
            };
            match known.place(&topic, asked.partition.0) {
                Some(place) => {
                    let wanted = place.read(Offset(asked.offset.0), asked.max_bytes as usize);
                    spread.want(parts.len(), place.owner(), wanted);
                }
                None => {
                    part.error = Some(ErrorCode::UnknownPartition);
                    // What is refused is said at once.
                    spread.hurry();
                }
            }
            parts.push(part);
        }
        let fetching = Box::new(Fetching { asker, parts });
        self.fan_out_fetch(asker.into(), spread, fetching, now);
    }
}
