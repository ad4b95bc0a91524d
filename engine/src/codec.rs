//! The sealed little-endian layout in which the engine's own bytes (topology entries, machine
//! snapshots) stand in a log.
//!
//! ```text
//! @0  CRC-32C  u32   over byte 4 to the end
//! @4  kind     u16   what the body is; a kind keeps its number for ever
//! @6  version  u16   of the body's layout
//! @8  body
//! ```
//!
//! All integers are little-endian, byte strings carry their length. It refuses to guess: a wrong
//! checksum, an unknown kind, a newer version, bytes that end early and bytes left over are each
//! an error, and no count is believed before the bytes for it are seen.

use std::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

const CRC_LEN: usize = 4;
const HEADER_LEN: usize = 8;

/// Why bytes of our own cannot be read. Either the log is damaged in a way that its checksums
/// missed, or a newer version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before a field does.
    #[error("bytes end inside {0}")]
    Short(&'static str),
    /// Not the bytes that were written.
    #[error("CRC-32C is {found:#010x}, {expected:#010x} was written")]
    BadCrc {
        /// The checksum that stands in the bytes.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// Something else than what was asked for.
    #[error("unknown kind {0}")]
    UnknownKind(u16),
    /// Written by a newer version of Leveret.
    #[error("layout version {found}, this program knows up to {known}; use a newer one")]
    NewerVersion {
        /// The version in the bytes.
        found: u16,
        /// The newest version that this program reads.
        known: u16,
    },
    /// Written by a version of Leveret before the first release.
    #[error("layout version {found}, this program reads from {oldest} on")]
    OlderVersion {
        /// The version in the bytes.
        found: u16,
        /// The oldest version that this program reads.
        oldest: u16,
    },
    /// A field's value cannot be.
    #[error("impossible value of {0}")]
    Invalid(&'static str),
    /// Bytes follow the last field.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// Builds one sealed byte string.
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn new(kind: u16, version: u16, capacity: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(HEADER_LEN + capacity);
        bytes.put_u32_le(0);
        bytes.put_u16_le(kind);
        bytes.put_u16_le(version);
        Self(bytes)
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.put_u16_le(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.put_u32_le(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.put_u64_le(value);
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.0.put_i16_le(value);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.put_i32_le(value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.put_i64_le(value);
    }

    /// A count of what follows.
    pub(crate) fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("a bounded machine counts below 2^32"));
    }

    /// A string of at most 65,535 bytes.
    pub(crate) fn str(&mut self, value: &str) {
        self.u16(u16::try_from(value.len()).expect("names are bounded below 2^16 bytes"));
        self.0.put_slice(value.as_bytes());
    }

    /// Bytes of any number that a bounded machine takes.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.put(value);
    }

    /// Begins one of several that stand one behind the other: it has its length in it.
    pub(crate) fn piece(kind: u16, version: u16) -> Self {
        let mut writer = Self::new(kind, version, 256);
        writer.u32(0);
        writer
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written from that length on.
    pub(crate) fn written_from(&self, len: usize) -> &[u8] {
        &self.0[len..]
    }

    /// Bytes that another has written.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }

    /// Says something else at a place that has been written.
    pub(crate) fn set_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Seals what [`Writer::piece`] began.
    pub(crate) fn seal_piece(mut self) -> Bytes {
        let len = u32::try_from(self.len()).expect("pieces are bounded below 2^32 bytes");
        self.set_u32(HEADER_LEN, len);
        self.seal()
    }

    pub(crate) fn seal(mut self) -> Bytes {
        let crc = crc32c::crc32c(&self.0[CRC_LEN..]);
        self.0[..CRC_LEN].copy_from_slice(&crc.to_le_bytes());
        self.0.freeze()
    }
}

/// Reads the body of one sealed byte string.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the seal: (kind, version, body).
    pub(crate) fn open(bytes: &'a [u8]) -> Result<(u16, u16, Self), DecodeError> {
        let mut reader = Self(bytes);
        let expected = reader.u32("checksum")?;
        let found = crc32c::crc32c(reader.0);
        if found != expected {
            return Err(DecodeError::BadCrc { expected, found });
        }
        let kind = reader.u16("kind")?;
        let version = reader.u16("version")?;
        Ok((kind, version, reader))
    }

    /// As [`Reader::open`], for bytes that can only be of one kind.
    pub(crate) fn open_as(
        bytes: &'a [u8],
        kind: u16,
        known: RangeInclusive<u16>,
    ) -> Result<(u16, Self), DecodeError> {
        let (found, version, reader) = Self::open(bytes)?;
        if found != kind {
            return Err(DecodeError::UnknownKind(found));
        }
        check_version(version, known)?;
        Ok((version, reader))
    }

    /// Takes the first of pieces that stand one behind the other, of kind and version that are `known`:
    /// both, and its body.
    pub(crate) fn piece(
        bytes: &mut &'a [u8],
        known: impl FnOnce(u16, u16) -> Result<(), DecodeError>,
    ) -> Result<((u16, u16), Self), DecodeError> {
        let mut head = Self(bytes);
        head.u32("checksum")?;
        let (kind, version) = (head.u16("kind")?, head.u16("version")?);
        known(kind, version)?;
        let len = head.u32("length of a piece")? as usize;
        let (piece, rest) = bytes
            .split_at_checked(len)
            .ok_or(DecodeError::Short("a piece"))?;
        let (_, _, mut body) = Self::open(piece)?;
        body.u32("length of a piece")?;
        *bytes = rest;
        Ok(((kind, version), body))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Short(what))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16, DecodeError> {
        self.array(what).map(i16::from_le_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.array(what).map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// A count of items that take at least `least` bytes each: never more than the bytes present
    /// can hold, so that it may be allocated for.
    pub(crate) fn count(&mut self, least: usize, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.u32(what)? as usize;
        if count > self.0.len() / least {
            return Err(DecodeError::Short(what));
        }
        Ok(count)
    }

    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let len = usize::from(self.u16(what)?);
        let (head, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(DecodeError::Short(what))?;
        self.0 = rest;
        std::str::from_utf8(head).map_err(|_| DecodeError::Invalid(what))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1, what)?;
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(head)
    }

    /// Every byte has to be used.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing(extra)),
        }
    }
}

/// Whether this program reads that version; 0 was never written.
pub(crate) fn check_version(found: u16, known: RangeInclusive<u16>) -> Result<(), DecodeError> {
    let (oldest, newest) = known.into_inner();
    match found {
        0 => Err(DecodeError::Invalid("version")),
        _ if found > newest => Err(DecodeError::NewerVersion {
            found,
            known: newest,
        }),
        _ if found < oldest => Err(DecodeError::OlderVersion { found, oldest }),
        _ => Ok(()),
    }
}
