//! The output of a codec that copies from what it has written: the last 64 KiB and the piece
//! under way, and an element that goes on in the next piece.

use super::{Refused, reserve};

/// How far back a copy may reach.
pub(super) const WINDOW_LEN: usize = 64 << 10;
const PIECE_LEN: usize = 64 << 10;
/// Bytes of history and piece together.
const LEN: usize = WINDOW_LEN + PIECE_LEN;
/// Bytes that are written at once where so many have room, whatever a short run needs of them.
pub(super) const WIDE: usize = 16;
/// Longest copy that is written so.
const SHORT: usize = 4 * WIDE;

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
        let keep = (self.end - self.history).min(WINDOW_LEN);
        buffer.copy_within(self.end - keep..self.end, 0);
        (self.history, self.piece, self.end) = (0, keep, keep);
    }

    /// Lets `fill` write a piece at once, of up to `most` bytes, into room behind the history, which
    /// it is given too; it says how many it wrote.
    pub(super) fn whole_piece(
        &mut self,
        most: usize,
        buffer: &mut Vec<u8>,
        fill: impl FnOnce(&mut [u8], &[u8]) -> Result<usize, Refused>,
    ) -> Result<(), Refused> {
        self.begin_piece(buffer);
        reserve(buffer, self.piece + most);
        let (history, room) = buffer.split_at_mut(self.piece);
        self.end += fill(&mut room[..most], history)?;
        Ok(())
    }

    /// From here on nothing that was written may be referred to.
    pub(super) fn forget(&mut self) {
        self.history = self.end;
    }

    /// Bytes that the piece has room for.
    pub(super) fn room(&self) -> usize {
        LEN - self.end
    }

    /// The piece, as a range of the buffer.
    pub(super) fn piece(&self) -> (usize, usize) {
        (self.piece, self.end)
    }

    /// Goes on with `run` as far as the piece has room. Returns what is left of it.
    #[inline]
    pub(super) fn go_on(
        &mut self,
        run: Run,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut [u8],
    ) -> Result<Run, Refused> {
        let buffer = bounded(buffer);
        match run {
            Run::None => Ok(Run::None),
            Run::Literal(len) => self.literal(len, payload, at, buffer),
            Run::Copy { distance, left } => self.copy(distance, left, buffer),
        }
    }

    /// Writes the first `len` bytes of `literal`, if there is room for all of it.
    #[inline]
    pub(super) fn short_literal(
        &mut self,
        literal: &[u8; WIDE],
        len: usize,
        buffer: &mut [u8; LEN],
    ) -> bool {
        let to = buffer[self.end..].first_chunk_mut();
        let fits = to.map(|to| *to = *literal).is_some();
        self.end += len * usize::from(fits);
        fits
    }

    /// Writes a copy, if it is short and nothing near wants more care.
    #[inline]
    pub(super) fn short_copy(
        &mut self,
        distance: usize,
        left: usize,
        buffer: &mut [u8; LEN],
    ) -> bool {
        self.short_runs(None, distance, left, buffer)
    }

    /// Writes so many bytes of a literal, and then a copy, if both are short and nothing near wants
    /// more care; else nothing.
    #[inline]
    pub(super) fn short_runs(
        &mut self,
        literal: Option<(&[u8; WIDE], usize)>,
        distance: usize,
        left: usize,
        buffer: &mut [u8; LEN],
    ) -> bool {
        let end = self.end + literal.map_or(0, |(_, len)| len);
        let history = (end - self.history).min(WINDOW_LEN);
        let near = LEN - self.end < 2 * WIDE + SHORT;
        if near || left > SHORT || !(WIDE..=history).contains(&distance) {
            return false;
        }
        if let Some((literal, _)) = literal {
            *buffer[self.end..].first_chunk_mut().expect("room") = *literal;
        }
        for done in (0..left).step_by(WIDE) {
            let wide: [u8; WIDE] = *buffer[end - distance + done..].first_chunk().expect("room");
            *buffer[end + done..].first_chunk_mut().expect("room") = wide;
        }
        self.end = end + left;
        true
    }

    #[inline]
    fn literal(
        &mut self,
        left: usize,
        payload: &[u8],
        at: &mut usize,
        buffer: &mut [u8; LEN],
    ) -> Result<Run, Refused> {
        let (rest, room) = (&payload[*at..], &mut buffer[self.end..]);
        if left <= WIDE
            && let Some(from) = rest.first_chunk::<WIDE>()
            && let Some(to) = room.first_chunk_mut()
        {
            *to = *from;
            (*at, self.end) = (*at + left, self.end + left);
            return Ok(Run::None);
        }
        let len = left.min(room.len());
        room[..len].copy_from_slice(rest.get(..len).ok_or(Refused::Invalid)?);
        (*at, self.end) = (*at + len, self.end + len);
        Ok(match left - len {
            0 => Run::None,
            left => Run::Literal(left),
        })
    }

    #[inline]
    fn copy(
        &mut self,
        distance: usize,
        left: usize,
        buffer: &mut [u8; LEN],
    ) -> Result<Run, Refused> {
        if distance == 0 || distance > (self.end - self.history).min(WINDOW_LEN) {
            return Err(Refused::Invalid);
        }
        if self.short_copy(distance, left, buffer) {
            return Ok(Run::None);
        }
        let from = self.end - distance;
        let len = left.min(self.room());
        let end = self.end + len;
        while self.end < end {
            // A copy that reaches into itself repeats what lies between, which gets longer.
            let step = (self.end - from).min(end - self.end);
            buffer.copy_within(from..from + step, self.end);
            self.end += step;
        }
        Ok(match left - len {
            0 => Run::None,
            left => Run::Copy { distance, left },
        })
    }
}
