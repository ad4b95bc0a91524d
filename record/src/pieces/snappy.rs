//! Snappy: Java's framing, or one bare block. Blocks are decoded here, where they can stop at any
//! element and keep only the window.

use super::window::{
    LEN, Run, WIDE, Window, bounded, copy_short, copy_shortest, put_short, put_wide,
};
use super::{MAX_INPUT, Refused, Step, Work};
use crate::codec::snappy::{HEADER, MAGIC_LEN, MAX_EXPANSION};

/// A block under way.
#[derive(Clone, Copy)]
struct Block {
    run: Run,
    /// Bytes of output that are still owed.
    left: usize,
    /// Where its input ends.
    end: usize,
    /// There may be another one behind it.
    framed: bool,
}

/// What comes next.
#[derive(Clone, Copy, Default)]
enum Next {
    /// The framing's header, or a bare block.
    #[default]
    Start,
    /// A framed block, or the end.
    Frame,
    /// More of a block.
    Inside(Block),
    /// The end.
    End,
}

#[derive(Default)]
pub(super) struct Snappy {
    next: Next,
    window: Window,
}

impl Snappy {
    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        let Work {
            payload,
            at,
            buffer,
            ..
        } = work;
        let mut block = match self.next {
            Next::End => return Ok(Step::End),
            Next::Start if payload.starts_with(&HEADER[..MAGIC_LEN]) => {
                if payload.len() < HEADER.len() {
                    return Err(Refused::Invalid);
                }
                *at = HEADER.len();
                self.next = Next::Frame;
                return Ok(Step::Piece(0, 0));
            }
            Next::Start => Block::begin(payload, at, payload.len(), false)?,
            Next::Frame if *at == payload.len() => return Ok(Step::End),
            Next::Frame => {
                let (len, behind) = payload[*at..]
                    .split_first_chunk::<4>()
                    .ok_or(Refused::Invalid)?;
                let len = u32::from_be_bytes(*len) as usize;
                if len > behind.len() {
                    return Err(Refused::Invalid);
                }
                *at += 4;
                self.window.forget();
                Block::begin(payload, at, *at + len, true)?
            }
            Next::Inside(block) => block,
        };
        let done = block.step(&mut self.window, payload, at, buffer)?;
        self.next = match (done, block.framed) {
            (false, _) => Next::Inside(block),
            (true, true) => Next::Frame,
            (true, false) => Next::End,
        };
        let (from, to) = self.window.piece();
        Ok(Step::Piece(from, to))
    }
}

impl Block {
    /// The block that ends at `end`, and whose length comes first.
    fn begin(payload: &[u8], at: &mut usize, end: usize, framed: bool) -> Result<Self, Refused> {
        let block = &payload[*at..end];
        let left = snap::raw::decompress_len(block).map_err(|_| Refused::Invalid)?;
        if left / MAX_EXPANSION > block.len() {
            return Err(Refused::Invalid);
        }
        let preamble = block.iter().position(|byte| *byte < 0x80);
        *at += preamble.ok_or(Refused::Invalid)? + 1;
        Ok(Self {
            run: Run::None,
            left,
            end,
            framed,
        })
    }

    /// Writes a piece. Whether that was the block's last.
    fn step(
        &mut self,
        window: &mut Window,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Refused> {
        let input = &payload[..self.end];
        let pause = (*at + MAX_INPUT).min(self.end);
        window.begin_piece(buffer);
        let buffer = bounded(buffer);
        loop {
            self.run = window.go_on(self.run, input, at, buffer)?;
            if self.run != Run::None {
                return Ok(false);
            }
            self.short_elements(window, &input[..pause], at, buffer)?;
            if *at == self.end {
                return match self.left {
                    0 => Ok(true),
                    _ => Err(Refused::Invalid),
                };
            }
            if *at >= pause || window.is_full() {
                return Ok(false);
            }
            self.run = element(input, at)?;
            let (Run::Literal(len) | Run::Copy { left: len, .. }) = self.run else {
                continue;
            };
            self.left = self.left.checked_sub(len).ok_or(Refused::Invalid)?;
        }
    }

    /// Goes over short elements, as long as no edge is near: nearly all, at several times the speed.
    fn short_elements(
        &mut self,
        window: &mut Window,
        input: &[u8],
        at: &mut usize,
        buffer: &mut [u8; LEN],
    ) -> Result<(), Refused> {
        let (history, begin) = window.bounds();
        let (limit, most) = (window.limit(), begin + self.left);
        let (mut from, mut end) = (*at, begin);
        // A tag, and a literal or a distance.
        while end < limit
            && let Some([tag, rest @ ..]) = input[from..].first_chunk::<{ 1 + WIDE }>()
        {
            let (kind, upper) = (tag & 0b11, usize::from(tag >> 2));
            if kind == 0b00 {
                let (tag, len) = match upper {
                    ..60 => (1, 1 + upper),
                    60 => (2, 1 + usize::from(rest[0])),
                    _ => break,
                };
                if upper < WIDE {
                    put_wide(buffer, end, rest);
                } else if !put_short(buffer, end, &input[from + tag..], len) {
                    break;
                }
                (from, end) = (from + tag + len, end + len);
            } else {
                let near = kind == 0b01;
                let distance = match near {
                    true => u16::from_be_bytes([tag >> 5, rest[0]]),
                    false => u16::from_le_bytes([rest[0], rest[1]]),
                };
                let distance = usize::from(distance);
                let len = match near {
                    true => 4 + (upper & 0b111),
                    false => 1 + upper,
                };
                if kind == 0b11 {
                    break;
                }
                if distance == 0 || distance > end - history {
                    return Err(Refused::Invalid);
                }
                if len <= 2 * WIDE {
                    copy_shortest(buffer, end, distance, len);
                } else {
                    copy_short(buffer, end, distance, len);
                }
                (from, end) = (from + 1 + usize::from(kind), end + len);
            }
            if end > most {
                return Err(Refused::Invalid);
            }
        }
        self.left -= end - begin;
        window.written_to(end);
        *at = from;
        Ok(())
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
