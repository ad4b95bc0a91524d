//! Builds batches from records, for clients and tests. It does not decide when a batch is full or
//! where it goes, assigns no offset, and splits nothing.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::codec::Compressor;
use crate::header::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, CRC_AT, CRC_FROM, FRAME_LEN, HEADER_LEN,
    LAST_OFFSET_DELTA_AT, LEADER_EPOCH_AT, LENGTH_AT, MAGIC, MAGIC_AT, MAX_TIMESTAMP_AT,
    NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT,
};
use crate::{Attributes, Compression, Header, varint};

/// Most bytes of a batch's records, encoded and not compressed: 128 MiB. The one limit of all who
/// build, let in and read: what a broker has acknowledged every reader reads. As long as the
/// longest batch that a broker can be told to take uncompressed.
pub const MAX_RECORDS_LEN: usize = 128 << 20;

/// Leader epoch of a batch that no leader has seen.
const NO_LEADER_EPOCH: i32 = -1;

/// Why a record does not go into the batch, which stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// With this record the batch would pass [`MAX_RECORDS_LEN`].
    #[error("the records take {len} bytes; a batch holds at most {MAX_RECORDS_LEN}")]
    BatchFull {
        /// Bytes of the records, this one included.
        len: usize,
    },
    /// A timestamp too far from the batch's first for 64 bits.
    #[error("record timestamp {timestamp} is out of range")]
    BadTimestamp {
        /// The timestamp.
        timestamp: i64,
    },
}

/// What an idempotent producer states in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Producer id, from the broker.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the batch's first record in its partition.
    pub base_sequence: i32,
}

