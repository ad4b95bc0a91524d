//! LZ4 frames. Blocks up to 256 KiB of independent frames are the library's to decode; others
//! are decoded here, where they can stop at any sequence and keep only the window.

use twox_hash::XxHash32;

use super::window::{Run, WIDE, Window, bounded};
use super::{MAX_INPUT, MAX_PIECE_LEN, Refused, Step, Work};
use crate::codec::lz4::{
    Descriptor, MAGIC, MAX_EXPANSION, SKIPPABLE_MAGIC, STORED, descriptor, take, take_u32,
};

/// A frame under way.
struct Frame {
    descriptor: Descriptor,
    hash: XxHash32,
    content_len: u64,
    window: Window,
}

/// A block that is decoded here.
#[derive(Clone, Copy)]
struct Block {
    kind: Kind,
    run: Run,
    /// Where its input ends.
    end: usize,
    /// Bytes that it may still become.
    left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stored,
    /// Of sequences; what comes behind the run that is under way.
    Sequences(After),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// A token: a match was written, or nothing yet.
    Token,
    /// Its match, of a length that this half of the token says, or the end of the block.
    Match(usize),
}

/// What comes next.
#[derive(Default)]
enum Next {
    /// A frame, which has to come.
    #[default]
    First,
    /// Another frame, or the end.
    Frame,
    /// A block, or the frame's end.
    Block(Box<Frame>),
    Inside(Box<Frame>, Block),
}

#[derive(Default)]
pub(super) struct Lz4 {
    next: Next,
}

impl Lz4 {
    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        let Work {
            payload,
            at,
            buffer,
        } = work;
        match std::mem::take(&mut self.next) {
            Next::Frame if *at == payload.len() => {
                self.next = Next::Frame;
                Ok(Step::End)
            }
            Next::First | Next::Frame => {
                self.next = begin_frame(payload, at)?;
                Ok(Step::Piece(0, 0))
            }
            Next::Block(frame) => self.begin_block(frame, payload, at, buffer),
            Next::Inside(frame, block) => self.go_on(frame, block, payload, at, buffer),
        }
    }

    fn begin_block(
        &mut self,
        mut frame: Box<Frame>,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Step, Refused> {
        let mut rest = &payload[*at..];
        let word = take_u32(&mut rest)?;
        if word == 0 {
            frame.finish(&mut rest)?;
            *at = payload.len() - rest.len();
            self.next = Next::Frame;
            return Ok(Step::Piece(0, 0));
        }
        let from = payload.len() - rest.len();
        let data = take(&mut rest, (word & !STORED) as usize)?;
        if frame.descriptor.block_checksums && take_u32(&mut rest)? != XxHash32::oneshot(0, data) {
            return Err(Refused::Invalid);
        }
        let behind = payload.len() - rest.len();
        let max = frame.descriptor.max_block_len;
        let stored = word & STORED != 0;
        if stored && data.len() > max {
            return Err(Refused::Invalid);
        }
        let most = data.len().saturating_mul(MAX_EXPANSION).min(max);
        if !frame.descriptor.linked_blocks {
            frame.window.forget();
        }
        if !stored && most <= MAX_PIECE_LEN && data.len() <= MAX_PIECE_LEN + MAX_INPUT {
            frame.window.whole_piece(most, buffer, |room, history| {
                let len = match history {
                    [] => lz4_flex::block::decompress_into(data, room),
                    _ => lz4_flex::block::decompress_into_with_dict(data, room, history),
                };
                len.map_err(|_| Refused::Invalid)
            })?;
            let (from, to) = frame.window.piece();
            frame.count(&buffer[from..to]);
            *at = behind;
            self.next = Next::Block(frame);
            return Ok(Step::Piece(from, to));
        }
        let block = Block {
            kind: if stored {
                Kind::Stored
            } else {
                Kind::Sequences(After::Token)
            },
            run: if stored {
                Run::Literal(data.len())
            } else {
                Run::None
            },
            end: from + data.len(),
            left: if stored { data.len() } else { max },
        };
        *at = from;
        self.go_on(frame, block, payload, at, buffer)
    }

    fn go_on(
        &mut self,
        mut frame: Box<Frame>,
        mut block: Block,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut Vec<u8>,
    ) -> Result<Step, Refused> {
        let done = block.step(&mut frame.window, payload, at, buffer)?;
        let (from, to) = frame.window.piece();
        frame.count(&buffer[from..to]);
        self.next = if done {
            *at += 4 * usize::from(frame.descriptor.block_checksums);
            Next::Block(frame)
        } else {
            Next::Inside(frame, block)
        };
        Ok(Step::Piece(from, to))
    }
}

