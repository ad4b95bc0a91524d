//! Moves the start of a log: by size, by age, or because somebody asked.
//!
//! Whole segments go, and only after the checkpoint record that moves the start is durable. No
//! walk over all logs: a log is looked at a second after one of its segments has ended or its
//! settings were altered, and when the next of its segments becomes too old.

pub(crate) mod removal;

use std::collections::BTreeMap;

use crate::io::BufPool;
use crate::mutation::{Mutation, mutated};
use crate::store::Store;
use crate::store::api::Event;
use crate::store::journal::ring::LogKey;
use crate::store::log::LogState;
use crate::store::reading::read::Waiter;
use crate::store::segments::files::Listing;
use crate::types::{CommitSeq, Level, LogId, Mono, Now, Offset, Ordinal};

const NS_PER_MS: u64 = 1_000_000;

/// How soon a log is looked at again of which something may go in a moment, nanoseconds: entries
/// are to become durable first, and no log is looked at more often.
const SOON_NS: u64 = 1_000_000_000;

/// A move of a log's start that stands in a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trim {
    pub(crate) seq: CommitSeq,
    pub(crate) key: LogKey,
    pub(crate) log: LogId,
    pub(crate) start: (Ordinal, Offset),
}

/// When logs are to be looked at, each once.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeMap<(Mono, LogId), LogKey>);

impl Deadlines {
    /// The first of them.
    pub(crate) fn first(&self) -> Option<Mono> {
        self.0.first_key_value().map(|((at, _), _)| *at)
    }

    /// The log is looked at then, or earlier.
    fn plan(&mut self, key: LogKey, log: &mut LogState, at: Mono) {
        if let Some(old) = log.segmented.look_at {
            if old <= at {
                return;
            }
            self.0.remove(&(old, log.id));
        }
        self.0.insert((at, log.id), key);
        log.segmented.look_at = Some(at);
    }

    /// The next log whose time has come, which may be gone.
    fn next(&mut self, now: Mono) -> Option<(LogId, LogKey)> {
        let first = self.0.first_entry()?;
        let (at, id) = *first.key();
        (at <= now).then(|| (id, first.remove()))
    }
}

impl<P: BufPool> Store<P> {
    /// Moves the log's start up to `before`, at most to its durable end. Readers see it at once;
    /// [`Event::Trimmed`] follows when it is durable, and then whole segments below go. Ignored
    /// if there is no such log or its start is not below.
    pub fn trim(&mut self, log: LogId, before: Offset) {
        let Some(key) = self.logs.key(log) else {
            return;
        };
        let state = &self.logs[key];
        let before = before.min(state.at.durable.1);
        if !state.lives() || before <= state.at.start.1 || !state.class.retention {
            return;
        }
        self.turn.stir();
        if before == state.at.durable.1 && state.at.durable == state.at.ordered {
            self.move_start(key, state.at.ordered);
            return;
        }
        let ordinal = if state.tail.reaches(before) {
            let mut holding = state.tail.at_offset(before);
            holding
                .next()
                .map_or(state.at.durable.0, |entry| entry.meta.ordinal)
        } else {
            // Between spans on disk: the segment that holds it stays, so its base will do.
            let files = state.segmented.files.as_ref();
            files.map_or(state.at.start.0, |files| {
                let known = files.segments.iter().rev();
                let mut holding =
                    known.filter(|segment| segment.base_offset.is_some_and(|base| base <= before));
                holding
                    .next()
                    .map_or(state.at.start.0, |segment| segment.id.base)
            })
        };
        self.move_start(key, (ordinal.max(state.at.start.0), before));
    }

    /// A snapshot that needs nothing below `keep` is placed: the log starts there, at most at its
    /// durable end. The checkpoint that says so stands in a later commit.
    pub(crate) fn keep_from(&mut self, key: LogKey, keep: (Ordinal, Offset)) {
        let log = &self.logs[key];
        let keep = keep.min(log.at.durable);
        if log.class.files && keep.0 > log.at.start.0 {
            self.move_start(key, keep);
        }
    }

    fn move_start(&mut self, key: LogKey, start: (Ordinal, Offset)) {
        let log = &mut self.logs[key];
        log.at.start = start;
        if log.settings.level == Level::Memory {
            let freed = log
                .tail
                .drop_while(|entry, _| entry.meta.next_offset() <= start.1);
            log.segmented.flushed = log.segmented.flushed.max(start);
            let id = log.id;
            self.memory.gave(Level::Memory, freed);
            self.events.push_back(Event::Trimmed { log: id, start });
            return;
        }
        self.empty_if_all_gone(key);
        let log = &mut self.logs[key];
        if log.is_unborn() {
            return;
        }
        log.owed.checkpoint = true;
        self.queue_control(key);
    }

