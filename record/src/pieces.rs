//! A batch's records decompressed piece by piece, so that nobody has to hold them whole and a
//! caller can stop after any piece. A piece is at most [`MAX_PIECE_LEN`] bytes long and costs at
//! most [`MAX_INPUT`] bytes of input.
//!
//! What is accepted here, [`records`](crate::records) reads too. It refuses a little more: zstd
//! windows above 128 MiB, as Kafka's own reader does, and snappy that refers back by more than
//! 64 KiB within a long block, which no compressor writes.

use crate::codec::Refused;
use crate::{BatchError, Compression, MAX_RECORDS_LEN};

mod gzip;
mod lz4;
mod snappy;
mod window;
mod zstd;

/// Most bytes of a piece.
pub const MAX_PIECE_LEN: usize = 256 << 10;
/// Most bytes of input that one piece takes, but for a last element.
const MAX_INPUT: usize = 64 << 10;

/// What a decoder did in one step.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This range of the buffer is the next piece, maybe an empty one.
    Piece(usize, usize),
    /// The input is used up, and was whole.
    End,
}

/// What a decoder has to work with in one step.
struct Work<'payload, 'step> {
    payload: &'payload [u8],
    /// Bytes of the payload that are used.
    at: &'step mut usize,
    buffer: &'step mut Vec<u8>,
}

impl<'payload> Work<'payload, '_> {
    /// What is left of the payload.
    fn rest(&self) -> &'payload [u8] {
        &self.payload[*self.at..]
    }

    /// As much of it as a step may take.
    fn input(&self) -> &'payload [u8] {
        let rest = self.rest();
        &rest[..rest.len().min(MAX_INPUT)]
    }
}

/// Decompresses one batch after another; keeps its codecs' states and its buffer for the next.
pub struct Pieces {
    codec: Compression,
    gzip: Option<Box<gzip::Gzip>>,
    snappy: snappy::Snappy,
    lz4: lz4::Lz4,
    zstd: Option<zstd::Zstd>,
    buffer: Vec<u8>,
    /// Bytes of the input that were used.
    at: usize,
    /// Bytes given out.
    given: usize,
    limit: usize,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            codec: Compression::None,
            gzip: None,
            snappy: snappy::Snappy::default(),
            lz4: lz4::Lz4::default(),
            zstd: None,
            buffer: Vec::new(),
            at: 0,
            given: 0,
            limit: MAX_RECORDS_LEN,
        }
    }
}

impl Pieces {
    /// Begins with another batch's records, of which at most `limit` bytes are taken.
    pub fn begin(&mut self, codec: Compression, limit: usize) {
        (self.codec, self.limit) = (codec, limit);
        (self.at, self.given) = (0, 0);
        match codec {
            Compression::None => {}
            Compression::Gzip => self.gzip.get_or_insert_default().begin(),
            Compression::Snappy => self.snappy = snappy::Snappy::default(),
            Compression::Lz4 => self.lz4 = lz4::Lz4::default(),
            Compression::Zstd => self.zstd.get_or_insert_default().begin(limit),
        }
    }

    /// The next piece of the records that `payload` holds, the same bytes at each call; `None`
    /// behind the last one. A piece may be empty.
    ///
    /// # Errors
    /// [`BatchError::BadCompression`], [`BatchError::DecompressedTooLarge`]; nothing follows.
    pub fn next<'a>(&'a mut self, payload: &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
        let codec = self.codec;
        let work = Work {
            payload,
            at: &mut self.at,
            buffer: &mut self.buffer,
        };
        let step = match codec {
            Compression::None => {
                let rest = work.rest();
                let piece = &rest[..rest.len().min(MAX_PIECE_LEN)];
                *work.at += piece.len();
                return Ok((!piece.is_empty()).then_some(piece));
            }
            Compression::Gzip => self.gzip.get_or_insert_default().step(work),
            Compression::Snappy => self.snappy.step(work),
            Compression::Lz4 => self.lz4.step(work),
            Compression::Zstd => self.zstd.get_or_insert_default().step(work),
        };
        let limit = self.limit;
        match step {
            Ok(Step::End) => Ok(None),
            Ok(Step::Piece(from, to)) => {
                self.given += to - from;
                if self.given > limit {
                    return Err(BatchError::DecompressedTooLarge { limit });
                }
                Ok(Some(&self.buffer[from..to]))
            }
            Err(Refused::Invalid) => Err(BatchError::BadCompression { codec }),
            Err(Refused::TooLarge) => Err(BatchError::DecompressedTooLarge { limit }),
        }
    }

    /// Bytes taken and given since [`Self::begin`]: what the work is measured by.
    pub const fn done(&self) -> usize {
        self.at + self.given
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces")
            .field("codec", &self.codec)
            .field("at", &self.at)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

/// Makes the buffer at least `len` bytes long. It is never made shorter, so that its bytes are
/// zeroed once.
fn reserve(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
}

#[cfg(test)]
mod tests;
