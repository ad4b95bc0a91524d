//! Syncs of journal files whose commits were written without a sync.

use crate::io::{BufPool, IoResult, Op};
use crate::store::Store;
use crate::store::ops::Purpose;
use crate::types::{CommitSeq, Mono};

/// Which commits are to be synced, and when the others are.
#[derive(Debug)]
pub(crate) struct Syncs {
    /// Written commits below this are to be synced at once.
    through: CommitSeq,
    under_way: bool,
    /// When the others are.
    lazy_at: Option<Mono>,
}

impl Syncs {
    pub(crate) fn new(through: CommitSeq) -> Self {
        Self {
            through,
            under_way: false,
            lazy_at: None,
        }
    }

    /// Commits below this are to be synced as soon as they are written.
    pub(crate) fn hasten(&mut self, through: CommitSeq) {
        self.through = through;
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.lazy_at
    }

    /// Those that waited for the time wait no longer if it has come; `next` is the commit to come.
    pub(crate) fn check(&mut self, now: Mono, next: CommitSeq) {
        if self.lazy_at.is_some_and(|at| at <= now) {
            self.lazy_at = None;
            self.through = next;
        }
    }
}

impl<P: BufPool> Store<P> {
    /// Syncs journal files whose commits were written without, when something waits for it.
    pub(crate) fn issue_journal_sync(&mut self) {
        if self.journal.syncs.under_way {
            return;
        }
        let Some((seq, file)) = self.journal.ring.first_unsynced() else {
            self.journal.syncs.lazy_at = None;
            return;
        };
        let waits = self.phase.is_stopping() || self.under_pressure();
        let syncs = &mut self.journal.syncs;
        if seq >= syncs.through && !waits {
            if syncs.lazy_at.is_none() {
                syncs.lazy_at = Some(self.turn.now.mono.after(self.config.lazy_sync_ns));
            }
            return;
        }
        syncs.under_way = true;
        self.journal.ring.begin_sync(file);
        let op = Op::Sync(self.journal.file(file));
        self.ops.push(Purpose::JournalSync { file }, op);
    }

    pub(crate) fn journal_synced(&mut self, file: u16, result: IoResult<P::Buf>) {
        self.journal.syncs.under_way = false;
        if let Err(error) = result {
            self.fail(format!("journal sync failed: {}", error.message));
            return;
        }
        self.journal.ring.end_sync(file);
        self.after_progress();
    }
}
