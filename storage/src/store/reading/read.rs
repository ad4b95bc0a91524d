//! Reads: entries from memory, or whole spans from segments, which are verified before they are
//! given out.
//!
//! A read that memory answers is done at once and copies nothing. Any other goes from the segment
//! to its index and then to its spans. Each step is answered by a bounded cache or by the device,
//! and a read begins again when what it waited for has come. No span is handed out whose CRC was
//! not checked.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::format::index::Span;
use crate::format::segments::SegmentId;
use crate::io::BufPool;
use crate::store::Store;
use crate::store::api::{
    Event, Place, ReadData, ReadError, ReadMeta, ReadOutcome, ReadRange, ReadToken, TimeFound,
};
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::reading::time::Target;
use crate::types::{Level, LogId, Now, Offset, Ordinal};

/// Who waits for a listing, an index or a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    Read(ReadToken),
    Time(ReadToken),
    Trim,
    Retention,
    /// Nobody: read ahead.
    Nobody,
}

/// A segment's index being read.
#[derive(Debug)]
pub(crate) struct IndexLoad {
    pub(crate) key: LogKey,
    pub(crate) log: LogId,
    pub(crate) segment: SegmentId,
    pub(crate) pos: u64,
    pub(crate) spans: Vec<Span>,
}

/// A read or look-up that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request {
    Read {
        key: LogKey,
        log: LogId,
        range: ReadRange,
        max_bytes: usize,
    },
    Time {
        key: LogKey,
        log: LogId,
        target: Target,
        until: Offset,
        /// Segments that end at or below this have been looked at.
        seen: Ordinal,
        /// What they gave.
        best: Option<TimeFound>,
    },
}

/// Reads under way.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    next_token: u64,
    pub(crate) requests: BTreeMap<ReadToken, Request>,
    pub(crate) indexes: BTreeMap<(LogId, SegmentId), Vec<Waiter>>,
    /// By the first span's position: where the load ends, and who waits for it.
    pub(crate) spans: BTreeMap<(LogId, SegmentId, u64), (u64, Vec<Waiter>)>,
}

impl Reads {
    pub(crate) fn token(&mut self, request: Request) -> ReadToken {
        let token = ReadToken(self.next_token);
        self.next_token += 1;
        self.requests.insert(token, request);
        token
    }
}

/// How a step of a read ended.
pub(crate) enum Step<T> {
    Done(T),
    /// Begin again when the waiter is woken.
    Wait,
}

impl<P: BufPool> Store<P> {
    /// Whole entries of a range, from the one that holds its first place (or the span that holds it)
    /// on, up to `max_bytes`. One is given however long it is, but a reader goes on from
    /// [`ReadData::next`] rather than count on any.
    pub fn read(
        &mut self,
        log: LogId,
        range: impl Into<ReadRange>,
        max_bytes: usize,
        now: Now,
    ) -> ReadOutcome {
        self.turn.now = now;
        let Some(key) = self.logs.key(log) else {
            return ReadOutcome::Failed(ReadError::UnknownLog);
        };
        let range = range.into();
        let request = Request::Read {
            key,
            log,
            range,
            max_bytes,
        };
        let token = self.reading.reads.token(request);
        match self.try_read(token, key, range, max_bytes) {
            Ok(Step::Wait) => ReadOutcome::Pending(token),
            Ok(Step::Done(data)) => {
                self.reading.reads.requests.remove(&token);
                ReadOutcome::Ready(data)
            }
            Err(error) => {
                self.reading.reads.requests.remove(&token);
                ReadOutcome::Failed(error)
            }
        }
    }

    /// Bytes of the entries from the one that holds `from` up to `until`, as far as `most`. What
    /// is not all in memory counts as `most`: nothing is read to find out.
    #[must_use]
    pub fn measure(&self, log: LogId, from: Offset, until: Offset, most: usize) -> usize {
        let Some(log) = self.logs.key(log).map(|key| &self.logs[key]) else {
            return 0;
        };
        if !log.tail.reaches(from) {
            return most;
        }
        let entries = log.tail.at_offset(from);
        let mut bytes = 0;
        for entry in entries.take_while(|entry| entry.meta.first_offset < until) {
            bytes += entry.bytes.len();
            if bytes >= most {
                return most;
            }
        }
        bytes
    }

    /// What the waiter waited for has come. A log that is being deleted, or is gone, has nothing
    /// more to do for anybody: whoever outlived it is told so.
    pub(crate) fn wake(&mut self, key: LogKey, waiter: Waiter) {
        if !self.can_look_into(key) {
            return self.fail_waiter(waiter, ReadError::UnknownLog);
        }
        match waiter {
            Waiter::Read(token) | Waiter::Time(token) => self.resume(token),
            Waiter::Retention => self.apply_retention(key),
            Waiter::Trim => self.remove_below_start(key),
            Waiter::Nobody => {}
        }
    }

