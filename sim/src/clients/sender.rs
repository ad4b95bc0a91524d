//! Idempotent producers: numbered batches, at most five under way, sent again in order after a
//! failure or a restart. Some batches ask for a weaker acknowledgement, which a crash may take
//! back: those are sent again too.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use leveret_record::{BatchBuilder, Compression, ProducerStamp};
use leveret_storage::types::{Level, LogId, Mono};

use super::ledger::{BatchKey, Ledger};
use super::liars::misdated;
use crate::rng::Rng;

/// Batches under way at most; what the broker remembers of each producer.
pub(crate) const WINDOW: usize = 5;

#[derive(Clone, Debug)]
struct Batch {
    key: BatchKey,
    bytes: Bytes,
    /// What its acknowledgement shall mean.
    level: Level,
}

/// What a producer's batches are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taste {
    /// Levels that they ask for, one as often as the other.
    pub(crate) levels: &'static [Level],
    /// Longest values, bytes, likewise.
    pub(crate) values: &'static [u64],
}

/// A batch on its way to the broker.
pub(crate) struct Sent {
    pub(crate) key: BatchKey,
    pub(crate) bytes: BytesMut,
    pub(crate) level: Level,
}

/// One producer in one partition.
#[derive(Debug)]
pub(crate) struct Sender {
    next: BatchKey,
    /// The newest acknowledged batches: their acknowledgements may yet turn out not to have
    /// arrived.
    acknowledged: VecDeque<Batch>,
    /// Acknowledged at a weaker level, with nothing after them that is durable.
    unsynced: VecDeque<Batch>,
    /// To be acknowledged, in order; the first `under_way` of them are with the broker.
    queue: VecDeque<Batch>,
    under_way: usize,
    /// So many of them were with a broker at some time, and may have been appended.
    offered: usize,
    /// So many batches before those under way were refused: wait for all answers, then send again.
    refused: usize,
    /// The last of those was acknowledged as one that was there already: so are all before it, and what
    /// follows may be appended.
    known: bool,
    /// So many more left before the first refusal was heard, and are still to arrive.
    coming: usize,
    /// Not before this.
    again_at: Mono,
}

impl Sender {
    pub(crate) fn new(first: BatchKey) -> Self {
        Self {
            next: first,
            acknowledged: VecDeque::new(),
            unsynced: VecDeque::new(),
            queue: VecDeque::new(),
            under_way: 0,
            offered: 0,
            refused: 0,
            known: false,
            coming: 0,
            again_at: Mono(0),
        }
    }

