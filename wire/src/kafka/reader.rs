//! Reading the primitive types, borrowed from the frame and never beyond it.

use std::ops::Range;

use super::checking::Walked;
use super::{Array, Checking, DecodeError, Element, Fault, TopicRef, Uuid};

/// Longest string, bytes, in compact form too (Kafka's own bound).
const LONGEST_STRING: usize = i16::MAX as usize;
/// Most tagged fields of a structure: no version of any has a dozen.
const MOST_TAGS: u32 = 256;

/// A place in a frame, and the version that says how the fields after it look.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    checking: Option<&'a Checking>,
}

impl<'a> Reader<'a> {
    /// A reader of `frame` that starts at byte `at`, of version 0.
    pub(super) fn new(frame: &'a [u8], at: usize) -> Result<Self, DecodeError> {
        if at > frame.len() {
            return Err(DecodeError::new(frame.len(), Fault::Truncated));
        }
        Ok(Self {
            bytes: frame,
            at,
            version: 0,
            flexible: false,
            checking: None,
        })
    }

    /// The same, that keeps how far arrays were read, and goes on from there.
    #[must_use]
    pub fn with_checking(self, checking: &'a Checking) -> Self {
        Self {
            checking: Some(checking),
            ..self
        }
    }

    pub(super) fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The version of the request.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Whether the version has the compact forms and tagged fields.
    #[must_use]
    pub(super) const fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes of the frame that were not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Where the next field begins, counted from the start of the frame.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    fn fail<T>(&self, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError::new(self.at, fault))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => self.fail(Fault::Truncated),
        }
    }

    fn range(&mut self, len: usize) -> Result<Range<usize>, DecodeError> {
        if len > self.remaining() {
            return self.fail(Fault::Truncated);
        }
        let range = self.at..self.at + len;
        self.at = range.end;
        Ok(range)
    }

    /// Zero is false, everything else true.
    ///
    /// # Errors
    /// [`DecodeError`] at the end of the frame, as every method here that reads.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// A signed byte.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.take().map(i8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.take().map(i16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.take().map(i32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.take().map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.take().map(|bytes| Uuid(u128::from_be_bytes(bytes)))
    }

    /// One to five bytes, seven bits each, the lowest first.
    ///
    /// # Errors
    /// [`DecodeError`], also for more than 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f) << shift;
            value |= bits;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| DecodeError::new(start, Fault::Varint));
            }
        }
        Err(DecodeError::new(start, Fault::Varint))
    }

    /// A length or count of the flexible form: one more than it says, 0 for null.
    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// A length or count of the old form: -1 for null.
    fn plain_len(&self, start: usize, len: i32) -> Result<Option<usize>, DecodeError> {
        match usize::try_from(len) {
            Ok(len) => Ok(Some(len)),
            Err(_) if len == -1 => Ok(None),
            Err(_) => Err(DecodeError::new(start, Fault::NegativeLength(len))),
        }
    }

    pub(super) fn wide_len(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return self.compact_len();
        }
        let start = self.at;
        let len = self.i32()?;
        self.plain_len(start, len)
    }

    /// A string that may be null, in the form of the version.
    ///
    /// # Errors
    /// [`DecodeError`], also if it is too long or not UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let start = self.at;
        let len = if self.flexible {
            self.compact_len()?
        } else {
            let len = self.i16()?;
            self.plain_len(start, len.into())?
        };
        let Some(len) = len else {
            return Ok(None);
        };
        if len > LONGEST_STRING {
            return Err(DecodeError::new(start, Fault::StringTooLong(len)));
        }
        let bytes = &self.bytes[self.range(len)?];
        let text = std::str::from_utf8(bytes);
        text.map(Some)
            .map_err(|_| DecodeError::new(start, Fault::Utf8))
    }

    /// A string, in the form of the version.
    ///
    /// # Errors
    /// [`DecodeError`], also if it is null, too long or not UTF-8.
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        let text = self.nullable_string()?;
        text.ok_or(DecodeError::new(start, Fault::Null))
    }

    /// A topic, by id or by name.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub(super) fn topic(&mut self, by_id: bool) -> Result<TopicRef<'a>, DecodeError> {
        if by_id {
            return self.uuid().map(TopicRef::Id);
        }
        self.string().map(TopicRef::Name)
    }

    /// Where bytes that may be null lie in the frame, in the form of the version.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn nullable_bytes(&mut self) -> Result<Option<Range<usize>>, DecodeError> {
        match self.wide_len()? {
            Some(len) => self.range(len).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes, in the form of the version.
    ///
    /// # Errors
    /// [`DecodeError`], also if they are null.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        match self.nullable_bytes()? {
            Some(range) => Ok(&self.bytes[range]),
            None => Err(DecodeError::new(start, Fault::Null)),
        }
    }

    /// An array that may be null, in the form of the version. All its elements are checked.
    ///
    /// # Errors
    /// [`DecodeError`], also if the bytes left could not hold that many elements.
    pub fn nullable_array<T: Element<'a>>(&mut self) -> Result<Option<Array<'a, T>>, DecodeError> {
        let start = self.at;
        let Some(count) = self.wide_len()? else {
            return Ok(None);
        };
        let room = self.remaining();
        if count > room / T::MIN_LEN {
            let fault = Fault::TooMany { count, room };
            return Err(DecodeError::new(start, fault));
        }
        let first = *self;
        let kept = self.checking.and_then(|checking| checking.resume(first.at));
        let Walked { at, mut left } = kept.unwrap_or(Walked {
            at: first.at,
            left: count,
        });
        self.at = at;
        while left > 0 {
            let at = self.at;
            if let Err(error) = T::read(self) {
                if let Some(checking) = self.checking.filter(|_| error.is_pause()) {
                    checking.pause(first.at, Walked { at, left });
                }
                return Err(error);
            }
            let bytes = self.at - at;
            assert!(bytes >= T::MIN_LEN, "the fewest bytes are fewer");
            left -= 1;
            if let Some(checking) = self.checking
                && !checking.spend(bytes)
                && left > 0
            {
                let at = self.at;
                checking.pause(first.at, Walked { at, left });
                return self.fail(Fault::Paused);
            }
        }
        if let Some(checking) = self.checking {
            checking.finish(first.at, self.at);
        }
        Ok(Some(Array::checked(first, count)))
    }

    /// An array, in the form of the version. All its elements are checked.
    ///
    /// # Errors
    /// [`DecodeError`], also if it is null or the bytes left could not hold that many elements.
    pub fn array<T: Element<'a>>(&mut self) -> Result<Array<'a, T>, DecodeError> {
        let start = self.at;
        let array = self.nullable_array()?;
        array.ok_or(DecodeError::new(start, Fault::Null))
    }

    /// The tagged fields at the end of a structure, of which none is wanted. Nothing in versions
    /// that are not flexible.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }

    /// The tagged fields at the end of a structure: `field` gets each tag with a reader that ends
    /// where the field does, and may leave it unread. Nothing in versions that are not flexible.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn tags(
        &mut self,
        mut field: impl FnMut(u32, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        let start = self.at;
        let count = self.unsigned_varint()?;
        if count > MOST_TAGS {
            return Err(DecodeError::new(start, Fault::TooManyTags(count)));
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            let range = self.range(len)?;
            let mut inner = Self {
                bytes: &self.bytes[..range.end],
                at: range.start,
                ..*self
            };
            field(tag, &mut inner)?;
        }
        Ok(())
    }
}
