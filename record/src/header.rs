//! The 61 bytes in front of the records: parse them, walk back-to-back batches by them, and set the
//! two fields that the broker owns. It reads no record and computes no CRC.

use crate::{Attributes, BatchError, advance_sequence};

/// Bytes of the batch header; records follow.
pub const HEADER_LEN: usize = 61;
/// Bytes up to and including the length field, which the length does not count.
pub const FRAME_LEN: usize = 12;
/// The only magic (format version) that is understood.
pub const MAGIC: i8 = 2;
/// Producer id of a batch without idempotence.
pub const NO_PRODUCER_ID: i64 = -1;
/// Base sequence of a batch without idempotence.
pub const NO_SEQUENCE: i32 = -1;
/// Timestamp of a record, or max timestamp of a batch, that has none.
pub const NO_TIMESTAMP: i64 = -1;

pub(crate) const LENGTH_AT: usize = 8;
pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
/// Where the bytes of a batch begin that its CRC covers: all to its end.
pub const CRC_FROM: usize = 21;
pub(crate) const ATTRIBUTES_AT: usize = CRC_FROM;
pub(crate) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(crate) const BASE_TIMESTAMP_AT: usize = 27;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;
pub(crate) const PRODUCER_ID_AT: usize = 43;
pub(crate) const PRODUCER_EPOCH_AT: usize = 51;
pub(crate) const BASE_SEQUENCE_AT: usize = 53;
pub(crate) const RECORD_COUNT_AT: usize = 57;

/// The header of one batch. From [`parse_header`], the counts are not negative and `length`
/// covers at least the header; nothing else is checked, the CRC least of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; any value before the broker assigns it.
    pub base_offset: i64,
    /// Bytes of the batch after the length field, at least 49.
    pub length: i32,
    /// Epoch of the leader that appended the batch; any value before that.
    pub partition_leader_epoch: i32,
    /// CRC-32C of byte 21 to the end, as the writer states it.
    pub crc: u32,
    /// Compression and flags.
    pub attributes: Attributes,
    /// Offset of the last record, relative to `base_offset`; not negative.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since the Unix epoch.
    pub base_timestamp: i64,
    /// Largest timestamp. Some producers leave it at -1: see [`Self::latest_timestamp`].
    pub max_timestamp: i64,
    /// Producer id, or [`NO_PRODUCER_ID`].
    pub producer_id: i64,
    /// Epoch of the producer id.
    pub producer_epoch: i16,
    /// Sequence of the first record, or [`NO_SEQUENCE`].
    pub base_sequence: i32,
    /// Records in the batch; not negative. Less than `last_offset_delta + 1` only after
    /// compaction.
    pub record_count: i32,
}

impl BatchHeader {
    /// Bytes of the whole batch, the first 12 included.
    pub const fn total_len(&self) -> usize {
        // `parse_header` lets no negative length pass; a hand-made one reads as no bytes.
        let length = if self.length < 0 { 0 } else { self.length };
        length as usize + FRAME_LEN
    }

    /// Offset of the last record. Saturates, since a client may send any base offset.
    pub const fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(self.last_offset_delta as i64)
    }

    /// Offset after the last record. Saturates, as [`Self::last_offset`] does.
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The largest timestamp that is known without reading records: the max timestamp, or the
    /// base timestamp where a producer left the maximum out (old Sarama does). With log append
    /// time, the maximum is what counts.
    pub const fn latest_timestamp(&self) -> i64 {
        if self.max_timestamp < self.base_timestamp && !self.attributes.is_log_append_time() {
            self.base_timestamp
        } else {
            self.max_timestamp
        }
    }

    /// The batch comes from a producer with an id: its sequences count.
    pub const fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence of the last record, wrapping from `i32::MAX` to 0; [`NO_SEQUENCE`] if the
    /// batch has none.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 || self.last_offset_delta < 0 {
            return NO_SEQUENCE;
        }
        advance_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Base sequence that the producer's next batch has to carry; [`NO_SEQUENCE`] if this one
    /// has none.
    pub const fn next_sequence(&self) -> i32 {
        match self.last_sequence() {
            NO_SEQUENCE => NO_SEQUENCE,
            last => advance_sequence(last, 1),
        }
    }
}

