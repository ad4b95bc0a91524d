//! What the groups of a coordinator share: bounds, deadlines, who waits, and what was answered.

use std::collections::{BTreeMap, VecDeque};

use super::GroupSettings;
use super::deadlines::{Deadlines, GroupKey, MemberKey};
use super::error::GroupError;
use super::reply::GroupReply;
use crate::shard::RequestId;

/// What becomes of a call.
pub type Answer = Result<GroupReply, GroupError>;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: GroupSettings,
    pub(super) deadlines: Deadlines,
    /// The members for whom a call waits.
    waiting: BTreeMap<RequestId, (GroupKey, MemberKey)>,
    answers: VecDeque<(RequestId, Answer)>,
}

impl Shared {
    pub(super) fn new(settings: GroupSettings) -> Self {
        Self {
            settings,
            deadlines: Deadlines::default(),
            waiting: BTreeMap::new(),
            answers: VecDeque::new(),
        }
    }

    /// A call waits no more, if it did, and is answered.
    pub(super) fn answer(&mut self, request: RequestId, answer: Answer) {
        self.waiting.remove(&request);
        self.answers.push_back((request, answer));
    }

    /// A call waits for a member.
    pub(super) fn wait(&mut self, request: RequestId, group: GroupKey, member: MemberKey) {
        self.waiting.insert(request, (group, member));
    }

    /// Nobody wants the answer to a call any more: whom it waited for.
    pub(super) fn forget(&mut self, request: RequestId) -> Option<(GroupKey, MemberKey)> {
        self.waiting.remove(&request)
    }

    /// Whoever waits is answered so.
    pub(super) fn refuse_all(&mut self, error: GroupError) {
        for (request, _) in std::mem::take(&mut self.waiting) {
            self.answers.push_back((request, Err(error)));
        }
    }

    pub(super) fn pop_answer(&mut self) -> Option<(RequestId, Answer)> {
        let first = self.answers.pop_front();
        if self.answers.is_empty() {
            // An idle coordinator keeps no buffer.
            self.answers.shrink_to(16);
        }
        first
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Milliseconds as nanoseconds.
pub(super) fn nanos(ms: impl Into<u64>) -> u64 {
    ms.into().saturating_mul(1_000_000)
}
