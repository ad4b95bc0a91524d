//! Look-ups of offsets: the ends of a log at once, the first record of a time by a scan from
//! where storage says that it may begin.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::{BatchError, MAX_RECORDS_LEN, batches, records};
use leveret_storage::io::BufPool;
use leveret_storage::store::{ReadData, ReadError, ReadOutcome, ReadToken, TimeFound, TimeOutcome};
use leveret_storage::types::{LogId, Now, Offset};
use slab::Slab;

use super::fetching::read_error;
use super::log::frontiers_of;
use super::reply::{FoundOffset, OffsetSpec, Reply, RequestId};
use super::trim::{Batches, trim};
use super::{Reader, Shard};
use crate::error::EngineError;

/// Read at once while scanning, bytes.
const SCAN_BYTES: usize = 64 << 10;

/// Slot of a look-up in [`Lookups`].
pub(super) type LookupKey = usize;

/// A look-up by time that waits for storage.
#[derive(Clone, Copy)]
struct Lookup {
    request: RequestId,
    log: LogId,
    /// The first record with at least this timestamp is what is looked for.
    timestamp: i64,
    /// Storage says what that timestamp is: the largest.
    latest: bool,
    /// Where the scan goes on.
    from: Offset,
    /// High watermark when it began: it ends there.
    until: Offset,
    token: Option<ReadToken>,
}

/// All look-ups that are under way.
#[derive(Default)]
pub(super) struct Lookups {
    lookups: Slab<Lookup>,
    by_request: HashMap<RequestId, LookupKey, FixedState>,
}

impl Lookups {
    fn insert(&mut self, lookup: Lookup) -> LookupKey {
        let key = self.lookups.insert(lookup);
        let before = self.by_request.insert(lookup.request, key);
        assert!(before.is_none(), "request ids are unique while under way");
        key
    }

    fn remove(&mut self, key: LookupKey) -> Lookup {
        let lookup = self.lookups.remove(key);
        self.by_request.remove(&lookup.request);
        lookup
    }
}

impl<P: BufPool> Shard<P> {
    /// Looks up an offset of a log.
    ///
    /// # Panics
    /// If a look-up of that id is under way.
    pub fn list_offsets(&mut self, request: RequestId, log: LogId, spec: OffsetSpec, now: Now) {
        self.now = now;
        let Some(state) = self.logs.get(&log) else {
            return self.fail(request, EngineError::UnknownLog);
        };
        let frontiers = frontiers_of(&self.store, log);
        let high_watermark = state.high_watermark(&frontiers);
        let end = |offset| FoundOffset {
            offset,
            timestamp: None,
        };
        match spec {
            OffsetSpec::Earliest => self.reply(request, Reply::Offset(end(frontiers.start.1))),
            OffsetSpec::Latest => self.reply(request, Reply::Offset(end(high_watermark))),
            OffsetSpec::Timestamp(_) | OffsetSpec::MaxTimestamp => {
                let (timestamp, latest) = match spec {
                    OffsetSpec::Timestamp(timestamp) => (timestamp, false),
                    _ => (i64::MAX, true),
                };
                let key = self.lookups.insert(Lookup {
                    request,
                    log,
                    timestamp,
                    latest,
                    from: frontiers.start.1,
                    until: high_watermark,
                    token: None,
                });
                self.look_up(key, now);
            }
        }
        self.drain();
    }

    /// Asks storage where the scan begins.
    fn look_up(&mut self, key: LookupKey, now: Now) {
        let lookup = self.lookups.lookups[key];
        let (log, until) = (lookup.log, lookup.until);
        let outcome = match lookup.latest {
            true => self.store.find_latest(log, lookup.timestamp, until, now),
            false => self.store.find_time(log, lookup.timestamp, until, now),
        };
        match outcome {
            TimeOutcome::Found(found) => self.lookup_found(key, Ok(Some(found)), now),
            TimeOutcome::NotFound => self.lookup_found(key, Ok(None), now),
            TimeOutcome::Failed(error) => self.lookup_found(key, Err(error), now),
            TimeOutcome::Pending(token) => self.lookup_waits(key, token),
        }
    }

    /// Storage has said where the scan begins.
    pub(super) fn lookup_found(
        &mut self,
        key: LookupKey,
        result: Result<Option<TimeFound>, ReadError>,
        now: Now,
    ) {
        let lookup = &mut self.lookups.lookups[key];
        lookup.token = None;
        match result {
            Ok(Some(found)) => {
                // The span may begin below the start; the records there are gone for readers.
                lookup.from = lookup.from.max(found.offset);
                if lookup.latest {
                    lookup.timestamp = found.timestamp;
                }
                self.scan(key, now);
            }
            Ok(None) => self.finish_lookup(key, Ok(None)),
            Err(error) => {
                let (from, until) = (lookup.from, lookup.until);
                self.finish_lookup(key, Err(read_error(error, from, until)));
            }
        }
    }

