//! Cuts what storage read, whole spans, down to the batches that were asked for.
//!
//! Only the headers of what is cut off in front, and of the last piece, are looked at.

use bytes::Bytes;
use leveret_record::{BatchError, BatchHeader, parse_header};
use leveret_storage::store::ReadData;
use leveret_storage::types::Offset;

/// Whole batches, back to back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batches {
    pub(super) chunks: Vec<Bytes>,
    /// Bytes of all chunks.
    pub(super) bytes: usize,
    /// The offset after the last, or after what was passed over because nothing is there.
    pub(super) next: Offset,
}

impl Batches {
    /// No batches, where `next` was asked for.
    pub(super) fn none(next: Offset) -> Self {
        Self {
            chunks: Vec::new(),
            bytes: 0,
            next,
        }
    }

    /// Drops the batches from the first that does not fit `most` bytes on; the very first stays
    /// if it may come `whole`. `from` is the offset asked for. Whether there was one to drop.
    ///
    /// # Errors
    /// As [`trim`].
    pub(super) fn cut_to(
        &mut self,
        most: usize,
        whole: bool,
        from: Offset,
    ) -> Result<bool, BatchError> {
        if self.bytes <= most {
            return Ok(false);
        }
        let (mut room, mut first) = (most, whole);
        let mut kept = Self::none(from);
        let mut cut = false;
        for mut chunk in self.chunks.drain(..) {
            let (keep, last) = walk(&chunk, |header| {
                let fits = header.total_len() <= room || first;
                first = false;
                room = room.saturating_sub(header.total_len());
                fits
            })?;
            cut = keep < chunk.len();
            chunk.truncate(keep);
            kept.bytes += keep;
            kept.next = last.as_ref().map_or(kept.next, end);
            if keep > 0 {
                kept.chunks.push(chunk);
            }
            if cut {
                break;
            }
        }
        *self = kept;
        Ok(cut)
    }
}

/// The batches of `data` that hold a record at or above `from` and none at or above `until`,
/// which lies between two batches.
///
/// # Errors
/// [`BatchError`] if stored bytes are no batches; their checksums were true, so the fault is
/// ours.
pub(super) fn trim(data: ReadData, from: Offset, until: Offset) -> Result<Batches, BatchError> {
    let mut chunks = data.chunks;
    cut_front(&mut chunks, from)?;
    let next = match cut_back(&mut chunks, until)? {
        Some(next) => next,
        // Where nothing is left, what was passed over.
        None => {
            let passed = data.next.and_then(|next| next.offset);
            passed.map_or(from, |next| next.min(until).max(from))
        }
    };
    Ok(Batches {
        bytes: chunks.iter().map(Bytes::len).sum(),
        chunks,
        next,
    })
}

/// Drops the batches that end at or below `from`.
fn cut_front(chunks: &mut Vec<Bytes>, from: Offset) -> Result<(), BatchError> {
    let mut dropped = 0;
    for chunk in chunks.iter_mut() {
        let (keep, _) = walk(chunk, |header| end(header) <= from)?;
        if keep < chunk.len() {
            *chunk = chunk.slice(keep..);
            break;
        }
        dropped += 1;
    }
    chunks.drain(..dropped);
    Ok(())
}

/// Drops the batches that end above `until`; the offset after those that remain, if any do.
fn cut_back(chunks: &mut Vec<Bytes>, until: Offset) -> Result<Option<Offset>, BatchError> {
    while let Some(chunk) = chunks.last_mut() {
        let (keep, last) = walk(chunk, |header| end(header) <= until)?;
        chunk.truncate(keep);
        if let Some(last) = last {
            return Ok(Some(end(&last)));
        }
        chunks.pop();
    }
    Ok(None)
}

/// Goes from batch to batch while `goes_on` holds: the bytes passed, and the last batch passed.
fn walk(
    chunk: &[u8],
    mut goes_on: impl FnMut(&BatchHeader) -> bool,
) -> Result<(usize, Option<BatchHeader>), BatchError> {
    let mut at = 0;
    let mut last = None;
    while at < chunk.len() {
        let header = parse_header(&chunk[at..])?;
        let present = chunk.len() - at;
        let needed = header.total_len();
        if needed > present {
            return Err(BatchError::Truncated { needed, present });
        }
        if !goes_on(&header) {
            break;
        }
        at += needed;
        last = Some(header);
    }
    Ok((at, last))
}

/// The offset after a stored batch. A negative one was never stored and reads as 0.
fn end(header: &BatchHeader) -> Offset {
    Offset(u64::try_from(header.next_offset()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
