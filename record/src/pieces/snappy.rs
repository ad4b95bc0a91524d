//! Snappy: Java's framing, or one bare block. Short blocks are the library's to decode; a long
//! one is decoded here, where it can stop at any element.

use super::window::{Run, WIDE, Window, bounded};
use super::{MAX_INPUT, MAX_PIECE_LEN, Refused, Step, Work, reserve};
use crate::codec::snappy::{HEADER, MAGIC_LEN, MAX_EXPANSION};

/// A long block under way.
#[derive(Clone, Copy)]
struct Long {
    window: Window,
    run: Run,
    /// Bytes of output that are still owed.
    left: usize,
    /// Where its input ends.
    end: usize,
}

/// What comes next.
#[derive(Clone, Copy, Default)]
enum Next {
    /// The framing's header, or a bare block.
    #[default]
    Start,
    /// A framed block, or the end.
    Frame,
    /// More of a long block; whether it is framed.
    Long(Long, bool),
    /// The end.
    End,
}

#[derive(Default)]
pub(super) struct Snappy {
    next: Next,
}

impl Snappy {
    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        let Work {
            payload,
            at,
            buffer,
        } = work;
        match self.next {
            Next::End => Ok(Step::End),
            Next::Start if payload.starts_with(&HEADER[..MAGIC_LEN]) => {
                if payload.len() < HEADER.len() {
                    return Err(Refused::Invalid);
                }
                *at = HEADER.len();
                self.next = Next::Frame;
                Ok(Step::Piece(0, 0))
            }
            Next::Start => self.block(payload, at, payload.len(), false, buffer),
            Next::Frame if *at == payload.len() => Ok(Step::End),
            Next::Frame => {
                let (len, behind) = payload[*at..]
                    .split_first_chunk::<4>()
                    .ok_or(Refused::Invalid)?;
                let len = u32::from_be_bytes(*len) as usize;
                if len > behind.len() {
                    return Err(Refused::Invalid);
                }
                *at += 4;
                self.block(payload, at, *at + len, true, buffer)
            }
            Next::Long(mut long, framed) => {
                let step = long.step(payload, at, buffer)?;
                self.next = match (long.is_done(*at)?, framed) {
                    (false, _) => Next::Long(long, framed),
                    (true, true) => Next::Frame,
                    (true, false) => Next::End,
                };
                Ok(step)
            }
        }
    }

    /// Begins the block that ends at `end`.
    fn block(
        &mut self,
        payload: &[u8],
        at: &mut usize,
        end: usize,
        framed: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<Step, Refused> {
        let block = &payload[*at..end];
        let len = snap::raw::decompress_len(block).map_err(|_| Refused::Invalid)?;
        if len / MAX_EXPANSION > block.len() {
            return Err(Refused::Invalid);
        }
        // What is short in either sense is decoded at once.
        if len <= MAX_PIECE_LEN && block.len() <= MAX_PIECE_LEN + MAX_INPUT {
            reserve(buffer, len);
            snap::raw::Decoder::new()
                .decompress(block, &mut buffer[..len])
                .map_err(|_| Refused::Invalid)?;
            *at = end;
            self.next = if framed { Next::Frame } else { Next::End };
            return Ok(Step::Piece(0, len));
        }
        let preamble = block.iter().position(|byte| *byte < 0x80);
        *at += preamble.ok_or(Refused::Invalid)? + 1;
        let long = Long {
            window: Window::default(),
            run: Run::None,
            left: len,
            end,
        };
        self.next = Next::Long(long, framed);
        Ok(Step::Piece(0, 0))
    }
}

impl Long {
    fn step(
        &mut self,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Step, Refused> {
        let input = &payload[..self.end];
        let pause = *at + MAX_INPUT;
        self.window.begin_piece(buffer);
        while self.window.room() > 0 {
            if self.run == Run::None {
                if *at >= self.end || *at >= pause {
                    break;
                }
                self.short_elements(&input[..pause.min(self.end)], at, buffer);
                if *at >= self.end || *at >= pause {
                    break;
                }
                self.run = element(input, at)?;
                let len = match self.run {
                    Run::None => 0,
                    Run::Literal(len) | Run::Copy { left: len, .. } => len,
                };
                self.left = self.left.checked_sub(len).ok_or(Refused::Invalid)?;
            }
            self.run = self.window.go_on(self.run, input, at, buffer)?;
        }
        let (from, to) = self.window.piece();
        Ok(Step::Piece(from, to))
    }

    /// Goes over short elements, as long as no edge is near: nearly all, at several times the speed.
    fn short_elements(&mut self, input: &[u8], at: &mut usize, buffer: &mut [u8]) {
        let (window, buffer) = (&mut self.window, bounded(buffer));
        // A tag, and a literal or a distance.
        while let Some([tag, rest @ ..]) = input[*at..].first_chunk::<{ 1 + WIDE }>() {
            let upper = usize::from(tag >> 2);
            let (len, taken, written) = if tag & 0b11 == 0 {
                let len = upper + 1;
                let short = len <= WIDE && len <= self.left;
                (
                    len,
                    1 + len,
                    short && window.short_literal(rest, len, buffer),
                )
            } else {
                let (len, distance, taken) = match tag & 0b11 {
                    0b01 => (
                        4 + (upper & 0b111),
                        u16::from_be_bytes([tag >> 5, rest[0]]),
                        2,
                    ),
                    0b10 => (upper + 1, u16::from_le_bytes([rest[0], rest[1]]), 3),
                    _ => return,
                };
                let distance = usize::from(distance);
                let written = len <= self.left && window.short_copy(distance, len, buffer);
                (len, taken, written)
            };
            if !written {
                return;
            }
            self.left -= len;
            *at += taken;
        }
    }

    fn is_done(&self, at: usize) -> Result<bool, Refused> {
        match (at >= self.end && self.run == Run::None, self.left) {
            (false, _) => Ok(false),
            (true, 0) => Ok(true),
            (true, _) => Err(Refused::Invalid),
        }
    }
}

/// Takes one element's tag off the input (format_description.txt, section 2).
fn element(input: &[u8], at: &mut usize) -> Result<Run, Refused> {
    let tag = input[*at];
    *at += 1;
    let upper = usize::from(tag >> 2);
    Ok(match tag & 0b11 {
        0b00 if upper < 60 => Run::Literal(upper + 1),
        0b00 => Run::Literal(little_endian(input, at, upper - 59)? + 1),
        0b01 => Run::Copy {
            left: 4 + (upper & 0b111),
            distance: usize::from(tag >> 5) << 8 | little_endian(input, at, 1)?,
        },
        0b10 => Run::Copy {
            left: upper + 1,
            distance: little_endian(input, at, 2)?,
        },
        _ => Run::Copy {
            left: upper + 1,
            distance: little_endian(input, at, 4)?,
        },
    })
}

fn little_endian(input: &[u8], at: &mut usize, len: usize) -> Result<usize, Refused> {
    let bytes = input[*at..].get(..len).ok_or(Refused::Invalid)?;
    *at += len;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | usize::from(*byte)))
}
