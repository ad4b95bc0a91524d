//! Spans on their way from a segment: read, verified, kept for others, and given to all who wait
//! for them.
//!
//! Spans that fit one read are read and verified at once. One that is longer than that, which is a
//! single batch, is read in pieces of that length; each is added to those before it, and to their
//! checksum, as it comes. So a batch of 100 MiB, which takes a core 90 ms to read, sum and copy,
//! takes no long turn.

use bytes::Bytes;

use crate::checksum::{append, crc};
use crate::format::index::Span;
use crate::format::segments::SegmentId;
use crate::format::{round_down, round_up};
use crate::io::{BLOCK, BufPool, FileName, IoResult, Op, Output};
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::api::ReadError;
use crate::store::journal::ring::LogKey;
use crate::store::ops::Purpose;
use crate::store::reading::read::Waiter;
use crate::types::LogId;

/// Consecutive spans being read.
#[derive(Debug)]
pub(crate) struct SpanLoad {
    log: LogId,
    segment: SegmentId,
    file: FileName,
    /// Where the read under way begins: a block boundary.
    pos: u64,
    spans: Vec<Span>,
    /// What is there of the one span, if it is read in pieces.
    long: Option<Long>,
}

/// The beginning of a span, and its CRC-32C.
#[derive(Debug)]
struct Long {
    bytes: Vec<u8>,
    sum: u32,
}

/// Memory is taken for so many times what is there of a long span, at most.
const BELIEVED: usize = 128;

/// What a piece brings.
enum Piece {
    /// The span is whole.
    Last,
    More,
    /// The file ends before the span.
    Missing,
}

/// The leading spans of a load that are what was written, and what is wrong with the first one that
/// is not.
type Verified = (Vec<Bytes>, Option<ReadError>);

