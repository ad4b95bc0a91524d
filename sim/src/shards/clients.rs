//! Idempotent producers: numbered batches, at most five under way, sent again in order after a
//! failure or a restart.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use leveret_record::{BatchBuilder, Compression, ProducerStamp};

use super::ledger::{BatchKey, Ledger};
use crate::rng::Rng;

/// Batches under way at most; what the broker remembers of each producer.
pub(super) const WINDOW: usize = 5;

#[derive(Clone, Debug)]
struct Batch {
    key: BatchKey,
    bytes: Bytes,
}

/// One producer in one partition.
#[derive(Debug)]
pub(super) struct Sender {
    next: BatchKey,
    /// The newest acknowledged batches: their acknowledgements may yet turn out not to have
    /// arrived.
    acknowledged: VecDeque<Batch>,
    /// To be acknowledged, in order; the first `under_way` of them are with the broker.
    queue: VecDeque<Batch>,
    under_way: usize,
    /// So many of them were with a broker at some time, and may have been appended.
    offered: usize,
    /// A batch was refused: wait for all answers, then send again.
    refused: bool,
}

impl Sender {
    pub(super) fn new(first: BatchKey) -> Self {
        Self {
            next: first,
            acknowledged: VecDeque::new(),
            queue: VecDeque::new(),
            under_way: 0,
            offered: 0,
            refused: false,
        }
    }

    /// Everything handed to it is acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.queue.is_empty()
    }

    /// Batches under way follow one that was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Makes another batch to be sent.
    pub(super) fn make(&mut self, rng: &mut Rng, timestamp: i64, ledger: &mut Ledger) {
        let mut builder = BatchBuilder::new(Compression::None);
        let records = rng.between(1, 6) as i32;
        let most = *rng.pick(&[40, 300, 3_000]);
        for record in 0..records {
            let mut value = vec![0; rng.magnitude(1, most) as usize];
            rng.fill(&mut value);
            let timestamp = timestamp + i64::from(record);
            builder
                .push(timestamp, None, Some(&value), &[])
                .expect("a small record");
        }
        builder.set_producer(ProducerStamp {
            id: self.next.producer,
            epoch: 0,
            base_sequence: self.next.sequence,
        });
        let bytes = builder.finish();
        ledger.send(self.next, bytes.clone());
        let key = self.next;
        self.queue.push_back(Batch { key, bytes });
        self.next.sequence += records;
    }

    /// The next batch to hand to the broker, if one may be.
    pub(super) fn send(&mut self) -> Option<(BatchKey, BytesMut)> {
        if self.refused || self.under_way == WINDOW {
            return None;
        }
        let batch = self.queue.get(self.under_way)?;
        self.under_way += 1;
        self.offered = self.offered.max(self.under_way);
        Some((batch.key, BytesMut::from(&batch.bytes[..])))
    }

    /// A batch was acknowledged; false if it was not the next one to be.
    pub(super) fn acknowledge(&mut self, key: BatchKey) -> bool {
        if self.queue.front().is_none_or(|first| first.key != key) {
            return false;
        }
        self.under_way -= 1;
        self.offered -= 1;
        self.acknowledged.extend(self.queue.pop_front());
        if self.acknowledged.len() > WINDOW {
            self.acknowledged.pop_front();
        }
        self.resume();
        true
    }

    /// A batch was refused, for now.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.under_way -= 1;
        self.resume();
    }

    fn resume(&mut self) {
        if self.under_way == 0 {
            self.refused = false;
        }
    }

    /// The broker is gone. Some acknowledgements, it turns out, never arrived: those batches are
    /// sent again with all that were under way.
    pub(super) fn disconnect(&mut self, rng: &mut Rng) {
        let unheard = rng.between(0, (WINDOW - self.offered) as u64) as usize;
        for _ in 0..unheard.min(self.acknowledged.len()) {
            let batch = self.acknowledged.pop_back().expect("counted");
            self.queue.push_front(batch);
            self.offered += 1;
        }
        self.under_way = 0;
        self.refused = false;
    }
}
