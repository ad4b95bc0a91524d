//! Look-ups by time: the first place in a log that holds a record of that time or later, or the
//! latest record.
//!
//! Segments are asked in order, each once, and only those whose newest record may matter; what
//! lies behind them is in memory. It never reads an entry: the caller scans on from the span or
//! entry found.

use crate::format::segments::SegmentId;
use crate::io::BufPool;
use crate::store::Store;
use crate::store::api::{ReadError, ReadRange, ReadToken, TimeFound, TimeOutcome};
use crate::store::journal::ring::LogKey;
use crate::store::reading::read::{Request, Step, Waiter};
use crate::types::{LogId, Now, Offset, Ordinal};

/// What a look-up looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The first place with a record at or after this.
    AtLeast(i64),
    /// Among the places without a record at or after `below`, the first with the latest one.
    Latest { below: i64 },
}

impl Target {
    /// Whether a segment with that newest record may change the answer.
    fn cares_for(self, newest: i64, best: Option<TimeFound>) -> bool {
        match self {
            Self::AtLeast(timestamp) => newest >= timestamp,
            Self::Latest { .. } => best.is_none_or(|best| newest > best.timestamp),
        }
    }

    /// Looks at a place; whether that ends the look-up.
    fn look(self, place: TimeFound, best: &mut Option<TimeFound>) -> bool {
        let (better, ends) = match self {
            Self::AtLeast(timestamp) => (place.timestamp >= timestamp, true),
            Self::Latest { below } => (place.timestamp < below, false),
        };
        if !better || !self.cares_for(place.timestamp, *best) {
            return false;
        }
        *best = Some(place);
        ends
    }
}

impl<P: BufPool> Store<P> {
    /// Where to scan for the first record at or after `timestamp`, below `until`.
    pub fn find_time(
        &mut self,
        log: LogId,
        timestamp: i64,
        until: Offset,
        now: Now,
    ) -> TimeOutcome {
        self.find(log, Target::AtLeast(timestamp), until, now)
    }

    /// Where to scan for the first of the latest records, below `until`. Places that hold a
    /// record at or after `below` are passed over: `i64::MAX` at first, and what was found before
    /// if no reader may see that record.
    pub fn find_latest(&mut self, log: LogId, below: i64, until: Offset, now: Now) -> TimeOutcome {
        self.find(log, Target::Latest { below }, until, now)
    }

    fn find(&mut self, log: LogId, target: Target, until: Offset, now: Now) -> TimeOutcome {
        self.turn.now = now;
        let Some(key) = self.logs.key(log) else {
            return TimeOutcome::Failed(ReadError::UnknownLog);
        };
        let request = Request::Time {
            key,
            log,
            target,
            until,
            seen: Ordinal(0),
            best: None,
        };
        let token = self.reading.reads.token(request);
        match self.try_time(token, key, target, until) {
            Ok(Step::Wait) => TimeOutcome::Pending(token),
            Ok(Step::Done(found)) => {
                self.reading.reads.requests.remove(&token);
                found.map_or(TimeOutcome::NotFound, TimeOutcome::Found)
            }
            Err(error) => {
                self.reading.reads.requests.remove(&token);
                TimeOutcome::Failed(error)
            }
        }
    }

    pub(crate) fn try_time(
        &mut self,
        token: ReadToken,
        key: LogKey,
        target: Target,
        until: Offset,
    ) -> Result<Step<Option<TimeFound>>, ReadError> {
        let log = &self.logs[key];
        if !log.lives() {
            return Err(ReadError::UnknownLog);
        }
        let (start, flushed, id) = (log.at.start, log.segmented.flushed, log.id);
        let (seen, mut best) = self.reading.reads.looked(token);
        if log.segmented.files.is_some() && start.0 < flushed.0 {
            let waiter = Waiter::Time(token);
            if !self.ensure_listed(key, waiter) {
                return Ok(Step::Wait);
            }
            let files = self.logs[key]
                .segmented
                .files
                .as_ref()
                .expect("just checked");
            let candidates: Vec<(SegmentId, Option<i64>, Ordinal)> = files
                .segments
                .iter()
                .filter(|segment| segment.id.base < flushed.0)
                .map(|segment| {
                    let end = segment.end.map_or(flushed.0, |(end, _)| end);
                    (segment.id, segment.max_timestamp, end.min(flushed.0))
                })
                .filter(|(_, _, end)| *end > start.0 && *end > seen)
                .collect();
            for (segment, newest, end) in candidates {
                if newest.is_some_and(|newest| !target.cares_for(newest, best)) {
                    continue;
                }
                let Some(spans) = self.reading.indexes.get(id, segment) else {
                    self.load_index(key, segment, waiter);
                    return Ok(Step::Wait);
                };
                for span in spans.iter().filter(|span| span.end_ordinal() > start.0) {
                    let place = TimeFound {
                        offset: span.first_offset.max(start.1),
                        timestamp: span.max_timestamp,
                    };
                    if place.offset < until && target.look(place, &mut best) {
                        return Ok(Step::Done(best));
                    }
                }
                self.reading.reads.set_looked(token, end, best);
            }
        }
        let log = &self.logs[key];
        if let Some(reason) =
            log.lost_from(ReadRange::Offsets(Offset(until.0.saturating_sub(1)), until))
        {
            return Err(ReadError::Io(reason.to_owned()));
        }
        for entry in log.tail.iter() {
            let meta = &entry.meta;
            let place = TimeFound {
                offset: meta.first_offset.max(start.1),
                timestamp: meta.max_timestamp,
            };
            let there = meta.ordinal >= flushed.0 && meta.next_offset() > start.1;
            if there && place.offset < until && target.look(place, &mut best) {
                break;
            }
        }
        Ok(Step::Done(best))
    }
}
