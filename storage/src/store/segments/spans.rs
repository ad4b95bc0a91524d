//! Cuts consecutive entries into spans: whole entries of one term, about 32 KiB, one CRC.

use crate::format::index::Span;
use crate::store::log::tail::TailEntry;

/// Spans over `entries`, which stand back to back in their segment, in order. A span is closed
/// once it holds `target` bytes, and at a change of term.
pub(crate) fn cut<'a>(
    entries: impl Iterator<Item = &'a TailEntry>,
    target: usize,
    mut push: impl FnMut(Span),
) {
    let mut open: Option<Span> = None;
    for entry in entries {
        let meta = &entry.meta;
        if let Some(span) = open
            && (span.term != meta.term
                || span.length as usize >= target
                || u64::from(span.length) + u64::from(meta.len) > u64::from(u32::MAX))
        {
            push(span);
            open = None;
        }
        let span = open.get_or_insert(Span {
            first_ordinal: meta.ordinal,
            first_offset: meta.first_offset,
            max_timestamp: i64::MIN,
            position: entry.pos,
            term: meta.term,
            length: 0,
            entries: 0,
            crc: 0,
        });
        span.crc = entry.sum_after(span.crc);
        span.length += meta.len;
        span.entries += 1;
        span.max_timestamp = span.max_timestamp.max(meta.max_timestamp);
    }
    if let Some(span) = open {
        push(span);
    }
}
