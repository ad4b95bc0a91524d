//! The records inside a batch, walked lazily over decompressed bytes. Nothing is copied and nothing
//! allocated; a count on the wire is not believed: records are read until it is reached.

use crate::{BatchError, BatchHeader, varint};

/// Fewest bytes of a record: its length, attributes, two deltas, two lengths and a header
/// count, a byte each.
pub const MIN_RECORD_LEN: usize = 7;

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Offset in the partition, if the batch has its base offset already.
    pub offset: i64,
    /// Milliseconds since the Unix epoch, or -1.
    pub timestamp: i64,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null (a tombstone on a compacted topic).
    pub value: Option<&'a [u8]>,
    /// The headers, in order, with duplicates.
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name; UTF-8 by convention, which is not checked.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// The headers of one record, still encoded. They have been walked once, so that iterating
/// cannot fail. Two are equal if their encodings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    encoded: &'a [u8],
    count: u32,
}

impl<'a> Headers<'a> {
    /// How many.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// There are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in order.
    pub const fn iter(&self) -> HeadersIter<'a> {
        HeadersIter {
            rest: self.encoded,
            remaining: self.count,
        }
    }

    /// The encoded headers, without their count.
    pub(crate) const fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// What [`Self::encoded`] and [`Self::len`] gave, in bytes that moved.
    pub(crate) const fn from_walked(encoded: &'a [u8], count: u32) -> Self {
        Self { encoded, count }
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Headers`].
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    rest: &'a [u8],
    remaining: u32,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        Some(take_header(&mut self.rest).expect("headers were walked when their record was read"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining as usize, Some(self.remaining as usize))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

/// Iterator over the records of a batch. After an error it ends. Bytes behind the last
/// record are an error too, so that a walk to the end proves the whole batch.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    header: BatchHeader,
    /// Records yielded so far.
    index: u32,
    remaining: u32,
    /// Least offset delta of the next record.
    least_delta: i32,
}

impl<'a> RecordIter<'a> {
    /// Walks `records`, the decompressed bytes behind `header`.
    pub(crate) fn new(header: BatchHeader, records: &'a [u8]) -> Self {
        Self {
            rest: records,
            header,
            index: 0,
            remaining: u32::try_from(header.record_count).unwrap_or(0),
            least_delta: 0,
        }
    }

    fn read(&mut self) -> Result<RecordRef<'a>, BatchError> {
        let index = self.index;
        let fault = |fault: Fault| fault.at(index);
        let raw = take_raw(&mut self.rest).map_err(fault)?;
        let delta = raw.offset_delta;
        if delta < self.least_delta || delta > self.header.last_offset_delta {
            return Err(BatchError::BadOffsetDelta { index, delta });
        }
        let (Some(timestamp), Some(offset)) = (
            self.timestamp(raw.timestamp_delta),
            self.header.base_offset.checked_add(i64::from(delta)),
        ) else {
            return Err(BatchError::BadTimestamp {
                base: self.header.base_timestamp,
                max: self.header.max_timestamp,
            });
        };
        // An i32 above all deltas exists unless this is the last record there can be.
        self.least_delta = delta.saturating_add(1);
        self.index += 1;
        Ok(RecordRef {
            offset,
            timestamp,
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
        })
    }

    fn timestamp(&self, delta: i64) -> Option<i64> {
        if self.header.attributes.is_log_append_time() {
            Some(self.header.max_timestamp)
        } else {
            self.header.base_timestamp.checked_add(delta)
        }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = match self.remaining.checked_sub(1) {
            Some(remaining) => {
                self.remaining = remaining;
                self.read()
            }
            None if self.rest.is_empty() => return None,
            None => Err(BatchError::TrailingRecordBytes {
                extra: self.rest.len(),
            }),
        };
        if result.is_err() {
            self.remaining = 0;
            self.rest = &[];
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is the peer's word; only the bytes bound it.
        (0, Some(self.rest.len() / MIN_RECORD_LEN + 1))
    }
}

/// A record as encoded, relative to its batch.
pub(crate) struct RawRecord<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

/// What is wrong inside a record, before it is known which one that is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Varint,
    Length,
}

impl Fault {
    pub(crate) const fn at(self, index: u32) -> BatchError {
        match self {
            Self::Varint => BatchError::BadVarint { index },
            Self::Length => BatchError::BadRecordLength { index },
        }
    }
}

impl From<varint::InvalidVarint> for Fault {
    fn from(_: varint::InvalidVarint) -> Self {
        Self::Varint
    }
}

/// Takes the record at the front of `bytes`, which has to be there whole.
#[inline]
fn take_raw<'a>(bytes: &mut &'a [u8]) -> Result<RawRecord<'a>, Fault> {
    raw(take_bytes(bytes)?)
}

/// The record whose bytes behind its length are `body`.
#[inline]
pub(crate) fn raw(mut body: &[u8]) -> Result<RawRecord<'_>, Fault> {
    // The attributes byte of a record has no bits with a meaning yet.
    let (_attributes, rest) = body.split_first().ok_or(Fault::Length)?;
    body = rest;
    let record = RawRecord {
        timestamp_delta: varint::read_i64(&mut body)?,
        offset_delta: varint::read_i32(&mut body)?,
        key: take_nullable(&mut body)?,
        value: take_nullable(&mut body)?,
        headers: take_headers(&mut body)?,
    };
    if body.is_empty() {
        Ok(record)
    } else {
        Err(Fault::Length)
    }
}

#[inline]
fn take_headers<'a>(bytes: &mut &'a [u8]) -> Result<Headers<'a>, Fault> {
    let count = u32::try_from(varint::read_i32(bytes)?).map_err(|_| Fault::Length)?;
    let start = *bytes;
    // Most records have none.
    if count > 0 {
        *bytes = behind_headers(start, count)?;
    }
    let encoded = &start[..start.len() - bytes.len()];
    Ok(Headers { encoded, count })
}

/// What follows `count` headers.
fn behind_headers(mut bytes: &[u8], count: u32) -> Result<&[u8], Fault> {
    for _ in 0..count {
        take_header(&mut bytes)?;
    }
    Ok(bytes)
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<Header<'a>, Fault> {
    Ok(Header {
        key: take_bytes(bytes)?,
        value: take_nullable(bytes)?,
    })
}

/// A length and that many bytes; null is not allowed.
fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    take_nullable(bytes)?.ok_or(Fault::Length)
}

/// A length and that many bytes; length -1 is null.
#[inline]
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let len = varint::read_i32(bytes)?;
    if len == -1 {
        return Ok(None);
    }
    let len = usize::try_from(len).map_err(|_| Fault::Length)?;
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Fault::Length)?;
    *bytes = rest;
    Ok(Some(taken))
}
