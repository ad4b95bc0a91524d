//! Produce, Fetch, ListOffsets, InitProducer: requests about records.

use bytes::BytesMut;
use leveret_engine::shard::{FetchPartition, OffsetSpec};
use leveret_engine::topology::{Command, ProducerIds, ReserveProducerIds};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Level, Now, Offset};
use leveret_wire::native::{self as wire, ErrorCode, InitProducerOk, PartitionId, ProducerId};

use super::gathered::{FetchedPart, Gathered, NativeGathering};
use super::{Asker, level_in};
use crate::core::Core;
use crate::core::gather::Gathering;
use crate::core::hop::Call;
use crate::core::once::Mentions;
use crate::core::places::Places;
use crate::core::spread::{Bounds, Spread};

/// Longest that a fetch may ask to wait, milliseconds.
const MAX_FETCH_WAIT: u32 = 300_000;

impl<P: BufPool> Core<P> {
    pub(super) fn produce(
        &mut self,
        asker: Asker,
        produce: &wire::Produce,
        batch: BytesMut,
        now: Now,
    ) {
        let place = self.partition(asker, produce.topic_id, produce.partition, now);
        let Some((log, owner)) = place else { return };
        let level = produce.level.map_or(Level::Synced, level_in);
        let Asker {
            conn,
            correlation,
            permit,
        } = asker;
        let waiting = self.client(conn, correlation, permit, produce.timeout_ms, now);
        self.ask(owner, Call::Produce { log, batch, level }, waiting, now);
    }

    pub(super) fn fetch(&mut self, mut asker: Asker, fetch: &wire::Fetch<'_>, now: Now) {
        let Some(topic) = self.topic(asker, fetch.topic_id, now) else {
            return;
        };
        let named = fetch.partitions.iter().map(|asked| asked.partition.0);
        if let Some(partition) = Mentions::of(named).repeated() {
            let message = format!("partition {partition} is asked for twice");
            return self.refuse(asker, ErrorCode::InvalidRequest, &message, now);
        }
        let mut parts = Vec::with_capacity(fetch.partitions.len());
        let bounds = Bounds {
            max_bytes: (fetch.max_bytes as usize).min(self.answers.most()),
            min_bytes: fetch.min_bytes as usize,
            max_wait: u64::from(fetch.max_wait_ms.min(MAX_FETCH_WAIT)) * 1_000_000,
        };
        let mut spread = Spread::new(bounds, now.mono)
            .with_limit_per_core(self.shard.breaks(Mutation::LimitPerCore));
        spread.expect_batches(self.topology.settings_of(&topic).max_message_bytes as usize);
        for asked in fetch.partitions.iter() {
            let Some((log, owner)) = self.topology.place(&topic, asked.partition.0) else {
                parts.push(FetchedPart::refused(
                    asked.partition,
                    ErrorCode::UnknownPartition,
                ));
                // What is refused is said at once.
                spread.hurry();
                continue;
            };
            let part = FetchPartition {
                log,
                offset: Offset(asked.offset.0),
                max_bytes: asked.max_bytes as usize,
            };
            spread.want(parts.len(), owner, part);
            parts.push(FetchedPart::awaited(asked.partition));
        }
        self.give_back_early(asker.conn, &mut asker.permit, now);
        let gather = self.gather_native(asker, Gathered::Fetch(parts));
        self.gather_fetch(gather, spread, now);
    }

    /// Begins to gather what several cores answer.
    pub(super) fn gather_native(&mut self, asker: Asker, what: Gathered) -> usize {
        let correlation = asker.correlation;
        let gathering = Gathering::Native(NativeGathering { correlation, what });
        self.gather(asker.conn, asker.permit, None, gathering)
    }

    pub(super) fn list_offsets(&mut self, asker: Asker, lookup: &wire::ListOffsets, now: Now) {
        let place = self.partition(asker, lookup.topic_id, lookup.partition, now);
        let Some((log, owner)) = place else { return };
        let spec = match lookup.spec {
            wire::OffsetSpec::Earliest => OffsetSpec::Earliest,
            wire::OffsetSpec::Latest => OffsetSpec::Latest,
            wire::OffsetSpec::Timestamp(timestamp) => OffsetSpec::Timestamp(timestamp),
            wire::OffsetSpec::MaxTimestamp => OffsetSpec::MaxTimestamp,
        };
        let waiting = self.client(asker.conn, asker.correlation, asker.permit, 0, now);
        self.ask(owner, Call::Offset { log, spec }, waiting, now);
    }

    pub(super) fn init_producer(&mut self, asker: Asker, now: Now) {
        if let Some(id) = self.producer_ids.take() {
            return self.respond_producer(asker.conn, asker.correlation, id);
        }
        let command = Command::ProducerIds(ReserveProducerIds {
            count: ProducerIds::BLOCK,
        });
        let waiting = self.client(asker.conn, asker.correlation, asker.permit, 0, now);
        self.ask(CoreId(0), Call::Change(command), waiting, now);
    }

    pub(super) fn respond_producer(
        &mut self,
        conn: crate::core::boundary::ConnId,
        correlation: wire::CorrelationId,
        id: i64,
    ) {
        let ok = InitProducerOk {
            producer_id: ProducerId(id),
            producer_epoch: 0,
        };
        self.respond(conn, correlation, &wire::Response::InitProducer(ok));
    }
}

impl FetchedPart {
    fn refused(partition: PartitionId, error: ErrorCode) -> Self {
        Self {
            partition,
            error: Some(error),
            ..Self::default()
        }
    }

    fn awaited(partition: PartitionId) -> Self {
        Self {
            partition,
            ..Self::default()
        }
    }
}
