//! Checks a data directory offline: every checksum and every invariant of what counts on disk.
//!
//! It reads what recovery reads, and what recovery leaves to the first read: all index blocks
//! and all spans of every live segment. It changes nothing, repairs nothing, and does not stop at
//! an error: it goes on with the next journal, segment or log. What entries mean is not its
//! business; an [`Inspect`] is shown all of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::format::commit::RingPosition;
use crate::format::index::{IndexBlock, Span, decode_block};
use crate::format::mark::Mark;
use crate::format::segments::{SegmentId, sort_out};
use crate::format::superblock::Superblock;
use crate::format::{FormatError, crc};
use crate::io::{BLOCK, BufPool, Dir, FileName, IoResult, Op, OpId};
use crate::recovery::{
    Driven, Gather, Io, Journal, OldLog, RecoveryError, Sources, Task, check_end, open_journals,
    read_superblock,
};
use crate::types::{CoreId, Generation, LogId, LogKind, Offset, Ordinal};

/// Findings beyond this many are counted, not listed.
const LISTED: usize = 1000;
/// Bytes of journal kept in memory while entries are shown.
const CACHE: usize = 16 << 20;
/// Segment bytes read at once.
const READ: usize = 1 << 20;

/// Looks into entries, which storage does not understand.
pub trait Inspect {
    /// Shown are the bytes of one or more whole entries of a log, back to back, the first of
    /// which has `first_offset` (without meaning in machine logs). Returns how many records they
    /// hold.
    ///
    /// # Errors
    /// Byte position within `entries` and what is wrong there.
    fn entries(
        &mut self,
        log: LogId,
        kind: LogKind,
        first_offset: Offset,
        entries: &[u8],
    ) -> Result<u64, (usize, String)>;

    /// Shown is the state of a log's machine.
    ///
    /// # Errors
    /// What is wrong with it.
    fn snapshot(&mut self, log: LogId, kind: LogKind, state: &[u8]) -> Result<(), String>;
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: FileName,
    /// Byte position in it.
    pub position: u64,
    /// What is wrong there.
    pub what: String,
}

/// What was checked so far, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Bytes read and checked.
    pub bytes: u64,
    /// Logs checked.
    pub logs: u64,
    /// Entries (record batches, for topics) checked.
    pub entries: u64,
    /// Records in them, as the [`Inspect`] counts.
    pub records: u64,
    /// What is wrong, in the order of checking; the first thousand.
    pub findings: Vec<Finding>,
    /// How many things are wrong, listed or not.
    pub errors: u64,
}

/// The check as a machine that a driver turns.
pub struct Verify<P: BufPool> {
    task: Task<P, ()>,
    report: Rc<RefCell<Report>>,
}

impl<P: BufPool + 'static> Verify<P> {
    /// Starts the check.
    pub fn new(pool: P, inspect: impl Inspect + 'static) -> Self {
        let report = Rc::new(RefCell::new(Report::default()));
        let shared = Rc::clone(&report);
        let task = Task::new(pool, move |io| async move {
            let mut checker = Checker {
                io,
                inspect,
                report: Rc::clone(&shared),
            };
            if let Err(error) = checker.all().await {
                checker.refused(error);
            }
        });
        Self { task, report }
    }

    /// What was checked so far.
    #[must_use]
    pub fn progress(&self) -> Report {
        self.report.borrow().clone()
    }
}

impl<P: BufPool + 'static> Driven<P> for Verify<P> {
    type Output = Report;

    fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        self.task.poll_op()
    }

    fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>) {
        self.task.handle_completion(id, result);
    }

    fn poll_result(&mut self) -> Option<Report> {
        self.task.poll_result()?;
        Some(self.report.borrow().clone())
    }
}

struct Checker<P: BufPool, I> {
    io: Io<P>,
    inspect: I,
    report: Rc<RefCell<Report>>,
}

impl<P: BufPool, I: Inspect> Checker<P, I> {
    fn found(&self, file: FileName, position: u64, what: impl Into<String>) {
        let mut report = self.report.borrow_mut();
        report.errors += 1;
        if report.findings.len() < LISTED {
            report.findings.push(Finding {
                file,
                position,
                what: what.into(),
            });
        }
    }

