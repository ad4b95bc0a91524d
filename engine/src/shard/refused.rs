//! Remembers batches that were refused for the moment, so that no later batch of the same producer
//! is let through before them.
//!
//! A partition's machine keeps the order of the producers that it knows. It takes any sequence of
//! one that it does not know, as Kafka does: a producer may be older than what is remembered.
//! Between the two lies a producer whose first batch here was refused for want of space: its next
//! one, which was under way already, would make it known, and the refused one would come too late
//! for ever. So the refusal is remembered, here and not in the machine: it is no entry of the log.
//!
//! A restart forgets it. Every connection ends with it, and a producer sends again what was not
//! answered from its first batch on: the first to come is the refused one, which any machine
//! takes that does not know the producer; refused once more, it is remembered once more.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::BatchHeader;
use leveret_storage::types::{LogId, Mono};

use crate::partition::AppendRefusal;

/// Producers of all partitions whose refusals are remembered at once. With one more, the one that
/// was refused first is let through again with any sequence.
const MOST: usize = 16 << 10;

/// One producer in one partition.
type Producer = (LogId, i64);

/// What a producer was refused.
#[derive(Clone, Copy)]
struct Gap {
    epoch: i16,
    /// Sequence of its earliest batch that was refused.
    sequence: i32,
    /// Until when it is remembered.
    until: Mono,
}

/// The refusals of one shard.
#[derive(Default)]
pub(super) struct Refused {
    gaps: HashMap<Producer, Gap, FixedState>,
    /// Who was refused, in that order; some are forgotten, or were refused again since.
    order: VecDeque<(Mono, Producer)>,
}

/// Whether the sequence comes after `other`, where they wrap around.
fn is_after(sequence: i32, other: i32) -> bool {
    let distance = sequence.wrapping_sub(other) & i32::MAX;
    distance != 0 && distance < 1 << 30
}

impl Refused {
    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.gaps.is_empty()
    }

    /// A batch was refused at `now`: what follows waits for it, `for_ns` at most.
    pub(super) fn note(&mut self, log: LogId, header: &BatchHeader, now: Mono, for_ns: u64) {
        let producer = (log, header.producer_id);
        let until = now.after(for_ns);
        let gap = Gap {
            epoch: header.producer_epoch,
            sequence: header.base_sequence,
            until,
        };
        let known = self.gaps.get(&producer).filter(|known| known.until > now);
        let older = known.is_some_and(|known| {
            let later = is_after(gap.sequence, known.sequence) || gap.sequence == known.sequence;
            known.epoch > gap.epoch || (known.epoch == gap.epoch && later)
        });
        if older {
            return;
        }
        self.gaps.insert(producer, gap);
        self.order.push_back((until, producer));
        self.forget(now);
    }

    /// Whether a batch of a producer that its partition does not know may be appended at `now`.
    ///
    /// # Errors
    /// [`AppendRefusal`] if it would overtake one that was refused.
    pub(super) fn check(
        &self,
        log: LogId,
        header: &BatchHeader,
        now: Mono,
    ) -> Result<(), AppendRefusal> {
        let producer_id = header.producer_id;
        let gap = self.gaps.get(&(log, producer_id));
        let Some(gap) = gap.filter(|gap| gap.until > now) else {
            return Ok(());
        };
        if header.producer_epoch < gap.epoch {
            return Err(AppendRefusal::InvalidProducerEpoch {
                producer_id,
                current: gap.epoch,
                found: header.producer_epoch,
            });
        }
        // A newer instance of the producer has begun again.
        let newer = header.producer_epoch > gap.epoch;
        if newer || !is_after(header.base_sequence, gap.sequence) {
            return Ok(());
        }
        Err(AppendRefusal::OutOfOrderSequence {
            producer_id,
            expected: gap.sequence,
            found: header.base_sequence,
        })
    }

    /// A batch of the producer was appended: from now on its partition keeps the order.
    pub(super) fn appended(&mut self, log: LogId, header: &BatchHeader) {
        if !self.is_empty() && header.is_idempotent() {
            self.gaps.remove(&(log, header.producer_id));
        }
    }

    /// Forgets those whose time has passed, and the first if there are too many.
    fn forget(&mut self, now: Mono) {
        while let Some(&(until, producer)) = self.order.front()
            && (until <= now || self.order.len() > MOST)
        {
            self.order.pop_front();
            if self
                .gaps
                .get(&producer)
                .is_some_and(|gap| gap.until == until)
            {
                self.gaps.remove(&producer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_record::{BatchBuilder, Compression, ProducerStamp, parse_header};

    use super::*;

    const LOG: LogId = LogId(7);
    const HOUR: u64 = 3_600_000_000_000;

    fn header(id: i64, epoch: i16, base_sequence: i32) -> BatchHeader {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(1, None, Some(b"x"), &[]).unwrap();
        builder.set_producer(ProducerStamp {
            id,
            epoch,
            base_sequence,
        });
        parse_header(&builder.finish()).unwrap()
    }

    fn may(refused: &Refused, header: &BatchHeader, at: u64) -> bool {
        refused.check(LOG, header, Mono(at)).is_ok()
    }

    #[test]
    fn what_follows_a_refusal_waits_for_it() {
        let mut refused = Refused::default();
        refused.note(LOG, &header(1, 3, 5), Mono(0), HOUR);
        assert!(!may(&refused, &header(1, 3, 6), 1));
        assert!(may(&refused, &header(1, 3, 5), 1), "the refused one");
        assert!(may(&refused, &header(1, 3, 4), 1), "one from before it");
        assert!(may(&refused, &header(2, 3, 6), 1), "another producer");
        assert!(may(&refused, &header(1, 4, 0), 1), "a newer instance");
        assert!(!may(&refused, &header(1, 2, 5), 1), "an older one");
        assert!(refused.check(LogId(8), &header(1, 3, 6), Mono(1)).is_ok());
        // What is refused behind it does not take its place; what is refused before it does.
        refused.note(LOG, &header(1, 3, 6), Mono(2), HOUR);
        assert!(!may(&refused, &header(1, 3, 6), 3));
        refused.note(LOG, &header(1, 3, 4), Mono(4), HOUR);
        assert!(!may(&refused, &header(1, 3, 5), 5));
        refused.appended(LOG, &header(1, 3, 4));
        assert!(may(&refused, &header(1, 3, 9), 6), "the machine knows it");
    }

    #[test]
    fn sequences_wrap_around() {
        let mut refused = Refused::default();
        refused.note(LOG, &header(1, 0, i32::MAX), Mono(0), HOUR);
        assert!(!may(&refused, &header(1, 0, 0), 1));
        assert!(may(&refused, &header(1, 0, i32::MAX - 1), 1));
    }

    #[test]
    fn a_refusal_is_forgotten_like_a_producer_and_there_are_never_too_many() {
        let mut refused = Refused::default();
        refused.note(LOG, &header(1, 0, 5), Mono(0), HOUR);
        assert!(!may(&refused, &header(1, 0, 6), HOUR - 1));
        assert!(may(&refused, &header(1, 0, 6), HOUR));
        for id in 0..3 * MOST as i64 {
            refused.note(LOG, &header(id, 0, 5), Mono(HOUR), HOUR);
        }
        assert!(refused.gaps.len() <= MOST && refused.order.len() <= MOST);
        // Refusing and appending on and on leaves nothing behind for long.
        for at in 0..3 * MOST as u64 {
            refused.note(LOG, &header(1, 0, 5), Mono(HOUR + at), HOUR);
            refused.appended(LOG, &header(1, 0, 5));
        }
        assert!(refused.order.len() <= MOST);
    }
}
