//! A batch's records, walked in bounded steps, whether they are compressed or not. The check before
//! an append, and look-ups by time, see of them their offsets and timestamps, and that they fit. It
//! holds no record and no decompressed batch, and allocates nothing but what [`Pieces`] keep.

use crate::pieces::Pieces;
use crate::record::{MIN_RECORD_LEN, raw};
use crate::varint::{self, MAX_I32_LEN, MAX_I64_LEN};
use crate::{BatchError, BatchHeader, NO_TIMESTAMP};

/// Which offset deltas are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deltas {
    /// 0, 1, 2 … up to the last: what a producer sends.
    Dense,
    /// Any that grow, up to the last: what may be stored.
    Growing,
}

/// Whether a walk has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another step is to come.
    More,
    /// All records were seen, and nothing is wrong with them.
    Done,
}

/// What looks at the records of a walk.
pub trait Visit {
    /// The next record: its offset delta, and its timestamp in milliseconds.
    fn record(&mut self, offset_delta: i32, timestamp: i64);
}

/// What the timestamps of a batch are: of a walk's records so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The largest.
    pub max: i64,
    /// Offset delta of the first record that has it.
    pub max_at: i32,
    /// The smallest of those that are stated; `i64::MAX` if none is.
    pub min: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            max: i64::MIN,
            max_at: 0,
            min: i64::MAX,
        }
    }
}

impl Visit for Times {
    #[inline]
    fn record(&mut self, offset_delta: i32, timestamp: i64) {
        if timestamp > self.max {
            (self.max, self.max_at) = (timestamp, offset_delta);
        }
        if timestamp < self.min && timestamp != NO_TIMESTAMP {
            self.min = timestamp;
        }
    }
}

/// The walk over one batch, a piece at a step. The same [`Pieces`] and the same payload belong to
/// every step; both may serve another batch afterwards.
#[derive(Clone, Copy, Debug)]
pub struct BatchWalk {
    header: BatchHeader,
    deltas: Deltas,
    /// Records seen whole.
    index: u32,
    /// Least offset delta of the next record.
    least_delta: i32,
    /// Bytes seen.
    seen: usize,
    part: Part,
}

impl BatchWalk {
    /// Begins the walk over the records behind `header`, which become at most `limit` bytes.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`].
    pub fn begin(
        header: &BatchHeader,
        deltas: Deltas,
        limit: usize,
        pieces: &mut Pieces,
    ) -> Result<Self, BatchError> {
        pieces.begin(header.attributes.compression()?, limit);
        Ok(Self {
            header: *header,
            deltas,
            index: 0,
            least_delta: 0,
            seen: 0,
            part: Part::default(),
        })
    }

    /// Walks over the next piece of `payload`, the bytes behind the header.
    ///
    /// # Errors
    /// As [`Pieces::next`]; [`BatchError::BadVarint`], [`BatchError::BadRecordLength`],
    /// [`BatchError::BadOffsetDelta`], [`BatchError::BadTimestamp`],
    /// [`BatchError::TrailingRecordBytes`], [`BatchError::RecordsCut`],
    /// [`BatchError::CountExceedsBytes`]. Nothing follows.
    pub fn step(
        &mut self,
        pieces: &mut Pieces,
        payload: &[u8],
        visit: &mut impl Visit,
    ) -> Result<Progress, BatchError> {
        match pieces.next(payload)? {
            Some(piece) => {
                self.seen += piece.len();
                self.piece(piece, visit)?;
                Ok(Progress::More)
            }
            None => self.end(),
        }
    }

    fn end(&self) -> Result<Progress, BatchError> {
        let count = self.header.record_count;
        if self.index == self.count() && self.part.is_none() {
            return Ok(Progress::Done);
        }
        Err(if count as usize > self.seen / MIN_RECORD_LEN {
            BatchError::CountExceedsBytes {
                count,
                len: self.seen,
            }
        } else {
            BatchError::RecordsCut {
                index: self.index,
                count,
            }
        })
    }

    fn count(&self) -> u32 {
        u32::try_from(self.header.record_count).unwrap_or(0)
    }

    fn piece(&mut self, mut piece: &[u8], visit: &mut impl Visit) -> Result<(), BatchError> {
        let count = self.count();
        while !piece.is_empty() {
            if self.index == count {
                return Err(BatchError::TrailingRecordBytes { extra: piece.len() });
            }
            if self.part.is_none() {
                let taken = self.usual_records(piece, visit);
                if taken > 0 {
                    piece = &piece[taken..];
                    continue;
                }
            }
            if self.part.is_none()
                && let Some((body, rest)) = whole(piece)
            {
                let raw = raw(body).map_err(|fault| fault.at(self.index))?;
                self.record(raw.offset_delta, raw.timestamp_delta, visit)?;
                piece = rest;
                continue;
            }
            let mut rest = piece;
            if let Some((offset, timestamp)) = self.part.go_on(&mut rest, self.index)? {
                self.record(offset, timestamp, visit)?;
            }
            piece = rest;
        }
        Ok(())
    }

