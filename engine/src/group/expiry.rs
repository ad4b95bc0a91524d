//! What is kept of a group without members, and for how long: its offsets from when the last member left or from when
//! they were committed, whichever is later, and the group for a while after the last of them.

use leveret_storage::types::{LogId, Mono, Now, WallMs};

use super::entry::Change;
use super::kept::Kept;
use super::rules::{Rule, breaks};
use super::settings::GroupSettings;
use super::shared::nanos;

/// Offsets that are looked at in one call.
const LOOKED_AT: usize = 1024;
/// A group that may go, but for those who were given a member id, is looked at again after so long.
const AGAIN_MS: u64 = 60_000;

/// When a group without members is looked at next, and how far that has come.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// `None` while there are members.
    at: Option<Mono>,
    /// Since when there are none, as far as this run knows.
    since: Now,
    /// Offsets up to this one were looked at.
    after: Option<LogId>,
    /// When the first of those will have expired.
    first: Option<WallMs>,
}

impl Expiry {
    pub(super) fn at(&self) -> Option<Mono> {
        self.at
    }

    /// The group has no members from now on, unless that is known.
    pub(super) fn begin(&mut self, kept: &Kept, settings: &GroupSettings, now: Now) {
        if self.at.is_none() {
            let ms = match kept.count() {
                0 => settings.empty_ms,
                _ => settings.offsets_retention_ms,
            };
            self.since = now;
            self.at = Some(now.mono.after(nanos(ms)));
        }
    }

    /// After a start nobody knows what has expired meanwhile: the group is looked at once, in slices as always.
    pub(super) fn look(&mut self, now: Now) {
        self.since = now;
        self.at = Some(now.mono);
    }

    /// Looks at some offsets. Something changes, or the next look is later, or goes on where this one ends.
    pub(super) fn step(
        &mut self,
        kept: &Kept,
        deserted: bool,
        settings: &GroupSettings,
        now: Now,
    ) -> Option<Change> {
        if self.at.is_none_or(|at| at > now.mono) {
            return None;
        }
        let empty_since = match kept.generation {
            // Nobody was ever in it.
            0 => WallMs(i64::MIN),
            _ => kept.empty_since.unwrap_or(self.since.wall),
        };
        let retention = i64::try_from(settings.offsets_retention_ms).unwrap_or(i64::MAX);
        let (mut expired, mut looked_at) = (Vec::new(), 0);
        for (log, committed) in kept.offsets_after(self.after).take(LOOKED_AT) {
            let from = match breaks(Rule::Retained) {
                true => committed.time,
                false => committed.time.max(empty_since),
            };
            let end = WallMs(from.0.saturating_add(retention));
            match end <= now.wall {
                true => expired.push(log),
                false => {
                    self.first = Some(self.first.map_or(end, |first| first.min(end)));
                }
            }
            looked_at += 1;
            if expired.is_empty() {
                // What has expired is looked at again, if it is still there.
                self.after = Some(log);
            }
        }
        if !expired.is_empty() {
            return Some(Change::OffsetsRemoved(expired));
        }
        if looked_at == LOOKED_AT {
            return None;
        }
        self.after = None;
        let first = self.first.take();
        let Some(first) = first.filter(|_| kept.count() > 0) else {
            let end = self.since.mono.after(nanos(settings.empty_ms));
            if end <= now.mono && deserted {
                return Some(Change::GroupRemoved);
            }
            self.at = Some(
                end.max(
                    now.mono
                        .after(nanos(AGAIN_MS.min(settings.empty_ms.max(1)))),
                ),
            );
            return None;
        };
        let ms = u64::try_from(first.0.saturating_sub(now.wall.0)).unwrap_or(0);
        self.at = Some(now.mono.after(nanos(ms.max(1))));
        None
    }
}
