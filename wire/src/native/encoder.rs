//! Writing frames into a buffer that is used again and again.

use bytes::{BufMut, BytesMut};
use flatbuffers::FlatBufferBuilder;

use super::{CorrelationId, FrameHeader, Request, Response};

/// Writes frame header and FlatBuffers header; the payload, if there is one, is the caller's to
/// send after them (as its own slice of a vectored write: it is never copied in here).
///
/// It keeps one scratch buffer and allocates nothing once that has grown.
#[derive(Default)]
pub struct Encoder {
    builder: FlatBufferBuilder<'static>,
}

impl Encoder {
    /// An encoder with an empty scratch buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the head of a request frame whose payload has `payload_len` bytes to `out`.
    /// Returns the bytes appended.
    ///
    /// # Panics
    /// If the frame would pass 4 GiB, or if it has a payload and its kind allows none.
    pub fn request(
        &mut self,
        out: &mut BytesMut,
        correlation: CorrelationId,
        request: &Request<'_>,
        payload_len: usize,
    ) -> usize {
        let kind = request.kind();
        assert!(payload_len == 0 || kind.has_payload(), "{kind:?} payload");
        self.builder.reset();
        request.build(&mut self.builder);
        self.frame(out, kind.as_u16(), correlation, payload_len)
    }

    /// Appends the head of a response frame whose payload has `payload_len` bytes to `out`.
    /// Returns the bytes appended.
    ///
    /// # Panics
    /// If the frame would pass 4 GiB, or if it has a payload and its kind allows none.
    pub fn response(
        &mut self,
        out: &mut BytesMut,
        correlation: CorrelationId,
        response: &Response<'_>,
        payload_len: usize,
    ) -> usize {
        let kind = response.kind();
        assert!(payload_len == 0 || kind.has_payload(), "{kind:?} payload");
        self.builder.reset();
        response.build(&mut self.builder);
        self.frame(out, kind.as_u16(), correlation, payload_len)
    }

    fn frame(
        &self,
        out: &mut BytesMut,
        kind: u16,
        correlation: CorrelationId,
        payload_len: usize,
    ) -> usize {
        let header = self.builder.finished_data();
        out.reserve(FrameHeader::LEN + header.len());
        FrameHeader::new(kind, correlation, header.len(), payload_len).write(out);
        out.put_slice(header);
        FrameHeader::LEN + header.len()
    }
}
