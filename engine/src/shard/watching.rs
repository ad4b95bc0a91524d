//! Watches: each is of one log and gets one answer, as soon as there is something to read.
//!
//! Pushes are made of watches. A watch costs nothing while its log stands still, and the growth of
//! one log costs the watches of others nothing. Unlike a fetch a watch has no deadline, and whoever
//! wants more than one answer watches again. The asker says how much may be read at a time.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_storage::io::BufPool;
use leveret_storage::store::{ReadData, ReadError, ReadOutcome, ReadToken};
use leveret_storage::types::{LogId, Now, Offset};

use super::fetching::{not_a_batch, read_error, readable};
use super::log::frontiers_of;
use super::reply::FetchedRecords;
use super::trim::{Batches, trim};
use super::{Reader, Shard};
use crate::error::EngineError;

/// Most that a watch reads that stood until its log grew, bytes: the end of a log, which is in
/// memory.
const TAIL_BYTES: usize = 64 << 10;

/// Names a watch; chosen by the caller, to whom alone it means something, and unique on this core until
/// the watch is answered or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The log.
    pub log: LogId,
    /// Offset of the first record wanted.
    pub from: Offset,
    /// Bytes of one answer. Its first batch comes whole even if it is larger.
    pub max_bytes: usize,
    /// What is there is not read: the answer only says that there is something. If there is
    /// nothing the watch stands, and brings the first part of what comes. Otherwise the answer is
    /// what is there, which may be nothing.
    pub stand: bool,
}

/// The answer to a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Whole batches, and where the log stands.
    pub records: FetchedRecords,
    /// The offset after the last of the batches; the one asked for if there are none.
    pub next: Offset,
}

impl Watched {
    /// Whether there is more to read now.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.next < self.records.high_watermark
    }
}

/// The watches of a shard that are not answered.
#[derive(Default)]
pub(super) struct Watches {
    open: HashMap<WatchId, Open, FixedState>,
}

impl Watches {
    /// How many have not been answered.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// What one reads; `None` if it has ended.
    pub(super) fn place(&self, id: WatchId) -> Option<(LogId, Offset)> {
        let watch = &self.open.get(&id)?.watch;
        Some((watch.log, watch.from))
    }
}

/// One of them.
struct Open {
    watch: Watch,
    reading: Option<ReadToken>,
}

/// The standing watches of one log. Ended ones are swept out when they are the larger part.
#[derive(Default)]
pub(super) struct Watchers {
    standing: Vec<WatchId>,
    ended: usize,
}

impl Watchers {
    /// Whether one of them stands.
    pub(super) fn any(&self) -> bool {
        self.standing.len() > self.ended
    }

    /// All of them, ended ones too.
    pub(super) fn into_ids(self) -> Vec<WatchId> {
        self.standing
    }
}

impl<P: BufPool> Shard<P> {
    /// Watches a log. One answer follows by [`Shard::poll_watched`], unless it is ended before.
    ///
    /// # Panics
    /// If a watch of that id is not answered yet.
    pub fn watch(&mut self, id: WatchId, watch: Watch, now: Now) {
        self.now = now;
        if self.stopping {
            return self.watched.push_back((id, Err(EngineError::Stopping)));
        }
        let reading = None;
        let before = self.watches.open.insert(id, Open { watch, reading });
        assert!(before.is_none(), "a watch is answered before the next");
        let Some(state) = self.hosted.partition_mut(watch.log) else {
            return self.watch_failed(id, EngineError::UnknownLog);
        };
        let frontiers = frontiers_of(&self.store, watch.log);
        let end = state.high_watermark(&frontiers);
        self.fetch_lag.record(end.0.saturating_sub(watch.from.0));
        match readable(&self.store, state, watch.log, watch.from) {
            Ok(None) if watch.stand => {
                state.watchers.standing.push(id);
                state.hasten(&mut self.store, watch.log);
            }
            Ok(Some(until)) if !watch.stand => {
                self.read_watch(id, watch, until, watch.max_bytes, now);
            }
            Ok(_) => self.answer_watch(id, Batches::none(watch.from)),
            Err(error) => self.watch_failed(id, error),
        }
        self.drain();
    }

    /// Ends a watch whose asker is gone: no answer follows. Unknown ones are ignored: an answer
    /// may be on its way.
    pub fn unwatch(&mut self, id: WatchId) {
        let Some(open) = self.watches.open.remove(&id) else {
            return;
        };
        if let Some(token) = open.reading {
            self.readers.remove(&token);
        } else if let Some(state) = self.hosted.partition_mut(open.watch.log) {
            let watchers = &mut state.watchers;
            watchers.ended += 1;
            if watchers.ended * 2 > watchers.standing.len() {
                watchers.ended = 0;
                watchers
                    .standing
                    .retain(|id| self.watches.open.contains_key(id));
            }
        }
    }

    /// The next answer to a watch.
    pub fn poll_watched(&mut self) -> Option<(WatchId, Result<Watched, EngineError>)> {
        self.watched.pop_front()
    }