    fn refused(&self, error: RecoveryError) {
        match error {
            RecoveryError::Corruption {
                file,
                position,
                what,
            }
            | RecoveryError::Version {
                file,
                position,
                what,
            } => self.found(file, position, what),
            error @ RecoveryError::NoSpace { .. } => {
                self.found(FileName::Superblock, 0, error.to_string());
            }
            RecoveryError::Io(error) => self.found(FileName::Superblock, 0, error.message),
            RecoveryError::Config(what) => self.found(FileName::Superblock, 0, what),
        }
    }

    fn count(&self, files: u64, bytes: u64) {
        let mut report = self.report.borrow_mut();
        report.files += files;
        report.bytes += bytes;
    }

    async fn all(&mut self) -> Result<(), RecoveryError> {
        let boot = read_superblock(&self.io).await?;
        self.count(u64::from(boot.exists), 0);
        self.check_slots().await?;
        for (core, mark) in (0..).map(CoreId).zip(&boot.marks) {
            if let (None, Some((_, slot))) = (mark, boot.current) {
                let what = "the journal's mark is damaged: torn by a crash, or rotten; the next start \
                            makes another";
                self.found(FileName::Superblock, Mark::position(core, slot), what);
            }
        }
        if boot.current.is_none() {
            let what = "no generation counts: the first start was cut off before it served";
            self.found(FileName::Superblock, 0, what);
        }
        let journals = open_journals(&self.io, &boot, None);
        let mut logs: BTreeMap<LogId, OldLog> = BTreeMap::new();
        for (journal, mark) in journals.iter().zip(&boot.marks) {
            match self.check_journal(journal, mark.as_ref(), &journals).await {
                Ok(found) => {
                    for (id, log) in found {
                        if logs.insert(id, log).is_some() {
                            let what = format!("log {} is owned by two cores", id.0);
                            self.found(journal.file(0), 0, what);
                        }
                    }
                }
                Err(error) => self.refused(error),
            }
        }
        let mut sources = Sources::new(self.io.clone(), journals, CACHE);
        for (id, log) in &logs {
            self.report.borrow_mut().logs += 1;
            if let Err(error) = self.check_journaled(&mut sources, *id, log).await {
                self.refused(error);
            }
            if log.kind == LogKind::Topic
                && let Err(error) = self.check_segments(*id, log).await
            {
                self.refused(error);
            }
        }
        Ok(())
    }

    /// The slot that is not the truth was so once; only a cut-off start leaves it damaged.
    async fn check_slots(&self) -> Result<(), RecoveryError> {
        let file = FileName::Superblock;
        let Some(len) = self.io.len(file).await? else {
            return Ok(());
        };
        let bytes = self.io.read_range(file, 0, 2 * BLOCK).await?;
        for (slot, block) in bytes.chunks(BLOCK).enumerate() {
            if let Err(error) = Superblock::decode(block) {
                self.found(file, (slot * BLOCK) as u64, error.to_string());
            }
        }
        self.count(0, len);
        Ok(())
    }

    async fn check_journal(
        &self,
        journal: &Journal<P>,
        mark: Option<&Mark>,
        journals: &[Journal<P>],
    ) -> Result<BTreeMap<LogId, OldLog>, RecoveryError> {
        let end = journal.find_end().await?;
        check_end(journal, &end, mark)?;
        let mut gather = Gather::default();
        let mut bytes = 0;
        let mut padded: Option<RingPosition> = None;
        journal
            .read_live(&end, |at, header, body, padding| {
                bytes += header.whole_len() as u64;
                if padding.iter().any(|&byte| byte != 0) {
                    padded = padded.or(Some(at));
                }
                gather.commit(journal, at, header, body)
            })
            .await?;
        self.count(u64::from(journal.geometry.files), bytes);
        if let Some(at) = padded {
            let what = "the padding of a commit is not zero";
            self.found(journal.file(at.file), at.byte(), what);
        }
        if let Some(at) = journal.damaged_end(&end).await? {
            let what = "a commit is damaged that nothing vouches for: torn by a crash, or rotten; \
                        the next start cuts it off";
            self.found(journal.file(at.file), at.byte(), what);
        }
        gather.finish(journals)
    }