    /// When the start is the end, nothing in memory or in the open segment is needed.
    fn empty_if_all_gone(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        let busy = log.job().is_some();
        let pending = log.placing.next < log.at.ordered.0 || log.at.written != log.at.ordered;
        if busy
            || pending
            || log.at.start.0 < log.at.ordered.0
            || log.segmented.flushed == log.at.ordered
            || log.is_stopped()
        {
            return;
        }
        log.end_segment();
        log.segmented.flushed = log.at.ordered;
        if let Some(files) = log.segmented.files.as_mut() {
            files.writer = None;
        }
        let freed = log.tail.clear();
        self.memory.gave(log.settings.level, freed);
    }

    /// A checkpoint that moved the start to here is durable: segments wholly below it go.
    pub(crate) fn trim_durable(&mut self, key: LogKey, start: (Ordinal, Offset)) {
        let log = &mut self.logs[key];
        if !log.lives() {
            return;
        }
        self.events.push_back(Event::Trimmed { log: log.id, start });
        if log.segmented.files.is_none() {
            return;
        }
        self.ensure_listed(key, Waiter::Trim);
        self.remove_below_start(key);
    }

    /// Removes the segments below the start that no replay needs, once the checkpoint that says so
    /// is durable. A machine is rebuilt from the entries after its snapshot, also from those that
    /// readers do not see any more: such a segment stays until a snapshot has passed it, durably.
    pub(crate) fn remove_below_start(&mut self, key: LogKey) {
        let log = &mut self.logs[key];
        if log.is_lost() {
            return;
        }
        let (id, start) = (log.id, log.checkpoint.start.0);
        let snapshot = log.snapshots.placed.as_deref();
        let replayed = snapshot.map_or(Ordinal(0), |snapshot| snapshot.ordinal);
        // A listing that something else asked for can end here before the commit that moved the
        // start is durable.
        let placed = snapshot
            .map(|snapshot| snapshot.seq)
            .max(log.checkpoint.seq)
            .filter(|_| !mutated(self.config.mutation, Mutation::RemovedBeforeDurable));
        let Some(files) = log.segmented.files.as_mut() else {
            return;
        };
        if !matches!(files.listing, Listing::Known) {
            return;
        }
        let writing = files.writer.as_ref().map(|writer| writer.base);
        let mut gone = Vec::new();
        while let Some(segment) = files.segments.front()
            && segment
                .end
                .is_some_and(|(end, _)| end <= start.min(replayed))
            && writing != Some(segment.id.base)
            && segment.id.base < log.segmented.flushed.0
        {
            let segment = files.segments.pop_front().expect("just seen");
            gone.push(segment);
        }
        let kept_for_replay = files.segments.front().is_some_and(|segment| {
            segment
                .end
                .is_some_and(|(end, _)| replayed < end && end <= start)
        });
        for segment in gone {
            self.reading.indexes.forget_segment(id, segment.id);
            if !segment.created {
                continue;
            }
            for file in [segment.file(id), segment.index_file(id)] {
                match placed {
                    Some(seq) if seq >= self.journal.ring.durable() => {
                        self.commits.effects.add_obsolete(seq, file)
                    }
                    _ => self.ops.remove(file),
                }
            }
        }
        if kept_for_replay {
            self.ask_snapshot(key);
        }
    }

    /// Drops at once what the log's settings say is too much or too old, rather than at its next
    /// deadline. Ignored if there is no such log.
    pub fn expire(&mut self, log: LogId, now: Now) {
        self.turn.now = now;
        let Some(key) = self.logs.key(log) else {
            return;
        };
        let state = &self.logs[key];
        let limited =
            state.settings.retention_bytes.is_some() || state.settings.retention_ms.is_some();
        if limited && state.lives() && state.class.retention {
            self.turn.stir();
            self.apply_retention(key);
            // What is not durable yet may go in a moment.
            self.look_soon(key);
        }
    }

    /// Plans the next look at the log, for when something of it may be too old.
    pub(crate) fn schedule_retention(&mut self, key: LogKey) {
        let wait = self.until_too_old(key).max(SOON_NS);
        self.look_within(key, wait.min(self.config.retention_check_ns));
    }

    /// Plans a look at a log that may hold too much in a moment.
    pub(crate) fn look_soon(&mut self, key: LogKey) {
        self.look_within(key, SOON_NS.min(self.config.retention_check_ns));
    }

    /// The log is looked at in `wait` nanoseconds, or earlier.
    fn look_within(&mut self, key: LogKey, wait: u64) {
        let log = &self.logs[key];
        let settings = &log.settings;
        let limited = settings.retention_bytes.is_some() || settings.retention_ms.is_some();
        if !log.class.retention || settings.level == Level::Memory || !limited {
            return;
        }
        let at = self.turn.now.mono.after(wait);
        self.deadlines.plan(key, &mut self.logs[key], at);
    }

