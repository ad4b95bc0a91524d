//! Wins journal space back.
//!
//! Its state says how much may be spent on that and when it is worth looking again; [`pass`] looks
//! at the oldest commits a window at a time, [`rescue`] empties them when nothing else has room. It
//! writes nothing: entries that are to move stand in line for the next commit, or for their
//! segment.

pub(crate) mod pass;
pub(crate) mod remnants;
pub(crate) mod rescue;

use std::collections::VecDeque;

use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::types::CommitSeq;
use remnants::Remnants;

/// What is known of the space to be won back.
#[derive(Debug)]
pub(crate) struct Reclaim {
    /// Logs whose old records are to be copied.
    copies: VecDeque<LogKey>,
    /// What logs with little in the journal have there together.
    pub(crate) remnants: Remnants,
    /// Bytes of commits that the ring takes.
    usable: u64,
    pass: u64,
    /// Something happened that a pass may build on.
    again: bool,
    /// Ring address up to which the last pass looked.
    looked_upto: u64,
    /// The last commit that was made to win space.
    last: CommitSeq,
    /// Journal bytes that passes may still spend before more is appended: what cannot leave
    /// the ring is not carried round it for nothing.
    credit: u64,
    /// Journal bytes that rescues may still spend before something else happens that could let
    /// more go: twice round the ring without a change is once too often.
    rescue_credit: u64,
    /// An append was refused: it is to be said when space is available.
    awaited: bool,
    /// The journal space that the last refused append asked for.
    refused: u64,
}

impl Reclaim {
    /// Of a ring that takes so many bytes; up to `little` of a log are little.
    pub(crate) fn new(usable: u64, little: u64) -> Self {
        Self {
            copies: VecDeque::new(),
            remnants: Remnants::new(little),
            usable,
            pass: 0,
            again: true,
            looked_upto: 0,
            last: CommitSeq(0),
            credit: usable,
            rescue_credit: 2 * usable,
            awaited: false,
            refused: 0,
        }
    }

    /// Something happened that the next pass may build on.
    pub(crate) fn look_again(&mut self) {
        self.again = true;
    }

    /// Something happened that could let more of the oldest commits go.
    pub(crate) fn renew_rescues(&mut self) {
        self.rescue_credit = 2 * self.usable;
    }

    pub(crate) fn spend_rescue(&mut self, bytes: u64) {
        self.rescue_credit = self.rescue_credit.saturating_sub(bytes);
    }

    /// Whether rescues have not gone round the ring twice for nothing.
    pub(crate) fn may_rescue(&self) -> bool {
        self.rescue_credit > 0
    }

    /// Whether they have once.
    fn is_round_once(&self) -> bool {
        self.rescue_credit <= self.usable
    }

    /// A commit with new entries took so many bytes: some more may be spent.
    pub(crate) fn earn(&mut self, bytes: u64) {
        self.credit = (self.credit + 4 * bytes).min(2 * self.usable);
    }

    /// This commit is made to win space.
    pub(crate) fn spends(&mut self, seq: CommitSeq) {
        self.last = seq;
    }

    /// An append that needs so much of the journal was refused.
    pub(crate) fn refused(&mut self, grant: u64) {
        self.awaited = true;
        self.refused = grant;
        self.again = true;
        self.credit += self.usable / 4;
    }

    /// An append was refused for want of space elsewhere.
    pub(crate) fn await_space(&mut self) {
        self.awaited = true;
    }

    /// Whether an append was refused, and nothing said since.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// What the last append that was refused asked for.
    pub(crate) fn refused_grant(&self) -> u64 {
        self.refused
    }

    /// It was said that space is available.
    pub(crate) fn said(&mut self) {
        self.awaited = false;
    }

    /// The log's records in commits below this are to be copied.
    pub(crate) fn copy(&mut self, key: LogKey, log: &mut LogState, below: CommitSeq) {
        if log.held.copy(below) {
            self.copies.push_back(key);
        }
    }

    pub(crate) fn is_copying(&self) -> bool {
        !self.copies.is_empty()
    }

    pub(crate) fn next_copy(&mut self) -> Option<LogKey> {
        self.copies.pop_front()
    }

    /// It was the next, and still is.
    pub(crate) fn put_back_copy(&mut self, key: LogKey) {
        self.copies.push_front(key);
    }

    /// No time is left for copies.
    pub(crate) fn forget_copies(&mut self) {
        self.copies.clear();
    }
}
