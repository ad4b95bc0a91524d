//! The fixed header that every frame starts with.
//!
//! Parsing it needs 24 bytes and tells how long the frame is and where its payload starts, so a
//! receiver can take a permit for a large payload, and a buffer to receive it into, before it
//! arrives. It does not look at what follows.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use thiserror::Error;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::CorrelationId;

/// The only frame format there is.
const FRAME_VERSION: u8 = 1;

/// Length of the length field itself, which does not count itself.
const LENGTH_FIELD: usize = 4;

/// The header as it lies on the wire.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHeader {
    length: U32,
    version: u8,
    reserved: u8,
    kind: U16,
    flags: U16,
    reserved2: U16,
    header_len: U32,
    correlation: U64,
}

const _: () = assert!(size_of::<RawHeader>() == FrameHeader::LEN);

/// How long frames may be. A receiver states it; a longer frame is an error as soon as its
/// length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of a whole frame.
    pub max_frame_len: u32,
    /// Bytes of the FlatBuffers header in it.
    pub max_header_len: u32,
}

impl FrameLimits {
    /// Header bound for requests: 4,000 partitions in a `Fetch`, or 250 of the longest names.
    pub const MAX_REQUEST_HEADER: u32 = 64 * 1024;

    /// Header bound for responses: descriptions of over a million partitions.
    pub const MAX_RESPONSE_HEADER: u32 = 64 * 1024 * 1024;

    /// What a broker accepts whose batches are at most `max_batch_len` bytes.
    #[must_use]
    pub const fn for_requests(max_batch_len: u32) -> Self {
        let overhead = FrameHeader::LEN as u32 + Self::MAX_REQUEST_HEADER;
        Self {
            max_frame_len: max_batch_len.saturating_add(overhead),
            max_header_len: Self::MAX_REQUEST_HEADER,
        }
    }

    /// What a client accepts that asks for at most `max_payload_len` bytes at once.
    #[must_use]
    pub const fn for_responses(max_payload_len: u32) -> Self {
        let overhead = FrameHeader::LEN as u32 + Self::MAX_RESPONSE_HEADER;
        Self {
            max_frame_len: max_payload_len.saturating_add(overhead),
            max_header_len: Self::MAX_RESPONSE_HEADER,
        }
    }
}

/// Why bytes are not a frame. The connection cannot go on: where the next frame starts is not
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Another protocol, or a later frame format.
    #[error("the frame's version is {0}; {FRAME_VERSION} is expected")]
    Version(u8),
    /// The length does not even cover the fixed header.
    #[error("the frame length {0} is shorter than its header")]
    TooShort(u32),
    /// The length is above the receiver's limit.
    #[error("the frame length {length} is above the limit of {max}")]
    TooLong {
        /// Stated bytes after the length field.
        length: u32,
        /// Limit for a whole frame.
        max: u32,
    },
    /// The FlatBuffers header is above the receiver's limit or longer than its frame.
    #[error("the frame header length {header_len} is above its limit of {max}")]
    HeaderTooLong {
        /// Stated bytes.
        header_len: u32,
        /// The smaller of the receiver's limit and what the frame has room for.
        max: u32,
    },
    /// Bits are set that this version gives no meaning.
    #[error("the frame has reserved bits set")]
    Reserved,
}

/// A checked frame header: what the frame is and where its parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Number of the frame's [`Kind`](super::Kind); it may be one that is not known.
    pub kind: u16,
    /// Which request it is, or answers.
    pub correlation: CorrelationId,
    header_len: u32,
    payload_len: u32,
}

impl FrameHeader {
    /// Bytes of the fixed header.
    pub const LEN: usize = 24;

    /// A header for a frame with these parts.
    ///
    /// # Panics
    /// If the frame would be longer than a `u32` tells: the caller bounds what it sends.
    #[must_use]
    pub fn new(
        kind: u16,
        correlation: CorrelationId,
        header_len: usize,
        payload_len: usize,
    ) -> Self {
        let total = Self::LEN + header_len + payload_len;
        assert!(u32::try_from(total).is_ok(), "frame of {total} bytes");
        Self {
            kind,
            correlation,
            header_len: header_len as u32,
            payload_len: payload_len as u32,
        }
    }

    /// Reads the header at the start of `bytes`; `None` if it has not all arrived. What can be
    /// refused with fewer bytes is refused at once.
    ///
    /// # Errors
    /// [`FrameError`], if this is no frame or one beyond `limits`.
    pub fn parse(bytes: &[u8], limits: &FrameLimits) -> Result<Option<Self>, FrameError> {
        let Ok((raw, _)) = RawHeader::ref_from_prefix(bytes) else {
            return match bytes.first_chunk::<LENGTH_FIELD>() {
                Some(length) => {
                    check_length(u32::from_le_bytes(*length), limits)?;
                    match bytes.get(LENGTH_FIELD) {
                        Some(version) if *version != FRAME_VERSION => {
                            Err(FrameError::Version(*version))
                        }
                        _ => Ok(None),
                    }
                }
                None => Ok(None),
            };
        };
        let length = raw.length.get();
        check_length(length, limits)?;
        if raw.version != FRAME_VERSION {
            return Err(FrameError::Version(raw.version));
        }
        if raw.reserved != 0 || raw.flags.get() != 0 || raw.reserved2.get() != 0 {
            return Err(FrameError::Reserved);
        }
        let room = length - (Self::LEN - LENGTH_FIELD) as u32;
        let header_len = raw.header_len.get();
        let max = room.min(limits.max_header_len);
        if header_len > max {
            return Err(FrameError::HeaderTooLong { header_len, max });
        }
        Ok(Some(Self {
            kind: raw.kind.get(),
            correlation: CorrelationId(raw.correlation.get()),
            header_len,
            payload_len: room - header_len,
        }))
    }

    /// Appends the 24 bytes to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let raw = RawHeader {
            length: U32::new((self.frame_len() - LENGTH_FIELD) as u32),
            version: FRAME_VERSION,
            reserved: 0,
            kind: U16::new(self.kind),
            flags: U16::new(0),
            reserved2: U16::new(0),
            header_len: U32::new(self.header_len),
            correlation: U64::new(self.correlation.0),
        };
        out.put_slice(raw.as_bytes());
    }

    /// Bytes of the whole frame, this header included.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        Self::LEN + self.header_len as usize + self.payload_len as usize
    }

    /// Where the FlatBuffers header lies in the frame.
    #[must_use]
    pub fn header_range(&self) -> Range<usize> {
        Self::LEN..Self::LEN + self.header_len as usize
    }

    /// Where the payload lies in the frame.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        self.header_range().end..self.frame_len()
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload_len as usize
    }
}

fn check_length(length: u32, limits: &FrameLimits) -> Result<(), FrameError> {
    if (length as usize) < FrameHeader::LEN - LENGTH_FIELD {
        return Err(FrameError::TooShort(length));
    }
    let max = limits.max_frame_len;
    if u64::from(length) + LENGTH_FIELD as u64 > u64::from(max) {
        return Err(FrameError::TooLong { length, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