    /// A part of the scan was read.
    pub(super) fn lookup_read(
        &mut self,
        key: LookupKey,
        result: Result<ReadData, ReadError>,
        now: Now,
    ) {
        self.lookups.lookups[key].token = None;
        if self.scan_read(key, result) {
            self.scan(key, now);
        }
    }

    pub(super) fn cancel_lookup(&mut self, request: RequestId) {
        if let Some(key) = self.lookups.by_request.get(&request).copied()
            && let Some(token) = self.lookups.remove(key).token
        {
            self.readers.remove(&token);
        }
    }

    fn lookup_waits(&mut self, key: LookupKey, token: ReadToken) {
        self.lookups.lookups[key].token = Some(token);
        self.readers.insert(token, Reader::Lookup(key));
    }

    /// Reads on as long as storage answers at once.
    fn scan(&mut self, key: LookupKey, now: Now) {
        loop {
            let lookup = self.lookups.lookups[key];
            if lookup.from >= lookup.until {
                return self.not_in_scan(key, now);
            }
            let (log, from, until) = (lookup.log, lookup.from, lookup.until);
            let result = match self.store.read(log, from, until, SCAN_BYTES, now) {
                ReadOutcome::Pending(token) => return self.lookup_waits(key, token),
                ReadOutcome::Ready(data) => Ok(data),
                ReadOutcome::Failed(error) => Err(error),
            };
            if !self.scan_read(key, result) {
                return;
            }
        }
    }

    /// No reader may see the record that storage meant: it lies below the start, or is not visible
    /// yet. What was looked for by its time is nowhere then, the latest is another one.
    fn not_in_scan(&mut self, key: LookupKey, now: Now) {
        let lookup = &mut self.lookups.lookups[key];
        if !lookup.latest {
            return self.finish_lookup(key, Ok(None));
        }
        let Some(frontiers) = self.store.frontiers(lookup.log) else {
            return self.finish_lookup(key, Err(EngineError::UnknownLog));
        };
        lookup.from = frontiers.start.1;
        self.look_up(key, now);
    }

    /// Looks through what was read; answers if that ends the look-up. Whether to read on.
    fn scan_read(&mut self, key: LookupKey, result: Result<ReadData, ReadError>) -> bool {
        let lookup = self.lookups.lookups[key];
        let storage = |error: BatchError| EngineError::Storage {
            reason: format!("scan from offset {}: {error}", lookup.from),
        };
        let data = result.map_err(|error| read_error(error, lookup.from, lookup.until));
        let data = data.and_then(|d| trim(d, lookup.from, lookup.until).map_err(storage));
        let outcome = data.and_then(|data| {
            if data.next <= lookup.from {
                let reason = format!("no batch at offset {}", lookup.from);
                return Err(EngineError::Storage { reason });
            }
            let found = first_record(&data, lookup.from, lookup.timestamp);
            Ok((data.next, found.map_err(storage)?))
        });
        match outcome {
            Ok((next, None)) => {
                self.lookups.lookups[key].from = next;
                true
            }
            Ok((_, found)) => {
                self.finish_lookup(key, Ok(found));
                false
            }
            Err(error) => {
                self.finish_lookup(key, Err(error));
                false
            }
        }
    }

    fn finish_lookup(&mut self, key: LookupKey, found: Result<Option<(Offset, i64)>, EngineError>) {
        let lookup = self.lookups.remove(key);
        let reply = match found {
            Ok(found) => Reply::Offset(FoundOffset {
                offset: found.map_or(lookup.until, |(offset, _)| offset),
                timestamp: found.map(|(_, timestamp)| timestamp),
            }),
            Err(error) => Reply::Failed(error),
        };
        self.reply(lookup.request, reply);
    }
}

/// The first record at or above `from` that is at least as young as `timestamp`: its offset and
/// its own timestamp.
fn first_record(
    data: &Batches,
    from: Offset,
    timestamp: i64,
) -> Result<Option<(Offset, i64)>, BatchError> {
    for chunk in &data.chunks {
        for batch in batches(chunk) {
            let (header, bytes) = batch?;
            if header.latest_timestamp() < timestamp {
                continue;
            }
            for record in records(bytes, MAX_RECORDS_LEN)?.iter() {
                let record = record?;
                let offset = Offset(u64::try_from(record.offset).unwrap_or(0));
                if offset >= from && record.timestamp >= timestamp {
                    return Ok(Some((offset, record.timestamp)));
                }
            }
        }
    }
    Ok(None)
}
