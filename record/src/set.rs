//! The records of one batch, whether they are compressed or not. Verifies the CRC first;
//! holds at most one decompressed batch, within the limit its caller declares; refuses to
//! change or re-encode anything.

use std::borrow::Cow;

use bytes::Bytes;

use crate::codec::decompress;
use crate::{
    BatchError, BatchHeader, Compression, HEADER_LEN, Headers, MIN_RECORD_LEN, RecordIter,
    RecordRef, verify,
};

/// How far compressed records may grow. A batch may decompress to
/// `min(max_len, max(ratio_floor, max_ratio × compressed length))` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressLimit {
    /// Bytes that no batch may pass.
    pub max_len: usize,
    /// Output bytes per input byte. No honest batch is far above 100.
    pub max_ratio: usize,
    /// Bytes up to which the ratio does not matter: a producer's full batch of zeros is tiny.
    pub ratio_floor: usize,
}

impl DecompressLimit {
    /// 64 MiB, and 256 times the input above 1 MiB.
    pub const DEFAULT: Self = Self {
        max_len: 64 << 20,
        max_ratio: 256,
        ratio_floor: 1 << 20,
    };

    /// Bytes that `compressed` bytes may become.
    pub const fn for_input(&self, compressed: usize) -> usize {
        let by_ratio = compressed.saturating_mul(self.max_ratio);
        let wanted = if by_ratio > self.ratio_floor {
            by_ratio
        } else {
            self.ratio_floor
        };
        if wanted < self.max_len {
            wanted
        } else {
            self.max_len
        }
    }
}

impl Default for DecompressLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The decompressed records of one batch, held as `B`: `Cow<[u8]>` from [`records`], or
/// `Bytes` from [`RecordSet::from_bytes`].
#[derive(Clone, Debug)]
pub struct RecordSet<B> {
    header: BatchHeader,
    records: B,
}

/// The records of `batch`, exactly one whole batch: borrowed where they are uncompressed,
/// else decompressed within `limit`.
///
/// # Errors
/// What [`verify`] says; [`BatchError::UnknownCompression`], [`BatchError::BadCompression`],
/// [`BatchError::DecompressedTooLarge`], [`BatchError::CountExceedsBytes`]. Faults of single
/// records come from the iterator.
pub fn records(
    batch: &[u8],
    limit: DecompressLimit,
) -> Result<RecordSet<Cow<'_, [u8]>>, BatchError> {
    let header = verify(batch)?;
    let payload = &batch[HEADER_LEN..];
    let records = match header.attributes.compression()? {
        Compression::None => Cow::Borrowed(payload),
        codec => Cow::Owned(decompress(codec, payload, limit.for_input(payload.len()))?),
    };
    RecordSet { header, records }.with_plausible_count()
}

impl<B: AsRef<[u8]>> RecordSet<B> {
    /// The batch's header.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The decompressed records, encoded.
    pub fn encoded(&self) -> &[u8] {
        self.records.as_ref()
    }

    /// Walks the records without copying them.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter::new(self.header, self.records.as_ref())
    }

    /// Makes the record count usable as a capacity by everyone who comes later.
    fn with_plausible_count(self) -> Result<Self, BatchError> {
        let count = self.header.record_count;
        let len = self.records.as_ref().len();
        if count as usize > len / MIN_RECORD_LEN {
            return Err(BatchError::CountExceedsBytes { count, len });
        }
        Ok(self)
    }
}

impl<'a, B: AsRef<[u8]>> IntoIterator for &'a RecordSet<B> {
    type Item = Result<RecordRef<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

impl RecordSet<Bytes> {
    /// As [`records`], for a consumer that keeps what it reads: uncompressed records share
    /// `batch`'s buffer, decompressed ones a buffer of their own.
    ///
    /// # Errors
    /// As [`records`].
    pub fn from_bytes(batch: Bytes, limit: DecompressLimit) -> Result<Self, BatchError> {
        let RecordSet { header, records } = records(&batch, limit)?;
        let records = match records {
            Cow::Borrowed(_) => batch.slice(HEADER_LEN..),
            Cow::Owned(decompressed) => Bytes::from(decompressed),
        };
        Ok(Self { header, records })
    }

    /// The records as slices of the shared buffer, which lives as long as any of them.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, BatchError>> + '_ {
        self.iter().map(|record| {
            let record = record?;
            let own = |slice: &[u8]| self.records.slice_ref(slice);
            Ok(Record {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(own),
                value: record.value.map(own),
                header_count: record.headers.len() as u32,
                encoded_headers: own(record.headers.encoded()),
            })
        })
    }
}

/// One record that keeps its batch's buffer alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch, or -1.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    encoded_headers: Bytes,
    header_count: u32,
}

impl Record {
    /// The headers, in order, with duplicates.
    pub fn headers(&self) -> Headers<'_> {
        Headers::from_walked(&self.encoded_headers, self.header_count)
    }
}
