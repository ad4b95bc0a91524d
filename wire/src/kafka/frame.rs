//! Where a frame ends, and the header of a request.

use thiserror::Error;

use super::{ApiKey, DecodeError, Fault, HeaderError, Reader};

/// Bytes of the length before each frame. It counts what follows it.
pub const LENGTH_PREFIX: usize = 4;

/// Fewest bytes that follow the length: key, version and correlation id.
const SHORTEST: i32 = 8;

/// Bytes that are no frame; nothing after them can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Shorter than any request; also every negative length.
    #[error("a frame of length {0} is shorter than any request")]
    TooShort(i32),
    /// Longer than what this listener takes.
    #[error("a frame of length {length} is longer than {max}")]
    TooLong {
        /// As it came; the length itself is not counted.
        length: i32,
        /// What is allowed, counted alike.
        max: u32,
    },
}

/// Bytes of the frame at the start of `bytes`, its length included; `None` while the length has
/// not all arrived. `max` bounds what follows the length.
///
/// # Errors
/// [`FrameError`], if the length is that of no request or beyond `max`.
pub fn frame_len(bytes: &[u8], max: u32) -> Result<Option<usize>, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH_PREFIX>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < SHORTEST {
        return Err(FrameError::TooShort(length));
    }
    if length.cast_unsigned() > max {
        return Err(FrameError::TooLong { length, max });
    }
    Ok(Some(LENGTH_PREFIX + length as usize))
}

/// What every request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// What is asked.
    pub api: ApiKey,
    /// In which version; one of [`ApiKey::versions`].
    pub version: i16,
    /// Chosen by the client, given back with the response.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header of a whole frame, its length included, and gives the reader of the body.
    ///
    /// # Errors
    /// [`HeaderError`], if the header is broken or asks what this crate does not have.
    pub fn parse(frame: &'a [u8]) -> Result<(Self, Reader<'a>), HeaderError> {
        let mut reader = Reader::new(frame, LENGTH_PREFIX)?;
        let key = reader.i16()?;
        let version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let Some(api) = ApiKey::from_i16(key) else {
            return Err(HeaderError::UnknownApi { key, version });
        };
        if !api.versions().contains(version) {
            return Err(HeaderError::UnsupportedVersion {
                api,
                version,
                correlation_id,
            });
        }
        // The client's name keeps its old form in every version of the header, so that a broker
        // can read the header of versions that it does not know.
        let client_id = reader.nullable_string()?;
        reader.set_version(version, api.is_flexible(version));
        reader.skip_tags()?;
        let header = Self {
            api,
            version,
            correlation_id,
            client_id,
        };
        Ok((header, reader))
    }
}

impl DecodeError {
    /// Whether nothing is wrong, but a step of a [check](super::Checking) is over.
    pub(super) fn is_pause(&self) -> bool {
        self.fault == Fault::Paused
    }

    pub(super) const fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault }
    }
}
