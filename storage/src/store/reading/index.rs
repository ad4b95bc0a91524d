//! Finds out which segments earlier runs have left and what their indexes say.
//!
//! It does so only when something asks. It trusts nothing beyond what recovery vouched for, and no
//! index block without its CRC.

use std::collections::BTreeMap;

use crate::format::index::{IndexBlock, Span, decode_block};
use crate::format::round_up;
use crate::format::segments::{SegmentId, sort_out};
use crate::io::{BLOCK, BufPool, Dir, FileName, IoResult, Op, Output};
use crate::store::Store;
use crate::store::api::ReadError;
use crate::store::journal::ring::LogKey;
use crate::store::ops::Purpose;
use crate::store::reading::read::{IndexLoad, Waiter};
use crate::store::segments::files::{Listing, Segment};
use crate::types::{Generation, LogId, Ordinal, WallMs};

/// Bytes of index read at once.
const INDEX_READ: usize = 256 << 10;

/// The files of one segment of an earlier run.
#[derive(Debug, Default)]
struct Found {
    /// Length of its file; 0 if that is gone, and only an index still speaks of it.
    bytes: u64,
    /// Runs that wrote an index of it.
    indexes: Vec<Generation>,
}

impl Found {
    fn files(&self, log: LogId, of: SegmentId) -> impl Iterator<Item = FileName> {
        let SegmentId { base, generation } = of;
        let segment = FileName::Segment {
            log,
            base,
            generation,
        };
        let indexes = self.indexes.iter().map(move |written| FileName::Index {
            log,
            base,
            generation,
            written: *written,
        });
        std::iter::once(segment).chain(indexes)
    }
}

impl<P: BufPool> Store<P> {
    /// Whether the log's segments are known; if not, they are asked for and `waiter` is woken.
    pub(crate) fn ensure_listed(&mut self, key: LogKey, waiter: Waiter) -> bool {
        let log = &mut self.logs[key];
        let id = log.id;
        let Some(files) = log.segmented.files.as_mut() else {
            return true;
        };
        match &mut files.listing {
            Listing::Known => true,
            Listing::UnderWay(waiters) => {
                waiters.push(waiter);
                false
            }
            Listing::Unknown => {
                files.listing = Listing::UnderWay(vec![waiter]);
                self.ops
                    .push(Purpose::Listing { log: key, id }, Op::List(Dir::Log(id)));
                self.turn.stir();
                false
            }
        }
    }

    pub(crate) fn listed(&mut self, key: LogKey, id: LogId, result: IoResult<P::Buf>) {
        if self.logs.key(id) != Some(key) {
            return;
        }
        let present = self.journal.id.generation;
        let lives = self.can_look_into(key);
        let files = self.logs[key]
            .segmented
            .files
            .as_mut()
            .expect("a listed log has files");
        let Listing::UnderWay(waiters) = std::mem::replace(&mut files.listing, Listing::Unknown)
        else {
            return;
        };
        let names = match result {
            // Its removal takes every file, whatever the log knows of them.
            _ if !lives => {
                for waiter in waiters {
                    self.fail_waiter(waiter, ReadError::UnknownLog);
                }
                return;
            }
            Ok(Output::Names(names)) => names,
            Ok(_) => Vec::new(),
            Err(error) => {
                for waiter in waiters {
                    self.fail_waiter(waiter, ReadError::Io(error.message.clone()));
                }
                return;
            }
        };
        let own: Vec<SegmentId> = files.segments.iter().map(|segment| segment.id).collect();
        let mut found: BTreeMap<SegmentId, Found> = BTreeMap::new();
        for (name, len) in &names {
            match FileName::parse(Dir::Log(id), name) {
                Some(FileName::Segment {
                    base, generation, ..
                }) => {
                    let segment = SegmentId { base, generation };
                    found.entry(segment).or_default().bytes = *len;
                }
                Some(FileName::Index {
                    base,
                    generation,
                    written,
                    ..
                }) => {
                    let segment = SegmentId { base, generation };
                    found.entry(segment).or_default().indexes.push(written);
                }
                _ => {}
            }
        }
        let foreign = found.keys().copied().filter(|id| !own.contains(id));
        let sorted = sort_out(foreign, files.inherited.0);
        let begin = sorted.live.first().map(|(first, _)| first.base);
        let begin = begin.unwrap_or(files.inherited.0);
        if begin > self.logs[key].at.start.0 {
            return self.segments_lost(key, begin, waiters);
        }
        let files = self.logs[key].segmented.files.as_mut().expect("as above");
        files.listing = Listing::Known;
        for (segment, range) in sorted.live.iter().rev() {
            let Found { bytes, indexes } = &found[segment];
            let written = indexes.iter().max().copied();
            let last = range.end == files.inherited.0;
            files.segments.push_front(Segment {
                id: *segment,
                base_offset: None,
                end: Some((range.end, last.then_some(files.inherited.1))),
                written: written.unwrap_or(segment.generation),
                created: true,
                bytes: *bytes,
                cut_to: None,
                max_timestamp: None,
                opened: WallMs(0),
            });
        }
        let dead = sorted.dead.iter().filter(|dead| dead.generation < present);
        files.dead = dead.flat_map(|dead| found[dead].files(id, *dead)).collect();
        self.remove_below_start(key);
        for waiter in waiters {
            self.wake(key, waiter);
        }
    }

