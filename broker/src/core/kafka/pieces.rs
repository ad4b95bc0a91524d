//! Answers that are put together line by line, in as many turns as that takes.

use bytes::{Bytes, BytesMut};
use leveret_storage::io::BufPool;
use leveret_wire::kafka::{ApiKey, encode_around};

use super::Asker;
use crate::core::Core;

/// An answer is encoded in pieces of about so many bytes, none of which is ever copied; a shorter one is
/// copied together.
const PIECE: usize = 64 << 10;

/// The lines of an answer that are encoded so far.
#[derive(Default)]
pub(super) struct Pieces {
    count: usize,
    whole: Vec<Bytes>,
    last: BytesMut,
}

impl Pieces {
    /// Adds a line, which `encode` appends. Its bytes.
    pub(super) fn line(&mut self, encode: impl FnOnce(&mut BytesMut)) -> usize {
        self.count += 1;
        self.part(encode)
    }

    /// Adds what belongs to the last line. Its bytes.
    pub(super) fn part(&mut self, encode: impl FnOnce(&mut BytesMut)) -> usize {
        let before = self.last.len();
        encode(&mut self.last);
        let len = self.last.len() - before;
        if self.last.len() >= PIECE {
            self.whole.push(self.last.split().freeze());
        }
        len
    }
}

impl<P: BufPool> Core<P> {
    /// Gives an answer of that API to send when its turn comes, which has nothing but these lines.
    pub(super) fn kafka_respond_lines(&mut self, asker: Asker, api: ApiKey, lines: Pieces) {
        let (version, correlation) = (asker.version, asker.correlation);
        self.kafka_respond_pieces(asker, lines, |out, count, len| {
            encode_around(out, api, version, correlation, count, len)
        });
    }

    /// Gives an answer of these lines to send when its turn comes. `encode` appends what stands around
    /// so many lines of so many bytes, and returns how many bytes of that stand behind them.
    pub(super) fn kafka_respond_pieces(
        &mut self,
        asker: Asker,
        pieces: Pieces,
        encode: impl FnOnce(&mut BytesMut, usize, usize) -> usize,
    ) {
        let Pieces { count, whole, last } = pieces;
        let len = last.len() + whole.iter().map(Bytes::len).sum::<usize>();
        let behind = encode(&mut self.arena, count, len);
        let mut head = self.arena.split();
        let tail = head.split_off(head.len() - behind);
        let answer = match whole.is_empty() {
            // In a buffer of its own: a part of the arena would keep all of that.
            true => vec![[head, last, tail].concat().into()],
            false => {
                let ends = [last.freeze(), tail.freeze()];
                let answer = [head.freeze()].into_iter().chain(whole).chain(ends);
                answer.filter(|piece| !piece.is_empty()).collect()
            }
        };
        self.keep_answer(asker, answer);
    }
}
