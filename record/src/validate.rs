//! The broker's checks on a batch: cheap ones, which look at its header, and the walk over its
//! records. It decides nothing about offsets, sequences or topics, and changes no byte.

use crate::header::{CRC_FROM, HEADER_LEN};
use crate::pieces::Pieces;
use crate::walk::{BatchWalk, Deltas, Progress, Times};
use crate::{
    BatchError, BatchHeader, Compression, MIN_RECORD_LEN, frame_len, parse_header, split_first,
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
/// [`BatchError::CountExceedsBytes`], [`BatchError::BadProducer`]. What its timestamps say is for
/// the walk to find out.
pub fn validate_produce(bytes: &[u8], max_len: usize) -> Result<BatchHeader, BatchError> {
    let header = validate_frame(bytes, max_len)?;
    BatchSum::default().step(bytes, &header, usize::MAX)?;
    validate_header(&header, bytes.len())?;
    Ok(header)
}

/// The first part of [`validate_produce`]: exactly one batch, whole, of at most `max_len` bytes.
/// Whether its bytes are what its producer meant a [`BatchSum`] tells.
///
/// # Errors
/// As [`validate_produce`], up to [`BatchError::BadCrc`].
pub fn validate_frame(bytes: &[u8], max_len: usize) -> Result<BatchHeader, BatchError> {
    // Before "truncated": a frame limit below the batch may be what cut it.
    let len = frame_len(bytes)?;
    if len > max_len {
        return Err(BatchError::TooLarge { len, max: max_len });
    }
    only_one(bytes)
}

/// The last part of [`validate_produce`], of a batch of `len` bytes whose checksum is true.
///
/// # Errors
/// As [`validate_produce`], after [`BatchError::BadCrc`].
pub fn validate_header(header: &BatchHeader, len: usize) -> Result<(), BatchError> {
    check_attributes(header)?;
    check_count(header, len - HEADER_LEN)?;
    check_producer(header)
}

/// The checksum of one batch, a piece at a step: that of 100 MiB takes 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSum {
    /// Bytes from [`CRC_FROM`] on that are in the sum.
    summed: usize,
    sum: u32,
}

impl BatchSum {
    /// Sums at most `most` bytes more of `batch`, which is whole and begins with `header`.
    ///
    /// # Errors
    /// [`BatchError::BadCrc`], once all are.
    pub fn step(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        most: usize,
    ) -> Result<Progress, BatchError> {
        let rest = &batch[CRC_FROM..][self.summed..];
        let piece = &rest[..rest.len().min(most)];
        self.sum = crc32c::crc32c_append(self.sum, piece);
        self.summed += piece.len();
        if piece.len() < rest.len() {
            return Ok(Progress::More);
        }
        match self.sum == header.crc {
            true => Ok(Progress::Done),
            false => Err(BatchError::BadCrc {
                expected: header.crc,
                found: self.sum,
            }),
        }
    }
}

/// Checks that `bytes` are exactly one whole batch whose CRC is true, whoever wrote it.
///
/// # Errors
/// As [`validate_produce`], up to [`BatchError::BadCrc`], without a length limit.
pub fn verify(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = only_one(bytes)?;
    BatchSum::default().step(bytes, &header, usize::MAX)?;
    Ok(header)
}

/// The header of the one batch that `bytes` are, whole.
fn only_one(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let (header, _, rest) = split_first(bytes)?;
    if !rest.is_empty() {
        return Err(match parse_header(rest) {
            Ok(_) => BatchError::MoreThanOneBatch,
            Err(_) => BatchError::TrailingBytes { extra: rest.len() },
        });
    }
    Ok(header)
}

/// Walks every record of a batch that [`validate_produce`] let pass, decompressing to at most
/// `limit` bytes: what a broker's door does, in one go.
///
/// # Errors
/// As [`verify`] and [`BatchWalk::step`].
pub fn validate_records(batch: &[u8], limit: usize) -> Result<Times, BatchError> {
    let header = verify(batch)?;
    let mut pieces = Pieces::default();
    let mut walk = BatchWalk::begin(&header, Deltas::Dense, limit, &mut pieces)?;
    let mut times = Times::default();
    while walk.step(&mut pieces, &batch[HEADER_LEN..], &mut times)? == Progress::More {}
    Ok(times)
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