    /// Nanoseconds until the first of the log's segments is too old, or the open one is to end so
    /// that it can go. Of what was not listed only the settings say something.
    fn until_too_old(&self, key: LogKey) -> u64 {
        let log = &self.logs[key];
        let settings = &log.settings;
        let Some(age) = settings.retention_ms else {
            return u64::MAX;
        };
        let files = log.segmented.files.as_ref();
        let known = files.filter(|files| matches!(files.listing, Listing::Known));
        let first = known.and_then(|files| files.segments.get(files.gone_below(log.at.start.0)));
        let Some(first) = first else {
            let age_ns = (age.min(settings.segment_ms) / 2).saturating_mul(NS_PER_MS);
            return age_ns.max(1);
        };
        let now = self.turn.now.wall.0;
        let left = |since: i64, age: u64| {
            let past = i64::try_from(age).unwrap_or(i64::MAX);
            let at = since.max(0).saturating_add(past);
            u64::try_from(at.saturating_sub(now)).unwrap_or(0)
        };
        let newest = first.max_timestamp.unwrap_or(i64::MAX);
        let mut ms = left(newest, age);
        if first.end.is_none() {
            ms = ms.min(left(first.opened.0, settings.segment_ms));
        }
        ms.saturating_add(1).saturating_mul(NS_PER_MS)
    }

    /// Looks at the logs whose deadline has come.
    pub(crate) fn check_retention(&mut self) {
        while let Some((id, key)) = self.deadlines.next(self.turn.now.mono) {
            if self.logs.key(id) != Some(key) || !self.logs[key].lives() {
                continue;
            }
            self.logs[key].segmented.look_at = None;
            self.apply_retention(key);
            if self.logs[key].at.start.0 < self.logs[key].at.ordered.0 {
                self.schedule_retention(key);
            }
        }
    }

    /// Drops what the log's settings say is too much or too old.
    pub(crate) fn apply_retention(&mut self, key: LogKey) {
        let now = self.turn.now.wall.0;
        debug_assert!(self.logs[key].lives(), "a deleted log keeps nothing");
        if self.logs[key].segmented.files.is_none() || self.logs[key].is_stopped() {
            return;
        }
        if !self.ensure_listed(key, Waiter::Retention) {
            return;
        }
        self.end_aged_segment(key);
        let log = &self.logs[key];
        let files = log.segmented.files.as_ref().expect("checked above");
        // What is below the start is gone for readers, and may not even have an index.
        let gone = files.gone_below(log.at.start.0);
        let kept = files.segments.iter().skip(gone);
        let mut total: u64 = kept.map(|segment| segment.bytes).sum();
        // What a crash may still take does not count: less than is to be kept could remain.
        let unsure = log.tail.entries(log.at.durable.0, log.at.ordered.0);
        total -= unsure.map(|entry| u64::from(entry.meta.len)).sum::<u64>();
        let mut start = log.at.start;
        let (mut unread, mut soon) = (None, false);
        for (at, segment) in files.segments.iter().enumerate().skip(gone) {
            let Some((end, end_offset)) = segment.end else {
                break;
            };
            let next = files.segments.get(at + 1);
            let end_offset = end_offset.or(next.and_then(|next| next.base_offset));
            if end > log.at.durable.0 {
                soon = true;
                break;
            }
            let by_size = log
                .settings
                .retention_bytes
                .is_some_and(|bytes| total - segment.bytes >= bytes);
            // A file's length says more than its entries: padding, and what recovery cut.
            let guessed = files
                .segments
                .iter()
                .skip(gone)
                .find(|other| other.base_offset.is_none());
            if let (true, Some(guessed)) = (by_size, guessed) {
                unread = Some(guessed.id);
                break;
            }
            let age = log.settings.retention_ms;
            if age.is_some() && segment.max_timestamp.is_none() {
                unread = Some(segment.id);
                break;
            }
            if end_offset.is_none() {
                // It ends where the next one, whose index was not read, begins.
                unread = next.map(|next| next.id);
                break;
            }
            let by_age = age.is_some_and(|age| {
                let newest = segment.max_timestamp.unwrap_or(i64::MAX).max(0);
                newest.saturating_add(i64::try_from(age).unwrap_or(i64::MAX)) < now
            });
            if !by_size && !by_age {
                break;
            }
            total -= segment.bytes;
            if let Some(offset) = end_offset
                && end > start.0
            {
                start = (end, offset.max(start.1));
            }
        }
        if let Some(segment) = unread {
            self.load_index(key, segment, Waiter::Retention);
        }
        if soon {
            self.look_soon(key);
        }
        if start.0 > self.logs[key].at.start.0 {
            self.turn.stir();
            self.move_start(key, start);
        }
    }

    /// Ends the open segment when it is old, so that it can expire as a whole.
    fn end_aged_segment(&mut self, key: LogKey) {
        let now = self.turn.now.wall.0;
        let log = &mut self.logs[key];
        let settings = log.settings;
        let Some(files) = log.segmented.files.as_ref() else {
            return;
        };
        let Some(segment) = files.segments.back() else {
            return;
        };
        if segment.end.is_some() || log.at.durable != log.at.ordered {
            return;
        }
        let old = |since: i64, age: u64| {
            since.saturating_add(i64::try_from(age).unwrap_or(i64::MAX)) < now
        };
        let newest = segment.max_timestamp.unwrap_or(i64::MAX);
        let expired = settings
            .retention_ms
            .is_some_and(|age| old(newest.max(0), age));
        if expired || old(segment.opened.0, settings.segment_ms) {
            log.end_segment();
        }
    }
}