/// Reads the header at the front of `bytes`; the records need not be present.
///
/// # Errors
/// [`BatchError::Truncated`] under 61 bytes, [`BatchError::BadLength`],
/// [`BatchError::BadMagic`], [`BatchError::NegativeCount`].
pub fn parse_header(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    frame_len(bytes)?;
    if let Some(&magic) = bytes.get(MAGIC_AT)
        && magic as i8 != MAGIC
    {
        return Err(BatchError::BadMagic { found: magic as i8 });
    }
    let Some(raw) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(BatchError::Truncated {
            needed: HEADER_LEN,
            present: bytes.len(),
        });
    };
    let header = BatchHeader {
        base_offset: i64::from_be_bytes(field(raw, 0)),
        length: i32::from_be_bytes(field(raw, LENGTH_AT)),
        partition_leader_epoch: i32::from_be_bytes(field(raw, LEADER_EPOCH_AT)),
        crc: u32::from_be_bytes(field(raw, CRC_AT)),
        attributes: Attributes::from_bits(i16::from_be_bytes(field(raw, ATTRIBUTES_AT))),
        last_offset_delta: i32::from_be_bytes(field(raw, LAST_OFFSET_DELTA_AT)),
        base_timestamp: i64::from_be_bytes(field(raw, BASE_TIMESTAMP_AT)),
        max_timestamp: i64::from_be_bytes(field(raw, MAX_TIMESTAMP_AT)),
        producer_id: i64::from_be_bytes(field(raw, PRODUCER_ID_AT)),
        producer_epoch: i16::from_be_bytes(field(raw, PRODUCER_EPOCH_AT)),
        base_sequence: i32::from_be_bytes(field(raw, BASE_SEQUENCE_AT)),
        record_count: i32::from_be_bytes(field(raw, RECORD_COUNT_AT)),
    };
    if header.record_count < 0 || header.last_offset_delta < 0 {
        return Err(BatchError::NegativeCount {
            count: header.record_count,
            last_offset_delta: header.last_offset_delta,
        });
    }
    Ok(header)
}

/// `N` bytes of the header from `at`; every caller passes a constant, so that the bounds
/// check is done by the compiler.
#[inline(always)]
fn field<const N: usize>(raw: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&raw[at..at + N]);
    out
}

/// Bytes that the batch at the front of `bytes` takes, itself at least 61; needs only the
/// first 12. For readers that have to know how much to wait for.
///
/// # Errors
/// [`BatchError::Truncated`] under 12 bytes, [`BatchError::BadLength`].
pub fn frame_len(bytes: &[u8]) -> Result<usize, BatchError> {
    let Some(frame) = bytes.first_chunk::<FRAME_LEN>() else {
        return Err(BatchError::Truncated {
            needed: FRAME_LEN,
            present: bytes.len(),
        });
    };
    let [.., a, b, c, d] = *frame;
    let length = i32::from_be_bytes([a, b, c, d]);
    match usize::try_from(length) {
        Ok(len) if len >= HEADER_LEN - FRAME_LEN => Ok(len + FRAME_LEN),
        _ => Err(BatchError::BadLength { length }),
    }
}

/// Splits `bytes` behind its first batch, whose header is returned with it:
/// (header, batch, rest).
///
/// # Errors
/// As [`parse_header`], and [`BatchError::Truncated`] when the batch is not all there.
pub fn split_first(bytes: &[u8]) -> Result<(BatchHeader, &[u8], &[u8]), BatchError> {
    let header = parse_header(bytes)?;
    let needed = header.total_len();
    match bytes.split_at_checked(needed) {
        Some((batch, rest)) => Ok((header, batch, rest)),
        None => Err(BatchError::Truncated {
            needed,
            present: bytes.len(),
        }),
    }
}

/// Walks batches that stand back to back, as in a segment or a fetch response.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// Iterator of [`batches`]: (header, whole batch). Ends at the end of the bytes or behind
/// the first error; a batch cut off at the end of a fetch is [`BatchError::Truncated`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// Bytes not walked yet; nothing after an error.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchHeader, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match split_first(self.rest) {
            Ok((header, batch, rest)) => {
                self.rest = rest;
                Ok((header, batch))
            }
            Err(error) => {
                self.rest = &[];
                Err(error)
            }
        })
    }
}

/// Writes the two fields that the broker owns into the batch at the front of `batch`. Both
/// stand outside the CRC, which stays true.
///
/// # Panics
/// On fewer than 61 bytes, or a negative offset: only validated batches are assigned, and
/// only by the log that counts its offsets.
pub fn assign(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    assert!(batch.len() >= HEADER_LEN, "assign on less than a header");
    assert!(base_offset >= 0, "assign of a negative offset");
    batch[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
    batch[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
}
