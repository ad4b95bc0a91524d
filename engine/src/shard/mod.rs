//! One core's partitions joined with its storage: requests go in, replies come out when the
//! logs' frontiers have passed.
//!
//! A shard joins; it does not decide. [`Partition`](crate::partition::Partition) says whether a
//! batch may be appended and where, [`Topology`](crate::topology::Topology) which logs there are,
//! `fetch` when a fetch has enough, `watching` when a watch has something, storage what is durable.
//! It refuses to know other cores, connections and protocols. It waits for nothing and never walks
//! over all of its logs: what waits is indexed by log, by request and by deadline.
//!
//! Drive it like storage: after any call take `poll_op`, then `poll_reply`, `poll_change`, `poll_watched`
//! and `poll_event` until they are empty, and call `handle_timeout` at `poll_timeout`.

#[cfg(test)]
mod counting;
mod door;
mod fetch;
mod fetching;
mod grouping;
mod hosted;
mod log;
mod lookup;
mod open;
mod produce;
mod refused;
mod reply;
mod room;
mod stats;
#[cfg(test)]
mod tests;
mod topology;
mod trim;
mod uses;
mod waking;
mod watching;

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_storage::histogram::Histogram;
use leveret_storage::io::{BufPool, IoResult, Op, OpId};
use leveret_storage::store::{Event, LogSettings, ReadError, ReadToken, Store};
use leveret_storage::types::{LogId, Mono, Now};

use crate::error::EngineError;
use crate::group::GroupSettings;
use crate::partition::ProducerLimits;
use crate::topology::{TopicConfig, TopicSettings};
use door::Door;
use fetch::{FetchKey, Fetches};
use grouping::Grouping;
use hosted::{Parked, Tenant, Tenants};
use log::frontiers_of;
use lookup::{LookupKey, Lookups};
use refused::Refused;
use waking::Waking;
use watching::Watches;

pub use log::LogCounters;
pub use open::OpenError;
pub use reply::{
    FetchPartition, FetchSpec, FetchWork, FetchedPartition, FetchedRecords, FoundOffset,
    OffsetSpec, Produced, Reply, RequestId, ShardEvent,
};
pub use stats::{LogStatus, ShardStats};
pub use watching::{Watch, WatchId, Watched};

/// Partitions of fetches that are ended in one call because their time is over.
const EXPIRED: usize = 1024;
/// What a fetch counts there beside them.
const FETCH: usize = 8;

/// Bounds of one shard. Every limit is a number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSettings {
    /// Bytes of batches that may wait for journal space, and as many for their walk at the door; a
    /// longer one waits alone.
    pub parked_bytes: usize,
    /// Batches that may wait for journal space, and as many for their walk at the door.
    pub parked_requests: usize,
    /// How long a batch waits for journal space before it is refused, nanoseconds.
    pub parked_ns: u64,
    /// Fetches and watches that look again in one turn because their logs have grown.
    pub woken: usize,
    /// Bounds of each partition's producers.
    pub producers: ProducerLimits,
    /// What topics get that do not say otherwise.
    pub topics: TopicSettings,
    /// Bounds of each coordinator of groups.
    pub groups: GroupSettings,
    /// Another number in each run: what the coordinators call members is made of it.
    pub salt: u128,
}

impl Default for ShardSettings {
    /// 32 MiB or 1,024 batches wait for up to 10 s, 256 readers are woken in a turn; topics as
    /// [`TopicSettings`] has it.
    fn default() -> Self {
        Self {
            parked_bytes: 32 << 20,
            parked_requests: 1024,
            parked_ns: 10_000_000_000,
            woken: 256,
            producers: ProducerLimits::default(),
            topics: TopicSettings::default(),
            groups: GroupSettings::default(),
            salt: 0,
        }
    }
}

/// What storage needs to know of a topic's settings.
fn log_settings(settings: &TopicSettings) -> LogSettings {
    LogSettings {
        level: settings.level,
        retention_bytes: settings.retention_bytes,
        retention_ms: settings.retention_ms,
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
    }
}

/// Who waits for a read of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Fetch { key: FetchKey, part: u32 },
    Lookup(LookupKey),
    Watch(WatchId),
}

/// Replies on their way out.
type Replies = VecDeque<(RequestId, Reply)>;

