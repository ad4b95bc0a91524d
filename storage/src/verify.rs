//! Checks a data directory offline: every checksum and every invariant of what counts on disk.
//!
//! It reads what recovery reads, and what recovery leaves to the first read: all index blocks and
//! all spans of every live segment. It changes nothing, repairs nothing, and does not stop at an
//! error: it goes on with the next journal, segment or log. It reads no block twice, whatever the
//! number of logs. It passes over what a killed start has left, which the next start removes. It
//! does not know what entries mean: an [`Inspect`] is shown all of them.

mod journals;
mod segments;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::io::{BufPool, FileName, IoResult, Op, OpId};
use crate::recovery::{
    Boot, Driven, Flaw, Io, OldLog, RecoveryError, Sources, Task, Unborn, list_journals,
    open_journals, read_superblock,
};
use crate::types::{LogId, LogKind, Offset};
use journals::Seen;

/// Findings beyond this many are counted, not listed.
const LISTED: usize = 1000;
/// Bytes of extents' tails, and of their spans, kept in memory while entries are shown.
const CACHE: usize = 16 << 20;

/// Looks into entries, which storage does not understand.
pub trait Inspect {
    /// Looks at one or more whole entries of a log, back to back, the first of which has
    /// `first_offset` (without meaning in machine logs). Returns how many records they hold.
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

    /// Looks at the state of a log's machine.
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
    /// Files that a killed start has left: nothing needs them, they were not checked, and the next
    /// start removes them.
    pub unborn: u64,
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
        self.check_slots(&boot).await?;
        if boot.current.is_none() {
            let what = "no generation counts: the first start was cut off before it served";
            self.found(FileName::Superblock, 0, what);
        }
        let files = list_journals(&self.io).await?;
        let unborn = Unborn::among(&boot, files.into_iter().map(|(file, _)| file));
        self.report.borrow_mut().unborn = unborn.count(&self.io).await?;
        let journals = open_journals(&self.io, &boot, None);
        let mut logs: BTreeMap<LogId, OldLog> = BTreeMap::new();
        let mut seen = Seen::new(CACHE);
        for (journal, mark) in journals.iter().zip(&boot.marks) {
            let checked = self.check_journal(journal, mark.as_ref(), (&journals, &boot), &mut seen);
            match checked.await {
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
        let sources = Sources::new(self.io.clone(), journals, CACHE);
        let mut sources = sources.keeping(seen.all_seen());
        for (id, log) in &logs {
            self.report.borrow_mut().logs += 1;
            let checked = self.check_journaled(&mut sources, &seen, (*id, log));
            if let Err(error) = checked.await {
                self.refused(error);
            }
            if log.kind.class().files
                && let Err(error) = self.check_segments(*id, log, &unborn).await
            {
                self.refused(error);
            }
        }
        Ok(())
    }

    /// Those slots and marks of the superblock that a start can do without.
    async fn check_slots(&self, boot: &Boot) -> Result<(), RecoveryError> {
        boot.flaws.iter().cloned().for_each(|flaw| self.note(flaw));
        let len = self.io.len(FileName::Superblock).await?;
        self.count(0, len.unwrap_or(0));
        Ok(())
    }

    fn note(&self, flaw: Flaw) {
        self.found(flaw.file, flaw.position, flaw.what);
    }

    fn shown(&self, entries: u64, records: u64) {
        let mut report = self.report.borrow_mut();
        report.entries += entries;
        report.records += records;
    }
}

#[cfg(test)]
mod tests;
