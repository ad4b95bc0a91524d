//! Fetch: read what is there, wait for more if that is not enough, answer.

use leveret_record::BatchError;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::store::{ReadData, ReadError, ReadOutcome, Store};
use leveret_storage::types::{LogId, Now, Offset};

use super::fetch::{Fetch, FetchKey, Part};
use super::log::{LogState, frontiers_of};
use super::reply::{FetchSpec, FetchWork, FetchedPartition, FetchedRecords, Reply, RequestId};
use super::trim::trim;
use super::{Reader, Shard};
use crate::error::EngineError;

impl<P: BufPool> Shard<P> {
    /// Reads records of several partitions. The reply leaves when `min_bytes` are there, a
    /// partition has an error, or `max_wait` has passed; nothing at or above a high watermark is
    /// in it.
    ///
    /// # Panics
    /// If a request of that id is under way.
    pub fn fetch(&mut self, request: RequestId, spec: FetchSpec, now: Now) {
        self.now = now;
        // Shares were noted when they were counted.
        if !matches!(spec.work, FetchWork::Share { .. }) {
            self.note_lag(&spec);
        }
        let key = self.fetches.insert(Fetch::new(request, spec, now));
        for part in 0..self.fetches.get_mut(key).parts.len() {
            self.read_part(key, part, now);
        }
        if self.stopping {
            self.fetches.get_mut(key).hurry();
        }
        self.hasten_for(key);
        if !self.finish_if_complete(key) {
            self.fetches.watch(key);
            self.register_if_waiting(key);
        }
        self.drain();
    }

    /// Ends the wait of a fetch: it answers with what it has, at once or after the reads that are
    /// under way. For a request that another core's answer has completed.
    pub fn finish_fetch(&mut self, request: RequestId) {
        if let Some(key) = self.fetches.find(request) {
            self.fetches.get_mut(key).hurry();
            self.finish_if_complete(key);
        }
    }

    /// The log may be readable further than before.
    pub(super) fn wake_fetches(&mut self, log: LogId, now: Now) {
        let Some(state) = self.hosted.partition_mut(log) else {
            return;
        };
        if !state.readers.is_empty() {
            self.waking.add_fetches(std::mem::take(&mut state.readers));
            self.go_on_waking(now);
        }
    }

    /// A fetch looks again at one of its logs, which has grown or gone, and waits on if that does not
    /// complete it.
    pub(super) fn wake_fetch(&mut self, key: FetchKey, part: usize, now: Now) {
        if !self.fetches.has_part(key, part) {
            return;
        }
        self.read_part(key, part, now);
        if self.finish_if_complete(key) {
            return;
        }
        let fetch = self.fetches.get_mut(key);
        let log = fetch.parts[part].log;
        if fetch.registered
            && let Some(state) = self.hosted.partition_mut(log)
        {
            let part = u32::try_from(part).expect("parts of a fetch are few");
            state.readers.insert((key, part));
            // It may have grown while the fetch stood in line.
            state.hasten(&mut self.store, log);
        }
    }

    /// A read of storage ended.
    pub(super) fn part_read(
        &mut self,
        key: FetchKey,
        part: u32,
        result: Result<ReadData, ReadError>,
        now: Now,
    ) {
        let part = part as usize;
        let fetch = self.fetches.get_mut(key);
        fetch.end_read(part);
        self.take_read(key, part, result);
        // What was set aside for this read may go to any part.
        let fetch = self.fetches.get_mut(key);
        if fetch.take_postponed() || fetch.wants_more() {
            for part in 0..self.fetches.get_mut(key).parts.len() {
                self.read_part(key, part, now);
            }
        }
        if !self.finish_if_complete(key) {
            self.register_if_waiting(key);
            self.hasten_for(key);
        }
    }

    pub(super) fn cancel_fetch(&mut self, request: RequestId) {
        if let Some(key) = self.fetches.find(request) {
            self.forget(key);
        }
    }

    /// Reads on for one part, as long as storage answers at once and the fetch may have more.
    fn read_part(&mut self, key: FetchKey, index: usize, now: Now) {
        let fetch = self.fetches.get_mut(key);
        loop {
            let part = &fetch.parts[index];
            if part.reading.is_some() || part.error.is_some() {
                return;
            }
            // Whether it can be read is told also where no bytes are left for it.
            let allowance = fetch.allowance(index);
            let part = &fetch.parts[index];
            let (log, from) = (part.log, part.next);
            let Some(state) = self.hosted.partition(log) else {
                return fetch.fail(index, EngineError::UnknownLog);
            };
            let until = match readable(&self.store, state, log, from) {
                Ok(Some(until)) => until,
                Ok(None) => return,
                Err(error) => return fetch.fail(index, error),
            };
            let Some(bytes) = allowance else { return };
            fetch.has_some(index);
            if fetch.counts() {
                let bytes = self.store.measure(log, from, until, bytes);
                return fetch.count(index, bytes, until);
            }
            match self.store.read(log, from..until, bytes, now) {
                ReadOutcome::Pending(token) => {
                    fetch.begin_read(index, token, bytes);
                    let part = u32::try_from(index).expect("parts of a fetch are few");
                    self.readers.insert(token, Reader::Fetch { key, part });
                    return;
                }
                ReadOutcome::Ready(data) => take(fetch, index, state, data, until),
                ReadOutcome::Failed(error) => {
                    return fetch.fail(index, read_error(error, from, until));
                }
            }
        }
    }