/// Collects records and turns them into batches, one after another. Without compression a finished
/// batch *is* the buffer: whoever is done with a batch gives it back with [`BatchBuilder::reuse`].
pub struct BatchBuilder {
    attributes: Attributes,
    compressor: Compressor,
    producer: Option<ProducerStamp>,
    /// Room for the header, then the encoded records. Empty when there are no records.
    buffer: BytesMut,
    compressed: BytesMut,
    /// Bytes of the last batch's records: the next one is expected to be as long.
    expected: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// A builder of batches with these attributes, or simply this [`Compression`].
    ///
    /// # Panics
    /// On attributes that name no codec: they are the caller's own.
    pub fn new(attributes: impl Into<Attributes>) -> Self {
        let attributes = attributes.into();
        let codec = attributes
            .compression()
            .expect("a builder's attributes name a codec");
        Self {
            attributes,
            compressor: Compressor::new(codec),
            producer: None,
            buffer: BytesMut::new(),
            compressed: BytesMut::new(),
            expected: 0,
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Takes the memory of a batch that is done with for the next one, if nobody else holds it: fresh
    /// memory costs a page fault for every 4 KiB. Does nothing while there are records.
    pub fn reuse(&mut self, batch: Bytes) {
        if self.count == 0
            && let Ok(mut memory) = batch.try_into_mut()
            && memory.capacity() > self.buffer.capacity()
        {
            memory.clear();
            self.buffer = memory;
        }
    }

    /// States the producer of the next batch to be finished, and of that one only: a
    /// sequence that is used twice loses records.
    ///
    /// # Panics
    /// On a negative id, epoch or sequence.
    pub fn set_producer(&mut self, stamp: ProducerStamp) {
        assert!(
            stamp.id >= 0 && stamp.epoch >= 0 && stamp.base_sequence >= 0,
            "a producer stamp has no negative part"
        );
        self.producer = Some(stamp);
    }

    /// Appends a record. `timestamp` is in milliseconds since the Unix epoch, negative before it; -1
    /// says that there is none. `None` is null, as key and as value.
    ///
    /// # Errors
    /// [`BuildError`]; the batch is as before.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        let timestamp_delta = self.timestamp_delta(timestamp)?;
        let body_len = body_len(timestamp_delta, self.count, key, value, headers);
        let len = self.records_len().saturating_add(framed_len(body_len));
        if len > MAX_RECORDS_LEN {
            return Err(BuildError::BatchFull { len });
        }
        if self.count == 0 {
            self.buffer
                .reserve(HEADER_LEN + self.expected.max(framed_len(body_len)));
            self.buffer.put_bytes(0, HEADER_LEN);
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.buffer.reserve(framed_len(body_len));
        varint::put_i32(&mut self.buffer, as_i32(body_len));
        self.buffer.put_u8(0);
        varint::put_i64(&mut self.buffer, timestamp_delta);
        varint::put_i32(&mut self.buffer, self.count);
        put_nullable(&mut self.buffer, key);
        put_nullable(&mut self.buffer, value);
        varint::put_i32(&mut self.buffer, as_i32(headers.len()));
        for header in headers {
            put_nullable(&mut self.buffer, Some(header.key));
            put_nullable(&mut self.buffer, header.value);
        }
        assert_eq!(self.records_len(), len, "a record has its computed length");
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
        Ok(())
    }

    /// Bytes of the batch as it stands, header included, before compression. Exact without
    /// compression; 0 without records.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// No record was pushed since the last batch.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Records pushed since the last batch.
    pub fn record_count(&self) -> usize {
        self.count as usize
    }

    /// The batch of all records pushed since the last one: base offset 0, leader epoch -1.
    /// The builder is empty then, and forgets the producer.
    ///
    /// # Panics
    /// Without records.
    pub fn finish(&mut self) -> Bytes {
        assert!(self.count > 0, "a batch has at least one record");
        self.expected = self.records_len();
        let mut batch = if self.attributes.compression() == Ok(Compression::None) {
            self.buffer.split()
        } else {
            self.compressed.put_bytes(0, HEADER_LEN);
            self.compressor
                .compress(&self.buffer[HEADER_LEN..], &mut self.compressed);
            self.buffer.clear();
            self.compressed.split()
        };
        self.write_header(&mut batch);
        self.count = 0;
        self.producer = None;
        batch.freeze()
    }

    fn write_header(&self, batch: &mut [u8]) {
        let producer = self.producer.unwrap_or(ProducerStamp {
            id: NO_PRODUCER_ID,
            epoch: -1,
            base_sequence: NO_SEQUENCE,
        });
        let length = as_i32(batch.len() - FRAME_LEN);
        put_at(batch, LENGTH_AT, length.to_be_bytes());
        put_at(batch, LEADER_EPOCH_AT, NO_LEADER_EPOCH.to_be_bytes());
        put_at(batch, MAGIC_AT, MAGIC.to_be_bytes());
        put_at(batch, ATTRIBUTES_AT, self.attributes.bits().to_be_bytes());
        put_at(batch, LAST_OFFSET_DELTA_AT, (self.count - 1).to_be_bytes());
        put_at(batch, BASE_TIMESTAMP_AT, self.base_timestamp.to_be_bytes());
        put_at(batch, MAX_TIMESTAMP_AT, self.max_timestamp.to_be_bytes());
        put_at(batch, PRODUCER_ID_AT, producer.id.to_be_bytes());
        put_at(batch, PRODUCER_EPOCH_AT, producer.epoch.to_be_bytes());
        put_at(
            batch,
            BASE_SEQUENCE_AT,
            producer.base_sequence.to_be_bytes(),
        );
        put_at(batch, RECORD_COUNT_AT, self.count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CRC_FROM..]);
        put_at(batch, CRC_AT, crc.to_be_bytes());
    }

    fn records_len(&self) -> usize {
        self.buffer.len().saturating_sub(HEADER_LEN)
    }

    fn timestamp_delta(&self, timestamp: i64) -> Result<i64, BuildError> {
        if self.count == 0 {
            return Ok(0);
        }
        timestamp
            .checked_sub(self.base_timestamp)
            .ok_or(BuildError::BadTimestamp { timestamp })
    }
}

/// Bytes of a record behind its length.
fn body_len(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    let attributes = 1;
    let headers_len = headers
        .iter()
        .map(|header| nullable_len(Some(header.key)).saturating_add(nullable_len(header.value)))
        .fold(count_len(headers.len()), usize::saturating_add);
    attributes
        + varint::len_i64(timestamp_delta)
        + varint::len_i32(offset_delta)
        + nullable_len(key)
            .saturating_add(nullable_len(value))
            .saturating_add(headers_len)
            .min(usize::MAX / 2)
}

/// Bytes of a record with its length in front.
fn framed_len(body_len: usize) -> usize {
    count_len(body_len).saturating_add(body_len)
}

/// Bytes of a length or count. One that no `i32` holds is in no batch: its record is refused
/// for its size, and this number only has to lead there.
fn count_len(count: usize) -> usize {
    i32::try_from(count).map_or(varint::MAX_I32_LEN, varint::len_i32)
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::len_i32(-1),
        Some(bytes) => count_len(bytes.len()).saturating_add(bytes.len()),
    }
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put_i32(out, -1),
        Some(bytes) => {
            varint::put_i32(out, as_i32(bytes.len()));
            out.put_slice(bytes);
        }
    }
}

fn as_i32(len: usize) -> i32 {
    i32::try_from(len).expect("bounded by MAX_RECORDS_LEN")
}

fn put_at<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    batch[at..at + N].copy_from_slice(&bytes);
}
