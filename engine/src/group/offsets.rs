//! Offsets are committed, fetched and deleted.

use std::sync::Arc;

use leveret_storage::types::{LogId, Now};

use super::call::{Commit, DeleteOffsets, FetchOffsets, NewOffset, WhichOffsets};
use super::coordinator::{Coordinator, Plan, Step, Then};
use super::deadlines::MemberKey;
use super::entry::{Change, GroupEntry, committed};
use super::error::GroupError;
use super::kept::Kept;
use super::reply::{FoundOffset, GroupReply, GroupState, Offsets};
use super::shared::Answer;
use crate::shard::RequestId;

/// Offsets of one answer that asks for all.
const PAGE: usize = 4096;
/// Bytes beside an offset that an entry can hold, whatever is allowed.
const METADATA_MOST: usize = u16::MAX as usize;
/// The type of groups whose subscriptions name topics.
const CONSUMER: &str = "consumer";

impl Coordinator {
    pub(super) fn commit(
        &mut self,
        request: RequestId,
        commit: &Commit,
        now: Now,
    ) -> Result<Plan, Answer> {
        let member = self.may_commit(commit).map_err(Err)?;
        let (offsets, refused) = self.sift(commit);
        if offsets.is_empty() {
            // There may be no such group, and none is made.
            if let Some((key, at)) = self.find(&commit.group).zip(member) {
                self.groups[key.0].classic.heard(at, now.mono);
            }
            return Err(Ok(GroupReply::Committed(refused)));
        }
        Ok(Plan {
            entries: committed(&commit.group, offsets),
            then: Then(Step::Answer {
                request,
                group: Arc::clone(&commit.group),
                member,
                answer: GroupReply::Committed(refused),
            }),
        })
    }

    /// Which member commits, if one does.
    fn may_commit(&self, commit: &Commit) -> Result<Option<MemberKey>, GroupError> {
        let Some(key) = self.find(&commit.group) else {
            if commit.caller.generation >= 0 {
                return Err(GroupError::UnknownGroup);
            }
            return match self.by_name.len() < self.shared.settings.groups {
                true => Ok(None),
                false => Err(GroupError::TooMany),
            };
        };
        let group = &self.groups[key.0];
        group.classic.may_commit(&group.kept, &commit.caller)
    }

    /// The offsets that can be kept, and the others, by their place.
    fn sift(&self, commit: &Commit) -> (Vec<NewOffset>, Vec<(usize, GroupError)>) {
        let settings = &self.shared.settings;
        let metadata_most = settings.metadata_bytes.min(METADATA_MOST);
        let key = self.find(&commit.group);
        let kept = key.map(|key| &*self.groups[key.0].kept);
        let count = kept.map_or(0, Kept::count);
        // Only a group that is nearly full asks which of them it has.
        let nearly_full = count + commit.offsets.len() > settings.offsets;
        let (mut room, mut refused) = (settings.offsets.saturating_sub(count), Vec::new());
        let mut offsets = Vec::with_capacity(commit.offsets.len());
        for (place, new) in commit.offsets.iter().enumerate() {
            let has = || kept.is_some_and(|kept| kept.offset(new.log).is_some());
            if new.metadata.len() > metadata_most {
                refused.push((place, GroupError::MetadataTooLong));
            } else if nearly_full && !has() {
                match room.checked_sub(1) {
                    Some(less) => {
                        room = less;
                        offsets.push(new.clone());
                    }
                    None => refused.push((place, GroupError::TooMany)),
                }
            } else {
                offsets.push(new.clone());
            }
        }
        (offsets, refused)
    }

    /// Of an unknown group no offset is kept: whoever asks begins where it likes.
    pub(super) fn fetch_offsets(&self, fetch: &FetchOffsets) -> GroupReply {
        let key = self.find(&fetch.group);
        let kept = key.map(|key| &*self.groups[key.0].kept);
        let found = |log: LogId| FoundOffset {
            log,
            committed: kept.and_then(|kept| kept.offset(log)).cloned(),
            // Nothing is pending so far: transactions bring that.
            unstable: false,
        };
        let (found, next) = match &fetch.which {
            WhichOffsets::Of(logs) => (logs.iter().copied().map(found).collect(), None),
            WhichOffsets::All { after } => {
                let all = kept.into_iter().flat_map(|kept| kept.offsets_after(*after));
                let mut page: Vec<LogId> = all.map(|(log, _)| log).take(PAGE + 1).collect();
                let more = page.len() > PAGE;
                page.truncate(PAGE);
                let last = page.last().copied().filter(|_| more);
                (page.into_iter().map(found).collect(), last)
            }
        };
        GroupReply::Offsets(Offsets { found, next })
    }

    /// Nothing is taken from under a member that may read it.
    pub(super) fn delete_offsets(
        &mut self,
        request: RequestId,
        delete: &DeleteOffsets,
    ) -> Result<Plan, Answer> {
        let key = self
            .find(&delete.group)
            .ok_or(Err(GroupError::UnknownGroup))?;
        let group = &self.groups[key.0];
        let empty = group.classic.state() == GroupState::Empty;
        if !empty && **group.classic.protocol_type() != *CONSUMER {
            return Err(Err(GroupError::NotEmpty));
        }
        let (mut logs, mut refused) = (Vec::new(), Vec::new());
        for (place, (topic, of)) in delete.topics.iter().enumerate() {
            match !empty && group.classic.subscribed(topic) {
                true => refused.push((place, GroupError::Subscribed)),
                false => logs.extend(of.iter().filter(|log| group.kept.offset(**log).is_some())),
            }
        }
        let answer = GroupReply::OffsetsDeleted(refused);
        if logs.is_empty() {
            return Err(Ok(answer));
        }
        let parts = logs.chunks(1024).map(|logs| {
            let change = Change::OffsetsRemoved(logs.to_vec());
            GroupEntry::new(&delete.group, change)
        });
        Ok(Plan {
            entries: parts.collect(),
            then: Then(Step::Answer {
                request,
                group: Arc::clone(&delete.group),
                member: None,
                answer,
            }),
        })
    }
}
