//! The attribute bits of a batch. It names them and refuses none: `validate` decides which of them
//! a client may set.

use std::fmt;

use crate::BatchError;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// Bit 6 (delete horizon, set by compaction) and the bits that have no meaning yet.
const BROKER_OR_RESERVED: i16 = !0b11_1111;

/// How the records of a batch are compressed: attribute bits 0-2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// RFC 1952 members.
    Gzip,
    /// Snappy blocks in the framing of Kafka's Java client; a bare block is read too.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// Zstandard frames (RFC 8878).
    Zstd,
}

impl Compression {
    /// Every codec, in the order of its code.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// The 16 attribute bits of a batch, as they stand in its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(i16);

impl Attributes {
    /// Any sixteen bits.
    pub const fn from_bits(bits: i16) -> Self {
        Self(bits)
    }

    /// The bits as they go on the wire.
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// These attributes with the transactional bit set.
    #[must_use]
    pub const fn transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    /// These attributes with the control bit set.
    #[must_use]
    pub const fn control(self) -> Self {
        Self(self.0 | CONTROL)
    }

    /// These attributes with the log append time bit set.
    #[must_use]
    pub const fn log_append_time(self) -> Self {
        Self(self.0 | LOG_APPEND_TIME)
    }

    /// The codec.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`] for the codes 5 to 7.
    pub const fn compression(self) -> Result<Compression, BatchError> {
        match self.0 & COMPRESSION_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            code => Err(BatchError::UnknownCompression { code: code as u8 }),
        }
    }

    /// Timestamps were set by a broker: the max timestamp is that of every record.
    pub const fn is_log_append_time(self) -> bool {
        self.0 & LOG_APPEND_TIME != 0
    }

    /// The batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// The batch holds transaction markers, which are not for applications.
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// A bit is set that no producer sets: the delete horizon or a reserved one.
    pub const fn has_reserved_bits(self) -> bool {
        self.0 & BROKER_OR_RESERVED != 0
    }
}

impl From<Compression> for Attributes {
    fn from(compression: Compression) -> Self {
        Self(compression.code())
    }
}
