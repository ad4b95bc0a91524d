//! What producers sent, where it was acknowledged or seen, and so what every later read must
//! give.

use std::collections::BTreeMap;

use bytes::Bytes;
use leveret_record::{BatchHeader, batches};
use leveret_storage::types::LogId;

use crate::violation::{Kind, Violation};

/// One batch of one producer in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BatchKey {
    pub(super) log: LogId,
    pub(super) producer: i64,
    pub(super) sequence: i32,
}

#[derive(Debug)]
struct Sent {
    bytes: Bytes,
    /// Base offset, once an acknowledgement or a read has told it.
    place: Option<u64>,
}

/// Everything that was sent to partitions.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeMap<BatchKey, Sent>,
    /// Per partition, what stands at which base offset.
    places: BTreeMap<LogId, BTreeMap<u64, BatchKey>>,
}

/// A read of a partition from its beginning, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) next: u64,
    sequences: BTreeMap<i64, i32>,
}

fn wrong(what: String) -> Violation {
    Violation::new(Kind::WrongData, what)
}

/// Bytes that the broker sets are left out: base offset and leader epoch.
fn same_batch(sent: &[u8], stored: &[u8]) -> bool {
    sent.len() == stored.len() && sent[8..12] == stored[8..12] && sent[16..] == stored[16..]
}

impl Ledger {
    pub(super) fn send(&mut self, key: BatchKey, bytes: Bytes) {
        self.sent.insert(key, Sent { bytes, place: None });
    }

    /// A partition is no more.
    pub(super) fn forget(&mut self, log: LogId) {
        self.sent.retain(|key, _| key.log != log);
        self.places.remove(&log);
    }

    /// The batch is at `offset`, says an acknowledgement or a read: for ever.
    pub(super) fn place(&mut self, key: BatchKey, offset: u64) -> Result<(), Violation> {
        let sent = self.sent.get_mut(&key);
        let sent = sent.ok_or_else(|| wrong(format!("{key:?} at {offset} was never sent")))?;
        match sent.place.replace(offset) {
            Some(before) if before != offset => {
                return Err(wrong(format!("{key:?} is at {before} and at {offset}")));
            }
            _ => {}
        }
        let places = self.places.entry(key.log).or_default();
        match places.insert(offset, key) {
            Some(before) if before != key => {
                let what = format!("{before:?} was at {offset}, now {key:?} is");
                Err(Violation::new(Kind::Lost, what))
            }
            _ => Ok(()),
        }
    }

    /// A read from the middle of a partition gave these batches: every byte as sent, and there for
    /// ever.
    pub(super) fn see(&mut self, log: LogId, chunks: &[Bytes]) -> Result<(), Violation> {
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
        let key = BatchKey {
            log,
            producer: header.producer_id,
            sequence: header.base_sequence,
        };
        let sent = self.sent.get(&key);
        match sent.is_some_and(|sent| same_batch(&sent.bytes, bytes)) {
            true => Ok(key),
            false => Err(wrong(format!("{key:?} is not as it was sent"))),
        }
    }

    /// Goes on with a scan: offsets without gap, every producer's batches in order and once,
    /// every byte as sent.
    pub(super) fn scan(
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
        if *expected != key.sequence {
            return Err(wrong(format!("{key:?} stands where {expected} should be")));
        }
        *expected = header.next_sequence();
        self.place(key, scan.next)?;
        scan.next = header.next_offset() as u64;
        Ok(())
    }

    /// The scan has come to the high watermark: everything ever acknowledged or seen was there.
    pub(super) fn finish(&self, log: LogId, scan: &Scan) -> Result<(), Violation> {
        let newest = self
            .places
            .get(&log)
            .and_then(|places| places.last_key_value());
        match newest {
            Some((&offset, key)) if offset >= scan.next => {
                let what = format!("{log:?} ends at {}, {key:?} was at {offset}", scan.next);
                Err(Violation::new(Kind::Lost, what))
            }
            _ => Ok(()),
        }
    }
}
