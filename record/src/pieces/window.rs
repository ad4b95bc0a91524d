//! The output of a codec that copies from what it has written: the last 64 KiB and the piece
//! under way, and an element that goes on in the next piece.

use super::{Refused, reserve};

/// How far back a copy may reach.
pub(super) const WINDOW_LEN: usize = 64 << 10;
const PIECE_LEN: usize = 64 << 10;

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
        reserve(buffer, WINDOW_LEN + PIECE_LEN);
        let keep = (self.end - self.history).min(WINDOW_LEN);
        buffer.copy_within(self.end - keep..self.end, 0);
        (self.history, self.piece, self.end) = (0, keep, keep);
    }

    /// From here on nothing that was written may be referred to.
    pub(super) fn forget(&mut self) {
        self.history = self.end;
    }

    /// Bytes that the piece has room for.
    pub(super) fn room(&self) -> usize {
        WINDOW_LEN + PIECE_LEN - self.end
    }

    /// The piece, as a range of the buffer.
    pub(super) fn piece(&self) -> (usize, usize) {
        (self.piece, self.end)
    }

    /// Goes on with `run` as far as the piece has room. Returns what is left of it.
    pub(super) fn go_on(
        &mut self,
        run: Run,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut [u8],
    ) -> Result<Run, Refused> {
        match run {
            Run::None => Ok(Run::None),
            Run::Literal(left) => {
                let len = left.min(self.room());
                let literal = payload[*at..].get(..len).ok_or(Refused::Invalid)?;
                buffer[self.end..self.end + len].copy_from_slice(literal);
                *at += len;
                self.end += len;
                Ok(match left - len {
                    0 => Run::None,
                    left => Run::Literal(left),
                })
            }
            Run::Copy { distance, left } => {
                if distance == 0 || distance > (self.end - self.history).min(WINDOW_LEN) {
                    return Err(Refused::Invalid);
                }
                let len = left.min(self.room());
                let mut copied = 0;
                // A copy that reaches into itself repeats what lies between.
                while copied < len {
                    let step = distance.min(len - copied);
                    let from = self.end - distance;
                    buffer.copy_within(from..from + step, self.end);
                    self.end += step;
                    copied += step;
                }
                Ok(match left - len {
                    0 => Run::None,
                    left => Run::Copy { distance, left },
                })
            }
        }
    }
}