    pub(crate) fn fail_waiter(&mut self, waiter: Waiter, error: ReadError) {
        match waiter {
            Waiter::Read(token) => self.read_done(token, Err(error)),
            Waiter::Time(token) => self.time_done(token, Err(error)),
            Waiter::Retention | Waiter::Trim | Waiter::Nobody => {}
        }
    }

    fn resume(&mut self, token: ReadToken) {
        match self.reading.reads.requests.get(&token).copied() {
            None => {}
            Some(Request::Read {
                key,
                log,
                range,
                max_bytes,
            }) => {
                if self.logs.key(log) != Some(key) {
                    return self.read_done(token, Err(ReadError::UnknownLog));
                }
                match self.try_read(token, key, range, max_bytes) {
                    Ok(Step::Wait) => {}
                    Ok(Step::Done(data)) => self.read_done(token, Ok(data)),
                    Err(error) => self.read_done(token, Err(error)),
                }
            }
            Some(Request::Time {
                key,
                log,
                target,
                until,
                ..
            }) => {
                if self.logs.key(log) != Some(key) {
                    return self.time_done(token, Err(ReadError::UnknownLog));
                }
                match self.try_time(token, key, target, until) {
                    Ok(Step::Wait) => {}
                    Ok(Step::Done(found)) => self.time_done(token, Ok(found)),
                    Err(error) => self.time_done(token, Err(error)),
                }
            }
        }
    }

    fn read_done(&mut self, token: ReadToken, result: Result<ReadData, ReadError>) {
        if self.reading.reads.requests.remove(&token).is_some() {
            self.events.push_back(Event::ReadDone { token, result });
        }
    }

    fn time_done(&mut self, token: ReadToken, result: Result<Option<TimeFound>, ReadError>) {
        if self.reading.reads.requests.remove(&token).is_some() {
            self.events.push_back(Event::TimeDone { token, result });
        }
    }

    fn try_read(
        &mut self,
        token: ReadToken,
        key: LogKey,
        range: ReadRange,
        max_bytes: usize,
    ) -> Result<Step<ReadData>, ReadError> {
        let log = &self.logs[key];
        if !log.lives() {
            return Err(ReadError::UnknownLog);
        }
        let (start, end) = (log.at.start, log.at.ordered);
        let outside = ReadError::OutOfRange {
            start: start.1,
            end: end.1,
        };
        if !range.is_from(start) || range.is_beyond(end) {
            return Err(outside);
        }
        if range.is_empty() || range.is_from(end) {
            return Ok(Step::Done(ReadData::default()));
        }
        if let Some(reason) = log.lost_from(range) {
            return Err(ReadError::Io(reason.to_owned()));
        }
        let first = log.tail.first();
        if first.is_some_and(|first| range.is_from(first.meta.place())) {
            return Ok(Step::Done(log.read_tail(range, max_bytes)));
        }
        if log.settings.level == Level::Memory || log.segmented.files.is_none() {
            return Err(outside);
        }
        self.read_segment(Waiter::Read(token), key, range, max_bytes)
    }

    fn read_segment(
        &mut self,
        waiter: Waiter,
        key: LogKey,
        range: ReadRange,
        max_bytes: usize,
    ) -> Result<Step<ReadData>, ReadError> {
        let Some(segment) = self.find_segment(key, range, waiter) else {
            return Ok(Step::Wait);
        };
        let (id, durable) = (self.logs[key].id, self.logs[key].at.durable.0);
        let Some(spans) = self.reading.indexes.get(id, segment) else {
            self.load_index(key, segment, waiter);
            return Ok(Step::Wait);
        };
        let at = spans
            .partition_point(|span| range.is_from(span.place()))
            .saturating_sub(1);
        let mut wanted = Vec::new();
        let mut bytes = 0;
        for span in &spans[at..] {
            let len = span.length as usize;
            let enough = bytes + len > max_bytes.min(self.config.read_bytes);
            let beyond = range.ends_by(span.place()) || span.first_ordinal >= durable;
            if !wanted.is_empty() && (enough || beyond) {
                break;
            }
            bytes += len;
            wanted.push(*span);
        }
        if wanted.is_empty() {
            // The index grew meanwhile past what is cached of it.
            self.reading.indexes.forget_segment(id, segment);
            self.load_index(key, segment, waiter);
            return Ok(Step::Wait);
        }
        let ahead: Vec<Span> = spans[at + wanted.len()..]
            .iter()
            .take(16)
            .copied()
            .collect();
        let mut data = ReadData::default();
        for span in &wanted {
            let Some(chunk) = self.reading.spans.get(id, segment, span.position) else {
                break;
            };
            self.give_span(key, segment, span, chunk, &mut data);
        }
        if data.chunks.is_empty() {
            self.load_spans(key, segment, wanted, waiter);
            return Ok(Step::Wait);
        }
        self.read_ahead(key, segment, &ahead);
        Ok(Step::Done(data))
    }

