//! One topic partition as a deterministic machine: which offset a batch gets, and whether an
//! idempotent producer may append it.
//!
//! [`Partition::decide`] looks, [`Partition::apply`] changes; live operation and recovery run the
//! same `apply` over the same entries, so they cannot diverge. It refuses to touch bytes, time
//! and durability: it sees the 61-byte header of a batch and the time that the entry was decided
//! with, and knows nothing of who waits for what.

mod producers;
mod snapshot;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use leveret_record::{BatchError, BatchHeader, parse_header};
use leveret_storage::types::{EntryMeta, Offset, Ordinal, WallMs};
use thiserror::Error;

use crate::codec::DecodeError;
use crate::machine::{Decides, Machine, Remains};
use producers::{Known, Producers};

/// Batches that are remembered per producer: the most that a client may have in flight
/// (Kafka's `max.in.flight.requests.per.connection` with idempotence).
pub const WINDOW: usize = 5;

/// What bounds the memory of one partition's producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// Producers remembered at once. One more makes the one that was silent the longest
    /// unknown, as if it had expired.
    pub max_producers: usize,
    /// Milliseconds of silence after which a producer is unknown.
    pub expiry_ms: u64,
}

impl Default for ProducerLimits {
    /// 4,096 producers, 24 hours.
    fn default() -> Self {
        Self {
            max_producers: 4096,
            expiry_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// What becomes of a batch that may be appended or was appended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Append it at this offset.
    Append {
        /// Offset of its first record.
        base_offset: Offset,
    },
    /// It is in the log already; append nothing, answer with where it is.
    Duplicate {
        /// Offset of its first record.
        base_offset: Offset,
        /// Offset after its last record: the answer may leave when the log has come this far.
        next_offset: Offset,
        /// The largest timestamp of the batch, milliseconds.
        timestamp: i64,
    },
}

/// Why a batch must not be appended here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendRefusal {
    /// The sequence does not follow the producer's last one and is not a repetition of its last
    /// batches.
    #[error("producer {producer_id}: sequence {found} where {expected} comes next")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// The sequence that would have been right.
        expected: i32,
        /// The batch's base sequence.
        found: i32,
    },
    /// A newer instance of the producer has appended.
    #[error("producer {producer_id}: epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The newest epoch seen.
        current: i16,
        /// The batch's epoch.
        found: i16,
    },
    /// Transactions are not supported: without markers the batch would be visible at once.
    #[error("transactional batches are not supported")]
    Transactional,
}

