//! From a stream of bytes to whole frames, without copying them.

use bytes::{Bytes, BytesMut};
use leveret_wire::native::{CorrelationId, FrameError, FrameHeader, FrameLimits, Response};
use leveret_wire::speech::Speech;

use crate::{Error, Result};

/// What a read should have room for, at least.
const READ_LEN: usize = 64 * 1024;

/// One whole frame, cut out of the buffer that it was received into.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of its kind.
    pub kind: u16,
    /// The request that it answers.
    pub correlation: CorrelationId,
    /// Its FlatBuffers header.
    pub header: Bytes,
    /// Its payload.
    pub payload: Bytes,
}

impl Frame {
    /// Its header as a response; an error response as an error.
    ///
    /// # Errors
    /// [`Error::Broker`] if that is what it says, [`Error::Protocol`] if it cannot be read.
    pub fn response(&self) -> Result<Response<'_>> {
        match Response::decode(self.kind, &self.header) {
            Ok(Response::Error(error)) => Err(error.into()),
            Ok(response) => Ok(response),
            Err(error) => Err(Error::protocol(error)),
        }
    }
}

/// Collects received bytes until they are frames.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BytesMut,
    limits: FrameLimits,
    /// Whether the peer has proved to speak the protocol.
    spoken: bool,
}

impl FrameBuffer {
    /// An empty buffer for frames within `limits`.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            bytes: BytesMut::new(),
            limits,
            spoken: false,
        }
    }

    /// Where to receive into: room for the rest of a frame whose length is known, or for a
    /// read of ordinary size. Never more than the limits allow.
    pub fn space(&mut self) -> &mut BytesMut {
        let missing = match FrameHeader::parse(&self.bytes, &self.limits) {
            Ok(Some(header)) => header.frame_len().saturating_sub(self.bytes.len()),
            _ => 0,
        };
        // A small remainder is topped up, so that the frames behind it come with the same read.
        self.bytes.reserve(missing.max(READ_LEN));
        &mut self.bytes
    }

    /// What [`next_frame`](Self::next_frame) has met, in words: another protocol, if the peer's
    /// first bytes are known to be one's.
    #[must_use]
    pub fn explain(&self, error: FrameError) -> Error {
        let heard = Speech::of_answer(&self.bytes).filter(|_| !self.spoken);
        match heard {
            Some(heard) => Error::protocol(format_args!(
                "it answers in {}, which is not Leveret's native protocol: is this the address of \
                 `native=` in the broker's ready line?",
                heard.name()
            )),
            None => Error::protocol(error),
        }
    }

    /// Whether a frame has come.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// The next whole frame; `None` if it has not all arrived.
    ///
    /// # Errors
    /// [`FrameError`], after which nothing in the stream can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = FrameHeader::parse(&self.bytes, &self.limits)? else {
            return Ok(None);
        };
        if self.bytes.len() < header.frame_len() {
            return Ok(None);
        }
        self.spoken = true;
        let frame = self.bytes.split_to(header.frame_len()).freeze();
        Ok(Some(Frame {
            kind: header.kind,
            correlation: header.correlation,
            header: frame.slice(header.header_range()),
            payload: frame.slice(header.payload_range()),
        }))
    }
}

/// The error for a response of another kind than the one that was due.
pub(crate) fn unexpected(response: &Response<'_>) -> Error {
    Error::protocol(format_args!(
        "an answer of kind {} where another was due",
        response.kind().name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_protocols_answer_is_named() {
        let explained = |bytes: &[u8]| {
            let mut buffer = FrameBuffer::new(FrameLimits::for_responses(1 << 20));
            buffer.space().extend_from_slice(bytes);
            let error = buffer.next_frame().expect_err("no frame of ours");
            buffer.explain(error).to_string()
        };
        assert!(explained(b"HTTP/1.1 400 Bad Request\r\n\r\n").contains("answers in HTTP"));
        assert!(explained(&[21, 3, 1, 0, 2, 2, 70]).contains("answers in TLS"));
        assert!(explained(&[255; 32]).contains("frame length"));
    }
}
