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

/// The decompressed records of one batch, held as `B`: `Cow<[u8]>` from [`records`], or
/// `Bytes` from [`RecordSet::from_bytes`].
#[derive(Clone, Debug)]
pub struct RecordSet<B> {
    header: BatchHeader,
    records: B,
}

/// The records of `batch`, exactly one whole batch: borrowed where they are uncompressed,
/// else decompressed, to at most `limit` bytes: [`MAX_RECORDS_LEN`](crate::MAX_RECORDS_LEN) for
/// whoever wants to read all that a broker has let in.
///
/// # Errors
/// What [`verify`] says; [`BatchError::UnknownCompression`], [`BatchError::BadCompression`],
/// [`BatchError::DecompressedTooLarge`], [`BatchError::CountExceedsBytes`]. Faults of single
/// records come from the iterator.
pub fn records(batch: &[u8], limit: usize) -> Result<RecordSet<Cow<'_, [u8]>>, BatchError> {
    let header = verify(batch)?;
    let payload = &batch[HEADER_LEN..];
    let records = match header.attributes.compression()? {
        Compression::None => Cow::Borrowed(payload),
        codec => Cow::Owned(decompress(codec, payload, limit)?),
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
    pub fn from_bytes(batch: Bytes, limit: usize) -> Result<Self, BatchError> {
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
