//! Records of a partition, as they become visible: what a subscription reads.
//!
//! Credit is for one item: what there is from an offset on, or, if the reader stands there, the beginning of what
//! comes.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_engine::EngineError;
use leveret_engine::shard::{Watch, WatchId, Watched};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now, Offset};

use super::stream::{News, Step, Stream, StreamId, StreamNumber};
use crate::core::Core;

/// The log of a partition.
#[derive(Debug)]
pub(in crate::core) struct WatchPartition(pub(in crate::core) LogId);

/// What the next item may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct NextRecords {
    /// The offset to read on from.
    pub(in crate::core) from: Offset,
    /// Bytes of it. Its first batch comes whole even if it is larger.
    pub(in crate::core) max_bytes: usize,
    /// Nothing was there: see [`Watch::stand`].
    pub(in crate::core) stand: bool,
}

/// The partitions of this core that are watched, by what its engine calls the watch.
#[derive(Default)]
pub(in crate::core) struct WatchedLogs(HashMap<WatchId, LogId, FixedState>);

impl WatchedLogs {
    /// How many there are.
    pub(in crate::core) fn len(&self) -> usize {
        self.0.len()
    }
}

impl StreamId<WatchPartition> {
    const NUMBER_BITS: u32 = 48;

    /// What the engine of the core that owns the partition calls it.
    fn watch(&self) -> WatchId {
        let number = self.number.number;
        assert!(
            number >> Self::NUMBER_BITS == 0,
            "watches are counted from 0"
        );
        WatchId(u64::from(self.reader.0) << Self::NUMBER_BITS | number)
    }

    /// Whose that name is.
    fn of(WatchId(id): WatchId) -> Self {
        Self {
            reader: CoreId((id >> Self::NUMBER_BITS) as u16),
            number: StreamNumber::new(id & ((1 << Self::NUMBER_BITS) - 1)),
        }
    }
}

impl Stream for WatchPartition {
    type Credit = NextRecords;
    type Item = Watched;
    type End = EngineError;

    fn open<P: BufPool>(
        self,
        core: &mut Core<P>,
        id: StreamId<Self>,
        credit: NextRecords,
        now: Now,
    ) {
        let Self(log) = self;
        core.watched_logs.0.insert(id.watch(), log);
        Self::give_credit(core, id, credit, now);
    }

    fn give_credit<P: BufPool>(
        core: &mut Core<P>,
        id: StreamId<Self>,
        credit: NextRecords,
        now: Now,
    ) {
        let id = id.watch();
        let Some(log) = core.watched_logs.0.get(&id).copied() else {
            return;
        };
        let NextRecords {
            from,
            max_bytes,
            stand,
        } = credit;
        let watch = Watch {
            log,
            from,
            max_bytes,
            stand,
        };
        core.shard.watch(id, watch, now);
    }

    fn close<P: BufPool>(core: &mut Core<P>, id: StreamId<Self>) {
        let id = id.watch();
        if core.watched_logs.0.remove(&id).is_some() {
            core.shard.unwatch(id);
        }
    }

    fn take<P: BufPool>(core: &mut Core<P>, number: StreamNumber<Self>, item: Watched, now: Now) {
        core.watched(number, Ok(item), now);
    }

    fn ended<P: BufPool>(
        core: &mut Core<P>,
        number: StreamNumber<Self>,
        why: EngineError,
        now: Now,
    ) {
        core.watched(number, Err(why), now);
    }

    fn news(number: StreamNumber<Self>, step: Step<Self>) -> News {
        News::Watch(number, step)
    }
}

impl<P: BufPool> Core<P> {
    /// The engine's answers to watches go to the cores that read; those to this core's own may
    /// begin further ones, as far as their connections have room.
    pub(in crate::core) fn take_watched_logs(&mut self, now: Now) {
        while let Some((id, answer)) = self.shard.poll_watched() {
            let step = match answer {
                Ok(watched) => Step::Item(watched),
                Err(error) => {
                    self.watched_logs.0.remove(&id);
                    Step::Ended(error)
                }
            };
            self.tell_reader(StreamId::of(id), step, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(core: u16, number: u64) -> StreamId<WatchPartition> {
        StreamId {
            reader: CoreId(core),
            number: StreamNumber::new(number),
        }
    }

    #[test]
    fn a_reader_is_found_by_the_name_of_its_watch_again() {
        for (core, number) in [(0, 0), (3, 7), (u16::MAX, (1 << 48) - 1)] {
            let found = StreamId::of(id(core, number).watch());
            assert_eq!(found.reader, CoreId(core));
            assert_eq!(found.number, StreamNumber::new(number));
        }
    }

    #[test]
    #[should_panic(expected = "counted from 0")]
    fn a_number_that_would_be_taken_for_another_core_is_none() {
        let _ = id(0, 1 << 48).watch();
    }
}
