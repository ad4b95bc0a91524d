//! The output of a codec that copies from what it has written. It is decoded straight into a buffer
//! of [`LEN`] bytes, piece behind piece, where what may be referred to lies in front of what comes
//! next; only when the buffer is used up do the last [`WINDOW_LEN`] bytes move to its front.

use super::{Refused, reserve};

/// How far back a copy may reach.
pub(super) const WINDOW_LEN: usize = 64 << 10;
/// Bytes after which a piece ends.
const PIECE_LEN: usize = 64 << 10;
/// Bytes of the buffer: of history and seven pieces, so that little is moved and all of it stays
/// in a core's own cache.
pub(super) const LEN: usize = WINDOW_LEN + 7 * PIECE_LEN;
/// Room behind a piece: for the run that reaches its end, and what is written beyond that run.
const MARGIN: usize = 1 << 10;
/// Bytes that are written at once, whatever a short run needs of them.
pub(super) const WIDE: usize = 16;
/// Longest run that is written so.
pub(super) const SHORT: usize = 512;

const _: () = assert!(2 * SHORT <= MARGIN);

/// What of the buffer belongs to a window for which a piece was begun.
#[inline]
pub(super) fn bounded(buffer: &mut [u8]) -> &mut [u8; LEN] {
    buffer.first_chunk_mut().expect("a piece was begun")
}

/// What is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Run {
    #[default]
    None,
    /// Bytes of the input, so many more.
    Literal(usize),
    /// Bytes from so far back, so many more.
    Copy { distance: usize, left: usize },
}

/// Where in the buffer history, piece and room are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Where the history begins that may be copied from.
    history: usize,
    piece: usize,
    end: usize,
}

impl Window {
    /// Begins another piece, behind the history that may still be referred to.
    pub(super) fn begin_piece(&mut self, buffer: &mut Vec<u8>) {
        reserve(buffer, LEN);
        if self.end + PIECE_LEN + MARGIN > LEN {
            let keep = (self.end - self.history).min(WINDOW_LEN);
            buffer.copy_within(self.end - keep..self.end, 0);
            (self.history, self.end) = (0, keep);
        }
        self.piece = self.end;
    }

    /// From here on nothing that was written may be referred to.
    pub(super) fn forget(&mut self) {
        self.history = self.end;
    }

    /// Where the history begins, and where what comes next goes.
    pub(super) fn bounds(&self) -> (usize, usize) {
        (self.history, self.end)
    }

    /// So far was written by somebody else.
    pub(super) fn written_to(&mut self, end: usize) {
        self.end = end;
    }

    /// Where a piece ends, but for the run that reaches this.
    pub(super) fn limit(&self) -> usize {
        (self.piece + PIECE_LEN).min(LEN - MARGIN)
    }

    /// Whether the piece ends here.
    pub(super) fn is_full(&self) -> bool {
        self.end >= self.limit()
    }

    /// The piece, as a range of the buffer.
    pub(super) fn piece(&self) -> (usize, usize) {
        (self.piece, self.end)
    }

    /// Goes on with `run` as far as the piece goes. Returns what is left of it.
    pub(super) fn go_on(
        &mut self,
        run: Run,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut [u8; LEN],
    ) -> Result<Run, Refused> {
        let room = self.limit().saturating_sub(self.end);
        match run {
            Run::None => Ok(Run::None),
            Run::Literal(left) => {
                let len = left.min(room);
                let literal = payload[*at..].get(..len).ok_or(Refused::Invalid)?;
                buffer[self.end..self.end + len].copy_from_slice(literal);
                (*at, self.end) = (*at + len, self.end + len);
                Ok(match left - len {
                    0 => Run::None,
                    left => Run::Literal(left),
                })
            }
            Run::Copy { distance, left } => {
                if distance == 0 || distance > (self.end - self.history).min(WINDOW_LEN) {
                    return Err(Refused::Invalid);
                }
                let len = left.min(room);
                self.copy(distance, len, buffer);
                Ok(match left - len {
                    0 => Run::None,
                    left => Run::Copy { distance, left },
                })
            }
        }
    }

    fn copy(&mut self, distance: usize, len: usize, buffer: &mut [u8; LEN]) {
        let from = self.end - distance;
        let end = self.end + len;
        while self.end < end {
            // A copy that reaches into itself repeats what lies between, which gets longer.
            let step = (self.end - from).min(end - self.end);
            buffer.copy_within(from..from + step, self.end);
            self.end += step;
        }
    }
}

/// Copies [`WIDE`] bytes.
#[inline(always)]
fn copy_wide(buffer: &mut [u8; LEN], from: usize, to: usize) {
    let wide: [u8; WIDE] = *buffer[from..].first_chunk().expect("room");
    *buffer[to..].first_chunk_mut().expect("room") = wide;
}

/// Writes `literal`, and whatever: a literal begins with as many bytes of it as it is long.
#[inline(always)]
pub(super) fn put_wide(buffer: &mut [u8; LEN], to: usize, literal: &[u8; WIDE]) {
    *buffer[to..].first_chunk_mut().expect("room") = *literal;
}

/// Writes the first `len` bytes of `input`, at most [`SHORT`], and whatever behind them, if there is
/// so much of it.
#[inline(always)]
pub(super) fn put_short(buffer: &mut [u8; LEN], to: usize, input: &[u8], len: usize) -> bool {
    let Some(literal) = input.get(..len.next_multiple_of(WIDE)) else {
        return false;
    };
    for (number, wide) in literal.as_chunks().0.iter().enumerate() {
        put_wide(buffer, to + number * WIDE, wide);
    }
    true
}

/// As [`copy_short`], of at most twice [`WIDE`] bytes.
#[inline(always)]
pub(super) fn copy_shortest(buffer: &mut [u8; LEN], to: usize, distance: usize, len: usize) {
    if distance < WIDE {
        return repeat_short(buffer, to, distance, len);
    }
    copy_wide(buffer, to - distance, to);
    copy_wide(buffer, to - distance + WIDE, to + WIDE);
}

/// Writes a copy of at most [`SHORT`] bytes, and whatever behind it, from `distance` bytes in front
/// of `to`, which is not 0.
#[inline(always)]
pub(super) fn copy_short(buffer: &mut [u8; LEN], to: usize, distance: usize, len: usize) {
    let from = to - distance;
    if distance < WIDE {
        return repeat_short(buffer, to, distance, len);
    }
    copy_wide(buffer, from, to);
    let mut done = WIDE;
    while done < len {
        copy_wide(buffer, from + done, to + done);
        done += WIDE;
    }
}

/// As [`copy_short`], where what is copied reaches into the copy.
fn repeat_short(buffer: &mut [u8; LEN], to: usize, distance: usize, len: usize) {
    let (from, end) = (to - distance, to + len);
    let mut to = to;
    // What repeats doubles with each step.
    while to < end && to - from < WIDE {
        copy_wide(buffer, from, to);
        to = 2 * to - from;
    }
    let mut from = from;
    while to < end {
        copy_wide(buffer, from, to);
        (from, to) = (from + WIDE, to + WIDE);
    }
}
