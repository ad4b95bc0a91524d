//! The broker's checks on a batch: the cheap ones, which every produced batch passes, and
//! the walk over its records, for whoever wants to pay for it. Decides nothing about
//! offsets, sequences or topics; changes no byte.

use crate::header::{CRC_FROM, HEADER_LEN};
use crate::{
    BatchError, BatchHeader, Compression, DecompressLimit, MIN_RECORD_LEN, NO_TIMESTAMP, frame_len,
    parse_header, records, split_first,
};

/// Checks a batch that a producer sent: exactly one, whole, of at most `max_len` bytes, with
/// a true CRC and nothing in its header that only a broker writes. Its cost is the CRC's;
/// records are not read.
///
/// # Errors
/// In this order: [`BatchError::Truncated`], [`BatchError::BadLength`],
/// [`BatchError::TooLarge`], [`BatchError::BadMagic`], [`BatchError::NegativeCount`],
/// [`BatchError::MoreThanOneBatch`] or [`BatchError::TrailingBytes`], [`BatchError::BadCrc`];
/// then, of bytes that are what the producer meant, [`BatchError::UnknownCompression`],
/// [`BatchError::ControlBatch`], [`BatchError::ReservedAttributes`],
/// [`BatchError::LogAppendTime`], [`BatchError::NoRecords`], [`BatchError::CountMismatch`],
/// [`BatchError::CountExceedsBytes`], [`BatchError::BadTimestamp`],
/// [`BatchError::BadProducer`].
pub fn validate_produce(bytes: &[u8], max_len: usize) -> Result<BatchHeader, BatchError> {
    // Before "truncated": a frame limit below the batch may be what cut it.
    let len = frame_len(bytes)?;
    if len > max_len {
        return Err(BatchError::TooLarge { len, max: max_len });
    }
    let header = verify(bytes)?;
    check_attributes(&header)?;
    check_count(&header, bytes.len() - HEADER_LEN)?;
    check_timestamps(&header)?;
    check_producer(&header)?;
    Ok(header)
}

/// Checks that `bytes` are exactly one whole batch whose CRC is true, whoever wrote it.
///
/// # Errors
/// As [`validate_produce`], up to [`BatchError::BadCrc`], without a length limit.
pub fn verify(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let (header, batch, rest) = split_first(bytes)?;
    if !rest.is_empty() {
        return Err(match parse_header(rest) {
            Ok(_) => BatchError::MoreThanOneBatch,
            Err(_) => BatchError::TrailingBytes { extra: rest.len() },
        });
    }
    let found = crc32c::crc32c(&batch[CRC_FROM..]);
    if found != header.crc {
        return Err(BatchError::BadCrc {
            expected: header.crc,
            found,
        });
    }
    Ok(header)
}

/// Walks every record of a batch that [`validate_produce`] let pass, decompressing within
/// `limit`: records fill the batch exactly, offset deltas are 0, 1, 2 …, and no timestamp is
/// above the max timestamp, where the producer states one.
///
/// # Errors
/// As [`records`] and its iterator, [`BatchError::BadOffsetDelta`] for a gap,
/// [`BatchError::BadTimestamp`].
pub fn validate_records(batch: &[u8], limit: DecompressLimit) -> Result<(), BatchError> {
    let set = records(batch, limit)?;
    let header = set.header();
    for (index, record) in (0u32..).zip(&set) {
        let record = record?;
        let delta = record.offset - header.base_offset;
        if delta != i64::from(index) {
            return Err(BatchError::BadOffsetDelta {
                index,
                // The iterator lets no delta above the i32 in the header pass.
                delta: delta as i32,
            });
        }
        let stated = header.max_timestamp != NO_TIMESTAMP;
        if record.timestamp < NO_TIMESTAMP || (stated && record.timestamp > header.max_timestamp) {
            return Err(bad_timestamp(header));
        }
    }
    Ok(())
}

fn check_attributes(header: &BatchHeader) -> Result<(), BatchError> {
    let attributes = header.attributes;
    attributes.compression()?;
    if attributes.is_control() {
        return Err(BatchError::ControlBatch);
    }
    if attributes.has_reserved_bits() {
        return Err(BatchError::ReservedAttributes {
            bits: attributes.bits(),
        });
    }
    if attributes.is_log_append_time() {
        return Err(BatchError::LogAppendTime);
    }
    Ok(())
}

fn check_count(header: &BatchHeader, payload_len: usize) -> Result<(), BatchError> {
    let count = header.record_count;
    if count == 0 {
        return Err(BatchError::NoRecords);
    }
    if count - 1 != header.last_offset_delta {
        return Err(BatchError::CountMismatch {
            count,
            last_offset_delta: header.last_offset_delta,
        });
    }
    // What compressed records hold is only known by decompressing them.
    let plain = header.attributes.compression() == Ok(Compression::None);
    if plain && count as usize > payload_len / MIN_RECORD_LEN {
        return Err(BatchError::CountExceedsBytes {
            count,
            len: payload_len,
        });
    }
    Ok(())
}

fn check_timestamps(header: &BatchHeader) -> Result<(), BatchError> {
    // Old Sarama leaves the maximum at -1.
    let max_is_plausible =
        header.max_timestamp == NO_TIMESTAMP || header.max_timestamp >= header.base_timestamp;
    if header.base_timestamp < NO_TIMESTAMP || !max_is_plausible {
        return Err(bad_timestamp(header));
    }
    Ok(())
}

fn check_producer(header: &BatchHeader) -> Result<(), BatchError> {
    let has_state = header.producer_epoch >= 0 && header.base_sequence >= 0;
    let fits = match header.producer_id {
        0.. => has_state,
        // Without an id, clients disagree on what epoch and sequence say; nobody reads them.
        -1 => !header.attributes.is_transactional(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(BatchError::BadProducer {
            id: header.producer_id,
            epoch: header.producer_epoch,
            sequence: header.base_sequence,
        })
    }
}

const fn bad_timestamp(header: &BatchHeader) -> BatchError {
    BatchError::BadTimestamp {
        base: header.base_timestamp,
        max: header.max_timestamp,
    }
}