    /// Reads what a consumer that goes on will want next.
    fn read_ahead(&mut self, key: LogKey, segment: SegmentId, spans: &[Span]) {
        let id = self.logs[key].id;
        let mut wanted = Vec::new();
        let mut bytes = 0;
        for span in spans {
            if self.reading.spans.get(id, segment, span.position).is_some()
                || self.reading.reads.covers(id, segment, span.position)
                || bytes + span.length as usize > self.config.read_bytes.min(512 << 10)
            {
                break;
            }
            bytes += span.length as usize;
            wanted.push(*span);
        }
        let ample = bytes * 8 < self.config.span_cache_bytes;
        if ample && wanted.len() > 1 {
            self.load_spans(key, segment, wanted, Waiter::Nobody);
        }
    }

    /// The segment that holds where the range begins. `None`: something must be read first.
    fn find_segment(&mut self, key: LogKey, range: ReadRange, waiter: Waiter) -> Option<SegmentId> {
        if !self.ensure_listed(key, waiter) {
            return None;
        }
        let log = &self.logs[key];
        let files = log
            .segmented
            .files
            .as_ref()
            .expect("a log read from segments has files");
        // One that is wholly below the start may not even have an index.
        let gone = files.gone_below(log.at.start.0);
        let (mut low, mut high) = (gone, files.segments.len());
        while high - low > 1 {
            let middle = low.midpoint(high);
            let segment = &files.segments[middle];
            let begins_before = match range {
                ReadRange::Ordinals(from, _) => Some(segment.id.base <= from),
                ReadRange::Offsets(from, _) => segment.base_offset.map(|base| base <= from),
            };
            match begins_before {
                Some(true) => low = middle,
                Some(false) => high = middle,
                None => {
                    let id = segment.id;
                    self.load_index(key, id, waiter);
                    return None;
                }
            }
        }
        let segment = files.segments.get(low).map(|segment| segment.id);
        if segment.is_none() {
            let error = ReadError::Io("the log's segments are gone".to_owned());
            self.fail_waiter(waiter, error);
        }
        segment
    }

    /// Answers a read from the spans of a load, the first of which are `good`.
    pub(crate) fn answer(
        &mut self,
        token: ReadToken,
        segment: SegmentId,
        (spans, good): (&[Span], &[Bytes]),
        error: Option<&ReadError>,
        present: bool,
    ) {
        let Some(Request::Read {
            range,
            max_bytes,
            key,
            log,
        }) = self.reading.reads.requests.get(&token).copied()
        else {
            return;
        };
        if !present || self.logs.key(log) != Some(key) {
            return self.read_done(token, Err(ReadError::UnknownLog));
        }
        let state = &self.logs[key];
        if !range.is_from(state.at.start) {
            let (start, end) = (state.at.start.1, state.at.ordered.1);
            return self.read_done(token, Err(ReadError::OutOfRange { start, end }));
        }
        let at = spans
            .partition_point(|span| range.is_from(span.place()))
            .saturating_sub(1);
        if let Some(error) = error
            && at >= good.len()
        {
            // Of several damaged spans the first is named.
            return self.read_done(token, Err(error.clone()));
        }
        let mut data = ReadData::default();
        for (span, bytes) in spans.iter().zip(good).skip(at) {
            let hidden = span.first_ordinal >= self.logs[key].at.durable.0;
            let beyond = range.ends_by(span.place()) || hidden;
            let more = data.bytes + bytes.len() > max_bytes || beyond;
            if !data.chunks.is_empty() && more {
                break;
            }
            self.give_span(key, segment, span, bytes.clone(), &mut data);
        }
        self.read_done(token, Ok(data));
    }

    /// Adds a span to what is read, as far as readers may see it.
    fn give_span(
        &mut self,
        key: LogKey,
        segment: SegmentId,
        span: &Span,
        bytes: Bytes,
        data: &mut ReadData,
    ) {
        let chunk = self.visible(key, span, bytes);
        data.bytes += chunk.len();
        data.chunks.push(chunk);
        let ordinal = span.end_ordinal().min(self.logs[key].at.durable.0);
        data.first.get_or_insert(Place {
            ordinal: span.first_ordinal,
            offset: Some(span.first_offset),
        });
        data.next = Some(Place {
            ordinal,
            offset: self.offset_after(key, segment, ordinal),
        });
    }

