//! Whatever of the journals has no room in memory is written to the new segments while the journals
//! are read.
//!
//! None of it is read again. At that moment it is not known where a log's checkpoint will turn out
//! to be, nor whether entries that precede these come later, as copies. So each run of consecutive
//! entries has a segment of its own, which is whole by itself: entries before it go into another
//! segment, and a segment that lies below the checkpoint in the end is removed again. A segment in
//! which the checkpoint lies is written once more, from there on: below the checkpoint the spans of
//! older segments count, and they may not be cut. The logs with most go first, until half of the
//! memory is free.
//!
//! Before anything else has the number of the generation to come, a marker among the journal files
//! tells that a start has begun to build it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;

use super::RecoveryError;
use super::collect::{Collected, OldLog};
use super::spill::{Cut, SegmentWriter};
use super::task::Io;
use crate::format::crc;
use crate::format::index::Span;
use crate::io::{BufPool, Dir, FileName, Op};
use crate::types::{CoreId, EntryMeta, LogId, Ordinal, Term};

/// A segment that is whole, to be synced.
#[derive(Clone, Debug)]
struct Part {
    entries: Range<Ordinal>,
    term: Term,
    spans: Vec<Span>,
    files: [FileName; 2],
}

/// What was written of one log.
pub(crate) struct EarlyLog<P: BufPool> {
    closed: Vec<Part>,
    /// The segment that goes on.
    pub(super) open: Option<SegmentWriter<P>>,
    /// The segment in which the checkpoint lies: what follows it there is written once more.
    cut: Option<Part>,
    /// Where the next entry to be read of it begins, and the span that was read last.
    at: u64,
    read: Option<(usize, Bytes)>,
}

impl<P: BufPool> Default for EarlyLog<P> {
    fn default() -> Self {
        Self {
            closed: Vec::new(),
            open: None,
            cut: None,
            at: 0,
            read: None,
        }
    }
}

impl<P: BufPool> EarlyLog<P> {
    /// All its files.
    pub(crate) fn files(&self) -> Vec<FileName> {
        let closed = self
            .closed
            .iter()
            .chain(&self.cut)
            .flat_map(|part| part.files);
        let open = self.open.iter().flat_map(SegmentWriter::files);
        closed.chain(open).collect()
    }

    /// Whether the entry is in one of the segments.
    pub(crate) fn holds(&self, ordinal: Ordinal) -> bool {
        let open = self.open.as_ref().map(SegmentWriter::entries);
        let mut all = self
            .closed
            .iter()
            .map(|part| part.entries.clone())
            .chain(open);
        all.any(|entries| entries.contains(&ordinal))
    }

    /// Gives up what is of no use now that all is known of the log: what lies below its checkpoint,
    /// and everything if it is of another term than what counts.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn keep_useful(
        &mut self,
        io: &Io<P>,
        log: &OldLog,
    ) -> Result<(), RecoveryError> {
        let checkpoint = log.checkpoint.0;
        let above = &log.entries[log.index_of(checkpoint)..];
        let end = log.next().0;
        let counts = |entries: &Range<Ordinal>, term: Term| {
            let inside = above
                .iter()
                .filter(|entry| entries.contains(&entry.meta.ordinal));
            entries.end <= end && inside.into_iter().all(|entry| entry.meta.term == term)
        };
        let mut useless = Vec::new();
        let keeps =
            |entries: &Range<Ordinal>, term| entries.end > checkpoint && counts(entries, term);
        if self.open.as_ref().is_some_and(|open| {
            open.entries().start < checkpoint && keeps(&open.entries(), open.term())
        }) {
            self.close().await?;
        }
        self.closed.retain(|part| {
            let kept = keeps(&part.entries, part.term);
            useless.extend(part.files.into_iter().filter(|_| !kept));
            kept
        });
        if let Some(open) = self
            .open
            .take_if(|open| !keeps(&open.entries(), open.term()))
        {
            useless.extend(open.files());
        }
        remove(io, useless).await?;
        let holds = |part: &Part| part.entries.start < checkpoint;
        if let Some(at) = self.closed.iter().position(holds) {
            let part = self.closed.remove(at);
            let end = part.spans.last().map_or(0, Span::end_position);
            let after = above
                .iter()
                .filter(|entry| part.entries.contains(&entry.meta.ordinal));
            let after: u64 = after.map(|entry| u64::from(entry.meta.len)).sum();
            (self.at, self.cut) = (end.saturating_sub(after), Some(part));
        }
        Ok(())
    }

    /// The bytes of an entry that is to be written once more, if this one is: they are asked for in
    /// order, from the checkpoint on.
    ///
    /// # Errors
    /// When the device refuses, or gives other bytes than were written.
    pub(crate) async fn again(
        &mut self,
        io: &Io<P>,
        meta: &EntryMeta,
    ) -> Result<Option<Bytes>, RecoveryError> {
        let Some(part) = &self.cut else {
            return Ok(None);
        };
        if !part.entries.contains(&meta.ordinal) {
            return Ok(None);
        }
        let before = part
            .spans
            .partition_point(|span| span.end_position() <= self.at);
        let span = &part.spans[before];
        let bytes = match &self.read {
            Some((at, bytes)) if *at == before => bytes.clone(),
            _ => {
                let (file, len) = (part.files[0], span.length as usize);
                let bytes = Bytes::from(io.read_range(file, span.position, len).await?);
                if bytes.len() != len || crc(&bytes) != span.crc {
                    let what = "what recovery wrote reads differently";
                    return Err(RecoveryError::corrupt(file, span.position, what));
                }
                self.read = Some((before, bytes.clone()));
                bytes
            }
        };
        let begin = usize::try_from(self.at - span.position).expect("within the span");
        self.at += u64::from(meta.len);
        Ok(Some(bytes.slice(begin..begin + meta.len as usize)))
    }

    /// Nothing is needed any more of what was written once more.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn drop_cut(&mut self, io: &Io<P>) -> Result<(), RecoveryError> {
        let files = self.cut.take().map(|part| part.files);
        remove(io, files.into_iter().flatten().collect()).await
    }

    /// The files of the segments that are whole.
    pub(crate) fn closed_files(&self) -> impl Iterator<Item = FileName> {
        self.closed.iter().flat_map(|part| part.files)
    }

    /// How many segments it has written, the open one included.
    pub(crate) fn count(&self) -> u64 {
        self.closed.len() as u64 + u64::from(self.open.is_some())
    }

    async fn close(&mut self) -> Result<(), RecoveryError> {
        if let Some(open) = self.open.take() {
            let (entries, term) = (open.entries(), open.term());
            let (files, spans) = open.close().await?;
            self.closed.push(Part {
                entries,
                term,
                spans,
                files,
            });
        }
        Ok(())
    }
}