    /// Everything handed to it is acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.queue.is_empty()
    }

    /// Batches under way follow one that was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused > 0
    }

    /// The partition that it writes to.
    pub(crate) fn log(&self) -> LogId {
        self.next.log
    }

    /// A producer that has nothing to send may end; the next one in its place has another id.
    pub(crate) fn succeed(&mut self, producer: i64) {
        if self.is_done() && self.unsynced.is_empty() {
            *self = Self::new(BatchKey {
                producer,
                sequence: 0,
                ..self.next
            });
        }
    }

    /// Makes another batch to be sent.
    pub(crate) fn make(
        &mut self,
        rng: &mut Rng,
        timestamp: i64,
        ledger: &mut Ledger,
        taste: &Taste,
    ) {
        let codec = match rng.chance(1, 4) {
            true => *rng.pick(&Compression::ALL),
            false => Compression::None,
        };
        let mut builder = BatchBuilder::new(codec);
        let records = rng.between(1, 6) as i32;
        let most = *rng.pick(taste.values);
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
        let bytes = misdated(bytes, rng);
        let key = self.next;
        let level = *rng.pick(taste.levels);
        self.queue.push_back(Batch { key, bytes, level });
        self.next.sequence += records;
    }

    /// The next batch to hand to the broker, if one may be.
    pub(crate) fn send(&mut self, now: Mono) -> Option<Sent> {
        // What a crash may take back, and bring again, is no more than what the broker remembers.
        let open = self.under_way + self.refused + self.unsynced.len();
        let pauses = match self.is_refused() {
            true => self.coming == 0,
            false => now < self.again_at,
        };
        if open == WINDOW || pauses {
            return None;
        }
        let batch = self.queue.get_mut(self.under_way + self.refused)?;
        self.coming = self.coming.saturating_sub(1);
        if open + 1 == WINDOW {
            batch.level = Level::Synced;
        }
        self.under_way += 1;
        self.offered = self.offered.max(self.under_way + self.refused);
        Some(Sent {
            key: batch.key,
            bytes: BytesMut::from(&batch.bytes[..]),
            level: batch.level,
        })
    }

    /// A batch was acknowledged; false if it was not the next one to be.
    pub(crate) fn acknowledge(&mut self, key: BatchKey) -> bool {
        if self.queue.front().is_none_or(|first| first.key != key) {
            return false;
        }
        self.under_way -= 1;
        self.offered -= 1;
        let batch = self.queue.pop_front().expect("just seen");
        let durable = batch.level == Level::Synced;
        self.unsynced.push_back(batch);
        if durable {
            // And so is all before it.
            self.acknowledged.append(&mut self.unsynced);
            let known = self.acknowledged.len().min(WINDOW);
            self.acknowledged.drain(..self.acknowledged.len() - known);
        }
        self.resume();
        true
    }

    /// A batch was acknowledged as one that was there already, while those before it, which had been
    /// sent in an earlier life of the broker, were refused. So they are there as well, and are to be
    /// found so when all are sent again, this one too. The same holds of one that is new (not `repeated`)
    /// and comes right behind such a one. False if it is not the next one behind them.
    pub(crate) fn acknowledge_again(&mut self, key: BatchKey, repeated: bool) -> bool {
        let next = self.queue.get(self.refused);
        if !self.is_refused() || next.is_none_or(|next| next.key != key) {
            return false;
        }
        if !repeated && !self.known {
            return false;
        }
        self.refused += 1;
        self.known = true;
        self.under_way -= 1;
        self.resume();
        true
    }

    /// A batch was refused, for now: it is sent again at `again_at`, after all answers. Up to
    /// `coming` that follow it are on their way already.
    pub(crate) fn refuse(&mut self, again_at: Mono, coming: usize) {
        if !self.is_refused() {
            let open = self.under_way + self.unsynced.len();
            let more = self.queue.len() - self.under_way;
            self.coming = coming.min(more).min(WINDOW - open);
        }
        self.refused += 1;
        self.known = false;
        self.again_at = again_at;
        self.under_way -= 1;
        self.resume();
    }

    fn resume(&mut self) {
        if self.under_way == 0 && self.coming == 0 {
            self.refused = 0;
        }
    }

    /// The broker is gone. Some acknowledgements, it turns out, never arrived: those batches are
    /// sent again with all that were under way.
    pub(crate) fn disconnect(&mut self, rng: &mut Rng) {
        while let Some(batch) = self.unsynced.pop_back() {
            self.queue.push_front(batch);
            self.offered += 1;
        }
        let unheard = rng.between(0, (WINDOW - self.offered) as u64) as usize;
        for _ in 0..unheard.min(self.acknowledged.len()) {
            let batch = self.acknowledged.pop_back().expect("counted");
            self.queue.push_front(batch);
            self.offered += 1;
        }
        self.under_way = 0;
        (self.refused, self.coming) = (0, 0);
        self.again_at = Mono(0);
    }

    /// When it sends again what was refused.
    pub(crate) fn again_at(&self) -> Option<Mono> {
        (!self.is_refused() && !self.is_done()).then_some(self.again_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: BatchKey = BatchKey {
        log: LogId(1),
        producer: 1,
        sequence: 0,
    };

    /// A producer whose batches are all with the broker again, after those before a crash.
    fn sent_again(batches: usize) -> (Sender, Vec<BatchKey>) {
        let (mut sender, mut rng) = (Sender::new(FIRST), Rng::new(1));
        let mut ledger = Ledger::default();
        let taste = Taste {
            levels: &[Level::Synced],
            values: &[40],
        };
        for _ in 0..batches {
            sender.make(&mut rng, 1, &mut ledger, &taste);
        }
        let mut keys = Vec::new();
        for life in 0..2 {
            keys.clear();
            while let Some(sent) = sender.send(Mono(life)) {
                keys.push(sent.key);
            }
            if life == 0 {
                sender.disconnect(&mut rng);
            }
        }
        assert_eq!(keys.len(), batches);
        (sender, keys)
    }

    #[test]
    fn a_repetition_may_be_acknowledged_behind_refused_ones_and_all_are_sent_again() {
        let (mut sender, keys) = sent_again(3);
        sender.refuse(Mono(5), 0);
        assert!(!sender.acknowledge(keys[1]), "it is not the next one");
        assert!(
            !sender.acknowledge_again(keys[2], true),
            "nor is that the next behind it"
        );
        assert!(
            !sender.acknowledge_again(keys[1], false),
            "a new one would overtake the refused one"
        );
        assert!(sender.acknowledge_again(keys[1], true));
        assert!(
            sender.acknowledge_again(keys[2], false),
            "a new one follows what was there"
        );
        for key in keys {
            let sent = sender.send(Mono(9)).expect("all are sent again");
            assert_eq!(sent.key, key);
            assert!(sender.acknowledge(key));
        }
        assert!(sender.is_done());
    }

    /// The control: with nothing refused before it, an acknowledgement out of order is one.
    #[test]
    fn an_acknowledgement_that_overtakes_is_found() {
        let (mut sender, keys) = sent_again(3);
        assert!(!sender.acknowledge(keys[1]) && !sender.acknowledge_again(keys[1], true));
        assert!(sender.acknowledge(keys[0]) && sender.acknowledge(keys[1]));
    }
}