/// One core's machines and its store.
pub struct Shard<P: BufPool> {
    store: Store<P>,
    /// The time of the call that is being handled.
    now: Now,
    settings: ShardSettings,
    /// The machines of this core: partitions, coordinators, on core 0 the topology.
    hosted: Tenants,
    parked: Parked,
    refused: Refused,
    door: Door,
    grouping: Grouping,
    fetches: Fetches,
    lookups: Lookups,
    watches: Watches,
    waking: Waking,
    readers: HashMap<ReadToken, Reader, FixedState>,
    replies: Replies,
    watched: VecDeque<(WatchId, Result<Watched, EngineError>)>,
    events: VecDeque<ShardEvent>,
    counters: LogCounters,
    duplicates: u64,
    /// How far behind fetches were when they came, records.
    fetch_lag: Histogram,
    stopping: bool,
}

impl<P: BufPool> Shard<P> {
    /// A topic of this core's partition is configured otherwise from now on. Records that could
    /// be read before can be read still. Unknown logs are ignored.
    pub fn configure(&mut self, log: LogId, config: &TopicConfig, now: Now) {
        self.now = now;
        let settings = config.over(&self.settings.topics);
        let Some(state) = self.hosted.partition_mut(log) else {
            return;
        };
        // A stronger promise would hide what is not yet as durable.
        let frontiers = frontiers_of(&self.store, log);
        state.visible = state.high_watermark(&frontiers);
        state.settings = settings;
        self.store.configure(log, log_settings(&settings));
        self.store.expire(log, now);
        // A weaker one may show more, and nothing else tells the readers.
        self.wake_fetches(log, now);
        self.wake_watches(log, now);
        self.drain();
    }

    /// A log is no more. Whoever waits for it is told so. Unknown logs are ignored.
    pub fn remove(&mut self, log: LogId, now: Now) {
        self.now = now;
        let Some(mut tenant) = self.hosted.remove(log) else {
            return;
        };
        for request in tenant.take_waiting() {
            self.fail(request, EngineError::UnknownLog);
        }
        for request in self.door.take_line(log) {
            self.fail(request, EngineError::UnknownLog);
        }
        if let Tenant::Partition(state) = tenant {
            // They find that it is gone.
            self.waking.add_fetches(state.readers);
            self.waking.add_watches(state.watchers.into_ids());
            self.go_on_waking(now);
        }
        self.store.drop_log(log);
        self.drain();
    }

    /// Forgets a fetch, a look-up, or a call that waits in a group, whose asker is gone: no reply follows. A
    /// produce cannot be taken back, nor what else is to stand in a log; its reply comes and may be dropped.
    pub fn cancel(&mut self, request: RequestId) {
        self.cancel_fetch(request);
        self.cancel_lookup(request);
        self.cancel_group_call(request);
    }

    /// Begins the graceful stop: fetches answer with what they have, nothing new is taken,
    /// [`ShardEvent::Flushed`] follows when all that was accepted is durable.
    pub fn begin_stop(&mut self, now: Now) {
        self.stopping = true;
        self.refuse_parked(&EngineError::Stopping);
        for request in self.door.take_all() {
            self.fail(request, EngineError::Stopping);
        }
        for key in self.fetches.keys() {
            self.fetches.get_mut(key).hurry();
            self.finish_if_complete(key);
        }
        self.end_watches();
        self.now = now;
        self.stop_coordinators();
        self.store.begin_stop(now);
        self.drain();
    }

    /// The next reply, but for those of [`Shard::poll_change`].
    pub fn poll_reply(&mut self) -> Option<(RequestId, Reply)> {
        self.replies.pop_front()
    }

    /// The next thing to report.
    pub fn poll_event(&mut self) -> Option<ShardEvent> {
        self.events.pop_front()
    }

