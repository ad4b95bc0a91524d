//! LZ4 frames. Their blocks are decoded here, where they can stop at any sequence and keep only
//! the window.

use std::hash::Hasher;

use twox_hash::XxHash32;

use super::window::{
    LEN, Run, SHORT, WIDE, Window, bounded, copy_short, copy_shortest, put_short, put_wide,
};
use super::{MAX_INPUT, Refused, Step, Work};
use crate::codec::lz4::{Descriptor, MAGIC, SKIPPABLE_MAGIC, STORED, descriptor, take, take_u32};

/// Fewest bytes of a match.
const MIN_MATCH: usize = 4;
/// Most bytes of literal and match whose lengths take no more than a byte behind their token.
const _: () = assert!(15 + 254 + MIN_MATCH <= SHORT);

/// A frame under way.
struct Frame {
    descriptor: Descriptor,
    hash: XxHash32,
    content_len: u64,
    window: Window,
}

/// A block under way.
struct Block {
    kind: Kind,
    run: Run,
    /// Where its input ends.
    end: usize,
    /// Bytes that its sequences may still become.
    left: usize,
    /// Of its input so far, if a checksum follows.
    hash: Option<XxHash32>,
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
            ..
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
        let max = frame.descriptor.max_block_len;
        // A block that compression would make longer is stored.
        if data.len() > max {
            return Err(Refused::Invalid);
        }
        if !frame.descriptor.linked_blocks {
            frame.window.forget();
        }
        let (kind, run, left) = match word & STORED {
            0 => (Kind::Sequences(After::Token), Run::None, max),
            _ => (Kind::Stored, Run::Literal(data.len()), 0),
        };
        let block = Block {
            kind,
            run,
            end: from + data.len(),
            left,
            hash: frame
                .descriptor
                .block_checksums
                .then(|| XxHash32::with_seed(0)),
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
        let begin = *at;
        let done = block.step(&mut frame.window, payload, at, buffer)?;
        let (from, to) = frame.window.piece();
        frame.count(&buffer[from..to]);
        if let Some(hash) = &mut block.hash {
            hash.write(&payload[begin..*at]);
        }
        self.next = match done {
            true => {
                block.finish(payload, at)?;
                Next::Block(frame)
            }
            false => Next::Inside(frame, block),
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
            self.hash.write(content);
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
    /// Takes the checksum behind it, if there is one.
    fn finish(&self, payload: &[u8], at: &mut usize) -> Result<(), Refused> {
        let mut rest = &payload[*at..];
        if let Some(hash) = &self.hash
            && take_u32(&mut rest)? != hash.finish_32()
        {
            return Err(Refused::Invalid);
        }
        *at = payload.len() - rest.len();
        Ok(())
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
        let pause = *at + MAX_INPUT;
        window.begin_piece(buffer);
        let buffer = bounded(buffer);
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
            if *at >= pause || window.is_full() {
                return Ok(false);
            }
            if after == After::Token {
                self.short_sequences(window, &input[..pause.min(self.end)], at, buffer)?;
                if *at >= pause || window.is_full() {
                    return Ok(false);
                }
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
                    let left = length(nibble, input, at)?.saturating_add(MIN_MATCH);
                    let distance = usize::from(distance);
                    (left, Run::Copy { distance, left }, After::Token)
                }
            };
            self.left = self.left.checked_sub(len).ok_or(Refused::Invalid)?;
            (self.run, self.kind) = (run, Kind::Sequences(after));
        }
    }

    /// Goes over sequences whose literals are short, as long as no edge is near: nearly all, at
    /// several times the speed.
    fn short_sequences(
        &mut self,
        window: &mut Window,
        input: &[u8],
        at: &mut usize,
        buffer: &mut [u8; LEN],
    ) -> Result<(), Refused> {
        let (history, begin) = window.bounds();
        let (limit, most) = (window.limit(), begin + self.left);
        let (mut from, mut end) = (*at, begin);
        // A token, its literal, a distance, and a byte of a longer match's length.
        while end < limit
            && let Some([token, rest @ ..]) = input[from..].first_chunk::<{ 1 + WIDE + 2 }>()
        {
            let (nibbles, mut behind) = ((token >> 4, token & 0xf), from + 1);
            let mut len = usize::from(nibbles.0);
            let to = end;
            if nibbles.0 < 0xf {
                put_wide(buffer, to, rest.first_chunk().expect("longer"));
            } else {
                len += usize::from(rest[0]);
                behind += 1;
                if rest[0] == 0xff || !put_short(buffer, to, &input[behind..], len) {
                    break;
                }
            }
            behind += len;
            let Some([low, high, more]) = input[behind..].first_chunk() else {
                break;
            };
            let distance = usize::from(u16::from_le_bytes([*low, *high]));
            let mut copy = MIN_MATCH + usize::from(nibbles.1);
            behind += 2;
            let to = to + len;
            if distance == 0 || distance > to - history {
                return Err(Refused::Invalid);
            }
            if nibbles.1 < 0xf {
                copy_shortest(buffer, to, distance, copy);
            } else {
                copy += usize::from(*more);
                behind += 1;
                if *more == 0xff {
                    break;
                }
                copy_short(buffer, to, distance, copy);
            }
            if to + copy > most {
                return Err(Refused::Invalid);
            }
            (from, end) = (behind, to + copy);
        }
        self.left -= end - begin;
        window.written_to(end);
        *at = from;
        Ok(())
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