    /// A fetch that has nothing, or not enough, stands at the ends of its logs: what they hold
    /// beyond is made visible soon.
    fn hasten_for(&mut self, key: FetchKey) {
        let fetch = self.fetches.get_mut(key);
        if !fetch.waits() && !fetch.is_in_vain() {
            return;
        }
        for part in &fetch.parts {
            if let Some(state) = self.hosted.partition(part.log) {
                state.hasten(&mut self.store, part.log);
            }
        }
    }

    fn take_read(&mut self, key: FetchKey, index: usize, result: Result<ReadData, ReadError>) {
        let fetch = self.fetches.get_mut(key);
        let part = &fetch.parts[index];
        let (log, from) = (part.log, part.next);
        let Some(state) = self.hosted.partition(log) else {
            return fetch.fail(index, EngineError::UnknownLog);
        };
        let until = state.high_watermark(&frontiers_of(&self.store, log));
        match result {
            Ok(data) => take(fetch, index, state, data, until),
            Err(error) => fetch.fail(index, read_error(error, from, until)),
        }
    }

    /// Sends the reply if it is due. Whether it was.
    pub(super) fn finish_if_complete(&mut self, key: FetchKey) -> bool {
        if !self.fetches.get_mut(key).complete() {
            return false;
        }
        let fetch = self.forget(key);
        let parts = fetch.parts.into_iter().map(|part| self.answer(part));
        let reply = Reply::Fetched(parts.collect());
        self.replies.push_back((fetch.request, reply));
        true
    }

    fn answer(&mut self, part: Part) -> FetchedPartition {
        let log = part.log;
        let result = match (part.error, self.hosted.partition_mut(log)) {
            (Some(error), _) => Err(error),
            (None, None) => Err(EngineError::UnknownLog),
            (None, Some(state)) => {
                let frontiers = frontiers_of(&self.store, log);
                let records = FetchedRecords {
                    start_offset: frontiers.start.1,
                    high_watermark: state.high_watermark(&frontiers),
                    batches: part.chunks,
                };
                state.counters.bytes_out += records.len() as u64;
                self.counters.bytes_out += records.len() as u64;
                let given = match records.is_empty() {
                    // Nothing, or only counted.
                    true => 0,
                    false => part.next.0.saturating_sub(part.asked.0),
                };
                state.counters.records_out += given;
                self.counters.records_out += given;
                Ok(records)
            }
        };
        FetchedPartition {
            log,
            bytes: part.got,
            result,
        }
    }

    /// From now on the growth of its logs wakes the fetch.
    fn register_if_waiting(&mut self, key: FetchKey) {
        let fetch = self.fetches.get_mut(key);
        if fetch.registered || !fetch.waits() {
            return;
        }
        fetch.registered = true;
        for (index, part) in (0u32..).zip(&fetch.parts) {
            if let Some(state) = self.hosted.partition_mut(part.log) {
                state.readers.insert((key, index));
            }
        }
    }

    /// Removes a fetch and every mark of it.
    fn forget(&mut self, key: FetchKey) -> Fetch {
        let fetch = self.fetches.remove(key);
        for (index, part) in (0u32..).zip(&fetch.parts) {
            if let Some((token, _)) = part.reading {
                self.readers.remove(&token);
            }
            if fetch.registered
                && let Some(state) = self.hosted.partition_mut(part.log)
            {
                state.readers.remove(&(key, index));
            }
        }
        fetch
    }
}

/// Up to where the log may be read from `from`; `None` if there is nothing yet, also where records
/// are that are not visible yet: who was told of such an offset is not outside of the log.
pub(super) fn readable<P: BufPool>(
    store: &Store<P>,
    state: &LogState,
    log: LogId,
    from: Offset,
) -> Result<Option<Offset>, EngineError> {
    let frontiers = frontiers_of(store, log);
    let start = frontiers.start.1;
    let high_watermark = state.high_watermark(&frontiers);
    let end = match store.breaks(Mutation::OutOfRangeBetween) {
        true => high_watermark,
        false => frontiers.ordered.1.max(high_watermark),
    };
    if from < start || from > end {
        return Err(EngineError::OffsetOutOfRange {
            asked: from,
            start,
            high_watermark,
        });
    }
    Ok((from < high_watermark).then_some(high_watermark))
}

/// Cuts what was read to what was asked and gives it to the fetch.
fn take(fetch: &mut Fetch, index: usize, state: &LogState, data: ReadData, until: Offset) {
    let from = fetch.parts[index].next;
    match trim(data, from, until) {
        Ok(data) if data.next <= from => fetch.fail(
            index,
            EngineError::Storage {
                reason: format!("no batch at offset {from}, the log goes up to {until}"),
            },
        ),
        Ok(data) => {
            if let Err(error) = fetch.take(index, data) {
                fetch.fail(index, not_a_batch(&error, state, from));
            }
        }
        Err(error) => fetch.fail(index, not_a_batch(&error, state, from)),
    }
}

pub(super) fn not_a_batch(error: &BatchError, state: &LogState, from: Offset) -> EngineError {
    EngineError::Storage {
        reason: format!(
            "bytes at offset {from} of a log that goes up to {} are no batch: {error}",
            state.hosted.machine.next_offset()
        ),
    }
}

/// What a failed read is called towards the asker, who sees the log up to `high_watermark`.
pub(super) fn read_error(error: ReadError, asked: Offset, high_watermark: Offset) -> EngineError {
    match error {
        ReadError::OutOfRange { start, .. } => EngineError::OffsetOutOfRange {
            asked,
            start,
            high_watermark,
        },
        ReadError::UnknownLog => EngineError::UnknownLog,
        ReadError::Corrupt { .. } | ReadError::Io(_) => EngineError::Storage {
            reason: error.to_string(),
        },
    }
}
