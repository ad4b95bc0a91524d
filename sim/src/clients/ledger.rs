//! What producers sent, where it was acknowledged or seen, and so what every later read must
//! give.

use std::collections::BTreeMap;

use bytes::Bytes;
use leveret_record::{BatchHeader, batches, parse_header};
use leveret_storage::types::LogId;

use crate::violation::{Kind, Violation};

/// What the broker sets in a batch lies before this: base offset and leader epoch, with the length between.
const SENT_FROM: usize = 16;

/// One batch of one producer in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchKey {
    pub(crate) log: LogId,
    /// Its id; of one that is not idempotent a number below 0, which its batches do not bear.
    pub(crate) producer: i64,
    /// The sequence number of its first record; of such a one how many batches came before it.
    pub(crate) sequence: i32,
}

#[derive(Debug)]
struct Sent {
    bytes: Bytes,
    /// How many offsets it takes.
    offsets: u64,
    /// Base offset, once an acknowledgement or a read has told it.
    place: Option<u64>,
}

/// What stands at an offset.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: BatchKey,
    /// The offset after its last.
    next: u64,
    /// How long it stands there.
    hold: Hold,
}

/// What may take a batch away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    /// A power cut: it was acknowledged as written.
    UntilPowerCut,
    /// Nothing: it was acknowledged as synced, or read.
    ForEver,
}

/// Everything that was sent to partitions.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: BTreeMap<BatchKey, Sent>,
    /// Batches that bear no producer's id, by what was sent of them. No two are the same.
    unnumbered: BTreeMap<Bytes, BatchKey>,
    /// Per partition, what stands at which base offset.
    places: BTreeMap<LogId, BTreeMap<u64, Place>>,
}

/// A read of a partition from its beginning, as far as it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    pub(crate) next: u64,
    sequences: BTreeMap<i64, i32>,
}

impl Scan {
    /// One that begins at an offset. Only one from the beginning knows what order there must be.
    pub(crate) fn from(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }
}

fn wrong(what: String) -> Violation {
    Violation::new(Kind::WrongData, what)
}

/// Whether a batch is stored as it was sent, but for what the broker sets.
fn same_batch(sent: &[u8], stored: &[u8]) -> bool {
    sent.len() == stored.len()
        && sent[8..12] == stored[8..12]
        && sent[SENT_FROM..] == stored[SENT_FROM..]
}

impl Ledger {
    /// A batch is on its way. One of a producer with an id may be sent again, with these bytes.
    pub(crate) fn send(&mut self, key: BatchKey, bytes: Bytes) {
        if key.producer < 0 {
            let before = self.unnumbered.insert(bytes.slice(SENT_FROM..), key);
            assert_eq!(before, None, "each is sent once");
        }
        let header = parse_header(&bytes).expect("it was just built");
        let offsets = (header.next_offset() - header.base_offset) as u64;
        let place = None;
        self.sent.insert(
            key,
            Sent {
                bytes,
                offsets,
                place,
            },
        );
    }

    /// A partition is no more.
    pub(crate) fn forget(&mut self, log: LogId) {
        self.sent.retain(|key, _| key.log != log);
        self.unnumbered.retain(|_, key| key.log != log);
        self.places.remove(&log);
    }

    /// The batch is at `offset`, says an acknowledgement or a read: for ever.
    pub(crate) fn place(&mut self, key: BatchKey, offset: u64) -> Result<(), Violation> {
        self.hold(key, offset, Hold::ForEver)
    }

    /// The batch is at `offset`, says an acknowledgement, and stays there until something that takes so
    /// much.
    pub(crate) fn hold(&mut self, key: BatchKey, offset: u64, hold: Hold) -> Result<(), Violation> {
        let sent = self.sent.get_mut(&key);
        let sent = sent.ok_or_else(|| wrong(format!("{key:?} at {offset} was never sent")))?;
        match sent.place.replace(offset) {
            Some(before) if before != offset => {
                return Err(wrong(format!("{key:?} is at {before} and at {offset}")));
            }
            _ => {}
        }
        let next = offset + sent.offsets;
        let places = self.places.entry(key.log).or_default();
        let place = places.entry(offset).or_insert(Place { key, next, hold });
        place.hold = place.hold.max(hold);
        if place.key != key {
            let what = format!("{:?} was at {offset}, now {key:?} is", place.key);
            return Err(Violation::new(Kind::Lost, what));
        }
        Ok(())
    }

    /// The power was cut.
    pub(crate) fn cut_power(&mut self) {
        for places in self.places.values_mut() {
            let sent = &mut self.sent;
            places.retain(|_, place| {
                let stays = place.hold == Hold::ForEver;
                if let Some(sent) = sent.get_mut(&place.key).filter(|_| !stays) {
                    sent.place = None;
                }
                stays
            });
        }
    }

    /// A read from the middle of a partition gave these batches: every byte as sent, and there for
    /// ever.
    pub(crate) fn see(&mut self, log: LogId, chunks: &[Bytes]) -> Result<(), Violation> {
        for chunk in chunks {
            for batch in batches(chunk) {
                let (header, bytes) = batch.map_err(|error| wrong(format!("{log:?}: {error}")))?;
                let key = self.sent_as(log, &header, bytes)?;
                self.place(key, header.base_offset as u64)?;
            }
        }
        Ok(())
    }