    /// The first offset of the entry with this ordinal, which follows one of the segment's spans, as
    /// far as it is known without reading.
    fn offset_after(&mut self, key: LogKey, segment: SegmentId, next: Ordinal) -> Option<Offset> {
        let log = &self.logs[key];
        let known = [log.segmented.flushed, log.at.durable, log.at.ordered];
        if let Some((_, offset)) = known.into_iter().find(|(ordinal, _)| *ordinal == next) {
            return Some(offset);
        }
        if let Some(spans) = self.reading.indexes.get(log.id, segment) {
            let at = spans.partition_point(|span| span.first_ordinal < next);
            if let Some(span) = spans.get(at).filter(|span| span.first_ordinal == next) {
                return Some(span.first_offset);
            }
        }
        let files = log.segmented.files.as_ref()?;
        let ended = files.segment_at(segment.base).and_then(|s| s.end);
        let begun = files.segment_at(next).and_then(|s| s.base_offset);
        let ended = ended.filter(|(end, _)| *end == next);
        ended.and_then(|(_, offset)| offset).or(begun)
    }

    /// What a reader may see of a span's bytes. A segment can hold entries whose commits are only
    /// written: recovery would not find them there, so that a crash may still take them. They
    /// are read from memory, which they leave no earlier than that.
    fn visible(&self, key: LogKey, span: &Span, bytes: Bytes) -> Bytes {
        let log = &self.logs[key];
        let durable = log.at.durable.0;
        if span.end_ordinal() <= durable {
            return bytes;
        }
        assert!(span.first_ordinal < durable, "a span of nothing durable");
        let end = log.tail.entry(durable).pos - span.position;
        bytes.slice(..usize::try_from(end).expect("within one span"))
    }
}

impl Reads {
    /// How far a look-up by time has come, and what it has found.
    pub(crate) fn looked(&self, token: ReadToken) -> (Ordinal, Option<TimeFound>) {
        match self.requests.get(&token) {
            Some(Request::Time { seen, best, .. }) => (*seen, *best),
            _ => (Ordinal(0), None),
        }
    }

    pub(crate) fn set_looked(&mut self, token: ReadToken, end: Ordinal, found: Option<TimeFound>) {
        if let Some(Request::Time { seen, best, .. }) = self.requests.get_mut(&token) {
            (*seen, *best) = (end, found);
        }
    }

    fn load_at(&self, log: LogId, segment: SegmentId, position: u64) -> Option<u64> {
        let (key, (end, _)) = self
            .spans
            .range((log, segment, 0)..=(log, segment, position))
            .next_back()?;
        (position < *end).then_some(key.2)
    }

    fn covers(&self, log: LogId, segment: SegmentId, position: u64) -> bool {
        self.load_at(log, segment, position).is_some()
    }

    /// Who waits for the load under way that brings the span at `position`.
    pub(crate) fn waiters_at(
        &mut self,
        log: LogId,
        segment: SegmentId,
        position: u64,
    ) -> Option<&mut Vec<Waiter>> {
        let first = self.load_at(log, segment, position)?;
        self.spans
            .get_mut(&(log, segment, first))
            .map(|(_, waiters)| waiters)
    }
}

impl LogState {
    fn read_tail(&self, range: ReadRange, max_bytes: usize) -> ReadData {
        let mut data = ReadData::default();
        let (entries, by_ordinal) = match range {
            ReadRange::Offsets(from, _) => (self.tail.at_offset(from), false),
            ReadRange::Ordinals(from, _) => (self.tail.at_ordinal(from), true),
        };
        let place = |(ordinal, offset)| Place {
            ordinal,
            offset: Some(offset),
        };
        for entry in entries {
            let enough = data.bytes + entry.bytes.len() > max_bytes;
            if range.ends_by(entry.meta.place()) || (enough && !data.chunks.is_empty()) {
                break;
            }
            data.bytes += entry.bytes.len();
            data.chunks.push(entry.bytes.clone());
            data.first.get_or_insert(place(entry.meta.place()));
            data.next = Some(place(entry.meta.next_place()));
            if by_ordinal {
                data.metas.push(ReadMeta {
                    meta: entry.meta,
                    kind: self.class.replay.kind_of(&entry.bytes),
                });
            }
        }
        data
    }
}
