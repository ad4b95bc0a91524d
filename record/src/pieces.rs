//! A batch's records decompressed piece by piece, so that nobody has to hold them whole and a
//! caller can stop after any piece. A piece is at most [`MAX_PIECE_LEN`] bytes long, and its work is
//! bounded whatever the input: by bytes, and for gzip and zstd by what those may cost. The buffer is
//! at most 512 KiB long.
//!
//! What is accepted here, [`records`](crate::records) reads too. This module refuses a little more:
//! zstd windows above 128 MiB, as Kafka's own reader does, and snappy that refers back by more than
//! 64 KiB within a block, which no compressor writes.

use crate::codec::Refused;
use crate::{BatchError, Compression, MAX_RECORDS_LEN};

mod gzip;
mod lz4;
mod snappy;
mod window;
mod zstd;

/// Most bytes of a piece.
pub const MAX_PIECE_LEN: usize = 256 << 10;
/// Most bytes of input that a piece of lz4 or snappy takes, but for a last element.
const MAX_INPUT: usize = 64 << 10;

/// What a decoder did in one step.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This range of the buffer is the next piece, maybe an empty one.
    Piece(usize, usize),
    /// The input is used up, and was whole.
    End,
}

/// What every step costs, however little it takes and gives: a frame or block of a few bytes takes
/// as long as some hundred of another.
const STEP_COST: usize = 256;

/// What a decoder has to work with in one step.
struct Work<'payload, 'step> {
    payload: &'payload [u8],
    /// Bytes of the payload that are used.
    at: &'step mut usize,
    /// What the input cost so far beyond its bytes.
    cost: &'step mut usize,
    buffer: &'step mut Vec<u8>,
}

impl<'payload> Work<'payload, '_> {
    /// What is left of the payload.
    fn rest(&self) -> &'payload [u8] {
        &self.payload[*self.at..]
    }

    /// At most so much of it.
    fn input(&self, most: usize) -> &'payload [u8] {
        let rest = self.rest();
        &rest[..rest.len().min(most)]
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
    /// What the steps cost beyond those.
    cost: usize,
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
            cost: 0,
            limit: MAX_RECORDS_LEN,
        }
    }
}

impl Pieces {
    /// Begins with another batch's records, of which at most `limit` bytes are taken.
    pub fn begin(&mut self, codec: Compression, limit: usize) {
        (self.codec, self.limit) = (codec, limit);
        (self.at, self.given, self.cost) = (0, 0, 0);
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
        self.cost += STEP_COST;
        let work = Work {
            payload,
            at: &mut self.at,
            cost: &mut self.cost,
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

    /// What was done since [`Self::begin`], as so many bytes copied: bytes taken and given, and what
    /// those cost that take longer than others. So much is never done in no time, nor takes much
    /// longer than a nanosecond for each, whatever the input.
    pub const fn done(&self) -> usize {
        self.at + self.given + self.cost
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