    /// The next operation for the device. Asked for once all input of a turn is handled, so that
    /// one commit takes all of it.
    pub fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        loop {
            let op = self.store.poll_op();
            // Planning its operations the store may find that it wants something of us.
            if op.is_some() || !self.drain() {
                return op;
            }
        }
    }

    /// An operation ended.
    pub fn handle_completion(&mut self, op: OpId, result: IoResult<P::Buf>, now: Now) {
        self.now = now;
        self.store.handle_completion(op, result, now);
        self.drain();
    }

    /// Whether something takes more than one turn and goes on in [`Shard::handle_timeout`].
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.door.has_work()
            || self.lookups.has_work()
            || self.waking.has_work()
            || self.grouping.has_work(self.now.mono)
            || self.store.has_work()
    }

    /// When [`Shard::handle_timeout`] is wanted next: at once, if a slice of work waits, or planning
    /// operations gave rise to replies or events that nobody has taken yet.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let silent = self.replies.is_empty() && self.watched.is_empty() && self.events.is_empty();
        if !silent || self.has_work() || self.has_change() {
            return Some(self.now.mono);
        }
        let own = [
            self.fetches.next_deadline(),
            self.parked.next_deadline(),
            self.grouping.next_deadline(),
        ];
        let all = own.into_iter().chain([self.store.poll_timeout()]);
        all.flatten().min()
    }

    /// Time has passed, or a slice of work waits: of that there is one in each call.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.work_at_door(now);
        self.work_at_lookups(now);
        self.work_at_waking(now);
        self.work_at_groups(now);
        self.store.handle_timeout(now);
        self.drain();
        self.end_expired(now);
        self.give_up_parked(now);
    }

    /// Ends fetches whose time is over, a slice of them: the rest is due at once.
    fn end_expired(&mut self, now: Now) {
        let mut left = EXPIRED;
        while left > 0
            && let Some(key) = self.fetches.pop_expired(now.mono)
        {
            let fetch = self.fetches.get_mut(key);
            left = left.saturating_sub(FETCH + fetch.parts.len());
            fetch.hurry();
            self.finish_if_complete(key);
        }
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.replies.push_back((request, reply));
    }

    fn fail(&mut self, request: RequestId, error: EngineError) {
        self.reply(request, Reply::Failed(error));
    }

    /// Passes on what the store has to say; whether that was anything.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.store.poll_event() {
            self.handle_event(event);
            any = true;
        }
        any
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Frontier { log } => {
                self.release(log);
                self.wake_fetches(log, now);
                self.wake_watches(log, now);
            }
            Event::ReadDone { token, result } => {
                // Of none its asker was cancelled.
                let Some(reader) = self.readers.remove(&token) else {
                    return;
                };
                self.note_damage(&reader, result.as_ref().err());
                match reader {
                    Reader::Fetch { key, part } => self.part_read(key, part, result, now),
                    Reader::Lookup(key) => self.lookup_read(key, result, now),
                    Reader::Watch(id) => self.watch_read(id, result),
                }
            }
            Event::TimeDone { token, result } => {
                let Some(reader) = self.readers.remove(&token) else {
                    return;
                };
                self.note_damage(&reader, result.as_ref().err());
                match reader {
                    Reader::Lookup(key) => self.lookup_found(key, result, now),
                    Reader::Fetch { .. } | Reader::Watch(_) => {
                        unreachable!("only look-ups look up times")
                    }
                }
            }
            Event::SnapshotWanted { log } => self.take_snapshot(log),
            Event::Stopped { log, reason } => self.log_stopped(log, reason.into()),
            Event::SpaceAvailable => {
                self.retry_parked(now);
                self.retry_coordinators(now);
            }
            Event::DiskShort { space, reason } => self
                .events
                .push_back(ShardEvent::DiskShort { space, reason }),
            Event::DiskHasRoom => {
                self.retry_coordinators(now);
                self.events.push_back(ShardEvent::DiskHasRoom);
            }
            Event::Flushed => self.events.push_back(ShardEvent::Flushed),
            Event::Fatal(reason) => self.events.push_back(ShardEvent::Fatal(reason)),
            // A start is read from the store whenever it matters, and nobody waits for either.
            Event::Trimmed { .. } | Event::Dropped { .. } => {}
        }
    }

    /// What the device refuses, or gives back other than it was written, is the operator's to know.
    fn note_damage(&mut self, reader: &Reader, error: Option<&ReadError>) {
        let Some(error @ (ReadError::Corrupt { .. } | ReadError::Io(_))) = error else {
            return;
        };
        let place = match reader {
            Reader::Fetch { key, part } => self.fetches.place(*key, *part),
            Reader::Lookup(key) => Some(self.lookups.place(*key)),
            Reader::Watch(id) => self.watches.place(*id),
        };
        if let Some((log, offset)) = place {
            self.events.push_back(ShardEvent::Damaged {
                log,
                offset,
                reason: error.to_string(),
            });
        }
    }

    /// Answers leave for which the log has come far enough.
    fn release(&mut self, log: LogId) {
        if let Some(tenant) = self.hosted.get_mut(log) {
            tenant.release(&frontiers_of(&self.store, log), &mut self.replies);
        }
    }

    fn take_snapshot(&mut self, log: LogId) {
        // It may have been removed after the store asked.
        if let Some(tenant) = self.hosted.get(log) {
            self.store.put_snapshot(log, tenant.snapshot(), None);
        }
    }

    fn log_stopped(&mut self, log: LogId, reason: Arc<str>) {
        let error = EngineError::LogStopped {
            reason: reason.to_string(),
        };
        if let Some(tenant) = self.hosted.get_mut(log) {
            for request in tenant.stop(&reason, &frontiers_of(&self.store, log)) {
                self.grouping.forget(request);
                self.fail(request, error.clone());
            }
            self.refuse_parked_of(log, &error);
        }
        self.events
            .push_back(ShardEvent::LogStopped { log, reason });
    }
}