/// What was written of all logs.
pub(crate) struct Early<P: BufPool> {
    io: Io<P>,
    cut: Cut,
    marked: bool,
    logs: BTreeMap<LogId, EarlyLog<P>>,
}

impl<P: BufPool> Early<P> {
    /// Nothing yet.
    pub(crate) fn new(io: Io<P>, cut: Cut) -> Self {
        Self {
            io,
            cut,
            marked: false,
            logs: BTreeMap::new(),
        }
    }

    /// No core has its number.
    fn marker(&self) -> FileName {
        FileName::Journal {
            generation: self.cut.generation,
            core: CoreId(u16::MAX),
            index: 0,
        }
    }

    /// The logs of which something was written.
    pub(crate) fn ids(&self) -> impl Iterator<Item = LogId> {
        self.logs.keys().copied()
    }

    /// What was written of a log, which is no longer looked after here.
    pub(crate) fn take(&mut self, id: LogId) -> EarlyLog<P> {
        self.logs.remove(&id).unwrap_or_default()
    }

    /// Writes entries until there is room for more.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn relieve(&mut self, collected: &mut Collected) -> Result<(), RecoveryError> {
        if !std::mem::replace(&mut self.marked, true) {
            let (file, reserve) = (self.marker(), 0);
            for dir in [Dir::Journal, Dir::Logs] {
                self.io.run(Op::MakeDir(dir)).await?;
            }
            self.io.run(Op::Create { file, reserve }).await?;
            self.io.run(Op::SyncDir(Dir::Journal)).await?;
        }
        for id in collected.pieces.largest() {
            if collected.pieces.is_relieved() {
                break;
            }
            self.write(id, collected).await?;
        }
        collected.pieces.relieved();
        Ok(())
    }

    async fn write(&mut self, id: LogId, collected: &mut Collected) -> Result<(), RecoveryError> {
        if !self.logs.contains_key(&id) {
            self.io.run(Op::MakeDir(Dir::Log(id))).await?;
        }
        let log = self.logs.entry(id).or_default();
        let (class, metas) = collected.inline(id);
        let cut = class.map_or(self.cut, |class| self.cut.within(&class));
        for meta in metas {
            let key = (meta.ordinal, meta.term);
            let Some(bytes) = collected.pieces.take_whole(id, key, meta.len as usize) else {
                continue;
            };
            if log.holds(meta.ordinal) {
                // A copy.
                continue;
            }
            if log.open.as_ref().is_some_and(|open| !open.takes(&meta)) {
                log.close().await?;
            }
            let open = match &mut log.open {
                Some(open) => open,
                None => {
                    let begun = SegmentWriter::begin(self.io.clone(), id, &meta, cut).await?;
                    log.open.insert(begun)
                }
            };
            open.add(&meta, &bytes).await?;
        }
        if let Some(open) = &mut log.open {
            open.write_blocks().await?;
        }
        Ok(())
    }

    /// Everything is known: what belongs to no log that goes on is removed, and so is the marker,
    /// when the rings bear the number of the generation. Logs with `folders` keep those.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn finish(&mut self, folders: &BTreeSet<LogId>) -> Result<(), RecoveryError> {
        let left = std::mem::take(&mut self.logs);
        remove(&self.io, left.values().flat_map(EarlyLog::files).collect()).await?;
        let made = left.keys().filter(|id| !folders.contains(id));
        let made = made.map(|id| Op::RemoveDir(Dir::Log(*id)));
        self.io.run_all(made).await?;
        if std::mem::take(&mut self.marked) {
            self.io.run(Op::Remove(self.marker())).await?;
        }
        Ok(())
    }
}

/// Removes files for good: one that came back after a crash would count, for it bears the number of
/// the generation that is the truth then.
async fn remove<P: BufPool>(io: &Io<P>, files: Vec<FileName>) -> Result<(), RecoveryError> {
    let dirs: BTreeSet<Dir> = files.iter().map(|file| file.dir()).collect();
    io.run_all(files.into_iter().map(Op::Remove)).await?;
    io.run_all(dirs.into_iter().map(Op::SyncDir)).await?;
    Ok(())
}
