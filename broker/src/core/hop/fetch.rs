//! Read or count records of partitions of one core: a part of a fetch, which may wait for more, and be told
//! to wait no longer.

use std::convert::Infallible;

use leveret_engine::shard::{FetchSpec, FetchedPartition};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Mono, Now};

use super::{Content, Family};
use crate::core::Core;
use crate::core::fan_out::Fetching;
use crate::core::latencies::Latencies;
use crate::core::pending::{Slot, Waiting};

/// What to read.
#[derive(Debug)]
pub(in crate::core) struct FetchRecords(pub(in crate::core) FetchSpec);

/// What a core tells another of a fetch that is carried out there for it, by its own slot.
#[derive(Debug)]
pub(in crate::core) enum FetchNews {
    /// It need not wait for more: the asker has enough.
    Hurry(Slot<FetchRecords>),
    /// Nobody wants the answer any more.
    Cancel(Slot<FetchRecords>),
}

impl Family for FetchRecords {
    type Reply = Vec<FetchedPartition>;
    type Client = Infallible;
    type Joint = Fetching;

    fn work(&self) -> usize {
        128 * self.0.partitions.len()
    }

    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now) {
        if let Some(Waiting::Peer(from, asked)) = core.families.fetch.slots.get(slot) {
            let (from, asked) = (*from, *asked);
            core.foreign_fetches.add(from, asked, slot);
        }
        core.shard.fetch(slot.request(), self.0, now);
    }

    fn answer<P: BufPool>(_: &mut Core<P>, client: Infallible, _: Self::Reply, _: Now) {
        match client {}
    }

    fn note(latencies: &mut Latencies, since: Mono, _reply: &Self::Reply, now: Mono) {
        latencies.note_fetch(since, now);
    }

    fn thrown_away(reply: &Self::Reply) -> usize {
        reply.iter().map(FetchedPartition::read).sum()
    }

    fn answers_peer<P: BufPool>(core: &mut Core<P>, from: CoreId, asked: Slot<Self>) {
        core.foreign_fetches.remove(from, asked);
    }

    fn cancel_there<P: BufPool>(core: &mut Core<P>, owner: CoreId, slot: Slot<Self>) {
        if !core.shard.breaks(Mutation::NeverCancelled) {
            core.send(owner, Content::Fetch(FetchNews::Cancel(slot)));
        }
    }
}

impl<P: BufPool> Core<P> {
    /// The core that has asked for a fetch has news of it.
    pub(super) fn take_fetch_news(&mut self, from: CoreId, news: FetchNews) {
        match news {
            FetchNews::Hurry(_) if self.shard.breaks(Mutation::NeverHurried) => {}
            FetchNews::Hurry(asked) => {
                if let Some(own) = self.foreign_fetches.get(from, asked) {
                    self.shard.finish_fetch(own.request());
                }
            }
            FetchNews::Cancel(asked) => {
                if let Some(own) = self.foreign_fetches.remove(from, asked) {
                    self.shard.cancel(own.request());
                    self.families.fetch.slots.take(own);
                }
            }
        }
    }

    /// A fetch on that core need not wait for more.
    pub(in crate::core) fn hurry_fetch(&mut self, owner: CoreId, slot: Slot<FetchRecords>) {
        match owner == self.id {
            true => self.shard.finish_fetch(slot.request()),
            false => self.send(owner, Content::Fetch(FetchNews::Hurry(slot))),
        }
    }
}
