//! The way in: an entry gets its ordinal and its place in memory, and journal space is granted
//! to it. Nothing is written here.

use crate::checksum::{WORTH_JOINING, crc};
use crate::format::commit::commit_len;
use crate::format::record::{CHECKPOINT_LEN, entry_len, extent_len};
use crate::io::{BLOCK, BufPool};
use crate::store::Store;
use crate::store::api::{AppendError, NewEntry};
use crate::store::journal::ring::LogKey;
use crate::store::log::{TailEntry, Urgency};
use crate::store::segments::files::Segment;
use crate::store::segments::flush::fresh_files;
use crate::types::{EntryMeta, Level, LogId, Now, Ordinal};

impl<P: BufPool> Store<P> {
    /// Gives an entry its place at the end of the log and takes it into memory. How far it has
    /// come is told by [`Store::frontiers`], when [`crate::store::Event::Frontier`] says that they moved.
    /// What an acknowledgement may promise is the weaker of `level` and the log's level.
    ///
    /// # Errors
    /// [`AppendError`]; nothing has happened then.
    ///
    /// # Panics
    /// If `entry.first_offset` is not the log's next offset, the entry is empty or shorter than what its
    /// sum leaves out.
    pub fn append(
        &mut self,
        log: LogId,
        entry: NewEntry,
        level: Level,
        now: Now,
    ) -> Result<Ordinal, AppendError> {
        self.now = now;
        let key = self.logs.key(log).ok_or(AppendError::UnknownLog)?;
        let len = entry.bytes.len();
        assert!(len > 0, "an entry has bytes");
        let state = &self.logs[key];
        assert_eq!(
            entry.first_offset, state.next.1,
            "entry does not continue its log"
        );
        if state.stopped || state.removal.is_some() || self.stopping || self.fatal {
            return Err(AppendError::Stopped);
        }
        if len > self.config.max_entry_bytes {
            return Err(AppendError::TooLarge);
        }
        if !state.class.files && entry_len(len) > self.inline_limit() {
            return Err(AppendError::TooLarge);
        }
        let level = level.min(state.settings.level);
        let in_memory = state.settings.level == Level::Memory;
        if !in_memory {
            if self.space.is_short() && !self.logs[key].class.passes_floor {
                self.space_wanted = true;
                return Err(AppendError::DiskFloor);
            }
            let grant = self.grant_for(len);
            if !self.may_grant(grant) {
                self.space_wanted = true;
                self.refused_grant = grant;
                self.reclaim_again = true;
                self.reclaim_credit += self.ring.usable() / 4;
                self.stirred = true;
                self.stats.full += 1;
                return Err(AppendError::Full);
            }
            self.granted += grant;
            self.logs[key].granted += grant;
            self.take_space(len as u64);
            self.rescue_credit = 2 * self.ring.usable();
        }
        self.stats.appends += 1;
        let ordinal = self.push_entry(key, &entry);
        if in_memory {
            self.advance_memory_log(key);
        } else {
            let state = &mut self.logs[key];
            state.pending_bytes += len;
            if level == Level::Synced {
                state.urgency = Urgency::Commit;
            }
            if !state.bulk {
                self.pending_inline += len;
            }
            if state.class.files && !std::mem::replace(&mut state.queued_dirty, true) {
                self.dirty.push_back((key, log));
            }
            self.queue_ready(key);
        }
        Ok(ordinal)
    }

    /// Journal bytes that an entry will take at most: a commit of its own, with its log's first
    /// checkpoint, header and padding.
    ///
    /// That is enough however entries are put together, so that what was granted can always be
    /// placed and never waits for space: a commit of several is shorter than theirs apart, for
    /// padding is only shared. The extent record of a bulk write is no longer than the grants of
    /// its entries either: one of many entries needs far less than a block for each and a tail of
    /// less than a block, and its entries fill a block or two at least, or close their segment and
    /// leave no tail; an entry that fits no commit is granted its extent record.
    pub(crate) fn grant_for(&self, len: usize) -> u64 {
        let inline = entry_len(len);
        let record = if inline <= self.inline_limit() {
            inline
        } else {
            extent_len(1, 1, BLOCK)
        };
        commit_len(CHECKPOINT_LEN + record) as u64
    }

    pub(crate) fn may_grant(&self, grant: u64) -> bool {
        self.ring.free() >= self.granted + grant + self.reserve()
    }

    /// Takes the entry into memory, in the log's present segment or in a new one.
    fn push_entry(&mut self, key: LogKey, entry: &NewEntry) -> Ordinal {
        let generation = self.journal.generation;
        let now = self.now;
        let state = &mut self.logs[key];
        let len = entry.bytes.len() as u64;
        let ordinal = state.next.0;
        let has_files = state.class.files && state.settings.level != Level::Memory;
        if has_files {
            let full = state.next_pos > 0 && state.next_pos + len > state.settings.segment_bytes;
            if full && !state.roll {
                state.end_segment();
            }
            if state.files.is_none() {
                state.files = Some(Box::new(fresh_files(state)));
            }
            let next = state.next;
            let files = state.files.as_mut().expect("just made");
            if state.roll {
                state.next_pos = 0;
                files
                    .segments
                    .push_back(Segment::new(next, generation, now.wall));
            }
            let segment = files.segments.back_mut().expect("an open segment");
            segment.bytes += len;
            segment.max_timestamp = segment.max_timestamp.max(Some(entry.max_timestamp));
        }
        let rolled = has_files && std::mem::replace(&mut state.roll, false);
        let meta = EntryMeta {
            ordinal,
            term: entry.term,
            time: entry.time,
            first_offset: entry.first_offset,
            offsets: entry.offsets,
            max_timestamp: entry.max_timestamp,
            len: u32::try_from(entry.bytes.len()).expect("bounded by max_entry_bytes"),
        };
        assert!(entry.term >= state.term, "terms never fall");
        state.term = entry.term;
        let pos = state.next_pos;
        state.next_pos += len;
        state.next = (ordinal.plus(1), meta.next_offset());
        let known = entry.sum.filter(|_| entry.bytes.len() >= WORTH_JOINING);
        let sum = known.map(|known| known.whole(&entry.bytes));
        debug_assert!(sum.is_none_or(|sum| sum == crc(&entry.bytes)));
        let size = state.push_tail(TailEntry {
            meta,
            pos,
            bytes: entry.bytes.clone(),
            sum,
        });
        self.tail_bytes += size;
        if rolled {
            // The segment before may be one too many.
            self.look_soon(key);
        }
        ordinal
    }

    /// A log of level `memory` is as durable as it gets; its oldest entries make room.
    fn advance_memory_log(&mut self, key: LogKey) {
        let bound = self.config.memory_log_bytes;
        let state = &mut self.logs[key];
        let mut freed = 0;
        while state.tail_bytes > bound && state.tail.len() > 1 {
            freed += state.pop_tail();
        }
        if freed > 0 {
            let first = state.tail.front().expect("one entry is left").meta;
            state.start = state.start.max((first.ordinal, first.first_offset));
            state.flushed = state.start;
        }
        state.placed = state.next.0;
        state.written = state.next;
        state.durable = state.next;
        self.tail_bytes -= freed;
        self.queue_frontier(key);
    }
}

impl crate::store::log::LogState {
    /// The present segment ends here; the next entry begins a new one.
    pub(crate) fn end_segment(&mut self) {
        let next = self.next;
        if let Some(segment) = self
            .files
            .as_mut()
            .and_then(|files| files.segments.back_mut())
            && segment.end.is_none()
        {
            segment.end = Some((next.0, Some(next.1)));
        }
        self.roll = true;
    }
}