    /// Which of the batches that were sent this is.
    fn sent_as(
        &self,
        log: LogId,
        header: &BatchHeader,
        bytes: &[u8],
    ) -> Result<BatchKey, Violation> {
        let numbered = BatchKey {
            log,
            producer: header.producer_id,
            sequence: header.base_sequence,
        };
        let key = match header.producer_id {
            0.. => Some(numbered),
            _ => self.unnumbered.get(&bytes[SENT_FROM..]).copied(),
        };
        let sent = key.and_then(|key| self.sent.get_key_value(&key));
        match sent {
            Some((key, sent)) if key.log == log && same_batch(&sent.bytes, bytes) => Ok(*key),
            _ => Err(wrong(format!("{numbered:?} is not as it was sent"))),
        }
    }

    /// Goes on with a scan: offsets without gap, every producer's batches in order and once,
    /// every byte as sent.
    pub(crate) fn scan(
        &mut self,
        log: LogId,
        scan: &mut Scan,
        chunks: &[Bytes],
    ) -> Result<(), Violation> {
        for chunk in chunks {
            for batch in batches(chunk) {
                let (header, bytes) =
                    batch.map_err(|error| wrong(format!("{log:?} at {}: {error}", scan.next)))?;
                // The first batch may begin before the offset asked for.
                if (header.next_offset() as u64) <= scan.next {
                    continue;
                }
                self.scan_batch(log, scan, &header, bytes)?;
            }
        }
        Ok(())
    }

    fn scan_batch(
        &mut self,
        log: LogId,
        scan: &mut Scan,
        header: &BatchHeader,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let key = self.sent_as(log, header, bytes)?;
        if header.base_offset as u64 != scan.next {
            return Err(wrong(format!(
                "{key:?} is at {}, after {}",
                header.base_offset, scan.next
            )));
        }
        let expected = scan.sequences.entry(key.producer).or_insert(0);
        // Of a producer without an id some may have been refused or lost, and none comes again.
        let (fits, next) = match key.producer {
            0.. => (*expected == key.sequence, header.next_sequence()),
            _ => (*expected <= key.sequence, key.sequence + 1),
        };
        if !fits {
            return Err(wrong(format!("{key:?} stands where {expected} should be")));
        }
        *expected = next;
        self.place(key, scan.next)?;
        scan.next = header.next_offset() as u64;
        Ok(())
    }

    /// The least that a partition's high watermark can be: behind the last that is there for ever.
    pub(crate) fn end(&self, log: LogId) -> u64 {
        let places = self.places.get(&log);
        let mut places = places.into_iter().flatten().rev();
        let newest = places.find(|(_, place)| place.hold == Hold::ForEver);
        newest.map_or(0, |(_, place)| place.next)
    }

    /// The scan has come to the high watermark: everything was there that had been acknowledged or
    /// seen when the partition [ended](Self::end) at `end`.
    pub(crate) fn finish(&self, log: LogId, scan: &Scan, end: u64) -> Result<(), Violation> {
        if scan.next >= end {
            return Ok(());
        }
        let what = format!(
            "{log:?} ends at {}, something was at {}",
            scan.next,
            end - 1
        );
        Err(Violation::new(Kind::Lost, what))
    }
}

#[cfg(test)]
mod tests {
    use leveret_record::{BatchBuilder, Compression};

    use super::*;

    const LOG: LogId = LogId(1);

    fn batch(value: u8) -> Bytes {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(1, None, Some(&[value]), &[]).expect("small");
        builder.finish()
    }

    fn key(sequence: i32) -> BatchKey {
        BatchKey {
            log: LOG,
            producer: -1,
            sequence,
        }
    }

    /// Batches as they are stored from offset 0 on.
    fn stored(values: &[u8]) -> Vec<Bytes> {
        let at = |(offset, value): (i64, &u8)| {
            let mut bytes = batch(*value).to_vec();
            bytes[..8].copy_from_slice(&offset.to_be_bytes());
            Bytes::from(bytes)
        };
        (0..).zip(values).map(at).collect()
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for value in 0..3 {
            ledger.send(key(i32::from(value)), batch(value));
        }
        ledger
    }

    #[test]
    fn what_bears_no_id_is_known_by_its_bytes_comes_once_and_in_order() {
        let scan = |values: &[u8]| ledger().scan(LOG, &mut Scan::default(), &stored(values));
        assert_eq!(scan(&[0, 1, 2]), Ok(()));
        assert_eq!(scan(&[0, 2]), Ok(()), "one may have been refused");
        for wrong in [&[1, 0][..], &[0, 0], &[0, 7]] {
            assert!(scan(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_was_written_may_go_with_the_power_and_what_was_seen_may_not() {
        for (hold, end) in [(Hold::UntilPowerCut, 0), (Hold::ForEver, 1)] {
            let mut ledger = ledger();
            ledger.hold(key(1), 0, hold).expect("nothing is there yet");
            assert_eq!(ledger.end(LOG), end);
            let other = |ledger: &mut Ledger| ledger.place(key(0), 0);
            assert!(other(&mut ledger).is_err(), "it stands there");
            let mut ledger = self::ledger();
            ledger.hold(key(1), 0, hold).expect("nothing is there yet");
            ledger.cut_power();
            assert_eq!(other(&mut ledger).is_ok(), hold == Hold::UntilPowerCut);
        }
    }
}
