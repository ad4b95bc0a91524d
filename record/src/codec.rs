//! The four codecs of record batches. Compression writes our own bytes and reuses its state.
//! Decompression reads anybody's bytes: every codec here fills one output, which grows step by step
//! and never past the limit. It believes no size that a stream declares, and a codec that allocates
//! by itself gets no stream header to see by which it would size its buffers.

use std::io::{Read, Write};

use bytes::{BufMut, BytesMut};

use crate::{BatchError, Compression};

pub(crate) mod lz4;
pub(crate) mod snappy;
mod zstd;

/// As Java's `GZIPOutputStream` and thus Kafka's default.
const GZIP_LEVEL: u32 = 6;
/// First size of an output whose final size is unknown.
const FIRST_OUTPUT_LEN: usize = 16 << 10;

/// Compresses with one codec, again and again.
pub(crate) enum Compressor {
    /// Copies the records as they are.
    None,
    /// A member per batch.
    Gzip,
    /// Blocks in Java's framing.
    Snappy(Box<snap::raw::Encoder>),
    /// A frame per batch.
    Lz4,
    /// A frame per batch, with its content size.
    Zstd(zstd_safe::CCtx<'static>),
}

impl Compressor {
    /// A compressor for `codec`.
    pub(crate) fn new(codec: Compression) -> Self {
        match codec {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Snappy => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::Zstd(zstd_safe::CCtx::create()),
        }
    }

    /// Appends `input` to `out`, compressed. Cannot fail: the output grows as needed.
    pub(crate) fn compress(&mut self, input: &[u8], out: &mut BytesMut) {
        match self {
            Self::None => out.put_slice(input),
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(out.writer(), level);
                encoder
                    .write_all(input)
                    .and_then(|()| encoder.finish())
                    .expect("memory takes every byte");
            }
            Self::Snappy(encoder) => snappy::compress(encoder, input, out),
            Self::Lz4 => lz4::compress(input, out),
            Self::Zstd(context) => zstd::compress(context, input, out),
        }
    }
}

/// The records that `input` holds, at most `limit` bytes of them. Allocates no more than
/// `limit` at a time for them (half as much again while an output moves), and a fixed state
/// per codec.
///
/// # Errors
/// [`BatchError::BadCompression`], [`BatchError::DecompressedTooLarge`].
pub(crate) fn decompress(
    codec: Compression,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, BatchError> {
    let mut output = Output::new(limit);
    let result = match codec {
        Compression::None => output.append(input),
        Compression::Gzip => gunzip(input, &mut output),
        Compression::Snappy => snappy::decompress(input, &mut output),
        Compression::Lz4 => lz4::decompress(input, &mut output),
        Compression::Zstd => zstd::decompress(input, &mut output),
    };
    match result {
        Ok(()) => Ok(output.bytes),
        Err(Refused::Invalid) => Err(BatchError::BadCompression { codec }),
        Err(Refused::TooLarge) => Err(BatchError::DecompressedTooLarge { limit }),
    }
}

/// Why a codec stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The input is not of this codec, damaged or cut off.
    Invalid,
    /// The output would pass its limit.
    TooLarge,
}

/// Decompressed bytes under a limit. `bytes` is as long as what was written.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    const fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    /// Bytes that may still be written.
    fn left(&self) -> usize {
        self.limit - self.bytes.len()
    }

    fn append(&mut self, more: &[u8]) -> Result<(), Refused> {
        self.reserve(more.len())?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// Makes room for exactly `more` bytes within the limit, growing by doubling so that many
    /// small steps stay cheap.
    fn reserve(&mut self, more: usize) -> Result<(), Refused> {
        if more > self.left() {
            return Err(Refused::TooLarge);
        }
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let doubled = self.bytes.capacity().saturating_mul(2).min(self.limit);
            let capacity = needed.max(doubled);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }

    /// Lets `fill` write to `len` zeroed bytes behind the output, also given to it, and keeps
    /// as many as it says.
    fn extend_with(
        &mut self,
        len: usize,
        fill: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, Refused>,
    ) -> Result<(), Refused> {
        self.reserve(len)?;
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        let (done, room) = self.bytes.split_at_mut(start);
        let written = fill(done, room);
        self.bytes.truncate(start + written.unwrap_or(0));
        written.map(|_| ())
    }
}

/// Concatenated gzip members, as RFC 1952 allows.
fn gunzip(input: &[u8], output: &mut Output) -> Result<(), Refused> {
    let mut decoder = flate2::read::MultiGzDecoder::new(input);
    loop {
        if output.left() == 0 {
            // One byte more would be too many; none and a true trailer are what is left.
            return match decoder.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(Refused::TooLarge),
                Err(_) => Err(Refused::Invalid),
            };
        }
        let room = output.bytes.len().max(FIRST_OUTPUT_LEN).min(output.left());
        let mut read = 0;
        output.extend_with(room, |_, room| {
            read = decoder.read(room).map_err(|_| Refused::Invalid)?;
            Ok(read)
        })?;
        if read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