/// Why a partition cannot be rebuilt from what was recovered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The snapshot cannot be read.
    #[error("producer snapshot: {0}")]
    Snapshot(#[from] DecodeError),
    /// An entry does not begin with a batch header.
    #[error("entry {ordinal}: {error}")]
    Header {
        /// The entry.
        ordinal: Ordinal,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The header of an entry contradicts what the log says of it.
    #[error("entry {ordinal} says offset {found}, its place is {expected}")]
    Offset {
        /// The entry.
        ordinal: Ordinal,
        /// The offset that the log counts.
        expected: Offset,
        /// The base offset in the batch.
        found: i64,
    },
    /// The entries do not lead to the end of the log.
    #[error("entries end at offset {found}, the log at {next}")]
    End {
        /// The log's next offset.
        next: Offset,
        /// The offset after the last entry.
        found: Offset,
    },
}

/// The state of one partition.
#[derive(Clone, Debug)]
pub struct Partition {
    next_offset: Offset,
    /// Absent until the first idempotent batch: most idle partitions never need it.
    producers: Option<Box<Producers>>,
    limits: ProducerLimits,
}

impl Partition {
    /// A partition whose next record gets `next_offset`, without producers.
    #[must_use]
    pub fn new(next_offset: Offset, limits: ProducerLimits) -> Self {
        Self {
            next_offset,
            producers: None,
            limits,
        }
    }

    /// Rebuilds a partition: the snapshot, then every entry from the snapshot's ordinal on, each
    /// with at least its first 61 bytes. `next` is the recovered log's next offset.
    ///
    /// # Errors
    /// [`ReplayError`] if snapshot and entries are not what a partition wrote.
    pub fn recover<'a>(
        snapshot: Option<&[u8]>,
        replay: impl Iterator<Item = (&'a EntryMeta, &'a [u8])>,
        next: Offset,
        limits: ProducerLimits,
    ) -> Result<Self, ReplayError> {
        let mut partition = Self::new(next, limits);
        if let Some(bytes) = snapshot.filter(|bytes| !bytes.is_empty()) {
            partition.producers = Some(Box::new(snapshot::decode(bytes)?));
        }
        let mut entries = replay.peekable();
        if let Some((first, _)) = entries.peek() {
            partition.next_offset = first.first_offset;
        }
        for (meta, bytes) in entries {
            let ordinal = meta.ordinal;
            let header =
                parse_header(bytes).map_err(|error| ReplayError::Header { ordinal, error })?;
            let wrong = |expected| ReplayError::Offset {
                ordinal,
                expected,
                found: header.base_offset,
            };
            if meta.first_offset != partition.next_offset {
                return Err(wrong(partition.next_offset));
            }
            if u64::try_from(header.base_offset) != Ok(meta.first_offset.0)
                || offsets_of(&header) != meta.offsets
            {
                return Err(wrong(meta.first_offset));
            }
            partition.apply(meta, &header);
        }
        if partition.next_offset != next {
            let found = partition.next_offset;
            return Err(ReplayError::End { next, found });
        }
        Ok(partition)
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// How many producers are remembered.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.producers.as_ref().map_or(0, |p| p.len())
    }

    /// What to do with a validated batch that arrives at `now`.
    ///
    /// # Errors
    /// [`AppendRefusal`]; the batch then has no effect.
    pub fn decide(&self, header: &BatchHeader, now: WallMs) -> Result<Decision, AppendRefusal> {
        if header.attributes.is_transactional() {
            return Err(AppendRefusal::Transactional);
        }
        let append = Decision::Append {
            base_offset: self.next_offset,
        };
        if !header.is_idempotent() {
            return Ok(append);
        }
        let Some(known) = self.known(header.producer_id, now) else {
            return Ok(append);
        };
        let producer_id = header.producer_id;
        if header.producer_epoch < known.epoch() {
            return Err(AppendRefusal::InvalidProducerEpoch {
                producer_id,
                current: known.epoch(),
                found: header.producer_epoch,
            });
        }
        // A new epoch begins a new sequence; within one, sequences go on.
        let expected = if header.producer_epoch > known.epoch() {
            0
        } else if let Some(batch) = known.find(header.base_sequence, header.last_sequence()) {
            return Ok(Decision::Duplicate {
                base_offset: batch.base_offset,
                next_offset: batch.next_offset(),
                timestamp: batch.timestamp,
            });
        } else {
            known.next_sequence()
        };
        if header.base_sequence != expected {
            return Err(AppendRefusal::OutOfOrderSequence {
                producer_id,
                expected,
                found: header.base_sequence,
            });
        }
        Ok(append)
    }

    /// Takes an entry of this partition's log into the state. The only thing that changes it.
    ///
    /// # Panics
    /// If the entry is not the next one: the log and its machine have diverged.
    pub fn apply(&mut self, meta: &EntryMeta, header: &BatchHeader) {
        assert_eq!(meta.first_offset, self.next_offset, "entries in order");
        assert_eq!(meta.offsets, offsets_of(header), "one offset per record");
        self.next_offset = meta.next_offset();
        if header.is_idempotent() {
            self.producers
                .get_or_insert_default()
                .record(meta, header, &self.limits);
        }
    }

    /// The producers as bytes, for [`Partition::recover`]; empty without producers.
    #[must_use]
    pub fn snapshot(&self) -> Bytes {
        match &self.producers {
            Some(producers) if producers.len() > 0 => snapshot::encode(producers),
            _ => Bytes::new(),
        }
    }

    /// Whether the producer of the batch is remembered at `now`, so that [`Partition::decide`]
    /// keeps the order of its batches.
    #[must_use]
    pub fn knows(&self, header: &BatchHeader, now: WallMs) -> bool {
        self.known(header.producer_id, now).is_some()
    }

    fn known(&self, producer_id: i64, now: WallMs) -> Option<Known<'_>> {
        let producers = self.producers.as_ref()?;
        producers.known(producer_id, now, self.limits.expiry_ms)
    }
}

impl Machine for Partition {
    type Setup = ProducerLimits;
    type Fault = ReplayError;
    type Entry = BatchHeader;

    fn recover(limits: ProducerLimits, remains: &Remains<'_>) -> Result<Self, ReplayError> {
        let entries = remains.entries.iter();
        let entries = entries.map(|(meta, bytes)| (meta, &bytes[..]));
        Self::recover(remains.snapshot, entries, remains.next, limits)
    }

    fn apply(&mut self, meta: &EntryMeta, header: &BatchHeader) {
        self.apply(meta, header);
    }

    /// One piece: producers are bounded, and so it is, by 600 KB.
    fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<> {
        std::iter::once(self.snapshot())
    }
}

impl Decides for Partition {
    type Command = BatchHeader;
    type Decision = Decision;
    type Refusal = AppendRefusal;

    fn decide(&self, header: &BatchHeader, now: WallMs) -> Result<Decision, AppendRefusal> {
        self.decide(header, now)
    }
}

/// How many offsets a batch takes: one per offset delta, also where compaction left gaps.
#[must_use]
pub(crate) fn offsets_of(header: &BatchHeader) -> u32 {
    u32::try_from(header.last_offset_delta).expect("parsed headers have no negative delta") + 1
}