    /// Entries and the snapshot that stand in the journal or in extents.
    async fn check_journaled(
        &mut self,
        sources: &mut Sources<P>,
        id: LogId,
        log: &OldLog,
    ) -> Result<(), RecoveryError> {
        if let Some((ordinal, at)) = log.snapshot {
            match sources.snapshot(id, ordinal, at).await {
                Ok(state) => {
                    if let Err(what) = self.inspect.snapshot(id, log.kind, &state) {
                        let (file, position) = sources.place_of_snapshot(id, ordinal, at);
                        self.found(file, position, format!("snapshot of log {}: {what}", id.0));
                    }
                }
                Err(error) => self.refused(error),
            }
        }
        let mut last_refusal = None;
        for entry in &log.entries[log.index_of(log.checkpoint.0)..] {
            let bytes = match sources.entry(id, log, entry).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    // A span that is damaged is so for each of its entries.
                    if last_refusal.as_ref() != Some(&error) {
                        self.refused(error.clone());
                        last_refusal = Some(error);
                    }
                    continue;
                }
            };
            let offset = entry.meta.first_offset;
            let shown = self.inspect.entries(id, log.kind, offset, &bytes);
            if let Err((skip, what)) = &shown {
                let (file, position) = sources.place_of(id, log, entry);
                self.found(file, position + *skip as u64, what.clone());
            }
            self.shown(1, shown.unwrap_or(0));
        }
        Ok(())
    }

    fn shown(&self, entries: u64, records: u64) {
        let mut report = self.report.borrow_mut();
        report.entries += entries;
        report.records += records;
    }

    /// Every span of the live segments up to the checkpoint.
    async fn check_segments(&mut self, id: LogId, log: &OldLog) -> Result<(), RecoveryError> {
        let names = self.io.list(Dir::Log(id)).await?;
        let files = names
            .iter()
            .filter_map(|(name, _)| FileName::parse(Dir::Log(id), name));
        // By their segments or, where one is gone, by its index.
        let mut segments: BTreeMap<SegmentId, Present> = BTreeMap::new();
        for file in files {
            match file {
                FileName::Segment {
                    base, generation, ..
                } => {
                    let segment = segments.entry(SegmentId { base, generation });
                    segment.or_default().data = true;
                }
                FileName::Index {
                    base,
                    generation,
                    written,
                    ..
                } => {
                    let segment = segments.entry(SegmentId { base, generation });
                    let newest = &mut segment.or_default().index;
                    *newest = (*newest).max(Some(written));
                }
                _ => {}
            }
        }
        let live = sort_out(segments.keys().copied(), log.checkpoint.0).live;
        let begin = live.first().map_or(log.checkpoint.0, |(id, _)| id.base);
        if begin > log.start.0 {
            let file = FileName::Segment {
                log: id,
                base: log.start.0,
                generation: Generation(0),
            };
            let what = match names.is_empty() {
                true => "the log's folder is gone or empty",
                false => "the log's first segments are gone",
            };
            let range = format!("entries {} to {}", log.start.0, Ordinal(begin.0 - 1));
            self.found(file, 0, format!("{what}: no segment holds {range}"));
        }
        for (segment, range) in live {
            if range.end <= log.start.0 {
                continue;
            }
            let spans = SegmentSpans {
                log: id,
                segment,
                written: segments[&segment].index,
                end: range.end,
            };
            if !segments[&segment].data {
                self.found(spans.file(), 0, "the segment is missing");
                continue;
            }
            let held = self.check_segment(&spans).await.unwrap_or_else(|error| {
                self.refused(error);
                0
            });
            self.count(2, held);
        }
        Ok(())
    }

    /// Returns how many bytes it holds: its file may be longer.
    async fn check_segment(&mut self, segment: &SegmentSpans) -> Result<u64, RecoveryError> {
        let spans = segment.read_index(&self.io).await?;
        let file = segment.file();
        let mut held: Vec<u8> = Vec::new();
        let mut held_from = 0;
        for span in &spans {
            let len = span.length as usize;
            if span.position < held_from || span.end_position() > held_from + held.len() as u64 {
                held_from = span.position;
                held = self.io.read_range(file, held_from, len.max(READ)).await?;
            }
            let skip = usize::try_from(span.position - held_from).expect("within what is held");
            let bytes = held.get(skip..skip + len);
            let Some(bytes) = bytes.filter(|bytes| crc(bytes) == span.crc) else {
                let what = format!("the span of entry {} is damaged", span.first_ordinal);
                self.found(file, span.position, what);
                continue;
            };
            let shown = self
                .inspect
                .entries(segment.log, LogKind::Topic, span.first_offset, bytes);
            if let Err((skip, what)) = &shown {
                self.found(file, span.position + *skip as u64, what.clone());
            }
            self.shown(u64::from(span.entries), shown.unwrap_or(0));
        }
        Ok(spans.last().map_or(0, Span::end_position))
    }
}

