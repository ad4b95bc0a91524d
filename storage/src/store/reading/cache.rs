//! Two bounded caches, of verified spans and of the indexes of segments; what was used least
//! recently goes.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::format::index::{SPAN_LEN, Span};
use crate::format::segments::SegmentId;
use crate::types::LogId;

/// Values with a size, up to a budget of bytes.
#[derive(Debug)]
struct Lru<K, V> {
    budget: usize,
    bytes: usize,
    clock: u64,
    items: BTreeMap<K, (V, usize, u64)>,
    by_age: BTreeMap<u64, K>,
}

impl<K: Ord + Copy, V> Lru<K, V> {
    fn new(budget: usize) -> Self {
        Self {
            budget,
            bytes: 0,
            clock: 0,
            items: BTreeMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    fn get(&mut self, key: &K) -> Option<&mut V> {
        let (value, _, age) = self.items.get_mut(key)?;
        self.by_age.remove(age);
        self.clock += 1;
        *age = self.clock;
        self.by_age.insert(self.clock, *key);
        Some(value)
    }

    fn insert(&mut self, key: K, value: V, size: usize) {
        self.remove(&key);
        self.clock += 1;
        self.items.insert(key, (value, size, self.clock));
        self.by_age.insert(self.clock, key);
        self.bytes += size;
        // What was just put in stays, also if it alone exceeds the budget: somebody waits for it.
        while self.bytes > self.budget
            && self.items.len() > 1
            && let Some((_, oldest)) = self.by_age.first_key_value()
        {
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let (value, size, age) = self.items.remove(key)?;
        self.by_age.remove(&age);
        self.bytes -= size;
        Some(value)
    }

    fn remove_range(&mut self, range: std::ops::RangeInclusive<K>) {
        let keys: Vec<K> = self.items.range(range).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(&key);
        }
    }
}

const FIRST: SegmentId = SegmentId {
    base: crate::types::Ordinal(0),
    generation: crate::types::Generation(0),
};
const LAST: SegmentId = SegmentId {
    base: crate::types::Ordinal(u64::MAX),
    generation: crate::types::Generation(u32::MAX),
};

/// Spans that were read and whose CRC was checked, by place.
#[derive(Debug)]
pub(crate) struct SpanCache(Lru<(LogId, SegmentId, u64), Bytes>);

impl SpanCache {
    pub(crate) fn new(budget: usize) -> Self {
        Self(Lru::new(budget))
    }

    pub(crate) fn get(&mut self, log: LogId, segment: SegmentId, position: u64) -> Option<Bytes> {
        self.0.get(&(log, segment, position)).cloned()
    }

    pub(crate) fn insert(&mut self, log: LogId, segment: SegmentId, position: u64, bytes: Bytes) {
        let size = bytes.len() + 128;
        self.0.insert((log, segment, position), bytes, size);
    }

    pub(crate) fn forget(&mut self, log: LogId) {
        self.0.remove_range((log, FIRST, 0)..=(log, LAST, u64::MAX));
    }
}

/// The spans of segments, each whole from its beginning.
#[derive(Debug)]
pub(crate) struct IndexCache(Lru<(LogId, SegmentId), Vec<Span>>);

impl IndexCache {
    pub(crate) fn new(budget: usize) -> Self {
        Self(Lru::new(budget))
    }

    pub(crate) fn get(&mut self, log: LogId, segment: SegmentId) -> Option<&[Span]> {
        self.0.get(&(log, segment)).map(|spans| &spans[..])
    }

    pub(crate) fn insert(&mut self, log: LogId, segment: SegmentId, spans: Vec<Span>) {
        let size = spans.len() * SPAN_LEN + 128;
        self.0.insert((log, segment), spans, size);
    }

    /// Spans were added to a segment's index file. A cached index that they do not continue is
    /// not kept.
    pub(crate) fn extend(&mut self, log: LogId, segment: SegmentId, more: &[Span]) {
        let Some(first) = more.first() else { return };
        let cached = self.0.remove(&(log, segment));
        let spans = match cached {
            Some(mut spans) if spans.last().map(Span::end_ordinal) == Some(first.first_ordinal) => {
                spans.extend_from_slice(more);
                spans
            }
            _ if first.position == 0 => more.to_vec(),
            _ => return,
        };
        self.insert(log, segment, spans);
    }

    pub(crate) fn forget(&mut self, log: LogId) {
        self.0.remove_range((log, FIRST)..=(log, LAST));
    }

    pub(crate) fn forget_segment(&mut self, log: LogId, segment: SegmentId) {
        self.0.remove(&(log, segment));
    }
}