/// Passes a skippable frame over, or takes a frame's descriptor.
fn begin_frame(payload: &[u8], at: &mut usize) -> Result<Next, Refused> {
    let mut rest = &payload[*at..];
    let magic = take_u32(&mut rest)?;
    let next = if magic & !0xf == SKIPPABLE_MAGIC {
        let len = take_u32(&mut rest)?;
        take(&mut rest, len as usize)?;
        Next::Frame
    } else if magic == MAGIC {
        Next::Block(Box::new(Frame {
            descriptor: descriptor(&mut rest)?,
            hash: XxHash32::with_seed(0),
            content_len: 0,
            window: Window::default(),
        }))
    } else {
        return Err(Refused::Invalid);
    };
    *at = payload.len() - rest.len();
    Ok(next)
}

impl Frame {
    fn count(&mut self, content: &[u8]) {
        self.content_len += content.len() as u64;
        if self.descriptor.content_checksum {
            std::hash::Hasher::write(&mut self.hash, content);
        }
    }

    fn finish(&self, rest: &mut &[u8]) -> Result<(), Refused> {
        let summed = self.descriptor.content_checksum;
        if summed && take_u32(rest)? != self.hash.finish_32() {
            return Err(Refused::Invalid);
        }
        match self.descriptor.content_len {
            Some(len) if len != self.content_len => Err(Refused::Invalid),
            _ => Ok(()),
        }
    }
}

impl Block {
    /// Writes a piece. Whether that was the block's last.
    fn step(
        &mut self,
        window: &mut Window,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Refused> {
        let input = &payload[..self.end];
        let pause = *at + MAX_INPUT;
        window.begin_piece(buffer);
        loop {
            self.run = window.go_on(self.run, input, at, buffer)?;
            if self.run != Run::None {
                return Ok(false);
            }
            let Kind::Sequences(after) = self.kind else {
                return Ok(true);
            };
            // A block ends behind literals.
            if *at == self.end && matches!(after, After::Match(_)) {
                return Ok(true);
            }
            if *at >= pause {
                return Ok(false);
            }
            if after == After::Token {
                self.short_sequences(window, &input[..pause.min(input.len())], at, buffer);
            }
            let (len, run, after) = match after {
                After::Token => {
                    let token = byte(input, at)?;
                    let len = length(usize::from(token >> 4), input, at)?;
                    let run = match len {
                        0 => Run::None,
                        len => Run::Literal(len),
                    };
                    (len, run, After::Match(usize::from(token & 0xf)))
                }
                After::Match(nibble) => {
                    let distance = u16::from_le_bytes([byte(input, at)?, byte(input, at)?]);
                    let left = length(nibble, input, at)?.saturating_add(4);
                    let distance = usize::from(distance);
                    (left, Run::Copy { distance, left }, After::Token)
                }
            };
            self.left = self.left.checked_sub(len).ok_or(Refused::Invalid)?;
            (self.run, self.kind) = (run, Kind::Sequences(after));
        }
    }

    /// Goes over sequences whose lengths are in their tokens, as long as no edge is near: nearly all,
    /// at several times the speed.
    fn short_sequences(
        &mut self,
        window: &mut Window,
        input: &[u8],
        at: &mut usize,
        buffer: &mut [u8],
    ) {
        let buffer = bounded(buffer);
        // A token, its literal, a distance.
        while let Some([token, rest @ ..]) = input[*at..].first_chunk::<{ 1 + WIDE + 2 }>() {
            let (len, nibble) = (usize::from(token >> 4), usize::from(token & 0xf));
            let literal = rest.first_chunk().map(|literal| (literal, len));
            let distance = usize::from(u16::from_le_bytes([rest[len], rest[len + 1]]));
            let copy = nibble + 4;
            let fits = len < 0xf && nibble < 0xf && len + copy <= self.left;
            if !fits || !window.short_runs(literal, distance, copy, buffer) {
                return;
            }
            self.left -= len + copy;
            *at += 1 + len + 2;
        }
    }
}

/// A length that goes on in further bytes if its half of a token is full.
fn length(nibble: usize, input: &[u8], at: &mut usize) -> Result<usize, Refused> {
    let mut len = nibble;
    if nibble == 0xf {
        loop {
            let more = byte(input, at)?;
            len = len.saturating_add(usize::from(more));
            if more != 0xff {
                break;
            }
        }
    }
    Ok(len)
}

fn byte(input: &[u8], at: &mut usize) -> Result<u8, Refused> {
    let byte = *input.get(*at).ok_or(Refused::Invalid)?;
    *at += 1;
    Ok(byte)
}
