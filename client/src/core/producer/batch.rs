//! One record batch on its way: open, closed, stamped, sent.

use bytes::Bytes;
use leveret_record::{BatchBuilder, Header, ProducerStamp, advance_sequence, restamp};
use leveret_wire::native::PartitionId;

use super::partition::Identity;
use crate::core::Mono;
use crate::{Error, Result};

/// What a record costs beyond its bytes: length, timestamp and offset deltas, at most.
const RECORD_OVERHEAD: usize = 32;

/// A record to be sent, borrowed from the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Where to; chosen by key or in turn if `None`.
    pub partition: Option<PartitionId>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; names may repeat.
    pub headers: &'a [Header<'a>],
}

impl NewRecord<'_> {
    /// Bytes that it takes of the buffer, and at most of its batch.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len) + 10)
            .sum();
        RECORD_OVERHEAD
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + headers
    }
}

/// What the sender knows of a batch that is not in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was never sent.
    Unsent,
    /// It was sent and may have been appended: it must be repeated exactly as it was.
    Unknown,
    /// The broker has said that it did not append it.
    NotAppended,
}

/// A batch that takes records.
pub(super) struct OpenBatch<T> {
    builder: BatchBuilder,
    serial: u64,
    since: Mono,
    tag: T,
    records: u32,
    size: usize,
}

impl<T> OpenBatch<T> {
    /// An open batch without records; `builder` is empty.
    pub(super) fn new(serial: u64, since: Mono, tag: T, builder: BatchBuilder) -> Self {
        Self {
            builder,
            serial,
            since,
            tag,
            records: 0,
            size: 0,
        }
    }

    /// When its first record came.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    pub(super) fn tag(&self) -> &T {
        &self.tag
    }

    /// Whether a record of `size` bytes still fits.
    pub(super) fn has_room(&self, size: usize, max_batch_bytes: usize) -> bool {
        self.records == 0 || self.size + size <= max_batch_bytes
    }

    /// Takes a record; returns its number in the batch.
    pub(super) fn push(&mut self, record: &NewRecord<'_>) -> Result<u32> {
        self.builder
            .push(record.timestamp, record.key, record.value, record.headers)
            .map_err(|error| Error::InvalidRecord(error.to_string().into()))?;
        let number = self.records;
        self.records += 1;
        self.size += record.size();
        Ok(number)
    }

    pub(super) fn close(self) -> Batch<T> {
        Batch {
            serial: self.serial,
            since: self.since,
            records: self.records,
            size: self.size,
            tag: Some(self.tag),
            body: Body::Building(self.builder),
            fate: Fate::Unsent,
            in_flight: false,
            stamped: None,
        }
    }
}

enum Body {
    Building(BatchBuilder),
    Built(Bytes),
}

/// A closed batch.
pub(super) struct Batch<T> {
    serial: u64,
    since: Mono,
    records: u32,
    size: usize,
    /// Gone once the caller has been told an outcome.
    tag: Option<T>,
    body: Body,
    fate: Fate,
    in_flight: bool,
    stamped: Option<Identity>,
}

impl<T> Batch<T> {
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn since(&self) -> Mono {
        self.since
    }

    pub(super) fn tag(&self) -> Option<&T> {
        self.tag.as_ref()
    }

    pub(super) fn fate(&self) -> Fate {
        self.fate
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    pub(super) fn is_stamped(&self) -> bool {
        self.stamped.is_some()
    }

    /// The identity whose sequence it carries.
    pub(super) fn stamped_as(&self) -> Option<Identity> {
        self.stamped
    }

    /// Whether the caller has been told an outcome already.
    pub(super) fn is_abandoned(&self) -> bool {
        self.tag.is_none()
    }

    /// Takes its tag and size, once, to tell the caller an outcome.
    pub(super) fn abandon(&mut self) -> Option<(T, usize)> {
        self.tag.take().map(|tag| (tag, self.size))
    }

    /// Gives it identity and sequence; returns the sequence that follows, and the builder if it
    /// is not needed any more.
    pub(super) fn stamp(&mut self, who: Identity, sequence: i32) -> (i32, Option<BatchBuilder>) {
        assert!(
            self.fate != Fate::Unknown && self.stamped.is_none(),
            "stamped twice"
        );
        let stamp = ProducerStamp {
            id: who.id.0,
            epoch: who.epoch,
            base_sequence: sequence,
        };
        let (built, builder) = match std::mem::replace(&mut self.body, Body::Built(Bytes::new())) {
            Body::Building(mut builder) => {
                builder.set_producer(stamp);
                (builder.finish(), Some(builder))
            }
            Body::Built(batch) => {
                let mut copy = batch.to_vec();
                restamp(&mut copy, stamp).expect("it was built as a batch");
                (copy.into(), None)
            }
        };
        self.body = Body::Built(built);
        self.stamped = Some(who);
        let records = i32::try_from(self.records).expect("fewer records than bytes");
        (advance_sequence(sequence, records), builder)
    }

    /// Takes identity and sequence away: it will go under others.
    pub(super) fn unstamp(&mut self) {
        assert_eq!(self.fate, Fate::NotAppended, "it may have been appended");
        self.stamped = None;
    }

    /// Its bytes, now in flight.
    pub(super) fn send(&mut self) -> Bytes {
        assert!(
            self.is_stamped() && !self.in_flight,
            "sent too early or twice"
        );
        self.in_flight = true;
        match &self.body {
            Body::Built(batch) => batch.clone(),
            Body::Building(_) => unreachable!("stamping builds"),
        }
    }

    /// The memory of its bytes, once it has come to its end.
    pub(super) fn into_memory(self) -> Option<Bytes> {
        match self.body {
            Body::Built(batch) => Some(batch),
            Body::Building(_) => None,
        }
    }

    /// It is not in flight any more.
    pub(super) fn set_fate(&mut self, fate: Fate) {
        self.in_flight = false;
        self.fate = fate;
    }
}
