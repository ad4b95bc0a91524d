//! Why a batch is refused. Every variant is the fault of the program that wrote the bytes.

use thiserror::Error;

use crate::Compression;

/// A batch that is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Bytes end before the header or the length in it says so. While reading a stream this
    /// means "wait for more".
    #[error("the batch needs {needed} bytes, but {present} are there")]
    Truncated {
        /// Bytes that the batch takes, as far as it is known yet.
        needed: usize,
        /// Bytes that are there.
        present: usize,
    },
    /// The length field is too small for a header.
    #[error("the batch's length field says {length}; the least is 49")]
    BadLength {
        /// The length field.
        length: i32,
    },
    /// Longer than the receiver allows.
    #[error("the batch takes {len} bytes; at most {max} are allowed")]
    TooLarge {
        /// Bytes that the batch takes, its first 12 included.
        len: usize,
        /// The receiver's limit.
        max: usize,
    },
    /// A whole second batch follows where one was expected.
    #[error("there is more than one batch where one was expected")]
    MoreThanOneBatch,
    /// Bytes follow the batch that are no batch.
    #[error("{extra} bytes follow the batch")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// Not record batch v2.
    #[error("the batch's magic is {found}; only 2 is understood")]
    BadMagic {
        /// The magic byte.
        found: i8,
    },
    /// The bytes are not those that the writer summed.
    #[error("the batch's CRC-32C is {found:#010x}, but its header says {expected:#010x}")]
    BadCrc {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// Last offset delta or record count below zero.
    #[error(
        "the batch's record count {count} or last offset delta {last_offset_delta} is negative"
    )]
    NegativeCount {
        /// The record count.
        count: i32,
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// A producer sent a batch without records.
    #[error("the batch holds no records")]
    NoRecords,
    /// The record count is not last offset delta + 1.
    #[error("the batch counts {count} records, but its last offset delta is {last_offset_delta}")]
    CountMismatch {
        /// The record count.
        count: i32,
        /// The last offset delta.
        last_offset_delta: i32,
    },
    /// More records are announced than the bytes can hold.
    #[error("the batch counts {count} records, which cannot be in {len} bytes")]
    CountExceedsBytes {
        /// The record count.
        count: i32,
        /// Bytes of the records, decompressed.
        len: usize,
    },
    /// Transaction markers are written by the broker only.
    #[error("a producer may not send a control batch")]
    ControlBatch,
    /// Attribute bits that no producer may set.
    #[error("the batch's attributes {bits:#06x} have bits that no producer may set")]
    ReservedAttributes {
        /// The attributes.
        bits: i16,
    },
    /// Compression codes 5 to 7 mean nothing.
    #[error("compression code {code} is unknown")]
    UnknownCompression {
        /// The code.
        code: u8,
    },
    /// Append time is set by the broker only.
    #[error("a producer may not send a batch with log append time")]
    LogAppendTime,
    /// A record's delta leaves 64 bits.
    #[error("the batch's timestamps are out of range: base {base}, max {max}")]
    BadTimestamp {
        /// The base timestamp.
        base: i64,
        /// The max timestamp.
        max: i64,
    },
    /// Further from the broker's clock than the topic takes.
    #[error(
        "record timestamp {timestamp} is further from the broker's time {now} than \
         message.timestamp.before.max.ms or message.timestamp.after.max.ms allow"
    )]
    TimestampOutOfBounds {
        /// The record's, milliseconds.
        timestamp: i64,
        /// The broker's, milliseconds.
        now: i64,
    },
    /// A producer id without an epoch or sequence, a transaction without a producer id.
    #[error("producer id {id}, epoch {epoch}, base sequence {sequence} do not fit together")]
    BadProducer {
        /// The producer id.
        id: i64,
        /// The producer epoch.
        epoch: i16,
        /// The base sequence.
        sequence: i32,
    },
    /// The records decompress to more than the caller allows.
    #[error("records decompress to more than {limit} bytes")]
    DecompressedTooLarge {
        /// The caller's limit for this batch.
        limit: usize,
    },
    /// The compressed bytes are not valid.
    #[error("records are not valid {codec}")]
    BadCompression {
        /// The codec that the attributes name.
        codec: Compression,
    },
    /// A varint is overlong, too large for its field or cut off.
    #[error("record {index} has an invalid varint")]
    BadVarint {
        /// Which record of the batch, from 0.
        index: u32,
    },
    /// A length inside a record leaves the record or the batch, or is negative where null is
    /// not allowed.
    #[error("record {index} has an invalid length")]
    BadRecordLength {
        /// Which record of the batch, from 0.
        index: u32,
    },
    /// Offset deltas have to grow, and to end at the last offset delta.
    #[error("record {index} has offset delta {delta}; it must be {index}")]
    BadOffsetDelta {
        /// Which record of the batch, from 0.
        index: u32,
        /// Its offset delta.
        delta: i32,
    },
    /// Bytes are left after the last record.
    #[error("{extra} bytes follow the last record")]
    TrailingRecordBytes {
        /// How many; of compressed records, at least so many.
        extra: usize,
    },
    /// The bytes end before the last record does.
    #[error("records end within record {index} of {count}")]
    RecordsCut {
        /// Which record of the batch, from 0, is not there or not whole.
        index: u32,
        /// The record count.
        count: i32,
    },
}

/// What a caller does about a [`BatchError`]; protocols map these to their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchErrorKind {
    /// The bytes were damaged or cut: sending them again may help (CORRUPT_MESSAGE).
    Corrupt,
    /// Over a limit: a smaller batch may pass (MESSAGE_TOO_LARGE).
    TooLarge,
    /// Not magic 2 (UNSUPPORTED_FOR_MESSAGE_FORMAT).
    UnsupportedFormat,
    /// A codec that does not exist (UNSUPPORTED_COMPRESSION_TYPE).
    UnsupportedCompression,
    /// Timestamps that are not allowed (INVALID_TIMESTAMP).
    InvalidTimestamp,
    /// Whole, but not allowed: sending it again never helps (INVALID_RECORD).
    Invalid,
}

impl BatchError {
    /// What to do about it.
    pub const fn kind(&self) -> BatchErrorKind {
        match self {
            Self::Truncated { .. }
            | Self::BadLength { .. }
            | Self::TrailingBytes { .. }
            | Self::BadCrc { .. } => BatchErrorKind::Corrupt,
            Self::TooLarge { .. } | Self::DecompressedTooLarge { .. } => BatchErrorKind::TooLarge,
            Self::BadMagic { .. } => BatchErrorKind::UnsupportedFormat,
            Self::UnknownCompression { .. } => BatchErrorKind::UnsupportedCompression,
            Self::LogAppendTime | Self::BadTimestamp { .. } | Self::TimestampOutOfBounds { .. } => {
                BatchErrorKind::InvalidTimestamp
            }
            Self::MoreThanOneBatch
            | Self::NegativeCount { .. }
            | Self::NoRecords
            | Self::CountMismatch { .. }
            | Self::CountExceedsBytes { .. }
            | Self::ControlBatch
            | Self::ReservedAttributes { .. }
            | Self::BadProducer { .. }
            | Self::BadCompression { .. }
            | Self::BadVarint { .. }
            | Self::BadRecordLength { .. }
            | Self::BadOffsetDelta { .. }
            | Self::TrailingRecordBytes { .. }
            | Self::RecordsCut { .. } => BatchErrorKind::Invalid,
        }
    }
}
