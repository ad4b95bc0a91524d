//! The producers that a partition remembers, each with its last batches.
//!
//! It never walks over all of them: expiry and the bound look only at the producer that has been
//! silent longest, which [`Producers::by_age`] has at its front.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::BatchHeader;
use leveret_storage::types::{EntryMeta, Offset, Ordinal, WallMs};

use super::{ProducerLimits, WINDOW};

/// A batch of a producer as the window remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) first_sequence: i32,
    pub(super) last_sequence: i32,
    pub(super) base_offset: Offset,
    /// Largest timestamp, milliseconds.
    pub(super) timestamp: i64,
}

impl Appended {
    /// The offset after its last record.
    pub(super) fn next_offset(&self) -> Offset {
        let wrapped = self.last_sequence.wrapping_sub(self.first_sequence) & i32::MAX;
        self.base_offset.plus(u64::from(wrapped.unsigned_abs()) + 1)
    }
}

/// One producer.
#[derive(Clone, Debug)]
pub(super) struct Producer {
    pub(super) epoch: i16,
    /// Entry of its last batch: its age among the producers.
    pub(super) last_ordinal: Ordinal,
    /// When that entry was decided.
    pub(super) last_time: WallMs,
    pub(super) window: Window,
}

impl Producer {
    fn expired(&self, now: WallMs, expiry_ms: u64) -> bool {
        // A clock that jumped back makes nobody older.
        let silent = now.0.saturating_sub(self.last_time.0);
        u64::try_from(silent).is_ok_and(|silent| silent > expiry_ms)
    }
}

/// The last batches of one producer, oldest first; never empty.
#[derive(Clone, Debug)]
pub(super) struct Window {
    batches: [Appended; WINDOW],
    len: u8,
}

impl Window {
    pub(super) fn of(first: Appended) -> Self {
        Self {
            batches: [first; WINDOW],
            len: 1,
        }
    }

    pub(super) fn push(&mut self, batch: Appended) {
        let len = usize::from(self.len);
        if len == WINDOW {
            self.batches.rotate_left(1);
            self.batches[WINDOW - 1] = batch;
        } else {
            self.batches[len] = batch;
            self.len += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[Appended] {
        &self.batches[..usize::from(self.len)]
    }

    fn last(&self) -> &Appended {
        &self.batches[usize::from(self.len) - 1]
    }
}

/// A producer that is remembered and has not expired.
#[derive(Clone, Copy)]
pub(super) struct Known<'a>(&'a Producer);

impl<'a> Known<'a> {
    pub(super) fn epoch(self) -> i16 {
        self.0.epoch
    }

    pub(super) fn next_sequence(self) -> i32 {
        leveret_record::next_sequence(self.0.window.last().last_sequence)
    }

    /// The remembered batch with exactly these sequences.
    pub(super) fn find(self, first: i32, last: i32) -> Option<&'a Appended> {
        let mut batches = self.0.window.as_slice().iter().rev();
        batches.find(|b| b.first_sequence == first && b.last_sequence == last)
    }
}

/// All producers of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer, FixedState>,
    /// Producer ids by the ordinal of their last batch: the longest silent first.
    by_age: BTreeMap<Ordinal, i64>,
}

impl Producers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn known(&self, id: i64, now: WallMs, expiry_ms: u64) -> Option<Known<'_>> {
        let producer = self.by_id.get(&id)?;
        (!producer.expired(now, expiry_ms)).then_some(Known(producer))
    }

    /// Remembers a batch that was appended.
    pub(super) fn record(
        &mut self,
        meta: &EntryMeta,
        header: &BatchHeader,
        limits: &ProducerLimits,
    ) {
        let batch = Appended {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: meta.first_offset,
            timestamp: header.latest_timestamp(),
        };
        match self.by_id.get_mut(&header.producer_id) {
            Some(producer) => {
                self.by_age.remove(&producer.last_ordinal);
                // A gap says that it had expired by then, also where the expiry was another.
                let last = producer.window.last().last_sequence;
                let goes_on = producer.epoch == header.producer_epoch
                    && header.base_sequence == leveret_record::next_sequence(last)
                    && !producer.expired(meta.time, limits.expiry_ms);
                if goes_on {
                    producer.window.push(batch);
                } else {
                    producer.epoch = header.producer_epoch;
                    producer.window = Window::of(batch);
                }
                producer.last_ordinal = meta.ordinal;
                producer.last_time = meta.time;
                self.by_age.insert(meta.ordinal, header.producer_id);
            }
            None => self.insert(
                header.producer_id,
                Producer {
                    epoch: header.producer_epoch,
                    last_ordinal: meta.ordinal,
                    last_time: meta.time,
                    window: Window::of(batch),
                },
            ),
        }
        self.forget_oldest(meta.time, limits);
    }

    /// Adds a producer that is not there.
    ///
    /// # Panics
    /// If its id or its ordinal is taken.
    pub(super) fn insert(&mut self, id: i64, producer: Producer) {
        let taken = self.by_age.insert(producer.last_ordinal, id);
        assert!(taken.is_none(), "an entry belongs to one producer");
        let known = self.by_id.insert(id, producer);
        assert!(known.is_none(), "a producer is inserted once");
    }

    /// From the longest silent to the one that appended last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_age.values().map(|id| (*id, &self.by_id[id]))
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn newest_ordinal(&self) -> Option<Ordinal> {
        self.by_age.last_key_value().map(|(ordinal, _)| *ordinal)
    }

    /// At most two per batch: each batch adds at most one, so expiry keeps up at a bounded cost.
    fn forget_oldest(&mut self, now: WallMs, limits: &ProducerLimits) {
        for _ in 0..2 {
            let Some((&ordinal, id)) = self.by_age.first_key_value() else {
                return;
            };
            let too_many = self.by_id.len() > limits.max_producers.max(1);
            if !too_many && !self.by_id[id].expired(now, limits.expiry_ms) {
                return;
            }
            self.by_id.remove(id);
            self.by_age.remove(&ordinal);
        }
    }
}