impl<P: BufPool> Store<P> {
    pub(crate) fn load_spans(
        &mut self,
        key: LogKey,
        segment: SegmentId,
        spans: Vec<Span>,
        waiter: Waiter,
    ) {
        let log = &self.logs[key];
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return;
        };
        let (position, end) = (first.position, last.end_position());
        if let Some(waiters) = self.reading.reads.waiters_at(log.id, segment, position) {
            waiters.push(waiter);
            return;
        }
        let files = log
            .segmented
            .files
            .as_ref()
            .expect("a log read from segments has files");
        let file = files
            .segment_at(segment.base)
            .expect("the segment is known")
            .file(log.id);
        let is_long = first.length as usize > self.config.read_bytes;
        assert!(
            !is_long || spans.len() == 1,
            "a long span is read by itself"
        );
        let long = is_long.then(|| Long {
            bytes: Vec::new(),
            sum: 0,
        });
        self.reading
            .reads
            .spans
            .insert((log.id, segment, position), (end, vec![waiter]));
        self.read_spans(SpanLoad {
            log: log.id,
            segment,
            file,
            pos: round_down(position),
            spans,
            long,
        });
    }

    /// Reads all of a load, or the next piece of it.
    fn read_spans(&mut self, load: SpanLoad) {
        let (file, pos) = (load.file, load.pos);
        let end = load.spans.last().expect("a load has spans").end_position();
        let whole = usize::try_from(end - pos).expect("bounded by read_bytes or one span");
        let len = match load.long {
            Some(_) => whole.min(self.config.read_bytes.max(BLOCK)),
            None => whole,
        };
        let len = round_up(len);
        self.ops
            .push(Purpose::Spans(Box::new(load)), Op::Read { file, pos, len });
        self.turn.stir();
    }

    pub(crate) fn spans_loaded(&mut self, mut load: SpanLoad, result: IoResult<P::Buf>) {
        let key = self.logs.key(load.log);
        let present = key.is_some_and(|key| self.can_look_into(key));
        let (good, error) = match result {
            Ok(Output::Read { buf, len }) => {
                let bytes = &buf.as_ref()[..len];
                match load.take_piece(bytes) {
                    // Nobody is told anything of a log that is being deleted.
                    Some(Piece::More) if present => return self.read_spans(load),
                    Some(Piece::More) => (Vec::new(), None),
                    Some(Piece::Last) => self.verify_long(&mut load),
                    Some(Piece::Missing) => (Vec::new(), Some(load.is_short(0))),
                    None => self.verify(&load, bytes),
                }
            }
            Ok(_) => unreachable!("a read gives bytes"),
            Err(error) => (Vec::new(), Some(ReadError::Io(error.message))),
        };
        let first = load.spans.first().expect("a load has spans").position;
        let waiting = self
            .reading
            .reads
            .spans
            .remove(&(load.log, load.segment, first));
        let (_, waiters) = waiting.expect("a load is known by its first span");
        if present {
            for (span, bytes) in load.spans.iter().zip(&good) {
                let bytes = bytes.clone();
                self.reading
                    .spans
                    .insert(load.log, load.segment, span.position, bytes);
            }
        }
        if !good.is_empty() {
            self.give_back_excess(load.log, load.segment);
        }
        for waiter in waiters {
            if let Waiter::Read(token) = waiter {
                let found = (&load.spans[..], &good[..]);
                self.answer(token, load.segment, found, error.as_ref(), present);
            }
        }
    }

    fn verify(&self, load: &SpanLoad, bytes: &[u8]) -> Verified {
        let mut good = Vec::with_capacity(load.spans.len());
        for (number, span) in load.spans.iter().enumerate() {
            let at = usize::try_from(span.position - load.pos).expect("within one read");
            let Some(part) = bytes.get(at..at + span.length as usize) else {
                return (good, Some(load.is_short(number)));
            };
            if !self.accepts(crc(part), span) {
                return (good, Some(load.is_other(number)));
            }
            good.push(Bytes::copy_from_slice(part));
        }
        (good, None)
    }

    fn verify_long(&self, load: &mut SpanLoad) -> Verified {
        let long = load.long.take().expect("it was read in pieces");
        match self.accepts(long.sum, &load.spans[0]) {
            true => (vec![Bytes::from(long.bytes)], None),
            false => (Vec::new(), Some(load.is_other(0))),
        }
    }

    fn accepts(&self, sum: u32, span: &Span) -> bool {
        sum == span.crc || mutated(self.config.mutation, Mutation::AcceptedBadCrc)
    }
}

impl SpanLoad {
    /// Adds what was read to a span that is read in pieces; `None` if none is.
    fn take_piece(&mut self, read: &[u8]) -> Option<Piece> {
        let long = self.long.as_mut()?;
        let span = &self.spans[0];
        let (have, whole) = (long.bytes.len(), span.length as usize);
        let next = span.position + have as u64;
        let skip = usize::try_from(next - self.pos).expect("within a block");
        let part = read.get(skip..).unwrap_or_default();
        let part = &part[..part.len().min(whole - have)];
        // Mostly room for all of it at once, so that little is moved; but an index may lie.
        let there = have + part.len();
        if long.bytes.capacity() < there {
            let room = whole.min(BELIEVED * there);
            long.bytes.reserve_exact(room - have);
        }
        long.bytes.extend_from_slice(part);
        long.sum = append(long.sum, part);
        self.pos += read.len() as u64;
        Some(match long.bytes.len() == whole {
            true => Piece::Last,
            // A read that ends within a block has come to the file's end.
            false if part.is_empty() || !read.len().is_multiple_of(BLOCK) => Piece::Missing,
            false => Piece::More,
        })
    }

    fn is_short(&self, span: usize) -> ReadError {
        self.corrupt(span, "the file is too short")
    }

    fn is_other(&self, span: usize) -> ReadError {
        self.corrupt(span, "the span's CRC does not match its bytes")
    }

    fn corrupt(&self, span: usize, reason: &str) -> ReadError {
        ReadError::Corrupt {
            file: self.file,
            position: self.spans[span].position,
            reason: reason.to_owned(),
        }
    }
}
