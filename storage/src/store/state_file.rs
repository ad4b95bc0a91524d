//! A machine's state on its way into a file: the next piece is asked for when those before are
//! written, so that no turn encodes, sums or copies more than a write's worth, and no more of the
//! state is in memory.
//!
//! The head of the file, which says how long the state is and its sum, stands in the first block:
//! that is written last.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::checksum::append;
use crate::format::round_up;
use crate::format::snapshot::{SNAPSHOT_HEADER, SnapshotId, StateSum, put_head};
use crate::io::BLOCK;

/// The state of a machine, in pieces, made one after the other when they are asked for. It stands for
/// the entries appended before it is handed in, so it must not see those that come later.
pub struct State(Box<dyn Iterator<Item = Bytes>>);

impl State {
    /// Of these pieces, back to back. None is to be so long that making it takes a turn.
    pub fn of(pieces: impl IntoIterator<Item = Bytes, IntoIter: 'static>) -> Self {
        Self(Box::new(pieces.into_iter()))
    }

    /// The whole of it, if it is no longer than `most`; else what has been made of it so far, and the
    /// rest.
    pub(crate) fn within(mut self, most: usize) -> Result<Bytes, StateFile> {
        let mut first = self.0.next().unwrap_or_default();
        if first.len() <= most {
            let mut whole = BytesMut::new();
            loop {
                match self.0.next() {
                    None if whole.is_empty() => return Ok(first),
                    None => return Ok(whole.freeze()),
                    Some(piece) => {
                        if whole.is_empty() {
                            whole.extend_from_slice(&first);
                        }
                        whole.extend_from_slice(&piece);
                    }
                }
                if whole.len() > most {
                    break;
                }
            }
            first = whole.freeze();
        }
        Err(StateFile::new(first, self))
    }
}

impl From<Bytes> for State {
    fn from(whole: Bytes) -> Self {
        Self::of([whole])
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

/// How far a state has come into its file.
#[derive(Debug)]
pub(crate) struct StateFile {
    /// Made and not written,
    made: Bytes,
    /// and what is to be made yet.
    rest: State,
    /// What of the state stands in the first block.
    first: Vec<u8>,
    /// What is being written, and where.
    piece: Vec<u8>,
    pos: u64,
    len: u64,
    crc: u32,
}

impl StateFile {
    fn new(made: Bytes, rest: State) -> Self {
        let mut file = Self {
            made,
            rest,
            first: Vec::new(),
            piece: Vec::new(),
            pos: BLOCK as u64,
            len: 0,
            crc: 0,
        };
        file.first = file.take(BLOCK - SNAPSHOT_HEADER);
        file
    }

    /// So many bytes of the state, or all that is left.
    fn take(&mut self, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < most {
            if self.made.is_empty() {
                match self.rest.0.next() {
                    Some(piece) => self.made = piece,
                    None => break,
                }
                continue;
            }
            let part = self.made.split_to(self.made.len().min(most - taken.len()));
            taken.extend_from_slice(&part);
        }
        self.len += taken.len() as u64;
        self.crc = append(self.crc, &taken);
        taken
    }

    /// What was written last is done. Takes the next piece, of at most so many bytes, if there is
    /// more of the state.
    pub(crate) fn next(&mut self, most: usize) -> bool {
        self.pos += self.piece.len() as u64;
        let most = (most / BLOCK * BLOCK).max(BLOCK);
        self.piece = self.take(most);
        self.piece.resize(round_up(self.piece.len()), 0);
        !self.piece.is_empty()
    }

    /// What is to be written, and where: whole blocks.
    pub(crate) fn piece(&self) -> (u64, &[u8]) {
        (self.pos, &self.piece)
    }

    /// Fills the file's first block.
    pub(crate) fn put_first(&self, block: &mut [u8], id: &SnapshotId, sum: StateSum) {
        put_head(block, id, sum);
        let rest = &mut block[SNAPSHOT_HEADER..];
        rest[..self.first.len()].copy_from_slice(&self.first);
        rest[self.first.len()..].fill(0);
    }

    /// What the head says, once all was taken; `None` if the state is longer than a head can say.
    pub(crate) fn sum(&self) -> Option<StateSum> {
        let len = u32::try_from(self.len).ok()?;
        Some(StateSum { len, crc: self.crc })
    }

    /// Whether it is longer already than a head can say.
    pub(crate) fn is_too_long(&self) -> bool {
        self.len > u64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checksum::crc;
    use crate::format::snapshot::{decode_head, encode, file_len};
    use crate::types::{Generation, LogId, Ordinal};

    const ID: SnapshotId = SnapshotId {
        log: LogId(3),
        ordinal: Ordinal(9),
        generation: Generation(2),
    };

    fn pieces(lens: &[usize]) -> Vec<Bytes> {
        let piece = |(n, len): (usize, &usize)| Bytes::from(vec![n as u8; *len]);
        lens.iter().enumerate().map(piece).collect()
    }

    proptest! {
        /// However a state is cut, its file is that of the whole; and what is written at once, and
        /// made at once beyond it, is bounded.
        #[test]
        fn a_file_in_pieces_is_the_file(
            lens in prop::collection::vec(0usize..9000, 0..12),
            most in 0usize..12_000,
            inline in 0usize..5000,
        ) {
            let pieces = pieces(&lens);
            let whole = pieces.concat();
            let mut expected = vec![9; file_len(whole.len())];
            encode(&mut expected, &ID, &whole);
            match State::of(pieces).within(inline) {
                Ok(state) => prop_assert!(state == whole && whole.len() <= inline),
                Err(mut file) => {
                    prop_assert!(whole.len() > inline);
                    let mut written = vec![7; BLOCK];
                    while file.next(most) {
                        let (pos, piece) = file.piece();
                        prop_assert_eq!(pos, written.len() as u64);
                        prop_assert!(piece.len() <= most.max(BLOCK));
                        written.extend_from_slice(piece);
                    }
                    let sum = file.sum().unwrap();
                    file.put_first(&mut written[..BLOCK], &ID, sum);
                    prop_assert_eq!(decode_head(&written, &ID), Ok(sum));
                    prop_assert_eq!(sum, StateSum { len: whole.len() as u32, crc: crc(&whole) });
                    prop_assert!(written == expected);
                }
            }
        }
    }

    #[test]
    fn no_piece_is_made_before_it_is_asked_for() {
        let made = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = made.clone();
        let endless = std::iter::repeat_with(move || {
            count.set(count.get() + 1);
            Bytes::from(vec![1; 1000])
        });
        let mut file = State::of(endless).within(500).unwrap_err();
        assert_eq!(
            made.get(),
            5,
            "what is more than inline, and the first block's"
        );
        assert!(file.next(8192));
        assert_eq!(made.get(), 13);
        file.len = u64::from(u32::MAX) + 1;
        assert!(file.is_too_long() && file.sum().is_none());
    }
}