    /// Segments are gone that recovery vouched for. Nothing of what is there is touched: put
    /// together with what is missing it may be whole again.
    fn segments_lost(&mut self, key: LogKey, begin: Ordinal, waiters: Vec<Waiter>) {
        let log = &self.logs[key];
        let reason = format!(
            "{}: entries {} to {} are to be kept, and the segments that hold them are gone; put \
             the files back that were in it and start again",
            Dir::Log(log.id).path(),
            log.at.start.0,
            Ordinal(begin.0 - 1),
        );
        self.stop_log(key, reason.clone());
        for waiter in waiters {
            self.fail_waiter(waiter, ReadError::Io(reason.clone()));
        }
    }

    /// Reads a segment's index into the cache, then wakes `waiter`.
    pub(crate) fn load_index(&mut self, key: LogKey, segment: SegmentId, waiter: Waiter) {
        let log = self.logs[key].id;
        if let Some(waiters) = self.reading.reads.indexes.get_mut(&(log, segment)) {
            waiters.push(waiter);
            return;
        }
        self.reading
            .reads
            .indexes
            .insert((log, segment), vec![waiter]);
        let load = IndexLoad {
            key,
            log,
            segment,
            pos: 0,
            spans: Vec::new(),
        };
        self.read_index(load);
    }

    fn read_index(&mut self, load: IndexLoad) {
        let segment = self.logs[load.key]
            .segmented
            .files
            .as_ref()
            .and_then(|files| files.segment_at(load.segment.base));
        let Some(segment) = segment else {
            let gone = ReadError::Io("the segment was removed".to_owned());
            return self.index_failed(&load, gone);
        };
        let file = segment.index_file(load.log);
        let pos = load.pos;
        let op = Op::Read {
            file,
            pos,
            len: INDEX_READ,
        };
        self.ops.push(Purpose::Index(Box::new(load)), op);
        self.turn.stir();
    }

    pub(crate) fn index_loaded(&mut self, mut load: IndexLoad, result: IoResult<P::Buf>) {
        let key = self.logs.key(load.log);
        let known = key == Some(load.key) && self.can_look_into(load.key);
        let segment = self
            .logs
            .get(load.key)
            .filter(|_| known)
            .and_then(|log| log.segmented.files.as_ref())
            .and_then(|files| files.segment_at(load.segment.base))
            .cloned();
        let Some(segment) = segment else {
            if !known {
                return self.index_failed(&load, ReadError::UnknownLog);
            }
            // The start has passed it meanwhile: whoever waited looks again, and hears that.
            let waiters = self.reading.reads.indexes.remove(&(load.log, load.segment));
            for waiter in waiters.unwrap_or_default() {
                self.wake(load.key, waiter);
            }
            return;
        };
        let (buf, len) = match result {
            Ok(Output::Read { buf, len }) => (buf, len),
            Ok(_) => unreachable!("a read gives bytes"),
            Err(error) => return self.index_failed(&load, ReadError::Io(error.message)),
        };
        let flushed = self.logs[load.key].segmented.flushed.0;
        let end = segment.end.map_or(flushed, |(end, _)| end.min(flushed));
        let mut damage = None;
        for block in buf.as_ref()[..len].chunks_exact(BLOCK) {
            let id = IndexBlock {
                log: load.log,
                base: segment.id.base,
                generation: segment.id.generation,
                written: segment.written,
                number: u32::try_from(load.pos / BLOCK as u64).unwrap_or(u32::MAX),
            };
            if let Err(error) = decode_block(block, &id, &mut load.spans) {
                damage = Some(error.to_string());
                break;
            }
            load.pos += BLOCK as u64;
        }
        let more = len == INDEX_READ && damage.is_none();
        if more
            && load
                .spans
                .last()
                .is_none_or(|span| span.end_ordinal() < end)
        {
            return self.read_index(load);
        }
        // What lies beyond the trusted end may be anything, a length given ahead for one.
        let beyond = damage.is_some();
        load.spans.retain(|span| span.end_ordinal() <= end);
        if let Err(reason) = check_spans(&load.spans, segment.id.base, end, damage) {
            let file = segment.index_file(load.log);
            let position = load.pos;
            let error = ReadError::Corrupt {
                file,
                position,
                reason,
            };
            return self.index_failed(&load, error);
        }
        self.index_known(load, beyond);
    }