    /// Passes the records of the usual kind that `piece` begins with. How many bytes those are.
    fn usual_records(&mut self, piece: &[u8], visit: &mut impl Visit) -> usize {
        let header = self.header;
        let count = self.count();
        let dense = self.deltas == Deltas::Dense;
        if header.attributes.is_log_append_time() {
            return 0;
        }
        let (mut index, mut least) = (self.index, self.least_delta);
        let mut rest = piece;
        while index < count
            && let Some((usual, behind)) = usual(rest)
        {
            let delta = usual.offset_delta;
            let timestamp = i64::from(usual.timestamp_delta);
            let Some(timestamp) = header.base_timestamp.checked_add(timestamp) else {
                break;
            };
            if delta != least && (dense || delta < least) || delta > header.last_offset_delta {
                break;
            }
            visit.record(delta, timestamp);
            // Three bytes of a varint are far below the largest.
            (index, least, rest) = (index + 1, delta + 1, behind);
        }
        (self.index, self.least_delta) = (index, least);
        piece.len() - rest.len()
    }

    #[inline]
    fn record(
        &mut self,
        delta: i32,
        timestamp_delta: i64,
        visit: &mut impl Visit,
    ) -> Result<(), BatchError> {
        let (index, header) = (self.index, &self.header);
        let most = match self.deltas {
            Deltas::Dense => self.least_delta.min(header.last_offset_delta),
            Deltas::Growing => header.last_offset_delta,
        };
        if delta < self.least_delta || delta > most {
            return Err(BatchError::BadOffsetDelta { index, delta });
        }
        let timestamp = match header.attributes.is_log_append_time() {
            true => Some(header.max_timestamp),
            false => header.base_timestamp.checked_add(timestamp_delta),
        };
        let timestamp = timestamp.ok_or(BatchError::BadTimestamp {
            base: header.base_timestamp,
            max: header.max_timestamp,
        })?;
        // An i32 above all deltas exists unless this is the last record there can be.
        self.least_delta = delta.saturating_add(1);
        self.index += 1;
        visit.record(delta, timestamp);
        Ok(())
    }
}

/// A record whose lengths and deltas take few bytes, that has a value and no headers: nearly all.
struct Usual {
    offset_delta: i32,
    timestamp_delta: i32,
}

/// The record at the front of `piece`, if it is whole, right and of the usual kind, in half the time
/// that others take. What is otherwise about it is not said.
#[inline(always)]
fn usual(piece: &[u8]) -> Option<(Usual, &[u8])> {
    let head: &[u8; 16] = piece.first_chunk()?;
    let (len, taken) = varint::short(u64::from_le_bytes(*head.first_chunk()?))?;
    let (record, behind) = piece.split_at_checked(taken + natural(len)?)?;
    // Behind the attributes, both deltas and a key's length of one byte.
    let mut at = taken + 1;
    let deltas = u64::from_le_bytes(*head.get(at..)?.first_chunk()?);
    let (timestamp, taken) = varint::short(deltas)?;
    let deltas = deltas >> (8 * taken);
    at += taken;
    let (offset, taken) = varint::short(deltas)?;
    at += taken;
    let key = (deltas >> (8 * taken)) as u8;
    if key & 0x81 != 0 && key != NULL_LEN {
        return None;
    }
    at += 1 + usize::from(key >> 1);
    let (value, taken) = varint::short(u64::from_le_bytes(*piece.get(at..)?.first_chunk()?))?;
    at += taken + natural(value)?;
    // No header, and that is all.
    if at + 1 != record.len() || record[at] != 0 {
        return None;
    }
    let usual = Usual {
        offset_delta: natural(offset)? as i32,
        timestamp_delta: varint::zigzag(timestamp),
    };
    Some((usual, behind))
}

/// The one byte of the length of what is null.
const NULL_LEN: u8 = 1;

/// What a raw varint stands for, if that is not negative.
#[inline(always)]
fn natural(raw: u32) -> Option<usize> {
    (raw & 1 == 0).then_some(raw as usize >> 1)
}