/// What is there of a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    data: bool,
    /// The newest run that wrote an index of it.
    index: Option<Generation>,
}

/// A live segment and the index that speaks for it.
struct SegmentSpans {
    log: LogId,
    segment: SegmentId,
    written: Option<Generation>,
    /// The first ordinal that it is not trusted for.
    end: Ordinal,
}

impl SegmentSpans {
    fn file(&self) -> FileName {
        FileName::Segment {
            log: self.log,
            base: self.segment.base,
            generation: self.segment.generation,
        }
    }

    /// An index that ends before the next segment begins was cut, or there was another segment in
    /// between.
    fn ends_early(
        &self,
        file: FileName,
        at: u64,
        spans: &[Span],
        error: FormatError,
    ) -> RecoveryError {
        match (error, spans.last()) {
            (FormatError::Absent(_), Some(last)) => {
                let what = format!(
                    "it ends before entry {}, and entry {} is the next that is held: it was cut, or the \
                     segment that begins with entry {0} is missing",
                    last.end_ordinal(),
                    self.end
                );
                RecoveryError::corrupt(file, at, what)
            }
            _ => RecoveryError::format(file, at, error),
        }
    }

    /// All spans below `end`, dense from the segment's base on.
    async fn read_index<P: BufPool>(&self, io: &Io<P>) -> Result<Vec<Span>, RecoveryError> {
        let written = self.written.unwrap_or(self.segment.generation);
        let file = FileName::Index {
            log: self.log,
            base: self.segment.base,
            generation: self.segment.generation,
            written,
        };
        if self.written.is_none() {
            return Err(RecoveryError::corrupt(file, 0, "the index is missing"));
        }
        let mut spans: Vec<Span> = Vec::new();
        let mut expected = (self.segment.base, 0);
        for number in 0.. {
            if expected.0 >= self.end {
                break;
            }
            let at = u64::from(number) * BLOCK as u64;
            let block = io.read_range(file, at, BLOCK).await?;
            let id = IndexBlock {
                log: self.log,
                base: self.segment.base,
                generation: self.segment.generation,
                written,
                number,
            };
            let before = spans.len();
            decode_block(&block, &id, &mut spans)
                .map_err(|error| self.ends_early(file, at, &spans, error))?;
            for span in &spans[before..] {
                if (span.first_ordinal, span.position) != expected {
                    let what = format!("spans jump at entry {}", expected.0);
                    return Err(RecoveryError::corrupt(file, at, what));
                }
                expected = (span.end_ordinal(), span.end_position());
            }
        }
        spans.retain(|span| span.first_ordinal < self.end);
        if spans
            .last()
            .is_some_and(|last| last.end_ordinal() > self.end)
        {
            let what = format!(
                "a span straddles entry {}, where the segment ends",
                self.end
            );
            return Err(RecoveryError::corrupt(file, 0, what));
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests;