    /// The log may be readable further than before.
    pub(super) fn wake_watches(&mut self, log: LogId, now: Now) {
        let Some(state) = self.hosted.partition_mut(log) else {
            return;
        };
        if state.watchers.standing.is_empty() {
            return;
        }
        let mut standing = std::mem::take(&mut state.watchers.standing);
        state.watchers.ended = 0;
        let granted = self.waking.grant(standing.len(), now.mono);
        self.waking.add_watches(standing.split_off(granted));
        standing.retain(|id| self.wake_watch(*id, now));
        if let Some(state) = self.hosted.partition_mut(log) {
            state.watchers.standing = standing;
        }
    }

    /// A watch looks again whose log has grown or gone while it stood in line.
    pub(super) fn wake_from_line(&mut self, id: WatchId, now: Now) {
        if self.wake_watch(id, now)
            && let Some((log, _)) = self.watches.place(id)
            && let Some(state) = self.hosted.partition_mut(log)
        {
            state.watchers.standing.push(id);
            state.hasten(&mut self.store, log);
        }
    }

    /// Whether the watch stands on.
    fn wake_watch(&mut self, id: WatchId, now: Now) -> bool {
        let Some(open) = self.watches.open.get(&id) else {
            return false;
        };
        let watch = open.watch;
        let Some(state) = self.hosted.partition(watch.log) else {
            self.watch_failed(id, EngineError::UnknownLog);
            return false;
        };
        match readable(&self.store, state, watch.log, watch.from) {
            Ok(None) => return true,
            Ok(Some(until)) => {
                self.read_watch(id, watch, until, watch.max_bytes.min(TAIL_BYTES), now);
            }
            Err(error) => self.watch_failed(id, error),
        }
        false
    }

    /// Its log is no more, or the shard goes no further.
    pub(super) fn watch_failed(&mut self, id: WatchId, error: EngineError) {
        if self.watches.open.remove(&id).is_some() {
            self.watched.push_back((id, Err(error)));
        }
    }

    /// A read of storage ended.
    pub(super) fn watch_read(&mut self, id: WatchId, result: Result<ReadData, ReadError>) {
        let Some(open) = self.watches.open.get_mut(&id) else {
            return;
        };
        open.reading = None;
        let Watch { log, from, .. } = open.watch;
        let Some(state) = self.hosted.partition(log) else {
            return self.watch_failed(id, EngineError::UnknownLog);
        };
        let until = state.high_watermark(&frontiers_of(&self.store, log));
        match result {
            Ok(data) => self.take_watched(id, log, from, data, until),
            Err(error) => self.watch_failed(id, read_error(error, from, until)),
        }
    }

    /// All watches that are not answered end; their askers know.
    pub(super) fn end_watches(&mut self) {
        let ids: Vec<WatchId> = self.watches.open.keys().copied().collect();
        ids.into_iter().for_each(|id| self.unwatch(id));
    }

    fn read_watch(&mut self, id: WatchId, watch: Watch, until: Offset, max_bytes: usize, now: Now) {
        let Watch { log, from, .. } = watch;
        match self.store.read(log, from..until, max_bytes.max(1), now) {
            ReadOutcome::Pending(token) => {
                let open = self.watches.open.get_mut(&id).expect("it is open");
                open.reading = Some(token);
                self.readers.insert(token, Reader::Watch(id));
            }
            ReadOutcome::Ready(data) => self.take_watched(id, log, from, data, until),
            ReadOutcome::Failed(error) => {
                self.watch_failed(id, read_error(error, from, until));
            }
        }
    }

    /// Cuts what was read to what was asked, and answers.
    fn take_watched(
        &mut self,
        id: WatchId,
        log: LogId,
        from: Offset,
        data: ReadData,
        until: Offset,
    ) {
        let state = self.hosted.partition(log).expect("it was read");
        match trim(data, from, until) {
            Ok(data) if data.next <= from => {
                let reason = format!("no batch at offset {from}, the log goes up to {until}");
                self.watch_failed(id, EngineError::Storage { reason });
            }
            Ok(data) if data.chunks.is_empty() => {
                // Nothing is there up to `next`: it looks on from there, in its turn.
                let open = self.watches.open.get_mut(&id).expect("it is open");
                open.watch.from = data.next;
                self.waking.add_watches(vec![id]);
            }
            Ok(data) => self.answer_watch(id, data),
            Err(error) => {
                let error = not_a_batch(&error, state, from);
                self.watch_failed(id, error);
            }
        }
    }

    fn answer_watch(&mut self, id: WatchId, data: Batches) {
        let open = self.watches.open.remove(&id).expect("it is open");
        let Watch { log, from, .. } = open.watch;
        let frontiers = frontiers_of(&self.store, log);
        let state = self.hosted.partition_mut(log).expect("it was read");
        for counters in [&mut state.counters, &mut self.counters] {
            counters.bytes_out += data.bytes as u64;
            counters.records_out += data.next.0.saturating_sub(from.0);
        }
        let records = FetchedRecords {
            start_offset: frontiers.start.1,
            high_watermark: state.high_watermark(&frontiers),
            batches: data.chunks,
        };
        let next = data.next;
        self.watched.push_back((id, Ok(Watched { records, next })));
    }
}