/// The record at the front of `piece` without its length, if it ends there, and what follows it.
#[inline]
fn whole(mut piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = varint::read_i32(&mut piece).ok()?;
    piece.split_at_checked(usize::try_from(len).ok()?)
}

/// A field of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Length,
    Attributes,
    TimestampDelta,
    OffsetDelta,
    KeyLength,
    ValueLength,
    HeaderCount,
    HeaderKeyLength,
    HeaderValueLength,
}

/// A record of which only a part was seen: it goes on in the next piece.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// What comes next, behind `skip` bytes of a key or value.
    field: Field,
    skip: usize,
    /// Bytes of the record behind those seen, `skip` included.
    left: usize,
    /// Bytes of the varint under way.
    varint: [u8; MAX_I64_LEN],
    varint_len: usize,
    timestamp_delta: i64,
    offset_delta: i32,
    headers: u32,
}

impl Part {
    /// Nothing was seen of the record.
    #[inline]
    fn is_none(&self) -> bool {
        self.field == Field::Length && self.varint_len == 0
    }

    /// Takes what `piece` has of the record. Gives its offset and timestamp deltas, and is ready
    /// for the next one, when it was whole.
    fn go_on(&mut self, piece: &mut &[u8], index: u32) -> Result<Option<(i32, i64)>, BatchError> {
        let length = BatchError::BadRecordLength { index };
        while !piece.is_empty() {
            if self.skip > 0 {
                let len = self.skip.min(piece.len());
                *piece = &piece[len..];
                (self.skip, self.left) = (self.skip - len, self.left - len);
            } else {
                self.take_field(piece, index)?;
            }
            let ends = self.field == Field::HeaderKeyLength && self.headers == 0;
            if ends && self.skip == 0 {
                if self.left > 0 {
                    return Err(length);
                }
                let record = (self.offset_delta, self.timestamp_delta);
                *self = Self::default();
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Takes a byte of the field that comes next; if that was its last, the field.
    fn take_field(&mut self, piece: &mut &[u8], index: u32) -> Result<(), BatchError> {
        let bad_length = BatchError::BadRecordLength { index };
        let bad_varint = BatchError::BadVarint { index };
        let [byte, rest @ ..] = *piece else {
            return Ok(());
        };
        *piece = rest;
        if self.field != Field::Length {
            self.left = match (self.left.checked_sub(1), self.field) {
                (Some(left), _) => left,
                (None, Field::Attributes) => return Err(bad_length),
                (None, _) => return Err(bad_varint),
            };
        }
        if self.field == Field::Attributes {
            self.field = Field::TimestampDelta;
            return Ok(());
        }
        self.varint[self.varint_len] = *byte;
        self.varint_len += 1;
        let most = match self.field {
            Field::TimestampDelta => MAX_I64_LEN,
            _ => MAX_I32_LEN,
        };
        if *byte >= 0x80 {
            return match self.varint_len < most {
                true => Ok(()),
                false => Err(bad_varint),
            };
        }
        let mut encoded = &self.varint[..self.varint_len];
        self.varint_len = 0;
        if self.field == Field::TimestampDelta {
            self.timestamp_delta = varint::read_i64(&mut encoded).map_err(|_| bad_varint)?;
            self.field = Field::OffsetDelta;
            return Ok(());
        }
        let value = varint::read_i32(&mut encoded).map_err(|_| bad_varint)?;
        self.take_value(value).ok_or(bad_length)
    }

    /// What a field says; `None` if it cannot be.
    fn take_value(&mut self, value: i32) -> Option<()> {
        let null_or_len = match value {
            -1 => Some(0),
            len => usize::try_from(len).ok(),
        };
        let len = usize::try_from(value).ok();
        let next = match self.field {
            Field::Length => {
                self.left = len?;
                Field::Attributes
            }
            Field::OffsetDelta => {
                self.offset_delta = value;
                Field::KeyLength
            }
            Field::KeyLength => {
                self.skip = null_or_len?;
                Field::ValueLength
            }
            Field::ValueLength => {
                self.skip = null_or_len?;
                Field::HeaderCount
            }
            Field::HeaderCount => {
                self.headers = u32::try_from(value).ok()?;
                Field::HeaderKeyLength
            }
            Field::HeaderKeyLength => {
                self.skip = len?;
                Field::HeaderValueLength
            }
            Field::HeaderValueLength => {
                self.skip = null_or_len?;
                self.headers -= 1;
                Field::HeaderKeyLength
            }
            Field::Attributes | Field::TimestampDelta => unreachable!("taken before"),
        };
        self.field = next;
        (self.skip <= self.left).then_some(())
    }
}

#[cfg(test)]
mod tests;
