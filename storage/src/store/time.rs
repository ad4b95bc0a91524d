//! Looks up by time: the first place in a log that holds a record late enough.
//!
//! Segments are asked in order, each once, and only those whose newest record is late enough;
//! what lies behind them is in memory. It never reads an entry: the caller scans on from the
//! span or entry found.

use super::Store;
use super::api::{ReadError, ReadToken, TimeOutcome};
use super::read::{Request, Step, Waiter};
use super::ring::LogKey;
use crate::format::segments::SegmentId;
use crate::io::BufPool;
use crate::types::{LogId, Now, Offset, Ordinal};

impl<P: BufPool> Store<P> {
    /// Where to scan for the first record at or after `timestamp`, below `until`.
    pub fn find_time(
        &mut self,
        log: LogId,
        timestamp: i64,
        until: Offset,
        now: Now,
    ) -> TimeOutcome {
        self.now = now;
        let Some(key) = self.logs.key(log) else {
            return TimeOutcome::Failed(ReadError::UnknownLog);
        };
        let request = Request::Time {
            key,
            log,
            timestamp,
            until,
            seen: Ordinal(0),
        };
        let token = self.reads.token(request);
        match self.try_time(token, key, timestamp, until) {
            Ok(Step::Wait) => TimeOutcome::Pending(token),
            Ok(Step::Done(found)) => {
                self.reads.requests.remove(&token);
                found.map_or(TimeOutcome::NotFound, TimeOutcome::Found)
            }
            Err(error) => {
                self.reads.requests.remove(&token);
                TimeOutcome::Failed(error)
            }
        }
    }

    pub(super) fn try_time(
        &mut self,
        token: ReadToken,
        key: LogKey,
        timestamp: i64,
        until: Offset,
    ) -> Result<Step<Option<Offset>>, ReadError> {
        let log = &self.logs[key];
        if log.removal.is_some() {
            return Err(ReadError::UnknownLog);
        }
        let (start, flushed, id) = (log.start, log.flushed, log.id);
        if log.files.is_some() && start.0 < flushed.0 {
            let waiter = Waiter::Time(token);
            if !self.ensure_listed(key, waiter) {
                return Ok(Step::Wait);
            }
            let files = self.logs[key].files.as_ref().expect("just checked");
            let seen = self.reads.seen(token);
            let candidates: Vec<(SegmentId, Ordinal)> = files
                .segments
                .iter()
                .filter(|segment| segment.id.base < flushed.0)
                .filter(|segment| {
                    let newest = segment.max_timestamp;
                    newest.is_none_or(|newest| newest >= timestamp)
                })
                .map(|segment| {
                    let end = segment.end.map_or(flushed.0, |(end, _)| end);
                    (segment.id, end.min(flushed.0))
                })
                .filter(|(_, end)| *end > start.0 && *end > seen)
                .collect();
            for (segment, end) in candidates {
                let Some(spans) = self.index_cache.get(id, segment) else {
                    self.load_index(key, segment, waiter);
                    return Ok(Step::Wait);
                };
                let hit = spans
                    .iter()
                    .find(|span| span.max_timestamp >= timestamp && span.end_ordinal() > start.0);
                if let Some(span) = hit {
                    let found = span.first_offset.max(start.1);
                    return Ok(Step::Done((found < until).then_some(found)));
                }
                self.reads.set_seen(token, end);
            }
        }
        let log = &self.logs[key];
        let hit = log.tail.iter().find(|entry| {
            entry.meta.max_timestamp >= timestamp
                && entry.meta.ordinal >= flushed.0
                && entry.meta.next_offset() > start.1
        });
        let found = hit.map(|entry| entry.meta.first_offset.max(start.1));
        Ok(Step::Done(found.filter(|found| *found < until)))
    }
}