    /// `beyond`: something follows in the file that is not part of the index.
    fn index_known(&mut self, load: IndexLoad, beyond: bool) {
        let log = &mut self.logs[load.key];
        let files = log
            .segmented
            .files
            .as_mut()
            .expect("a log with an index has files");
        let at = files
            .segment_of(load.segment.base)
            .expect("the segment is known");
        let first = load.spans.first().map(|span| span.first_offset);
        let newest = load.spans.iter().map(|span| span.max_timestamp).max();
        if at > 0
            && let Some((_, end @ None)) = files.segments[at - 1].end.as_mut()
        {
            *end = first;
        }
        let segment = &mut files.segments[at];
        let mut trim = None;
        if segment.base_offset.is_none()
            && let Some(last) = load.spans.last()
        {
            let end = usize::try_from(last.end_position()).expect("segment position");
            let end = round_up(end) as u64;
            segment.cut_to = (end < segment.bytes).then_some(end);
            trim = beyond.then(|| (segment.index_file(load.log), load.pos));
        }
        if segment.base_offset.is_none() {
            segment.bytes = load.spans.iter().map(|span| u64::from(span.length)).sum();
        }
        segment.base_offset = segment.base_offset.or(first);
        segment.max_timestamp = segment.max_timestamp.or(newest);
        // An index of this log: so the folder is, and what is dead in it may go.
        let proven = segment.id.generation < self.journal.id.generation;
        if proven {
            for file in std::mem::take(&mut files.dead) {
                self.ops.remove(file);
            }
        }
        self.reading
            .indexes
            .insert(load.log, load.segment, load.spans);
        if let Some((file, len)) = trim {
            self.trim_file(file, len);
        }
        let waiters = self.reading.reads.indexes.remove(&(load.log, load.segment));
        for waiter in waiters.unwrap_or_default() {
            self.wake(load.key, waiter);
        }
    }

    /// Bytes of the segment were what its index says, so that the file is its own: what an earlier
    /// run gave it ahead is given back. Another's file in its place is left alone.
    pub(crate) fn give_back_excess(&mut self, id: LogId, of: SegmentId) {
        let Some(key) = self.logs.key(id) else {
            return;
        };
        let log = &mut self.logs[key];
        let lost = log.is_lost();
        let files = log.segmented.files.as_mut().filter(|_| !lost);
        let segment = files.and_then(|files| files.segment_at_mut(of.base));
        let segment = segment.filter(|segment| segment.id == of);
        if let Some(segment) = segment
            && let Some(len) = segment.cut_to.take()
        {
            let file = segment.file(id);
            self.trim_file(file, len);
        }
    }

    fn index_failed(&mut self, load: &IndexLoad, error: ReadError) {
        let waiters = self.reading.reads.indexes.remove(&(load.log, load.segment));
        for waiter in waiters.unwrap_or_default() {
            self.fail_waiter(waiter, error.clone());
        }
    }
}

/// The spans must tile the ordinals from the segment's base to its trusted end.
fn check_spans(
    spans: &[Span],
    base: Ordinal,
    end: Ordinal,
    damage: Option<String>,
) -> Result<(), String> {
    let (mut ordinal, mut position) = (base, 0);
    for span in spans {
        if (span.first_ordinal, span.position) != (ordinal, position) {
            return Err(format!("spans have a hole at ordinal {ordinal}"));
        }
        (ordinal, position) = (span.end_ordinal(), span.end_position());
    }
    if ordinal != end {
        let reason = damage.unwrap_or_else(|| format!("it ends at ordinal {ordinal}, not {end}"));
        return Err(reason);
    }
    Ok(())
}
