//! Writing the primitive types into a response frame.

use bytes::{BufMut, BytesMut};

use super::frame::LENGTH_PREFIX;
use super::{ApiKey, ErrorCode, TopicRef, Uuid};

/// A response frame that is being written, and the version that says how its fields look.
pub struct Writer<'o> {
    out: &'o mut BytesMut,
    /// Where the frame begins in `out`.
    start: usize,
    version: i16,
    flexible: bool,
}

impl<'o> Writer<'o> {
    /// Begins a frame at the end of `out` with its length left open, and writes the header.
    ///
    /// # Panics
    /// If the version is not one of the API's.
    pub(super) fn begin(
        out: &'o mut BytesMut,
        api: ApiKey,
        version: i16,
        correlation_id: i32,
    ) -> Self {
        assert!(api.versions().contains(version), "{api:?} {version}");
        let start = out.len();
        out.put_i32(0);
        out.put_i32(correlation_id);
        let mut writer = Self {
            out,
            start,
            version,
            flexible: api.is_flexible(version),
        };
        if api.has_tagged_response_header(version) {
            writer.no_tags();
        }
        writer
    }

    /// Writes fields of a response at the end of `out` without a frame around them.
    ///
    /// # Panics
    /// If the version is not one of the API's.
    pub(super) fn fields(out: &'o mut BytesMut, api: ApiKey, version: i16) -> Self {
        assert!(api.versions().contains(version), "{api:?} {version}");
        let start = out.len();
        Self {
            out,
            start,
            version,
            flexible: api.is_flexible(version),
        }
    }

    /// Closes the frame, of which `elsewhere` bytes are not in the buffer. Returns the bytes of
    /// the whole frame, its length and those bytes included.
    ///
    /// # Panics
    /// If the frame is longer than 2 GiB: the caller bounds what it answers.
    pub(super) fn finish(self, elsewhere: usize) -> usize {
        let frame = self.out.len() - self.start + elsewhere;
        let length = i32::try_from(frame - LENGTH_PREFIX).expect("a frame below 2 GiB");
        self.out[self.start..][..LENGTH_PREFIX].copy_from_slice(&length.to_be_bytes());
        frame
    }

    /// Closes the frame around `elsewhere` bytes, which belong here and are not in the buffer, with what
    /// `tail` writes behind them. Returns how many bytes that is.
    ///
    /// # Panics
    /// As [`Writer::finish`].
    pub(super) fn finish_around(mut self, elsewhere: usize, tail: impl FnOnce(&mut Self)) -> usize {
        let place = self.position();
        tail(&mut self);
        let behind = self.position() - place;
        self.finish(elsewhere);
        behind
    }

    /// The version of the response.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Bytes in the buffer up to here, also those before the frame.
    pub(super) fn position(&self) -> usize {
        self.out.len()
    }

    /// 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.out.put_u8(value.into());
    }

    /// A signed byte.
    pub fn i8(&mut self, value: i8) {
        self.out.put_i8(value);
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.out.put_u128(value.0);
    }

    /// An error code's number.
    pub fn error(&mut self, value: ErrorCode) {
        self.i16(value.as_i16());
    }

    /// One to five bytes, seven bits each, the lowest first.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    /// A count or a length of bytes, in the form of the version.
    ///
    /// # Panics
    /// If it is beyond 2 GiB, as nothing that fits into a frame is.
    fn wide_len(&mut self, len: Option<usize>) {
        let len = len.map(|len| i32::try_from(len).expect("a length below 2 GiB"));
        match (self.flexible, len) {
            (true, None) => self.unsigned_varint(0),
            (true, Some(len)) => self.unsigned_varint(len.cast_unsigned() + 1),
            (false, len) => self.i32(len.unwrap_or(-1)),
        }
    }

    /// The length of bytes that follow elsewhere, in the form of the version.
    pub(super) fn bytes_len(&mut self, len: usize) {
        self.wide_len(Some(len));
    }

    /// Bytes, in the form of the version.
    pub fn bytes(&mut self, value: &[u8]) {
        self.bytes_len(value.len());
        self.out.put_slice(value);
    }

    /// A string or null, in the form of the version.
    ///
    /// # Panics
    /// If it has more than 32767 bytes; none that a request carried has.
    pub fn nullable_string(&mut self, value: Option<&str>) {
        let len = value.map(|value| i16::try_from(value.len()).expect("a string below 32 KiB"));
        match (self.flexible, len) {
            (true, None) => self.unsigned_varint(0),
            (true, Some(len)) => self.unsigned_varint(u32::from(len.cast_unsigned()) + 1),
            (false, len) => self.i16(len.unwrap_or(-1)),
        }
        self.out.put_slice(value.unwrap_or_default().as_bytes());
    }

    /// A string, in the form of the version.
    ///
    /// # Panics
    /// If it has more than 32767 bytes.
    pub fn string(&mut self, value: &str) {
        self.nullable_string(Some(value));
    }

    /// How many elements follow, in the form of the version.
    pub fn array_len(&mut self, count: usize) {
        self.wide_len(Some(count));
    }

    /// An array that is null.
    pub fn null_array(&mut self) {
        self.wide_len(None);
    }

    /// An array, in the form of the version.
    pub fn array<T>(&mut self, elements: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.array_len(elements.len());
        for element in elements {
            write(self, element);
        }
    }

    /// An array of numbers.
    pub fn i32s(&mut self, elements: &[i32]) {
        self.array(elements, |w, element| w.i32(*element));
    }

    /// The topic as a version names it that has `by_id` or not.
    ///
    /// # Panics
    /// If the response names it otherwise than the request did.
    pub(super) fn topic(&mut self, topic: TopicRef<'_>, by_id: bool) {
        match (topic, by_id) {
            (TopicRef::Name(name), false) => self.string(name),
            (TopicRef::Id(id), true) => self.uuid(id),
            (topic, _) => panic!("version {} names topics unlike {topic:?}", self.version),
        }
    }

    /// The end of a structure, without tagged fields. Nothing in versions that are not flexible.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.unsigned_varint(0);
        }
    }
}
