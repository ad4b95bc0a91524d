//! What happens when commits become written or durable: frontiers move, starts move, files go, logs
//! end. The effects stand here in the order of their commits, and each comes out once.

use std::collections::VecDeque;

use crate::io::FileName;
use crate::store::journal::ring::{Advance, LogKey};
use crate::store::retention::Trim;
use crate::types::CommitSeq;

/// What commits under way will bring.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    moves: VecDeque<(CommitSeq, Vec<Advance>)>,
    /// So many of them have moved `written`.
    moves_written: usize,
    /// Start moves.
    trims: VecDeque<Trim>,
    /// Files that nothing needs then.
    obsolete: VecDeque<(CommitSeq, FileName)>,
    /// Logs that end then.
    ends: VecDeque<(CommitSeq, LogKey)>,
}

impl Effects {
    pub(crate) fn add_moves(&mut self, seq: CommitSeq, advances: Vec<Advance>) {
        self.moves.push_back((seq, advances));
    }

    pub(crate) fn add_trim(&mut self, trim: Trim) {
        self.trims.push_back(trim);
    }

    pub(crate) fn add_obsolete(&mut self, seq: CommitSeq, file: FileName) {
        self.obsolete.push_back((seq, file));
    }

    pub(crate) fn add_end(&mut self, seq: CommitSeq, key: LogKey) {
        self.ends.push_back((seq, key));
    }

    /// The next moves of commits below `durable`.
    pub(crate) fn durable_moves(&mut self, durable: CommitSeq) -> Option<Vec<Advance>> {
        self.moves.front().filter(|(seq, _)| *seq < durable)?;
        self.moves_written = self.moves_written.saturating_sub(1);
        self.moves.pop_front().map(|(_, advances)| advances)
    }

    /// The next moves of commits below `written` that are not durable; they come once more.
    pub(crate) fn written_moves(&mut self, written: CommitSeq) -> Option<Vec<Advance>> {
        let (_, advances) = self
            .moves
            .get(self.moves_written)
            .filter(|(seq, _)| *seq < written)?;
        self.moves_written += 1;
        Some(advances.clone())
    }

    pub(crate) fn durable_trim(&mut self, durable: CommitSeq) -> Option<Trim> {
        self.trims.front().filter(|trim| trim.seq < durable)?;
        self.trims.pop_front()
    }

    pub(crate) fn durable_obsolete(&mut self, durable: CommitSeq) -> Option<FileName> {
        self.obsolete.front().filter(|(seq, _)| *seq < durable)?;
        self.obsolete.pop_front().map(|(_, file)| file)
    }

    pub(crate) fn durable_end(&mut self, durable: CommitSeq) -> Option<LogKey> {
        self.ends.front().filter(|(seq, _)| *seq < durable)?;
        self.ends.pop_front().map(|(_, key)| key)
    }
}
